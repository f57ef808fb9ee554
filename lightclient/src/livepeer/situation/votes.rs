//! Votes over the treasury, added to a situation: proposals, their tallies and timelocks, and the stake with which somebody
//! votes, as words of `LivepeerGovernor`, the treasury and `BondingVotes`.

use std::cell::RefCell;
use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256};
use protocol::Round;
use protocol::chain::Chain;
use protocol::chain::bonding_manager::EarningsPool;
use protocol::chain::bonding_votes::BondingCheckpoint;
use protocol::chain::governor::Proposal;
use protocol::votes::{Support, Tally, Voter};

use super::Gather;
use crate::livepeer::contracts::{Contracts, Part};
use crate::livepeer::layout::{at, bonding_manager as slots, bonding_votes, data, field, mapping, number};
use crate::livepeer::{Unreadable, guard};
use crate::state::StateView;

/// Newest checkpoints of an account, and newest totals, that are read: a round adds one, and a vote spans twelve.
pub const MAX_CHECKPOINTS: u64 = 48;

const GUARDED: &[Part] = &[Part::BondingVotes, Part::LivepeerGovernor];
/// Slots of the governor: proposals, the treasury's names for them, tallies.
const PROPOSALS: u64 = 256;
const TIMELOCK_IDS: u64 = 356;
const TALLIES: u64 = 506;
/// Slot of the treasury's timelock: when operations are ready.
const TIMESTAMPS: u64 = 151;

/// Adds proposals, and what `voter` would vote with, to what [`super::read`] has read.
///
/// # Errors
/// [`Unreadable`].
pub fn add(
    view: &dyn StateView,
    contracts: &Contracts,
    chain: &mut Chain,
    voter: Address,
    proposals: &[U256],
) -> Result<(), Unreadable> {
    guard::check(view, contracts, GUARDED)?;
    let reading = Reading { gather: Gather { view, missing: RefCell::default() }, contracts };
    reading.totals(chain);
    let delegate = chain.bonding.delegators.at(&voter).delegate_address;
    let mut people: BTreeSet<Address> = [voter, delegate].into();
    for who in people.clone() {
        people.extend(reading.checkpoints(chain, who));
    }
    people.remove(&Address::ZERO);
    people.iter().for_each(|who| drop(reading.checkpoints(chain, *who)));
    reading.factors(chain, &people);
    proposals.iter().for_each(|id| reading.proposal(chain, *id, &people));
    reading.gather.complete()
}

/// Whether what was read says what somebody held in a round: not where older checkpoints were left out.
#[must_use]
pub fn reaches(chain: &Chain, who: Address, round: Round) -> bool {
    let count = chain.votes.start_round_count.at(&who);
    let oldest = chain.votes.checkpoints.range((who, Round(0))..=(who, Round(u64::MAX))).next();
    count <= MAX_CHECKPOINTS || oldest.is_some_and(|((_, first), _)| *first <= round.next())
}

struct Reading<'a> {
    gather: Gather<'a>,
    contracts: &'a Contracts,
}

/// The newest indices of a list.
fn newest(count: u64) -> std::ops::Range<u64> {
    count.saturating_sub(MAX_CHECKPOINTS)..count
}

