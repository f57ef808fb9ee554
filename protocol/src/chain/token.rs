//! `LivepeerToken`: an ERC-20 that only the Minter makes more of. Its supply counts for inflation.

use alloy_primitives::{Address, U256, keccak256};

use super::call::Token;
use super::{Chain, Contract, Event, Revert, decrease, increase};
use crate::journal::{Cell, Map, journaled};
use crate::math::{Arithmetic, add};

/// Its storage; amounts in base units.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LivepeerToken {
    /// What each address holds.
    pub balances: Map<Address, U256>,
    /// What an owner lets a spender move.
    pub allowances: Map<(Address, Address), U256>,
    /// All tokens on this chain.
    pub total_supply: Cell<U256>,
    /// Whether the Minter may burn, which slashing needs. It may not today (LIP-73).
    pub minter_may_burn: Cell<bool>,
}

journaled!(LivepeerToken { balances, allowances, total_supply, minter_may_burn });

impl LivepeerToken {
    /// Makes tokens.
    pub(super) fn credit(&mut self, to: Address, amount: U256) -> Result<(), Arithmetic> {
        self.total_supply.set(add(*self.total_supply, amount)?);
        increase(self.balances.edit(&to), amount)
    }
}

impl Chain {
    pub(super) fn call_token(&mut self, from: Address, call: &Token) -> Result<(), Revert> {
        match *call {
            Token::Transfer(to, amount) => self.transfer(from, to, amount),
            Token::Approve(spender, amount) => self.approve(from, spender, amount),
            Token::TransferFrom(owner, to, amount) => self.transfer_from(from, owner, to, amount),
        }
    }

    pub(super) fn transfer(&mut self, from: Address, to: Address, value: U256) -> Result<(), Revert> {
        if to.is_zero() {
            return Err(Revert::TransferToZero);
        }
        decrease(self.token.balances.edit(&from), value).map_err(|_| Revert::TransferExceedsBalance)?;
        increase(self.token.balances.edit(&to), value)?;
        self.emit(Contract::LivepeerToken, Event::Transfer { from, to, value });
        Ok(())
    }

    fn approve(&mut self, owner: Address, spender: Address, value: U256) -> Result<(), Revert> {
        if spender.is_zero() {
            return Err(Revert::ApproveToZero);
        }
        self.token.allowances.set(&(owner, spender), value);
        self.emit(Contract::LivepeerToken, Event::Approval { owner, spender, value });
        Ok(())
    }

    /// Moves what somebody else allowed `spender` to move.
    pub(super) fn transfer_from(
        &mut self,
        spender: Address,
        owner: Address,
        to: Address,
        amount: U256,
    ) -> Result<(), Revert> {
        let allowed = self.token.allowances.at(&(owner, spender));
        if allowed != U256::MAX {
            let left = allowed.checked_sub(amount).ok_or(Revert::InsufficientAllowance)?;
            self.approve(owner, spender, left)?;
        }
        self.transfer(owner, to, amount)
    }

    pub(super) fn mint(&mut self, to: Address, amount: U256) -> Result<(), Revert> {
        self.token.credit(to, amount)?;
        self.emit(Contract::LivepeerToken, Event::Transfer { from: Address::ZERO, to, value: amount });
        self.emit(Contract::LivepeerToken, Event::Mint { to, amount });
        Ok(())
    }

    pub(super) fn burn(&mut self, burner: Address, amount: U256) -> Result<(), Revert> {
        if !*self.token.minter_may_burn {
            return Err(Revert::MissingRole { account: burner, role: keccak256("BURNER_ROLE") });
        }
        decrease(self.token.balances.edit(&burner), amount).map_err(|_| Revert::BurnExceedsBalance)?;
        self.token.total_supply.set(*self.token.total_supply - amount);
        self.emit(
            Contract::LivepeerToken,
            Event::Transfer { from: burner, to: Address::ZERO, value: amount },
        );
        self.emit(Contract::LivepeerToken, Event::Burn { burner, amount });
        Ok(())
    }
}
