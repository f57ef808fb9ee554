//! Claims: a delegator's share of everything since its last claim becomes its own (LIP-36), and fees can be withdrawn.

use alloy_primitives::{Address, U256};

use crate::chain::{Chain, Contract, Event, Revert};
use crate::math::sub;
use crate::rounds::Round;

impl Chain {
    pub(super) fn claim_earnings(&mut self, from: Address) -> Result<(), Revert> {
        let round = self.open_round()?;
        self.auto_claim(from, round)?;
        self.checkpoint(from)
    }

    pub(super) fn withdraw_fees(&mut self, from: Address, to: Address, amount: U256) -> Result<(), Revert> {
        let round = self.open_round()?;
        self.auto_claim(from, round)?;
        if to.is_zero() {
            return Err(Revert::InvalidRecipient);
        }
        let left = self.bonding.delegators.at(&from).fees.checked_sub(amount);
        self.bonding.delegators.edit(&from).fees = left.ok_or(Revert::InsufficientFees)?;
        self.pay_eth(to, amount)?;
        self.emit(Contract::BondingManager, Event::WithdrawFees { delegator: from, recipient: to, amount });
        self.checkpoint(from)
    }

    /// What every call of a delegator begins with: claim, unless that was done in this round.
    pub(super) fn auto_claim(&mut self, who: Address, round: Round) -> Result<(), Revert> {
        let held = self.bonding.delegators.at(&who);
        if held.last_claim_round >= round {
            return Ok(());
        }
        let (mut stake, mut fees) = (held.bonded_amount, held.fees);
        if !held.delegate_address.is_zero() {
            let earned = self.bonding.pending(who, round)?;
            (stake, fees) = (earned.stake.0, earned.fees.0);
            self.initialize_factors(held.delegate_address, round);
            if held.delegate_address == who {
                let t = self.bonding.transcoders.edit(&who);
                t.cumulative_fees = U256::ZERO;
                t.cumulative_rewards = U256::ZERO;
            }
        }
        let event = Event::EarningsClaimed {
            delegate: held.delegate_address,
            delegator: who,
            rewards: sub(stake, held.bonded_amount)?,
            fees: sub(fees, held.fees)?,
            start_round: held.last_claim_round.next().to_word(),
            end_round: round.to_word(),
        };
        self.emit(Contract::BondingManager, event);
        let owned = self.bonding.delegators.edit(&who);
        owned.last_claim_round = round;
        owned.bonded_amount = stake;
        owned.fees = fees;
        Ok(())
    }

    /// Writes this round's factors, so that a later claim can start from them.
    pub(super) fn initialize_factors(&mut self, transcoder: Address, round: Round) {
        let stored = self.bonding.earnings_pool(transcoder, round);
        let latest = self.bonding.latest_factors(transcoder, round);
        if latest != stored.factors() {
            let pool = self.bonding.earnings_pool_per_round.edit(&(transcoder, round));
            pool.cumulative_reward_factor = latest.reward;
            pool.cumulative_fee_factor = latest.fee;
        }
    }
}
