//! `reward()`: once a round, an active orchestrator mints its part of the round's tokens for the treasury, itself and
//! everybody who has staked with it.

use alloy_primitives::{Address, U256};

use crate::amount::Lpt;
use crate::chain::{Chain, Contract, Event, Revert, increase};
use crate::earnings::reward_factor;
use crate::inflation::{Split, split};
use crate::math::{PRECISE, add};
use crate::pool::Hint;
use crate::rounds::Round;

impl Chain {
    pub(super) fn reward(&mut self, who: Address, place: Hint) -> Result<(), Revert> {
        let round = self.open_round()?;
        if !self.bonding.is_active(who, round) {
            return Err(Revert::NotActive);
        }
        if self.bonding.transcoders.at(&who).last_reward_round == round {
            return Err(Revert::AlreadyRewarded);
        }
        self.open_earnings_pool(who, round);
        self.end_treasury_cut_at_ceiling()?;
        let pool = self.bonding.earnings_pool(who, round);
        let total = *self.bonding.current_round_total_active_stake;
        let minted = self.create_reward(pool.total_stake, total)?;
        let cut = *self.bonding.treasury_reward_cut_rate;
        let split = split(Lpt(minted), cut, pool.transcoder_reward_cut)?;
        self.pay_treasury(who, split.treasury.0)?;
        let amount = add(split.commission.0, split.delegators.0)?;
        self.distribute(who, split, round)?;
        self.increase_total_stake(who, amount, place, round)?;
        self.bonding.transcoders.edit(&who).last_reward_round = round;
        self.emit(Contract::BondingManager, Event::Reward { transcoder: who, amount });
        self.checkpoint(who)
    }

    /// This round's earnings pool gets the orchestrator's cuts, and its stake when nobody has written that.
    pub(super) fn open_earnings_pool(&mut self, who: Address, round: Round) {
        let t = self.bonding.transcoders.at(&who);
        let updated = t.last_active_stake_update_round;
        let stake = self.bonding.earnings_pool(who, updated).total_stake;
        let pool = self.bonding.earnings_pool_per_round.edit(&(who, round));
        pool.transcoder_reward_cut = t.reward_cut;
        pool.transcoder_fee_share = t.fee_share;
        if updated < round {
            pool.total_stake = stake;
        }
    }

    /// A treasury that has enough gets nothing from the next round on (LIP-92).
    fn end_treasury_cut_at_ceiling(&mut self) -> Result<(), Revert> {
        let ceiling = *self.bonding.treasury_balance_ceiling;
        let full = !ceiling.is_zero() && self.token.balances.at(&self.addresses.treasury) >= ceiling;
        if full && !self.bonding.next_round_treasury_reward_cut_rate.is_zero() {
            self.set_treasury_reward_cut_rate(U256::ZERO)?;
        }
        Ok(())
    }

    fn pay_treasury(&mut self, transcoder: Address, amount: U256) -> Result<(), Revert> {
        if amount.is_zero() {
            return Ok(());
        }
        let treasury = self.addresses.treasury;
        self.pay_lpt(treasury, amount)?;
        self.emit(Contract::BondingManager, Event::TreasuryReward { transcoder, treasury, amount });
        Ok(())
    }

    /// The orchestrator's own part is kept apart; everybody's stake grows by one factor.
    fn distribute(&mut self, who: Address, split: Split, round: Round) -> Result<(), Revert> {
        let t = self.bonding.transcoders.at(&who);
        let stake = self.bonding.earnings_pool(who, round).total_stake;
        if t.cumulative_rewards > stake {
            return Err(Revert::Assertion);
        }
        let own = PRECISE.part(split.delegators.0, t.cumulative_rewards, stake)?;
        let previous = self.bonding.earnings_pool(who, t.last_reward_round).cumulative_reward_factor;
        let factor = reward_factor(previous, split.delegators, Lpt(stake))?;
        let written = self.bonding.transcoders.edit(&who);
        written.active_cumulative_rewards = t.cumulative_rewards;
        increase(&mut written.cumulative_rewards, own)?;
        increase(&mut written.cumulative_rewards, split.commission.0)?;
        self.bonding.earnings_pool_per_round.edit(&(who, round)).cumulative_reward_factor = factor;
        Ok(())
    }
}
