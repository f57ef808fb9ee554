//! Delegation and its locks: bond, unbond, rebond, hand over, withdraw. Every one of them claims what the delegator has
//! earned first, and writes a checkpoint of the votes afterwards.

use alloy_primitives::{Address, U256};

use super::{DelegatorStatus, UnbondingLock};
use crate::chain::{Chain, Contract, Event, Revert, decrease, increase};
use crate::math::{Arithmetic, add};
use crate::pool::Hint;
use crate::rounds::Round;

impl Chain {
    /// Stakes `amount` of the caller's LPT as `owner`'s, with `to`.
    pub(super) fn bond_for(
        &mut self,
        from: Address,
        amount: U256,
        owner: Address,
        to: Address,
        old: Hint,
        new: Hint,
    ) -> Result<(), Revert> {
        let round = self.open_round()?;
        self.authorize_claim(from, owner, round)?;
        self.auto_claim(owner, round)?;
        let held = self.bonding.delegators.at(&owner);
        self.require_rewarded_before_leaving(to, round)?;
        if from != owner && from != self.addresses.l2_migrator {
            self.authorize_bond_for(owner, to, round)?;
        }
        let mut moved = amount;
        if self.bonding.status(owner, round) == DelegatorStatus::Unbonded {
            self.bonding.delegators.edit(&owner).start_round = round.next();
        } else if held.delegate_address != to {
            if self.bonding.is_registered(owner) {
                return Err(Revert::OrchestratorMayNotMove);
            }
            self.bonding.delegators.edit(&owner).start_round = round.next();
            moved = add(moved, held.bonded_amount)?;
            self.decrease_total_stake(held.delegate_address, held.bonded_amount, old, round)?;
            self.checkpoint(held.delegate_address)?;
        }
        self.initialize_factors(to, round);
        if moved.is_zero() {
            return Err(Revert::NothingToDelegate);
        }
        let bonded_amount = add(held.bonded_amount, amount)?;
        let owned = self.bonding.delegators.edit(&owner);
        owned.delegate_address = to;
        owned.bonded_amount = bonded_amount;
        self.increase_total_stake(to, moved, new, round)?;
        if to != owner {
            self.checkpoint(to)?;
        }
        if !amount.is_zero() {
            self.pull_stake(from, amount)?;
        }
        let event = Event::Bond {
            new_delegate: to,
            old_delegate: held.delegate_address,
            delegator: owner,
            additional_amount: amount,
            bonded_amount,
        };
        self.emit(Contract::BondingManager, event);
        self.checkpoint(owner)
    }

    /// Moves LPT of the caller, who has allowed it, to the Minter.
    fn pull_stake(&mut self, from: Address, amount: U256) -> Result<(), Revert> {
        let (spender, minter) = (self.addresses.bonding_manager, self.addresses.minter);
        self.transfer_from(spender, from, minter, amount)
    }

    /// What a stranger may not do with somebody else's stake.
    fn authorize_bond_for(&self, owner: Address, to: Address, round: Round) -> Result<(), Revert> {
        let unbonded = self.bonding.status(owner, round) == DelegatorStatus::Unbonded;
        let delegate = self.bonding.delegators.at(&owner).delegate_address;
        match () {
            () if owner.is_zero() => Err(Revert::InvalidDelegator),
            () if unbonded && to == owner => Err(Revert::InvalidDelegate),
            () if !unbonded && to != delegate => Err(Revert::InvalidDelegateChange),
            () => Ok(()),
        }
    }

    pub(super) fn unbond(&mut self, from: Address, amount: U256, place: Hint) -> Result<(), Revert> {
        let round = self.open_round()?;
        self.auto_claim(from, round)?;
        self.check_unbond(from, amount, round)?;
        let held = self.bonding.delegators.at(&from);
        let (delegate, id) = (held.delegate_address, held.next_unbonding_lock_id);
        let withdraw_round = after(round, *self.bonding.unbonding_period)?;
        self.bonding.unbonding_locks.set(&(from, id), UnbondingLock { amount, withdraw_round });
        let owned = self.bonding.delegators.edit(&from);
        owned.next_unbonding_lock_id = add(id, U256::ONE)?;
        decrease(&mut owned.bonded_amount, amount)?;
        if owned.bonded_amount.is_zero() {
            owned.delegate_address = Address::ZERO;
            owned.start_round = Round(0);
            if self.bonding.transcoder_pool.contains(from) {
                self.resign(from, round)?;
            }
        }
        self.decrease_total_stake(delegate, amount, place, round)?;
        if delegate != from {
            self.checkpoint(delegate)?;
        }
        let event = Event::Unbond {
            delegate,
            delegator: from,
            unbonding_lock_id: id,
            amount,
            withdraw_round: withdraw_round.to_word(),
        };
        self.emit(Contract::BondingManager, event);
        self.checkpoint(from)
    }

    fn check_unbond(&self, from: Address, amount: U256, round: Round) -> Result<(), Revert> {
        match () {
            () if self.bonding.status(from, round) != DelegatorStatus::Bonded => Err(Revert::NotBonded),
            () if amount.is_zero() => Err(Revert::NothingToUnbond),
            () if amount > self.bonding.delegators.at(&from).bonded_amount => Err(Revert::UnbondTooMuch),
            () => Ok(()),
        }
    }

    pub(super) fn rebond(&mut self, from: Address, id: U256, place: Hint) -> Result<(), Revert> {
        let round = self.open_round()?;
        self.auto_claim(from, round)?;
        if self.bonding.status(from, round) == DelegatorStatus::Unbonded {
            return Err(Revert::NotBonded);
        }
        self.process_rebond(from, id, place, round)
    }

