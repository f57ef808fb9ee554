//! One delegator: what it has bonded, to whom, what it could claim now, and its unbonding locks. Pending stake and fees are
//! computed by the rules in `protocol::earnings` from at most 14 words.

use alloy_primitives::{Address, B256};
use protocol::earnings::{Accrued, Claimed, Earnings, Factors, pending};
use protocol::{Lpt, Round as Number, Wei};
use serde::Serialize;

use super::contracts::{Contracts, Part};
use super::layout::bonding_manager as slots;
use super::layout::field;
use super::words::{Words, require, want};
use super::{Hint, Unreadable, guard, round};
use crate::state::{Keys, StateView};

/// Newest unbonding locks that are read, two slots each. Nobody waits on more at once: unbonding takes seven rounds.
pub const MAX_LOCKS: u64 = 32;

/// A delegator as `BondingManager` has it at one block.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Delegator {
    /// Its address.
    pub address: Address,
    /// Round that the state belongs to.
    pub round: Number,
    /// Whether its stake counts.
    pub status: Status,
    /// Whom it delegates to.
    pub delegate: Option<Address>,
    /// Stake at its last claim.
    pub bonded: Lpt,
    /// Fees at its last claim.
    pub fees: Wei,
    /// Stake and fees that a claim in this round would leave it with. What its orchestrator earns later in a round is lost
    /// to who has claimed in that round.
    pub pending: Earnings,
    /// Stake that is delegated to this address.
    pub delegated: Lpt,
    /// First round in which its stake counts.
    pub start_round: Number,
    /// Round of its last claim.
    pub last_claim_round: Number,
    /// Its open unbonding locks, oldest first.
    pub locks: Vec<Lock>,
    /// Older locks, open or withdrawn, that were not looked at.
    pub locks_unread: u64,
}

/// Whether stake counts (`delegatorStatus`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// From a later round on.
    Pending,
    /// Yes.
    Bonded,
    /// There is none.
    Unbonded,
}

/// Stake on its way out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Lock {
    /// Number of the lock, the argument of `withdrawStake` and `rebond`.
    pub id: u64,
    /// How much.
    pub amount: Lpt,
    /// First round in which it may be withdrawn.
    pub withdraw_round: Number,
}

const GUARDED: &[Part] = &[Part::BondingManager, Part::RoundsManager];

/// What to fetch. The rest hangs on these words: without a hint it takes up to two more round trips.
#[must_use]
pub fn keys(contracts: &Contracts, address: Address, hint: &Hint) -> Keys {
    let mut keys = first_keys(contracts, address);
    if let Some(delegate) = hint.delegate {
        want(&mut keys, contracts.bonding_manager, orchestrator_slots(delegate, hint.round.into_iter()));
    }
    keys
}

fn first_keys(contracts: &Contracts, address: Address) -> Keys {
    let mut keys = guard::keys(contracts, GUARDED);
    want(&mut keys, contracts.rounds_manager, round::CLOCK);
    let d = slots::delegator(address);
    let words = [
        d.bonded(),
        d.fees(),
        d.delegate(),
        d.delegated(),
        d.start_round(),
        d.last_claim_round(),
        d.next_lock_id(),
    ];
    want(&mut keys, contracts.bonding_manager, words);
    keys
}

/// An orchestrator's words that earnings hang on, with its factors of some rounds.
fn orchestrator_slots(orchestrator: Address, rounds: impl Iterator<Item = Number>) -> Vec<B256> {
    let t = slots::transcoder(orchestrator);
    let own = [t.last_reward_round(), t.cumulative_rewards(), t.cumulative_fees(), t.last_fee_round()];
    let factors = rounds.flat_map(|round| {
        let pool = t.earnings(round.0);
        [pool.reward_factor(), pool.fee_factor()]
    });
    own.into_iter().chain(factors).collect()
}

fn lock_slots(address: Address, ids: impl Iterator<Item = u64>) -> impl Iterator<Item = B256> {
    let d = slots::delegator(address);
    ids.flat_map(move |id| [d.lock(id), field(d.lock(id), 1)])
}

