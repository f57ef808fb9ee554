//! `BondingManager`'s views.

use alloy_primitives::U256;

use super::{Table, one};
use crate::chain::Chain;
use crate::chain::Revert;
use crate::chain::abi::Value;
use crate::chain::bonding_manager::DelegatorStatus;

pub(super) const BONDING_MANAGER: Table = &[
    ("getDelegator(address)", |c, a| {
        let held = c.bonding.delegators.at(&a.address()?);
        Ok(vec![
            held.bonded_amount.into(),
            held.fees.into(),
            held.delegate_address.into(),
            held.delegated_amount.into(),
            held.start_round.into(),
            held.last_claim_round.into(),
            held.next_unbonding_lock_id.into(),
        ])
    }),
    ("getTranscoder(address)", |c, a| {
        let held = c.bonding.transcoders.at(&a.address()?);
        Ok(vec![
            held.last_reward_round.into(),
            held.reward_cut.into(),
            held.fee_share.into(),
            held.last_active_stake_update_round.into(),
            held.activation_round.into(),
            held.deactivation_round.into(),
            held.active_cumulative_rewards.into(),
            held.cumulative_rewards.into(),
            held.cumulative_fees.into(),
            held.last_fee_round.into(),
        ])
    }),
    ("getTranscoderEarningsPoolForRound(address,uint256)", |c, a| {
        let pool = c.bonding.earnings_pool(a.address()?, a.round()?);
        Ok(vec![
            pool.total_stake.into(),
            pool.transcoder_reward_cut.into(),
            pool.transcoder_fee_share.into(),
            pool.cumulative_reward_factor.into(),
            pool.cumulative_fee_factor.into(),
        ])
    }),
    ("getDelegatorUnbondingLock(address,uint256)", |c, a| {
        let lock = c.bonding.unbonding_locks.at(&(a.address()?, a.uint()?));
        Ok(vec![lock.amount.into(), lock.withdraw_round.into()])
    }),
    ("isValidUnbondingLock(address,uint256)", |c, a| {
        let lock = c.bonding.unbonding_locks.at(&(a.address()?, a.uint()?));
        one(lock.withdraw_round.0 > 0)
    }),
    // The round that is asked for has not counted since LIP-36.
    ("pendingStake(address,uint256)", |c, a| {
        let who = a.address()?;
        a.uint()?;
        one(c.bonding.pending(who, c.current_round()?)?.stake.0)
    }),
    ("pendingFees(address,uint256)", |c, a| {
        let who = a.address()?;
        a.uint()?;
        one(c.bonding.pending(who, c.current_round()?)?.fees.0)
    }),
    ("delegatorStatus(address)", |c, a| {
        one(match c.bonding.status(a.address()?, c.current_round()?) {
            DelegatorStatus::Pending => 0u64,
            DelegatorStatus::Bonded => 1,
            DelegatorStatus::Unbonded => 2,
        })
    }),
    ("transcoderStatus(address)", |c, a| one(c.bonding.is_registered(a.address()?))),
    ("isRegisteredTranscoder(address)", |c, a| one(c.bonding.is_registered(a.address()?))),
    ("isActiveTranscoder(address)", |c, a| one(c.bonding.is_active(a.address()?, c.current_round()?))),
    ("transcoderTotalStake(address)", |c, a| one(c.bonding.delegators.at(&a.address()?).delegated_amount)),
    ("transcoderToRewardCaller(address)", |c, a| {
        one(c.bonding.transcoder_to_reward_caller.at(&a.address()?))
    }),
    ("getFirstTranscoderInPool()", |c, _| one(*c.bonding.transcoder_pool.head)),
    ("getNextTranscoderInPool(address)", |c, a| {
        one(c.bonding.transcoder_pool.nodes.at(&a.address()?).next_id)
    }),
    ("getTranscoderPoolSize()", |c, _| one(*c.bonding.transcoder_pool.size)),
    ("getTranscoderPoolMaxSize()", |c, _| one(*c.bonding.transcoder_pool.max_size)),
    ("getTotalBonded()", current_stake),
    ("currentRoundTotalActiveStake()", current_stake),
    ("nextRoundTotalActiveStake()", |c, _| one(*c.bonding.next_round_total_active_stake)),
    ("treasuryRewardCutRate()", |c, _| one(*c.bonding.treasury_reward_cut_rate)),
    ("nextRoundTreasuryRewardCutRate()", |c, _| one(*c.bonding.next_round_treasury_reward_cut_rate)),
    ("treasuryBalanceCeiling()", |c, _| one(*c.bonding.treasury_balance_ceiling)),
    ("unbondingPeriod()", |c, _| one(U256::from(*c.bonding.unbonding_period))),
];

fn current_stake(chain: &Chain, _: &mut super::Asked<'_>) -> Result<Vec<Value>, Revert> {
    one(*chain.bonding.current_round_total_active_stake)
}
