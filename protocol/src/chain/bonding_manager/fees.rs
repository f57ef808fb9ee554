//! Fees of paid tickets: a part is the orchestrator's, the rest goes to everybody's stake as it was before the round's
//! reward, by one factor (LIP-36). Only an active orchestrator can be paid.

use alloy_primitives::{Address, U256};

use crate::amount::{Lpt, Wei};
use crate::chain::{Chain, Revert, increase};
use crate::earnings::{Factors, fee_factor};
use crate::inflation::split;
use crate::math::{PPM, PRECISE, add, sub};
use crate::rounds::Round;

impl Chain {
    /// Credits `fees` wei, which the Minter already holds, to an orchestrator and its delegators.
    pub(in crate::chain) fn update_transcoder_with_fees(
        &mut self,
        who: Address,
        fees: U256,
    ) -> Result<(), Revert> {
        self.require_unpaused()?;
        let round = self.current_round()?;
        if !self.bonding.is_active(who, round) {
            return Err(Revert::NotActive);
        }
        let t = self.bonding.transcoders.at(&who);
        let before = Round(round.0.checked_sub(1).ok_or(crate::math::Arithmetic::Overflow)?);
        let mut previous = self.bonding.latest_factors(who, before);
        let mut active = t.active_cumulative_rewards;
        if round > t.last_reward_round {
            self.open_earnings_pool(who, round);
            active = t.cumulative_rewards;
        }
        let pool = self.bonding.earnings_pool(who, round);
        if previous.reward.is_zero() && t.last_reward_round == round {
            previous.reward = self.factor_before_reward(who, round)?;
        }
        if active > pool.total_stake {
            return Err(Revert::Assertion);
        }
        let shared = PPM.share(fees, pool.transcoder_fee_share)?;
        let own = PRECISE.part(shared, active, pool.total_stake)?;
        let commission = sub(fees, shared)?;
        self.credit_fees(who, [own, commission], round)?;
        self.raise_fee_factor(who, previous, Wei(shared), round)
    }

    fn credit_fees(&mut self, who: Address, parts: [U256; 2], round: Round) -> Result<(), Revert> {
        let t = self.bonding.transcoders.edit(&who);
        for part in parts {
            increase(&mut t.cumulative_fees, part)?;
        }
        t.last_fee_round = round;
        Ok(())
    }

    fn raise_fee_factor(
        &mut self,
        who: Address,
        previous: Factors,
        shared: Wei,
        round: Round,
    ) -> Result<(), Revert> {
        let pool = self.bonding.earnings_pool(who, round);
        let factor = fee_factor(pool.cumulative_fee_factor, previous, shared, Lpt(pool.total_stake))?;
        self.bonding.earnings_pool_per_round.edit(&(who, round)).cumulative_fee_factor = factor;
        Ok(())
    }

    /// An orchestrator that skipped the last round's reward has no factor from before this round's: it is worked out from
    /// what this round's reward was.
    fn factor_before_reward(&self, who: Address, round: Round) -> Result<U256, Revert> {
        let pool = self.bonding.earnings_pool(who, round);
        let (stake, total) = (pool.total_stake, *self.bonding.current_round_total_active_stake);
        let minted = PRECISE.part(*self.minter.current_mintable_tokens, stake, total)?;
        let cut = *self.bonding.treasury_reward_cut_rate;
        let rest = split(Lpt(minted), cut, pool.transcoder_reward_cut)?.delegators.0;
        Ok(PRECISE.part(pool.cumulative_reward_factor, stake, add(rest, stake)?)?)
    }
}