impl Reading<'_> {
    fn votes(&self, slot: B256) -> U256 {
        self.gather.word(self.contracts.bonding_votes, slot)
    }

    fn totals(&self, chain: &mut Chain) {
        let rounds = bonding_votes::TOTAL_STAKE_ROUNDS;
        let count = self.votes(rounds).saturating_to::<u64>();
        chain.votes.total_stake_round_count.set(count);
        for index in newest(count) {
            let round = Round::from_word(self.votes(field(data(rounds), index)));
            chain.votes.total_stake_rounds.set(&index, round);
            chain.votes.total_stake.set(&round, self.votes(bonding_votes::total_stake(round.0)));
        }
    }

    /// Reads what somebody held, and says with whom.
    fn checkpoints(&self, chain: &mut Chain, who: Address) -> Vec<Address> {
        let count = self.votes(bonding_votes::start_rounds(who)).saturating_to::<u64>();
        chain.votes.start_round_count.set(&who, count);
        let mut delegates = Vec::new();
        for index in newest(count) {
            let round = Round::from_word(self.votes(bonding_votes::start_round(who, index)));
            let slot = bonding_votes::checkpoint(who, round.0);
            let word = |n| self.votes(field(slot, n));
            let held = BondingCheckpoint {
                bonded_amount: word(0),
                delegate_address: Address::from_word(B256::from(word(1))),
                delegated_amount: word(2),
                last_claim_round: Round::from_word(word(3)),
                last_reward_round: Round::from_word(word(4)),
            };
            chain.votes.start_rounds.set(&(who, index), round);
            chain.votes.checkpoints.set(&(who, round), held);
            delegates.push(held.delegate_address);
        }
        delegates
    }

    /// The rounds of checkpoints are those whose factors say what a stake has grown to.
    fn factors(&self, chain: &mut Chain, people: &BTreeSet<Address>) {
        let mut wanted = BTreeSet::new();
        let all = chain.votes.checkpoints.iter().filter(|((who, _), _)| people.contains(who));
        for ((who, _), held) in all {
            wanted.insert((held.delegate_address, held.last_claim_round));
            wanted.insert((*who, held.last_reward_round));
        }
        for (who, round) in wanted {
            if who.is_zero() || round == Round(0) {
                continue;
            }
            let pool = slots::transcoder(who).earnings(round.0);
            let word = |slot| self.gather.word(self.contracts.bonding_manager, slot);
            let earnings = EarningsPool {
                total_stake: word(pool.total_stake()),
                transcoder_reward_cut: word(pool.reward_cut()),
                transcoder_fee_share: word(pool.fee_share()),
                cumulative_reward_factor: word(pool.reward_factor()),
                cumulative_fee_factor: word(pool.fee_factor()),
            };
            chain.bonding.earnings_pool_per_round.set(&(who, round), earnings);
        }
    }

    fn proposal(&self, chain: &mut Chain, id: U256, people: &BTreeSet<Address>) {
        let governor = chain.addresses.governor;
        let word = |slot| self.gather.word(governor, slot);
        let entry = |slot| mapping(number(id), at(slot));
        let core = entry(PROPOSALS);
        let (start, flags) = (word(core), word(field(core, 2)));
        let low = |word: U256| Round(word.as_limbs()[0]);
        let proposal = Proposal {
            vote_start: low(start),
            vote_end: low(word(field(core, 1))),
            proposer: Address::from_word(B256::from(start >> 64)),
            executed: flags.byte(0) != 0,
            canceled: flags.byte(1) != 0,
        };
        if proposal.vote_start == Round(0) {
            return;
        }
        chain.governor.proposals.set(&id, proposal);
        chain.governor.tallies.set(&id, self.tally(governor, entry(TALLIES), people));
        let operation = B256::from(word(entry(TIMELOCK_IDS)));
        if !operation.is_zero() {
            chain.governor.timelock_ids.set(&id, operation);
            let ready = self.gather.word(chain.addresses.treasury, mapping(operation, at(TIMESTAMPS)));
            chain.governor.timestamps.set(&operation, ready.saturating_to());
        }
    }

    fn tally(&self, governor: Address, place: B256, people: &BTreeSet<Address>) -> Tally {
        let word = |slot| self.gather.word(governor, slot);
        let voters = people.iter().map(|&who| {
            let slot = mapping(who.into_word(), field(place, 3));
            let (voted, deductions) = (word(slot), word(field(slot, 1)));
            let support = Support::from_number(voted.byte(1)).filter(|_| voted.byte(0) != 0);
            (who, Voter { voted: support, deductions })
        });
        Tally {
            against_votes: word(place),
            for_votes: word(field(place, 1)),
            abstain_votes: word(field(place, 2)),
            voters: voters.collect(),
        }
    }
}
