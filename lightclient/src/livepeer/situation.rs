//! All that one account's transactions touch, read as a small [`Chain`] of the contracts' own rules: stake, pool, the round,
//! inflation, tokens. What a call would do can then be computed (`protocol::predict`) instead of guessed. A state in which
//! others exist but are not read: only the sender's own calls mean anything on it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256};
use protocol::Round;
use protocol::chain::bonding_manager::{Delegator, EarningsPool, Transcoder, UnbondingLock};
use protocol::chain::{Addresses, Chain, Genesis, Head};
use protocol::pool::Node;

use super::contracts::{Contracts, Part};
use super::layout::{bonding_manager as slots, controller, field, mapping, minter, rounds_manager};
use super::words::want;
use super::{Unreadable, guard, pool, round};
use crate::state::{Keys, StateView};

pub mod payments;
pub mod votes;

/// Newest unbonding locks of the sender that are read.
pub const MAX_LOCKS: u64 = super::delegator::MAX_LOCKS;

const GUARDED: &[Part] = &[Part::BondingManager, Part::RoundsManager, Part::Minter];
/// Slots of the token and of the cache of L1's supply, by facts of their deployments.
const BALANCES: u64 = 1;
const ALLOWANCES: u64 = 2;
const TOTAL_SUPPLY: u64 = 3;
const L1_TOTAL_SUPPLY: u64 = 3;
const L2_SUPPLY_FROM_L1: u64 = 4;

/// What to fetch first.
#[must_use]
pub fn keys(contracts: &Contracts) -> Keys {
    let mut keys = guard::keys(contracts, GUARDED);
    want(&mut keys, contracts.controller, [controller::OWNER_AND_PAUSED]);
    keys
}

/// Reads what calls of `me` towards `others` touch, in the block with L1 number `l1_block` and `timestamp` (seconds since 1970).
///
/// # Errors
/// [`Unreadable`].
pub fn read(
    view: &dyn StateView,
    contracts: &Contracts,
    me: Address,
    others: &[Address],
    (l1_block, timestamp): (u64, u64),
) -> Result<Chain, Unreadable> {
    guard::check(view, contracts, GUARDED)?;
    let gather = Gather { view, missing: RefCell::default() };
    let clock = [
        rounds_manager::ROUND_LENGTH,
        rounds_manager::ROUND_LOCK_AMOUNT,
        rounds_manager::LAST_LENGTH_UPDATE_ROUND,
        rounds_manager::LAST_LENGTH_UPDATE_START_BLOCK,
    ];
    for slot in clock {
        gather.word(contracts.rounds_manager, slot);
    }
    gather.complete()?;
    let now = round::number(view, contracts, l1_block)?;
    let members = pool::read(view, contracts)?;
    let head = Head { number: l1_block, parent_hash: B256::ZERO, timestamp };
    let addresses = addresses(&gather, contracts);
    let genesis = Genesis { addresses, ..Genesis::default() };
    let mut chain = Chain::new(&genesis, head)?;
    let reading = Reading { gather, contracts, me, now };
    reading.rounds(&mut chain);
    reading.scalars(&mut chain);
    reading.pool(&mut chain, &members);
    let tail = members.members.last().map(|member| member.address);
    reading.accounts(&mut chain, others.iter().copied().chain(tail));
    reading.tokens(&mut chain);
    reading.gather.complete()?;
    Ok(chain)
}

fn addresses(gather: &Gather<'_>, contracts: &Contracts) -> Addresses {
    let named = |name: &str| gather.address(contracts.controller, controller::registered(name));
    Addresses {
        bonding_manager: contracts.bonding_manager,
        minter: contracts.minter,
        ticket_broker: contracts.ticket_broker,
        treasury: named("Treasury"),
        token: named("LivepeerToken"),
        governor: named("LivepeerGovernor"),
        poll_creator: named("PollCreator"),
        owner: gather.address(contracts.controller, controller::OWNER_AND_PAUSED),
        l2_migrator: named("L2Migrator"),
        verifier: named("Verifier"),
    }
}

/// Words, with zeros for what is not proven yet and a list of those: a read that goes on past them fetches more at once.
struct Gather<'a> {
    view: &'a dyn StateView,
    missing: RefCell<Keys>,
}

