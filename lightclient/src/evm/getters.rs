//! The contracts' getters, and one call to one of them.

#![allow(missing_docs, unreachable_pub, clippy::use_self, reason = "generated from Solidity")]

use alloy_primitives::Address;
use alloy_sol_types::{SolCall, sol};

use super::{Codes, Env, EvmError, call};
use crate::state::StateView;

sol! {
    interface RoundsManager {
        function currentRound() external view returns (uint256);
        function currentRoundStartBlock() external view returns (uint256);
        function currentRoundLocked() external view returns (bool);
        function currentRoundInitialized() external view returns (bool);
        function lastInitializedRound() external view returns (uint256);
        function roundLength() external view returns (uint256);
        function blockHashForRound(uint256 round) external view returns (bytes32);
    }

    interface BondingManager {
        function getFirstTranscoderInPool() external view returns (address);
        function getNextTranscoderInPool(address transcoder) external view returns (address);
        function getTranscoderPoolSize() external view returns (uint256);
        function getTranscoderPoolMaxSize() external view returns (uint256);
        function transcoderTotalStake(address transcoder) external view returns (uint256);
        function isActiveTranscoder(address transcoder) external view returns (bool);
        function isRegisteredTranscoder(address transcoder) external view returns (bool);
        function getTranscoder(address transcoder) external view returns (
            uint256 lastRewardRound, uint256 rewardCut, uint256 feeShare, uint256 lastActiveStakeUpdateRound,
            uint256 activationRound, uint256 deactivationRound, uint256 activeCumulativeRewards,
            uint256 cumulativeRewards, uint256 cumulativeFees, uint256 lastFeeRound);
        function getTranscoderEarningsPoolForRound(address transcoder, uint256 round) external view returns (
            uint256 totalStake, uint256 transcoderRewardCut, uint256 transcoderFeeShare,
            uint256 cumulativeRewardFactor, uint256 cumulativeFeeFactor);
        function getDelegator(address delegator) external view returns (
            uint256 bondedAmount, uint256 fees, address delegateAddress, uint256 delegatedAmount,
            uint256 startRound, uint256 lastClaimRound, uint256 nextUnbondingLockId);
        function getDelegatorUnbondingLock(address delegator, uint256 id) external view returns (
            uint256 amount, uint256 withdrawRound);
        function delegatorStatus(address delegator) external view returns (uint8);
        function pendingStake(address delegator, uint256 endRound) external view returns (uint256);
        function pendingFees(address delegator, uint256 endRound) external view returns (uint256);
        function getTotalBonded() external view returns (uint256);
        function nextRoundTotalActiveStake() external view returns (uint256);
    }

    interface Minter {
        function inflation() external view returns (uint256);
        function inflationChange() external view returns (uint256);
        function targetBondingRate() external view returns (uint256);
        function currentMintableTokens() external view returns (uint256);
        function currentMintedTokens() external view returns (uint256);
    }

    interface TicketBroker {
        function getSenderInfo(address sender) external view returns (
            uint256 deposit, uint256 withdrawRound, uint256 fundsRemaining, uint256 claimedInCurrentRound);
        function claimableReserve(address reserveHolder, address claimant) external view returns (uint256);
        function claimedReserve(address reserveHolder, address claimant) external view returns (uint256);
    }

    interface ServiceRegistry {
        function getServiceURI(address owner) external view returns (string);
    }
}

/// Asks one getter of a contract.
pub(super) fn ask<C: SolCall>(
    view: &dyn StateView,
    codes: &Codes,
    env: Env,
    to: Address,
    getter: &C,
) -> Result<C::Return, EvmError> {
    let output = call(view, codes, env, to, getter.abi_encode().into())?;
    C::abi_decode_returns(&output).map_err(|_| EvmError::Output(to))
}
