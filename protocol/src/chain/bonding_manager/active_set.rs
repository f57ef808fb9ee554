//! The active set: an orchestrator's stake moves it in the pool, into it, or out of it, and is written to the earnings
//! pools of this round and the next. The pool of a round is the active set of the one after.

use alloy_primitives::{Address, U256};

use crate::chain::{Chain, Contract, Event, Revert};
use crate::math::{PPM, add, sub};
use crate::pool::Hint;
use crate::rounds::Round;

impl Chain {
    /// Sets an orchestrator's cuts, and lets it into the pool if it has the stake.
    pub(super) fn transcoder(
        &mut self,
        from: Address,
        reward_cut: U256,
        fee_share: U256,
        place: Hint,
    ) -> Result<(), Revert> {
        let round = self.open_round()?;
        self.check_cuts(from, reward_cut, fee_share, round)?;
        let t = self.bonding.transcoders.edit(&from);
        t.reward_cut = reward_cut;
        t.fee_share = fee_share;
        if !self.bonding.transcoder_pool.contains(from) {
            let stake = self.bonding.delegators.at(&from).delegated_amount;
            self.try_to_join(from, stake, round.next(), place)?;
        }
        self.emit(
            Contract::BondingManager,
            Event::TranscoderUpdate { transcoder: from, reward_cut, fee_share },
        );
        Ok(())
    }

    fn check_cuts(&self, from: Address, cut: U256, share: U256, round: Round) -> Result<(), Revert> {
        let rewarded = self.bonding.transcoders.at(&from).last_reward_round == round;
        match () {
            () if self.round_is_locked()? => Err(Revert::RoundLocked),
            () if !PPM.is_share(cut) => Err(Revert::InvalidRewardCut),
            () if !PPM.is_share(share) => Err(Revert::InvalidFeeShare),
            () if !self.bonding.is_registered(from) => Err(Revert::NotRegistered),
            () if self.bonding.is_active(from, round) && !rewarded => Err(Revert::ActiveWithoutReward),
            () => Ok(()),
        }
    }

    /// More stake for an orchestrator, or for somebody who may become one.
    pub(super) fn increase_total_stake(
        &mut self,
        delegate: Address,
        amount: U256,
        place: Hint,
        round: Round,
    ) -> Result<(), Revert> {
        let stake = self.bonding.delegators.at(&delegate).delegated_amount;
        let grown = add(stake, amount)?;
        let active = self.bonding.is_active(delegate, round);
        let in_pool = self.bonding.transcoder_pool.contains(delegate);
        if in_pool {
            self.bonding.transcoder_pool.update_key(delegate, grown, place)?;
            let total = add(*self.bonding.next_round_total_active_stake, amount)?;
            self.bonding.next_round_total_active_stake.set(total);
        } else if self.bonding.is_registered(delegate) {
            self.try_to_join(delegate, grown, round.next(), place)?;
        }
        if active || in_pool {
            self.write_stake(delegate, stake, grown, round);
        }
        self.bonding.delegators.edit(&delegate).delegated_amount = grown;
        Ok(())
    }

    /// Less of it.
    pub(super) fn decrease_total_stake(
        &mut self,
        delegate: Address,
        amount: U256,
        place: Hint,
        round: Round,
    ) -> Result<(), Revert> {
        let stake = self.bonding.delegators.at(&delegate).delegated_amount;
        let left = sub(stake, amount)?;
        let active = self.bonding.is_active(delegate, round);
        let in_pool = self.bonding.transcoder_pool.contains(delegate);
        if in_pool {
            self.bonding.transcoder_pool.update_key(delegate, left, place)?;
            let total = sub(*self.bonding.next_round_total_active_stake, amount)?;
            self.bonding.next_round_total_active_stake.set(total);
        }
        if active || in_pool {
            self.write_stake(delegate, stake, left, round);
        }
        self.bonding.delegators.edit(&delegate).delegated_amount = left;
        Ok(())
    }

    /// Stake counts from the next round on; this round keeps what it began with.
    fn write_stake(&mut self, delegate: Address, current: U256, next: U256, round: Round) {
        if self.bonding.transcoders.at(&delegate).last_active_stake_update_round < round {
            self.bonding.set_stake(delegate, round, current);
        }
        self.bonding.set_stake(delegate, round.next(), next);
        self.bonding.transcoders.edit(&delegate).last_active_stake_update_round = round.next();
    }

    /// Into the pool, in place of its last member when it is full and that one has less.
    fn try_to_join(
        &mut self,
        who: Address,
        stake: U256,
        from_round: Round,
        place: Hint,
    ) -> Result<(), Revert> {
        let mut total = *self.bonding.next_round_total_active_stake;
        if self.bonding.transcoder_pool.is_full() {
            let last = *self.bonding.transcoder_pool.tail;
            let least = self.bonding.delegators.at(&last).delegated_amount;
            if stake <= least {
                return Ok(());
            }
            self.bonding.transcoder_pool.remove(last)?;
            self.bonding.transcoders.edit(&last).deactivation_round = from_round;
            total = sub(total, least)?;
            self.emit_deactivated(last, from_round);
        }
        self.bonding.transcoder_pool.insert(who, stake, place)?;
        self.bonding.next_round_total_active_stake.set(add(total, stake)?);
        let t = self.bonding.transcoders.edit(&who);
        t.last_active_stake_update_round = from_round;
        t.activation_round = from_round;
        t.deactivation_round = Round::NEVER;
        self.bonding.set_stake(who, from_round, stake);
        let event = Event::TranscoderActivated { transcoder: who, activation_round: from_round.to_word() };
        self.emit(Contract::BondingManager, event);
        Ok(())
    }

    /// Out of the pool: active to the end of this round.
    pub(super) fn resign(&mut self, who: Address, round: Round) -> Result<(), Revert> {
        self.bonding.transcoder_pool.remove(who)?;
        let stake = self.bonding.delegators.at(&who).delegated_amount;
        let total = sub(*self.bonding.next_round_total_active_stake, stake)?;
        self.bonding.next_round_total_active_stake.set(total);
        self.bonding.transcoders.edit(&who).deactivation_round = round.next();
        self.emit_deactivated(who, round.next());
        Ok(())
    }

    fn emit_deactivated(&mut self, who: Address, round: Round) {
        let event = Event::TranscoderDeactivated { transcoder: who, deactivation_round: round.to_word() };
        self.emit(Contract::BondingManager, event);
    }
}
