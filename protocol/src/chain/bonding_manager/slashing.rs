//! Slashing: a share of an orchestrator's own bond is burned, a part of it given to who found the fault. The code is live
//! and unused: no Verifier is registered, and the Minter may not burn (LIP-73). Stake of delegators and stake that waits in
//! unbonding locks is out of its reach.

use alloy_primitives::{Address, U256};

use super::DelegatorStatus;
use crate::chain::{Chain, Contract, Event, Revert, decrease};
use crate::math::{PPM, sub};

impl Chain {
    pub(super) fn slash(
        &mut self,
        from: Address,
        who: Address,
        finder: Address,
        share: U256,
        fee: U256,
    ) -> Result<(), Revert> {
        self.require_unpaused()?;
        if from.is_zero() || from != self.addresses.verifier {
            return Err(Revert::NotVerifier);
        }
        let round = self.current_round()?;
        self.auto_claim(who, round)?;
        let bonded = self.bonding.delegators.at(&who).bonded_amount;
        let (mut penalty, mut finder_reward) = (U256::ZERO, U256::ZERO);
        if !bonded.is_zero() {
            penalty = PPM.share(bonded, share)?;
            if self.bonding.transcoder_pool.contains(who) {
                self.resign(who, round)?;
            }
            decrease(&mut self.bonding.delegators.edit(&who).bonded_amount, penalty)?;
            if self.bonding.status(who, round) == DelegatorStatus::Bonded {
                let delegate = self.bonding.delegators.at(&who).delegate_address;
                decrease(&mut self.bonding.delegators.edit(&delegate).delegated_amount, penalty)?;
            }
            if !finder.is_zero() {
                finder_reward = PPM.share(penalty, fee)?;
                self.pay_lpt(finder, finder_reward)?;
            }
            self.burn(self.addresses.minter, sub(penalty, finder_reward)?)?;
        }
        let event = Event::TranscoderSlashed { transcoder: who, finder, penalty, finder_reward };
        self.emit(Contract::BondingManager, event);
        self.checkpoint(who)
    }
}
