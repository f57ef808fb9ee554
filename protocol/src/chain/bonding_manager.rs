//! `BondingManager`: who has staked how much with whom, who is in the pool, what everybody earns. This file is its storage,
//! its views and its door; a module each follows for delegation, the active set, claims, rewards and fees.

use alloy_primitives::{Address, U256};

use super::call::Bonding;
use super::{Chain, Contract, Event, Genesis, Revert};
use crate::amount::{Lpt, Wei};
use crate::earnings::{Accrued, Claimed, Earnings, Factors, pending};
use crate::journal::{Cell, Map, journaled};
use crate::math::{Arithmetic, PRECISE};
use crate::pool::Pool;
use crate::rounds::Round;

mod active_set;
mod claims;
mod delegation;
mod fees;
mod rewards;
mod slashing;

/// A delegator; an orchestrator is one that delegates to itself. Amounts in base units.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Delegator {
    /// Its stake, as of its last claim.
    pub bonded_amount: U256,
    /// Its fees, wei, as of its last claim.
    pub fees: U256,
    /// Whom it has staked with; zero for nobody.
    pub delegate_address: Address,
    /// What others and itself have staked with it.
    pub delegated_amount: U256,
    /// Round from which its delegation counts.
    pub start_round: Round,
    /// Round of its last claim.
    pub last_claim_round: Round,
    /// Number of its next unbonding lock.
    pub next_unbonding_lock_id: U256,
}

/// Stake that waits to be withdrawn.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UnbondingLock {
    /// How much, LPT base units.
    pub amount: U256,
    /// Round from which it may be withdrawn; zero for no lock.
    pub withdraw_round: Round,
}

/// An orchestrator's record. Cuts in parts per million.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Transcoder {
    /// Round of its last `reward()`.
    pub last_reward_round: Round,
    /// What it keeps of rewards.
    pub reward_cut: U256,
    /// What it shares of fees.
    pub fee_share: U256,
    /// Round for which its stake was last written to an earnings pool.
    pub last_active_stake_update_round: Round,
    /// First round in which it is active.
    pub activation_round: Round,
    /// First round in which it no longer is.
    pub deactivation_round: Round,
    /// What it had earned for itself before this round's reward: it earns on that too.
    pub active_cumulative_rewards: U256,
    /// What it has earned for itself and not claimed, LPT base units.
    pub cumulative_rewards: U256,
    /// The same of fees, wei.
    pub cumulative_fees: U256,
    /// Last round in which it was paid.
    pub last_fee_round: Round,
}

/// What an orchestrator's delegators earn from in one round.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EarningsPool {
    /// Stake that counts in the round.
    pub total_stake: U256,
    /// What the orchestrator keeps of rewards, parts per million.
    pub transcoder_reward_cut: U256,
    /// What it shares of fees, parts per million.
    pub transcoder_fee_share: U256,
    /// Its growth, 10^27 points (LIP-36).
    pub cumulative_reward_factor: U256,
    /// Its fees for one unit of first-round stake, 10^27 points (LIP-36).
    pub cumulative_fee_factor: U256,
}

impl EarningsPool {
    pub(super) const fn factors(&self) -> Factors {
        Factors { reward: self.cumulative_reward_factor, fee: self.cumulative_fee_factor }
    }
}

/// Whether a delegator's stake is at work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DelegatorStatus {
    /// From the next round on.
    Pending,
    /// It is.
    Bonded,
    /// There is none.
    Unbonded,
}

/// Its storage. Nested mappings are keyed by all their keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BondingManager {
    /// Rounds from unbonding to withdrawal.
    pub unbonding_period: Cell<u64>,
    /// Delegators.
    pub delegators: Map<Address, Delegator>,
    /// Their unbonding locks, by number.
    pub unbonding_locks: Map<(Address, U256), UnbondingLock>,
    /// Orchestrators.
    pub transcoders: Map<Address, Transcoder>,
    /// Their earnings pools, by round.
    pub earnings_pool_per_round: Map<(Address, Round), EarningsPool>,
    /// Stake of the active set in this round.
    pub current_round_total_active_stake: Cell<U256>,
    /// Stake of the pool, which is the next round's active set.
    pub next_round_total_active_stake: Cell<U256>,
    /// The pool.
    pub transcoder_pool: Pool,
    /// Cut of the treasury in this round, 10^27 points.
    pub treasury_reward_cut_rate: Cell<U256>,
    /// Cut of the treasury from the next round on.
    pub next_round_treasury_reward_cut_rate: Cell<U256>,
    /// LPT in the treasury at which the cut ends.
    pub treasury_balance_ceiling: Cell<U256>,
    /// Who may call `reward()` for an orchestrator besides itself.
    pub transcoder_to_reward_caller: Map<Address, Address>,
}