    pub(super) fn rebond_from_unbonded(
        &mut self,
        from: Address,
        to: Address,
        id: U256,
        place: Hint,
    ) -> Result<(), Revert> {
        let round = self.open_round()?;
        self.auto_claim(from, round)?;
        if self.bonding.status(from, round) != DelegatorStatus::Unbonded {
            return Err(Revert::NotUnbonded);
        }
        self.initialize_factors(to, round);
        let owned = self.bonding.delegators.edit(&from);
        owned.start_round = round.next();
        owned.delegate_address = to;
        self.process_rebond(from, id, place, round)
    }

    /// Gives a part of the caller's stake to somebody else, who keeps its own delegate if it has one.
    pub(super) fn transfer_bond(
        &mut self,
        from: Address,
        to: Address,
        amount: U256,
        old: Hint,
        new: Hint,
    ) -> Result<(), Revert> {
        let round = self.open_round()?;
        self.authorize_claim(from, to, round)?;
        self.auto_claim(from, round)?;
        let delegate = self.bonding.delegators.at(&from).delegate_address;
        self.unbond(from, amount, old)?;
        let new_id = self.hand_over_lock(from, to, amount)?;
        self.auto_claim(to, round)?;
        let receiver = self.bonding.delegators.at(&to);
        if receiver.delegate_address.is_zero() && receiver.bonded_amount.is_zero() {
            if delegate == to || to.is_zero() {
                return Err(Revert::InvalidDelegator);
            }
            self.bonding.delegators.edit(&to).delegate_address = delegate;
        }
        if self.bonding.status(to, round) == DelegatorStatus::Unbonded {
            self.bonding.delegators.edit(&to).start_round = round.next();
        }
        self.process_rebond(to, new_id, new, round)
    }

    /// The lock that was just made becomes somebody else's.
    fn hand_over_lock(&mut self, from: Address, to: Address, amount: U256) -> Result<U256, Revert> {
        let old_id = self.bonding.delegators.at(&from).next_unbonding_lock_id - U256::ONE;
        let lock = self.bonding.unbonding_locks.at(&(from, old_id));
        self.bonding.unbonding_locks.remove(&(from, old_id));
        let new_id = self.bonding.delegators.at(&to).next_unbonding_lock_id;
        self.bonding.unbonding_locks.set(&(to, new_id), lock);
        self.bonding.delegators.edit(&to).next_unbonding_lock_id = add(new_id, U256::ONE)?;
        let event = Event::TransferBond {
            old_delegator: from,
            new_delegator: to,
            old_unbonding_lock_id: old_id,
            new_unbonding_lock_id: new_id,
            amount,
        };
        self.emit(Contract::BondingManager, event);
        Ok(new_id)
    }

    fn process_rebond(&mut self, who: Address, id: U256, place: Hint, round: Round) -> Result<(), Revert> {
        let amount = self.take_lock(who, id)?.amount;
        increase(&mut self.bonding.delegators.edit(&who).bonded_amount, amount)?;
        let delegate = self.bonding.delegators.at(&who).delegate_address;
        self.require_rewarded_before_leaving(delegate, round)?;
        self.increase_total_stake(delegate, amount, place, round)?;
        if delegate != who {
            self.checkpoint(delegate)?;
        }
        let event = Event::Rebond { delegate, delegator: who, unbonding_lock_id: id, amount };
        self.emit(Contract::BondingManager, event);
        self.checkpoint(who)
    }

    fn take_lock(&mut self, who: Address, id: U256) -> Result<UnbondingLock, Revert> {
        let lock = self.bonding.unbonding_locks.at(&(who, id));
        if lock.withdraw_round == Round(0) {
            return Err(Revert::InvalidLock);
        }
        self.bonding.unbonding_locks.remove(&(who, id));
        Ok(lock)
    }

    pub(super) fn withdraw_stake(&mut self, from: Address, id: U256) -> Result<(), Revert> {
        let round = self.open_round()?;
        let lock = self.take_lock(from, id)?;
        if lock.withdraw_round > round {
            return Err(Revert::WithdrawTooEarly);
        }
        self.pay_lpt(from, lock.amount)?;
        let event = Event::WithdrawStake {
            delegator: from,
            unbonding_lock_id: id,
            amount: lock.amount,
            withdraw_round: lock.withdraw_round.to_word(),
        };
        self.emit(Contract::BondingManager, event);
        Ok(())
    }

    /// Nobody joins an orchestrator that leaves after this round before it has called `reward()` in it.
    fn require_rewarded_before_leaving(&self, who: Address, round: Round) -> Result<(), Revert> {
        let t = self.bonding.transcoders.at(&who);
        let leaves = self.bonding.is_active(who, round) && t.deactivation_round != Round::NEVER;
        if leaves && t.last_reward_round != round { Err(Revert::RewardNotYetCalled) } else { Ok(()) }
    }

    /// Nobody claims for somebody else before the round's reward: what is earned after a claim in its round is lost.
    fn authorize_claim(&self, from: Address, owner: Address, round: Round) -> Result<(), Revert> {
        let held = self.bonding.delegators.at(&owner);
        let free = from == owner
            || from == self.addresses.l2_migrator
            || self.bonding.status(owner, round) == DelegatorStatus::Unbonded
            || !self.bonding.is_active(held.delegate_address, round)
            || self.bonding.transcoders.at(&held.delegate_address).last_reward_round == round
            || held.last_claim_round == round;
        if free { Ok(()) } else { Err(Revert::IllegalClaim) }
    }
}

fn after(round: Round, rounds: u64) -> Result<Round, Arithmetic> {
    round.0.checked_add(rounds).map(Round).ok_or(Arithmetic::Overflow)
}
