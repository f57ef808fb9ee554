//! The state of contracts at one root, as far as it was proven. Readers ask for slots; what nobody proved is `Missing`, never
//! a silent zero, and names itself so that one more round trip can fetch it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};
use thiserror::Error;

/// Accounts and the storage slots wanted under each.
pub type Keys = BTreeMap<Address, BTreeSet<B256>>;

/// An account as the state trie holds it (yellow paper 4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Account {
    /// Transactions sent.
    pub nonce: u64,
    /// Wei held.
    pub balance: U256,
    /// Root of the storage trie.
    pub storage_root: B256,
    /// keccak-256 of the code.
    pub code_hash: B256,
}

/// Something that no proof covers yet.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Missing {
    /// The account was not asked for.
    #[error("account {0} is not in the proof: ask for it")]
    Account(Address),
    /// The slot was not asked for.
    #[error("slot {slot} of {account} is not in the proof: ask for it")]
    Slot {
        /// The contract.
        account: Address,
        /// The storage key.
        slot: B256,
    },
}

/// Proven state of one block.
pub trait StateView {
    /// The account, or none when its absence is proven.
    ///
    /// # Errors
    /// [`Missing::Account`] when nothing proves it present or absent.
    fn account(&self, address: Address) -> Result<Option<Account>, Missing>;

    /// The word in a slot; zero when its absence is proven.
    ///
    /// # Errors
    /// [`Missing::Slot`] when nothing proves it.
    fn storage(&self, account: Address, slot: B256) -> Result<U256, Missing>;
}

/// State whose every word was checked against a state root.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProvenState {
    pub(crate) accounts: BTreeMap<Address, Option<Account>>,
    pub(crate) slots: BTreeMap<(Address, B256), U256>,
}

impl StateView for ProvenState {
    fn account(&self, address: Address) -> Result<Option<Account>, Missing> {
        self.accounts.get(&address).copied().ok_or(Missing::Account(address))
    }

    fn storage(&self, account: Address, slot: B256) -> Result<U256, Missing> {
        if self.accounts.get(&account) == Some(&None) {
            return Ok(U256::ZERO);
        }
        self.slots.get(&(account, slot)).copied().ok_or(Missing::Slot { account, slot })
    }
}