impl Gather<'_> {
    fn word(&self, contract: Address, slot: B256) -> U256 {
        self.view.storage(contract, slot).unwrap_or_else(|_| {
            want(&mut self.missing.borrow_mut(), contract, [slot]);
            U256::ZERO
        })
    }

    fn address(&self, contract: Address, slot: B256) -> Address {
        Address::from_word(B256::from(self.word(contract, slot)))
    }

    fn balance(&self, who: Address) -> U256 {
        match self.view.account(who) {
            Ok(account) => account.map(|account| account.balance).unwrap_or_default(),
            Err(_) => {
                want(&mut self.missing.borrow_mut(), who, []);
                U256::ZERO
            }
        }
    }

    fn complete(&self) -> Result<(), Unreadable> {
        let missing = self.missing.take();
        if missing.is_empty() { Ok(()) } else { Err(Unreadable::Wanted(missing)) }
    }
}

struct Reading<'a> {
    gather: Gather<'a>,
    contracts: &'a Contracts,
    me: Address,
    now: Round,
}

impl Reading<'_> {
    fn bonding(&self, slot: B256) -> U256 {
        self.gather.word(self.contracts.bonding_manager, slot)
    }

    fn rounds(&self, chain: &mut Chain) {
        let word = |slot| self.gather.word(self.contracts.rounds_manager, slot);
        let rounds = &mut chain.rounds;
        rounds.round_length.set(word(rounds_manager::ROUND_LENGTH).saturating_to());
        rounds.round_lock_amount.set(word(rounds_manager::ROUND_LOCK_AMOUNT).saturating_to());
        rounds
            .last_round_length_update_round
            .set(Round::from_word(word(rounds_manager::LAST_LENGTH_UPDATE_ROUND)));
        rounds
            .last_round_length_update_start_block
            .set(word(rounds_manager::LAST_LENGTH_UPDATE_START_BLOCK).saturating_to());
        rounds.last_initialized_round.set(Round::from_word(word(rounds_manager::LAST_INITIALIZED_ROUND)));
        let paused = self.gather.word(self.contracts.controller, controller::OWNER_AND_PAUSED);
        chain.paused.set(B256::from(paused)[11] != 0);
    }

    fn scalars(&self, chain: &mut Chain) {
        let bonding = &mut chain.bonding;
        let period = self.bonding(slots::UNBONDING_PERIOD).as_limbs()[0];
        bonding.unbonding_period.set(period);
        bonding.current_round_total_active_stake.set(self.bonding(slots::CURRENT_ROUND_ACTIVE_STAKE));
        bonding.next_round_total_active_stake.set(self.bonding(slots::NEXT_ROUND_ACTIVE_STAKE));
        bonding.treasury_reward_cut_rate.set(self.bonding(slots::TREASURY_CUT));
        bonding.next_round_treasury_reward_cut_rate.set(self.bonding(slots::NEXT_TREASURY_CUT));
        bonding.treasury_balance_ceiling.set(self.bonding(slots::TREASURY_CEILING));
        let word = |slot| self.gather.word(self.contracts.minter, slot);
        let state = &mut chain.minter;
        state.inflation.set(word(minter::INFLATION));
        state.inflation_change.set(word(minter::INFLATION_CHANGE));
        state.target_bonding_rate.set(word(minter::TARGET_BONDING_RATE));
        state.current_mintable_tokens.set(word(minter::MINTABLE));
        state.current_minted_tokens.set(word(minter::MINTED));
        let cache = self.gather.address(self.contracts.controller, controller::registered("L2LPTDataCache"));
        if !cache.is_zero() {
            let at = super::layout::at;
            state.l1_total_supply.set(self.gather.word(cache, at(L1_TOTAL_SUPPLY)));
            state.l2_supply_from_l1.set(self.gather.word(cache, at(L2_SUPPLY_FROM_L1)));
        }
    }

    fn pool(&self, chain: &mut Chain, members: &pool::Pool) {
        let list = &mut chain.bonding.transcoder_pool;
        list.max_size.set(U256::from(members.max_size));
        list.size.set(U256::from(members.members.len()));
        let at = |index: Option<usize>| {
            index.and_then(|i| members.members.get(i)).map(|member| member.address).unwrap_or_default()
        };
        list.head.set(at(Some(0)));
        list.tail.set(at(members.members.len().checked_sub(1)));
        for (index, member) in members.members.iter().enumerate() {
            let node =
                Node { key: member.stake.0, next_id: at(Some(index + 1)), prev_id: at(index.checked_sub(1)) };
            list.nodes.set(&member.address, node);
        }
    }

    /// The sender, whom it delegates to, and all that are named.
    fn accounts(&self, chain: &mut Chain, others: impl Iterator<Item = Address>) {
        let mine = self.delegator(chain, self.me);
        let mut all: BTreeSet<Address> = others.collect();
        all.extend([self.me, mine.delegate_address]);
        all.remove(&Address::ZERO);
        let claims: BTreeSet<Round> = [mine.last_claim_round].into();
        for who in all {
            let held = self.delegator(chain, who);
            self.orchestrator(chain, who, claims.iter().copied().chain([held.last_claim_round]));
        }
        let ids = mine.next_unbonding_lock_id.saturating_to::<u64>();
        for id in ids.saturating_sub(MAX_LOCKS)..ids {
            let slot = slots::delegator(self.me).lock(id);
            let withdraw_round = Round::from_word(self.bonding(field(slot, 1)));
            let amount = self.bonding(slot);
            if withdraw_round != Round(0) {
                let lock = UnbondingLock { amount, withdraw_round };
                chain.bonding.unbonding_locks.set(&(self.me, U256::from(id)), lock);
            }
        }
    }

    fn delegator(&self, chain: &mut Chain, who: Address) -> Delegator {
        let d = slots::delegator(who);
        let held = Delegator {
            bonded_amount: self.bonding(d.bonded()),
            fees: self.bonding(d.fees()),
            delegate_address: Address::from_word(B256::from(self.bonding(d.delegate()))),
            delegated_amount: self.bonding(d.delegated()),
            start_round: Round::from_word(self.bonding(d.start_round())),
            last_claim_round: Round::from_word(self.bonding(d.last_claim_round())),
            next_unbonding_lock_id: self.bonding(d.next_lock_id()),
        };
        chain.bonding.delegators.set(&who, held);
        held
    }

    fn orchestrator(&self, chain: &mut Chain, who: Address, claims: impl Iterator<Item = Round>) {
        let t = slots::transcoder(who);
        let round = |slot| Round::from_word(self.bonding(slot));
        let record = Transcoder {
            last_reward_round: round(t.last_reward_round()),
            reward_cut: self.bonding(t.reward_cut()),
            fee_share: self.bonding(t.fee_share()),
            last_active_stake_update_round: round(t.last_stake_update_round()),
            activation_round: round(t.activation_round()),
            deactivation_round: round(t.deactivation_round()),
            active_cumulative_rewards: self.bonding(t.active_cumulative_rewards()),
            cumulative_rewards: self.bonding(t.cumulative_rewards()),
            cumulative_fees: self.bonding(t.cumulative_fees()),
            last_fee_round: round(t.last_fee_round()),
        };
        chain.bonding.transcoders.set(&who, record);
        let caller = Address::from_word(B256::from(self.bonding(slots::reward_caller(who))));
        chain.bonding.transcoder_to_reward_caller.set(&who, caller);
        let written = [
            self.now,
            self.now.next(),
            record.last_reward_round,
            record.last_fee_round,
            record.last_active_stake_update_round,
        ];
        for round in written.into_iter().chain(claims).collect::<BTreeSet<_>>() {
            let pool = t.earnings(round.0);
            let earnings = EarningsPool {
                total_stake: self.bonding(pool.total_stake()),
                transcoder_reward_cut: self.bonding(pool.reward_cut()),
                transcoder_fee_share: self.bonding(pool.fee_share()),
                cumulative_reward_factor: self.bonding(pool.reward_factor()),
                cumulative_fee_factor: self.bonding(pool.fee_factor()),
            };
            chain.bonding.earnings_pool_per_round.set(&(who, round), earnings);
        }
    }

    /// Tokens and ether of the sender, the keeper and the treasury.
    fn tokens(&self, chain: &mut Chain) {
        let (token, at) = (chain.addresses.token, super::layout::at);
        let holders = [self.me, chain.addresses.minter, chain.addresses.treasury];
        for who in holders {
            let balance = self.gather.word(token, mapping(who.into_word(), at(BALANCES)));
            chain.token.balances.set(&who, balance);
            chain.eth.set(&who, self.gather.balance(who));
        }
        let spender = chain.addresses.bonding_manager;
        let slot = mapping(spender.into_word(), mapping(self.me.into_word(), at(ALLOWANCES)));
        chain.token.allowances.set(&(self.me, spender), self.gather.word(token, slot));
        chain.token.total_supply.set(self.gather.word(token, at(TOTAL_SUPPLY)));
    }
}
