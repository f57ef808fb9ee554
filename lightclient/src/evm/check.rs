//! The same read twice: by slots, whose layout we know, and by the contracts' own getters, which need to know none. Where
//! they differ, the layout is not the one we know, or the getter means something else now.

use std::fmt::Display;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use protocol::Round as Number;
use serde::Serialize;

use super::getters::{
    BondingManager as Bm, Minter, RoundsManager as Rm, ServiceRegistry, TicketBroker as Tb, ask,
};
use super::{Codes, Env, EvmError, Revert, Wanted};
use crate::livepeer::delegator::Status;
use crate::livepeer::sender::SenderLock;
use crate::livepeer::{Contracts, Delegator, Inflation, Orchestrator, Pool, Read, Round, Sender, ServiceUri};
use crate::state::StateView;

/// How a read compares with the getters.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Agreement {
    /// Every value that was compared.
    pub compared: Vec<Comparison>,
}

/// One value, read twice.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Comparison {
    /// The getter and what it was asked for.
    pub getter: String,
    /// By slots.
    pub slots: String,
    /// By the contract's bytecode.
    pub bytecode: String,
}

impl Agreement {
    /// Whether all values are the same.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.differences().next().is_none()
    }

    /// Values that are not.
    pub fn differences(&self) -> impl Iterator<Item = &Comparison> {
        self.compared.iter().filter(|comparison| comparison.slots != comparison.bytecode)
    }
}

/// Asks the contracts' getters for everything in `read`, over the same proven state.
///
/// # Errors
/// [`EvmError::Wanted`] with what all getters together still need; [`EvmError`] when one gives no result.
pub fn cross_check(
    read: &Read,
    view: &dyn StateView,
    codes: &Codes,
    contracts: &Contracts,
    env: Env,
) -> Result<Agreement, EvmError> {
    let mut check =
        Check { view, codes, contracts, env, agreement: Agreement::default(), wanted: Wanted::default() };
    match read {
        Read::Round(round) => check.round(round),
        Read::Pool(pool) => check.pool(pool),
        Read::Orchestrator(orchestrator) => check.orchestrator(orchestrator),
        Read::Delegator(delegator) => check.delegator(delegator),
        Read::Sender(sender) => check.sender(sender),
        Read::ServiceUri(uri) => check.service_uri(uri),
        Read::Inflation(inflation) => check.inflation(inflation),
    }?;
    if check.wanted.is_empty() { Ok(check.agreement) } else { Err(EvmError::Wanted(check.wanted)) }
}

struct Check<'a> {
    view: &'a dyn StateView,
    codes: &'a Codes,
    contracts: &'a Contracts,
    env: Env,
    agreement: Agreement,
    wanted: Wanted,
}