/// Reads a delegator. Any address can be read: one that never bonded is unbonded.
///
/// # Errors
/// [`Unreadable`].
pub fn read(
    view: &dyn StateView,
    contracts: &Contracts,
    address: Address,
    l1_block: u64,
) -> Result<Delegator, Unreadable> {
    require(view, &first_keys(contracts, address))?;
    guard::check(view, contracts, GUARDED)?;
    let round = round::number(view, contracts, l1_block)?;
    let words = Words::of(view, contracts.bonding_manager);
    let d = slots::delegator(address);
    let (bonded, fees) = (Lpt(words.word(d.bonded())?), Wei(words.word(d.fees())?));
    let last_claim_round = words.round(d.last_claim_round())?;
    let start_round = words.round(d.start_round())?;
    let delegate = words.address(d.delegate())?;
    let locks = words.number(d.next_lock_id())?;
    let claimed = Claimed { earnings: Earnings { stake: bonded, fees }, round: last_claim_round };
    let reading = Reading { view, words, contracts, address, round };
    reading.require_second(delegate, last_claim_round, locks)?;
    Ok(Delegator {
        address,
        round,
        status: status(bonded, start_round, round),
        delegate,
        bonded,
        fees,
        pending: reading.pending(claimed, delegate)?,
        delegated: Lpt(words.word(d.delegated())?),
        start_round,
        last_claim_round,
        locks: reading.locks(locks)?,
        locks_unread: locks.saturating_sub(MAX_LOCKS),
    })
}

fn status(bonded: Lpt, start: Number, round: Number) -> Status {
    match bonded {
        Lpt(none) if none.is_zero() => Status::Unbonded,
        _ if start > round => Status::Pending,
        _ => Status::Bonded,
    }
}

struct Reading<'a> {
    view: &'a dyn StateView,
    words: Words<'a>,
    contracts: &'a Contracts,
    address: Address,
    round: Number,
}

impl Reading<'_> {
    fn require_second(&self, delegate: Option<Address>, claim: Number, locks: u64) -> Result<(), Unreadable> {
        let mut keys = Keys::new();
        let newest = locks.saturating_sub(MAX_LOCKS)..locks;
        want(&mut keys, self.contracts.bonding_manager, lock_slots(self.address, newest));
        if let Some(delegate) = delegate {
            let slots = orchestrator_slots(delegate, [claim, self.round].into_iter());
            want(&mut keys, self.contracts.bonding_manager, slots);
        }
        require(self.view, &keys)
    }

    fn pending(&self, claimed: Claimed, delegate: Option<Address>) -> Result<Earnings, Unreadable> {
        let Some(delegate) = delegate else { return Ok(claimed.earnings) };
        let t = slots::transcoder(delegate);
        let (rewarded, paid) =
            (self.words.round(t.last_reward_round())?, self.words.round(t.last_fee_round())?);
        let last = [t.earnings(rewarded.0).reward_factor(), t.earnings(paid.0).fee_factor()];
        let mut keys = Keys::new();
        want(&mut keys, self.contracts.bonding_manager, last);
        require(self.view, &keys)?;
        let own = Earnings {
            stake: Lpt(self.words.word(t.cumulative_rewards())?),
            fees: Wei(self.words.word(t.cumulative_fees())?),
        };
        let accrued = Accrued {
            start: self.factors(t, claimed.round)?,
            now: self.factors(t, self.round)?,
            last_reward: (rewarded, self.words.word(last[0])?),
            last_fee: (paid, self.words.word(last[1])?),
            commission: (delegate == self.address).then_some(own),
        };
        Ok(pending(claimed, &accrued, self.round)?)
    }

    fn factors(&self, t: slots::Transcoder, round: Number) -> Result<Factors, Unreadable> {
        let pool = t.earnings(round.0);
        Ok(Factors {
            reward: self.words.word(pool.reward_factor())?,
            fee: self.words.word(pool.fee_factor())?,
        })
    }

    fn locks(&self, count: u64) -> Result<Vec<Lock>, Unreadable> {
        let mut locks = Vec::new();
        for id in count.saturating_sub(MAX_LOCKS)..count {
            let slot = slots::delegator(self.address).lock(id);
            let withdraw_round = self.words.round(field(slot, 1))?;
            if withdraw_round > Number(0) {
                locks.push(Lock { id, amount: Lpt(self.words.word(slot)?), withdraw_round });
            }
        }
        Ok(locks)
    }
}
