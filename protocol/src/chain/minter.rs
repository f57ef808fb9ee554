//! `Minter`: the keeper of all staked LPT and of all ether that was deposited or earned, and the only one that makes more
//! LPT. The formulas are in [`crate::inflation`].

use alloy_primitives::{Address, U256};

use super::call;
use super::{Chain, Contract, Event, Genesis, Revert};
use crate::amount::Lpt;
use crate::inflation::{Inflation, create_reward};
use crate::journal::{Cell, journaled};
use crate::math::{Arithmetic, PPB, add};

/// Its storage, and the cached supply of L1 that it asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Minter {
    /// Tokens that a round mints, parts per billion of the supply.
    pub inflation: Cell<U256>,
    /// By how much that moves a round.
    pub inflation_change: Cell<U256>,
    /// Participation at which it stays as it is, parts per billion.
    pub target_bonding_rate: Cell<U256>,
    /// Tokens that this round may mint.
    pub current_mintable_tokens: Cell<U256>,
    /// Tokens that it has minted.
    pub current_minted_tokens: Cell<U256>,
    /// All LPT on L1 (`L2LPTDataCache`).
    pub l1_total_supply: Cell<U256>,
    /// LPT on L2 that came from L1 (`L2LPTDataCache`).
    pub l2_supply_from_l1: Cell<U256>,
}

journaled!(Minter {
    inflation,
    inflation_change,
    target_bonding_rate,
    current_mintable_tokens,
    current_minted_tokens,
    l1_total_supply,
    l2_supply_from_l1,
});

impl Minter {
    pub(super) fn new(genesis: &Genesis) -> Self {
        Self {
            inflation: Cell::new(genesis.inflation.rate),
            inflation_change: Cell::new(genesis.inflation.change),
            target_bonding_rate: Cell::new(genesis.inflation.target),
            l1_total_supply: Cell::new(genesis.l1_circulating_supply),
            ..Self::default()
        }
    }
}

impl Chain {
    pub(super) fn call_minter(&mut self, from: Address, call: call::Minter) -> Result<(), Revert> {
        self.require_owner(from)?;
        let param = match call {
            call::Minter::SetInflationChange(change) => {
                if !PPB.is_share(change) {
                    return Err(Revert::InvalidInflationChange);
                }
                self.minter.inflation_change.set(change);
                "inflationChange"
            }
            call::Minter::SetTargetBondingRate(rate) => {
                if !PPB.is_share(rate) {
                    return Err(Revert::InvalidBondingRate);
                }
                self.minter.target_bonding_rate.set(rate);
                "targetBondingRate"
            }
        };
        self.emit(Contract::Minter, Event::ParameterUpdate { param });
        Ok(())
    }

    /// All LPT of both chains (`getGlobalTotalSupply`).
    ///
    /// # Errors
    /// [`Arithmetic::Overflow`].
    pub fn global_total_supply(&self) -> Result<Lpt, Arithmetic> {
        let on_l1 = self.minter.l1_total_supply.saturating_sub(*self.minter.l2_supply_from_l1);
        add(*self.token.total_supply, on_l1).map(Lpt)
    }

    pub(super) fn set_current_reward_tokens(&mut self) -> Result<(), Revert> {
        let supply = self.global_total_supply()?;
        let bonded = Lpt(*self.bonding.current_round_total_active_stake);
        let inflation = Inflation {
            rate: *self.minter.inflation,
            change: *self.minter.inflation_change,
            target: *self.minter.target_bonding_rate,
        };
        let inflation = inflation.next(bonded, supply)?;
        let mintable = inflation.mintable(supply)?.0;
        self.minter.inflation.set(inflation.rate);
        self.minter.current_mintable_tokens.set(mintable);
        self.minter.current_minted_tokens.set(U256::ZERO);
        let event = Event::SetCurrentRewardTokens {
            current_mintable_tokens: mintable,
            current_inflation: inflation.rate,
        };
        self.emit(Contract::Minter, event);
        Ok(())
    }

    /// Mints what `stake` of `total` active stake may have of this round's tokens.
    pub(super) fn create_reward(&mut self, stake: U256, total: U256) -> Result<U256, Revert> {
        let (mintable, minted) = (*self.minter.current_mintable_tokens, *self.minter.current_minted_tokens);
        let amount = create_reward(Lpt(mintable), Lpt(minted), Lpt(stake), Lpt(total))?.0;
        self.minter.current_minted_tokens.set(add(minted, amount)?);
        self.mint(self.addresses.minter, amount)?;
        Ok(amount)
    }

    /// Pays LPT out of the Minter.
    pub(super) fn pay_lpt(&mut self, to: Address, amount: U256) -> Result<(), Revert> {
        self.transfer(self.addresses.minter, to, amount)
    }

    /// Pays ether out of the Minter.
    pub(super) fn pay_eth(&mut self, to: Address, amount: U256) -> Result<(), Revert> {
        self.send(self.addresses.minter, to, amount)
    }
}