journaled!(BondingManager {
    unbonding_period,
    delegators,
    unbonding_locks,
    transcoders,
    earnings_pool_per_round,
    current_round_total_active_stake,
    next_round_total_active_stake,
    transcoder_pool,
    treasury_reward_cut_rate,
    next_round_treasury_reward_cut_rate,
    treasury_balance_ceiling,
    transcoder_to_reward_caller,
});

impl BondingManager {
    pub(super) fn new(genesis: &Genesis) -> Self {
        let mut pool = Pool::default();
        pool.max_size.set(genesis.num_active_transcoders);
        Self {
            unbonding_period: Cell::new(genesis.unbonding_period),
            transcoder_pool: pool,
            next_round_treasury_reward_cut_rate: Cell::new(genesis.treasury_reward_cut_rate),
            treasury_balance_ceiling: Cell::new(genesis.treasury_balance_ceiling),
            ..Self::default()
        }
    }

    /// An orchestrator's earnings pool of a round, as stored.
    #[must_use]
    pub fn earnings_pool(&self, transcoder: Address, round: Round) -> EarningsPool {
        self.earnings_pool_per_round.at(&(transcoder, round))
    }

    /// Whether somebody delegates to itself (`isRegisteredTranscoder`).
    #[must_use]
    pub fn is_registered(&self, who: Address) -> bool {
        let held = self.delegators.at(&who);
        held.delegate_address == who && !held.bonded_amount.is_zero()
    }

    /// Whether an orchestrator is active in a round (`isActiveTranscoder`).
    #[must_use]
    pub fn is_active(&self, who: Address, round: Round) -> bool {
        let t = self.transcoders.at(&who);
        t.activation_round <= round && round < t.deactivation_round
    }

    /// A delegator's status in a round (`delegatorStatus`).
    #[must_use]
    pub fn status(&self, who: Address, round: Round) -> DelegatorStatus {
        let held = self.delegators.at(&who);
        match () {
            () if held.bonded_amount.is_zero() => DelegatorStatus::Unbonded,
            () if held.start_round > round => DelegatorStatus::Pending,
            () => DelegatorStatus::Bonded,
        }
    }

    /// Stake and fees that a claim in `round` would leave somebody with (`pendingStake`, `pendingFees`).
    ///
    /// # Errors
    /// [`Arithmetic`], where the contract panics.
    pub fn pending(&self, who: Address, round: Round) -> Result<Earnings, Arithmetic> {
        let held = self.delegators.at(&who);
        let delegate = held.delegate_address;
        let t = self.transcoders.at(&delegate);
        let pool = |round| self.earnings_pool(delegate, round).factors();
        let own = Earnings { stake: Lpt(t.cumulative_rewards), fees: Wei(t.cumulative_fees) };
        let accrued = Accrued {
            start: pool(held.last_claim_round),
            now: pool(round),
            last_reward: (t.last_reward_round, pool(t.last_reward_round).reward),
            last_fee: (t.last_fee_round, pool(t.last_fee_round).fee),
            commission: (delegate == who).then_some(own),
        };
        let earnings = Earnings { stake: Lpt(held.bonded_amount), fees: Wei(held.fees) };
        pending(Claimed { earnings, round: held.last_claim_round }, &accrued, round)
    }

    /// The newest factors of an orchestrator that count in a round (`latestCumulativeFactorsPool`).
    fn latest_factors(&self, transcoder: Address, round: Round) -> Factors {
        let t = self.transcoders.at(&transcoder);
        let pool = |round| self.earnings_pool(transcoder, round).factors();
        let accrued = Accrued {
            now: pool(round),
            last_reward: (t.last_reward_round, pool(t.last_reward_round).reward),
            last_fee: (t.last_fee_round, pool(t.last_fee_round).fee),
            ..Accrued::default()
        };
        accrued.end(round)
    }

    fn set_stake(&mut self, transcoder: Address, round: Round, stake: U256) {
        self.earnings_pool_per_round.edit(&(transcoder, round)).total_stake = stake;
    }
}