impl Check<'_> {
    /// Asks a getter. What it needs beyond what is proven is gathered, and the value then left for the next time.
    fn ask<C: SolCall>(&mut self, to: Address, getter: &C) -> Result<Option<C::Return>, EvmError> {
        match ask(self.view, self.codes, self.env, to, getter) {
            Ok(value) => Ok(Some(value)),
            Err(EvmError::Wanted(more)) => {
                self.wanted.join(more);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn same(&mut self, getter: &str, slots: impl Display, bytecode: impl Display) {
        let (slots, bytecode) = (slots.to_string(), bytecode.to_string());
        self.agreement.compared.push(Comparison { getter: getter.to_owned(), slots, bytecode });
    }

    /// Asks a getter for one value and compares it.
    fn one<C>(&mut self, to: Address, getter: &C, slots: impl Display) -> Result<(), EvmError>
    where
        C: SolCall<Return: Display>,
    {
        if let Some(value) = self.ask(to, getter)? {
            self.same(C::SIGNATURE, slots, value);
        }
        Ok(())
    }

    fn round(&mut self, round: &Round) -> Result<(), EvmError> {
        let to = self.contracts.rounds_manager;
        self.one(to, &Rm::currentRoundCall {}, round.number.0)?;
        self.one(to, &Rm::currentRoundStartBlockCall {}, round.start_block)?;
        self.one(to, &Rm::currentRoundLockedCall {}, round.locked)?;
        self.one(to, &Rm::currentRoundInitializedCall {}, round.initialized)?;
        self.one(to, &Rm::lastInitializedRoundCall {}, round.last_initialized.0)?;
        self.one(to, &Rm::roundLengthCall {}, round.clock.length)?;
        let hashes = [
            (round.number, round.block_hash),
            (Number(round.number.0.saturating_sub(1)), round.previous_block_hash),
        ];
        for (number, hash) in hashes {
            let getter = Rm::blockHashForRoundCall { round: number.to_word() };
            self.one(to, &getter, hash.unwrap_or(B256::ZERO))?;
        }
        Ok(())
    }

    fn pool(&mut self, pool: &Pool) -> Result<(), EvmError> {
        let to = self.contracts.bonding_manager;
        self.one(to, &Bm::getTranscoderPoolSizeCall {}, pool.members.len())?;
        self.one(to, &Bm::getTranscoderPoolMaxSizeCall {}, pool.max_size)?;
        self.one(to, &Bm::nextRoundTotalActiveStakeCall {}, pool.stake.0)?;
        let address = |i: usize| pool.members.get(i).map(|member| member.address).unwrap_or_default();
        self.one(to, &Bm::getFirstTranscoderInPoolCall {}, address(0))?;
        for (i, member) in pool.members.iter().enumerate() {
            let transcoder = member.address;
            self.one(to, &Bm::getNextTranscoderInPoolCall { transcoder }, address(i + 1))?;
            self.one(to, &Bm::transcoderTotalStakeCall { transcoder }, member.stake.0)?;
        }
        Ok(())
    }

    fn orchestrator(&mut self, o: &Orchestrator) -> Result<(), EvmError> {
        let (to, transcoder) = (self.contracts.bonding_manager, o.address);
        self.one(to, &Bm::isActiveTranscoderCall { transcoder }, o.active)?;
        self.one(to, &Bm::isRegisteredTranscoderCall { transcoder }, o.registered)?;
        self.one(to, &Bm::transcoderTotalStakeCall { transcoder }, o.stake.0)?;
        if let Some(t) = self.ask(to, &Bm::getTranscoderCall { transcoder })? {
            self.same("getTranscoder.lastRewardRound", o.last_reward_round.to_word(), t.lastRewardRound);
            self.same("getTranscoder.rewardCut", o.reward_cut, t.rewardCut);
            self.same("getTranscoder.feeShare", o.fee_share, t.feeShare);
            self.same("getTranscoder.activationRound", o.activation_round.to_word(), t.activationRound);
            self.same("getTranscoder.deactivationRound", o.deactivation_round.to_word(), t.deactivationRound);
            self.same("getTranscoder.cumulativeRewards", o.unclaimed_rewards.0, t.cumulativeRewards);
            self.same("getTranscoder.cumulativeFees", o.unclaimed_fees.0, t.cumulativeFees);
            self.same("getTranscoder.lastFeeRound", o.last_fee_round.to_word(), t.lastFeeRound);
        }
        let pool = Bm::getTranscoderEarningsPoolForRoundCall { transcoder, round: o.round.to_word() };
        if let Some(pool) = self.ask(to, &pool)? {
            self.same("getTranscoderEarningsPoolForRound.totalStake", o.earning_stake.0, pool.totalStake);
        }
        self.service_uri(&ServiceUri { address: o.address, uri: o.service_uri.clone() })
    }

    fn delegator(&mut self, d: &Delegator) -> Result<(), EvmError> {
        let (to, delegator) = (self.contracts.bonding_manager, d.address);
        if let Some(theirs) = self.ask(to, &Bm::getDelegatorCall { delegator })? {
            self.same("getDelegator.bondedAmount", d.bonded.0, theirs.bondedAmount);
            self.same("getDelegator.fees", d.fees.0, theirs.fees);
            self.same("getDelegator.delegateAddress", d.delegate.unwrap_or_default(), theirs.delegateAddress);
            self.same("getDelegator.delegatedAmount", d.delegated.0, theirs.delegatedAmount);
            self.same("getDelegator.startRound", d.start_round.to_word(), theirs.startRound);
            self.same("getDelegator.lastClaimRound", d.last_claim_round.to_word(), theirs.lastClaimRound);
        }
        let status = match d.status {
            Status::Pending => 0,
            Status::Bonded => 1,
            Status::Unbonded => 2,
        };
        self.one(to, &Bm::delegatorStatusCall { delegator }, status)?;
        let end = d.round.to_word();
        self.one(to, &Bm::pendingStakeCall { delegator, endRound: end }, d.pending.stake.0)?;
        self.one(to, &Bm::pendingFeesCall { delegator, endRound: end }, d.pending.fees.0)?;
        for lock in &d.locks {
            let getter = Bm::getDelegatorUnbondingLockCall { delegator, id: U256::from(lock.id) };
            if let Some(theirs) = self.ask(to, &getter)? {
                self.same("getDelegatorUnbondingLock.amount", lock.amount.0, theirs.amount);
                let round = lock.withdraw_round.to_word();
                self.same("getDelegatorUnbondingLock.withdrawRound", round, theirs.withdrawRound);
            }
        }
        Ok(())
    }

    fn sender(&mut self, s: &Sender) -> Result<(), EvmError> {
        let (to, sender) = (self.contracts.ticket_broker, s.address);
        if let Some(theirs) = self.ask(to, &Tb::getSenderInfoCall { sender })? {
            self.same("getSenderInfo.deposit", s.deposit.0, theirs.deposit);
            self.same("getSenderInfo.fundsRemaining", s.reserve.0, theirs.fundsRemaining);
            self.same("getSenderInfo.claimedInCurrentRound", s.claimed.0, theirs.claimedInCurrentRound);
            let locked = theirs.withdrawRound.is_zero();
            self.same("getSenderInfo.withdrawRound", s.lock == SenderLock::Locked, locked);
        }
        let Some(claim) = s.claim else { return Ok(()) };
        let (holder, claimant) = (s.address, claim.claimant);
        self.one(to, &Tb::claimedReserveCall { reserveHolder: holder, claimant }, claim.claimed.0)?;
        let share = Tb::claimableReserveCall { reserveHolder: holder, claimant };
        match (claim.share, self.ask(to, &share)) {
            (_, Ok(None)) => {}
            (share, Ok(Some(theirs))) => {
                let ours = share.map_or("reverts".to_owned(), |share| share.0.to_string());
                self.same("claimableReserve(address,address)", ours, theirs);
            }
            (None, Err(EvmError::Reverted(Revert::Panic(_)))) => {
                self.same("claimableReserve(address,address)", "reverts", "reverts");
            }
            (_, Err(error)) => return Err(error),
        }
        Ok(())
    }

    fn service_uri(&mut self, uri: &ServiceUri) -> Result<(), EvmError> {
        let getter = ServiceRegistry::getServiceURICall { owner: uri.address };
        self.one(self.contracts.service_registry, &getter, uri.uri.clone().unwrap_or_default())
    }

    fn inflation(&mut self, i: &Inflation) -> Result<(), EvmError> {
        let (minter, bonding) = (self.contracts.minter, self.contracts.bonding_manager);
        self.one(minter, &Minter::inflationCall {}, i.rate)?;
        self.one(minter, &Minter::inflationChangeCall {}, i.change)?;
        self.one(minter, &Minter::targetBondingRateCall {}, i.target_bonding_rate)?;
        self.one(minter, &Minter::currentMintableTokensCall {}, i.mintable.0)?;
        self.one(minter, &Minter::currentMintedTokensCall {}, i.minted.0)?;
        self.one(bonding, &Bm::getTotalBondedCall {}, i.active_stake.0)?;
        self.one(bonding, &Bm::nextRoundTotalActiveStakeCall {}, i.next_active_stake.0)
    }
}
