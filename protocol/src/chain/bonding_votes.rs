//! `BondingVotes`: everybody's stake at past rounds (LIP-89), written after every change of it and read by votes. Its clock
//! is the round; a checkpoint counts from the round after the one in which it was written.

use alloy_primitives::{Address, U256};

use super::{Chain, Contract, Event, Revert};
use crate::amount::{Lpt, Wei};
use crate::earnings::{Earnings, claim};
use crate::journal::{Cell, Map, journaled};
use crate::rounds::Round;

/// Somebody's stake from a round on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BondingCheckpoint {
    /// Stake as of the last claim, LPT base units.
    pub bonded_amount: U256,
    /// With whom.
    pub delegate_address: Address,
    /// What others and itself have staked with it.
    pub delegated_amount: U256,
    /// Round of the last claim.
    pub last_claim_round: Round,
    /// Round of the last `reward()`, for an orchestrator.
    pub last_reward_round: Round,
}

/// Its storage: sorted arrays of rounds, and what counts from each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BondingVotes {
    /// Number of checkpoints by account.
    pub start_round_count: Map<Address, u64>,
    /// Their rounds, by account and index.
    pub start_rounds: Map<(Address, u64), Round>,
    /// What they say, by account and round.
    pub checkpoints: Map<(Address, Round), BondingCheckpoint>,
    /// Number of rounds with a total.
    pub total_stake_round_count: Cell<u64>,
    /// Those rounds, by index.
    pub total_stake_rounds: Map<u64, Round>,
    /// Total active stake by round.
    pub total_stake: Map<Round, U256>,
}

journaled!(BondingVotes {
    start_round_count,
    start_rounds,
    checkpoints,
    total_stake_round_count,
    total_stake_rounds,
    total_stake,
});

impl BondingVotes {
    /// The checkpoint that counts in a round.
    fn at(&self, who: Address, round: Round) -> BondingCheckpoint {
        let range = (who, Round(0))..=(who, round);
        let last = self.checkpoints.range(range).last();
        last.map(|(_, checkpoint)| *checkpoint).unwrap_or_default()
    }

    pub(super) fn checkpoint_total_active_stake(&mut self, stake: U256, round: Round) {
        let count = *self.total_stake_round_count;
        if count == 0 || self.total_stake_rounds.at(&(count - 1)) != round {
            self.total_stake_rounds.set(&count, round);
            self.total_stake_round_count.set(count + 1);
        }
        self.total_stake.set(&round, stake);
    }

    fn write(&mut self, who: Address, round: Round, checkpoint: BondingCheckpoint) {
        let count = self.start_round_count.at(&who);
        if count == 0 || self.start_rounds.at(&(who, count - 1)) != round {
            self.start_rounds.set(&(who, count), round);
            self.start_round_count.set(&who, count + 1);
        }
        self.checkpoints.set(&(who, round), checkpoint);
    }
}

impl Chain {
    /// Writes what somebody holds, to count from the next round on.
    pub(super) fn checkpoint(&mut self, who: Address) -> Result<(), Revert> {
        let start = self.current_round()?.next();
        let previous = self.votes.at(who, start);
        let held = self.bonding.delegators.at(&who);
        let current = BondingCheckpoint {
            bonded_amount: held.bonded_amount,
            delegate_address: held.delegate_address,
            delegated_amount: held.delegated_amount,
            last_claim_round: held.last_claim_round,
            last_reward_round: self.bonding.transcoders.at(&who).last_reward_round,
        };
        self.votes.write(who, start, current);
        self.emit_checkpoint(who, &previous, &current);
        Ok(())
    }

    fn emit_checkpoint(&mut self, who: Address, previous: &BondingCheckpoint, current: &BondingCheckpoint) {
        if previous.delegate_address != current.delegate_address {
            let event = Event::DelegateChanged {
                delegator: who,
                from_delegate: previous.delegate_address,
                to_delegate: current.delegate_address,
            };
            self.emit(Contract::BondingVotes, event);
        }
        let votes =
            |c: &BondingCheckpoint| if c.delegate_address == who { c.delegated_amount } else { U256::ZERO };
        let (previous_balance, new_balance) = (votes(previous), votes(current));
        if previous_balance != new_balance {
            let event = Event::DelegateVotesChanged { delegate: who, previous_balance, new_balance };
            self.emit(Contract::BondingVotes, event);
        }
        let bond = |c: &BondingCheckpoint| (c.bonded_amount, c.last_claim_round);
        if bond(previous) != bond(current) {
            let event = Event::DelegatorBondedAmountChanged {
                delegate: who,
                previous_bonded_amount: previous.bonded_amount,
                previous_last_claim_round: previous.last_claim_round.to_word(),
                new_bonded_amount: current.bonded_amount,
                new_last_claim_round: current.last_claim_round.to_word(),
            };
            self.emit(Contract::BondingVotes, event);
        }
    }

    /// The stake of an account that votes at the end of a round, and whom it had staked it with (`getPastVotes`,
    /// `delegatedAt`): all that is staked with it for a registered orchestrator, its own with rewards for others.
    ///
    /// # Errors
    /// [`Revert::FutureLookup`] for a round that has not begun.
    pub fn votes_at(&self, who: Address, round: Round) -> Result<(Lpt, Address), Revert> {
        let round = round.next();
        self.require_not_future(round)?;
        let bond = self.votes.at(who, round);
        let amount = match () {
            () if bond.bonded_amount.is_zero() => Lpt::default(),
            () if bond.delegate_address == who => Lpt(bond.delegated_amount),
            () => self.cumulative_stake_at(&bond, round)?,
        };
        Ok((amount, bond.delegate_address))
    }

    /// All stake that votes at the end of a round: the pool's (`getPastTotalSupply`).
    ///
    /// # Errors
    /// [`Revert::FutureLookup`] for a round that has not begun.
    pub fn total_votes_at(&self, round: Round) -> Result<Lpt, Revert> {
        let round = round.next();
        self.require_not_future(round)?;
        let known = self.votes.total_stake.at(&round);
        if !known.is_zero() {
            return Ok(Lpt(known));
        }
        let before = self.votes.total_stake.range(..round).next().is_some();
        let after = self.votes.total_stake.range(round..).next().map(|(_, stake)| *stake);
        Ok(Lpt(match (before, after) {
            (false, _) => U256::ZERO,
            (true, Some(stake)) => stake,
            (true, None) => *self.bonding.next_round_total_active_stake,
        }))
    }

    fn require_not_future(&self, round: Round) -> Result<(), Revert> {
        let latest = self.current_round()?.next();
        if round > latest { Err(Revert::FutureLookup(round.to_word(), latest.to_word())) } else { Ok(()) }
    }

    fn cumulative_stake_at(&self, bond: &BondingCheckpoint, round: Round) -> Result<Lpt, Revert> {
        let delegate = bond.delegate_address;
        let rewarded = self.votes.at(delegate, round).last_reward_round;
        let end = self.bonding.earnings_pool(delegate, rewarded);
        if rewarded > Round(0) && end.cumulative_reward_factor.is_zero() {
            return Err(Revert::MissingEarningsPool(delegate, rewarded.to_word()));
        }
        if rewarded < bond.last_claim_round {
            return Ok(Lpt(bond.bonded_amount));
        }
        let start = self.bonding.earnings_pool(delegate, bond.last_claim_round);
        let held = Earnings { stake: Lpt(bond.bonded_amount), fees: Wei::default() };
        Ok(claim(held, start.factors(), end.factors())?.stake)
    }
}