impl Chain {
    pub(super) fn call_bonding(&mut self, from: Address, call: Bonding) -> Result<(), Revert> {
        match call {
            Bonding::Bond(amount, to, old, new) => self.bond_for(from, amount, from, to, old, new),
            Bonding::BondFor(amount, owner, to, old, new) => self.bond_for(from, amount, owner, to, old, new),
            Bonding::Unbond(amount, place) => self.unbond(from, amount, place),
            Bonding::Rebond(lock, place) => self.rebond(from, lock, place),
            Bonding::RebondFromUnbonded(to, lock, place) => self.rebond_from_unbonded(from, to, lock, place),
            Bonding::TransferBond(to, amount, old, new) => self.transfer_bond(from, to, amount, old, new),
            Bonding::WithdrawStake(lock) => self.withdraw_stake(from, lock),
            Bonding::WithdrawFees(recipient, amount) => self.withdraw_fees(from, recipient, amount),
            Bonding::ClaimEarnings(_) => self.claim_earnings(from),
            Bonding::CheckpointBondingState(account) => self.checkpoint(account),
            Bonding::Transcoder(reward_cut, fee_share, place) => {
                self.transcoder(from, reward_cut, fee_share, place)
            }
            Bonding::Reward(place) => self.reward(from, place),
            Bonding::RewardForTranscoder(transcoder, place) => {
                if self.bonding.transcoder_to_reward_caller.at(&transcoder) != from {
                    return Err(Revert::NotRewardCaller);
                }
                self.reward(transcoder, place)
            }
            Bonding::SetRewardCaller(caller) => {
                self.set_reward_caller(from, caller);
                Ok(())
            }
            Bonding::SlashTranscoder(who, finder, share, fee) => self.slash(from, who, finder, share, fee),
            Bonding::SetUnbondingPeriod(_)
            | Bonding::SetNumActiveTranscoders(_)
            | Bonding::SetTreasuryRewardCutRate(_)
            | Bonding::SetTreasuryBalanceCeiling(_) => {
                self.require_owner(from)?;
                self.set_bonding_parameter(call)
            }
        }
    }

    fn set_bonding_parameter(&mut self, call: Bonding) -> Result<(), Revert> {
        let param = match call {
            Bonding::SetUnbondingPeriod(rounds) => {
                self.bonding.unbonding_period.set(rounds);
                "unbondingPeriod"
            }
            Bonding::SetNumActiveTranscoders(n) => {
                self.bonding.transcoder_pool.set_max_size(n)?;
                "numActiveTranscoders"
            }
            Bonding::SetTreasuryBalanceCeiling(ceiling) => {
                self.bonding.treasury_balance_ceiling.set(ceiling);
                "treasuryBalanceCeiling"
            }
            Bonding::SetTreasuryRewardCutRate(rate) => return self.set_treasury_reward_cut_rate(rate),
            _ => return Ok(()),
        };
        self.emit(Contract::BondingManager, Event::ParameterUpdate { param });
        Ok(())
    }

    /// The treasury's cut from the next round on.
    fn set_treasury_reward_cut_rate(&mut self, rate: U256) -> Result<(), Revert> {
        if !PRECISE.is_share(rate) {
            return Err(Revert::InvalidTreasuryCut);
        }
        self.bonding.next_round_treasury_reward_cut_rate.set(rate);
        let event = Event::ParameterUpdate { param: "nextRoundTreasuryRewardCutRate" };
        self.emit(Contract::BondingManager, event);
        Ok(())
    }

    /// What a new round begins with: the pool is the active set, the treasury's next cut counts.
    pub(super) fn set_current_round_total_active_stake(&mut self, round: Round) {
        let stake = *self.bonding.next_round_total_active_stake;
        self.bonding.current_round_total_active_stake.set(stake);
        let cut = *self.bonding.next_round_treasury_reward_cut_rate;
        if cut != *self.bonding.treasury_reward_cut_rate {
            self.bonding.treasury_reward_cut_rate.set(cut);
            self.emit(Contract::BondingManager, Event::ParameterUpdate { param: "treasuryRewardCutRate" });
        }
        self.votes.checkpoint_total_active_stake(stake, round);
    }

    fn set_reward_caller(&mut self, transcoder: Address, reward_caller: Address) {
        self.bonding.transcoder_to_reward_caller.set(&transcoder, reward_caller);
        self.emit(Contract::BondingManager, Event::RewardCallerSet { transcoder, reward_caller });
    }
}
