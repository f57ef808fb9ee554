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

impl Missing {
    /// Adds what is missing to what will be asked for.
    pub fn ask(self, keys: &mut Keys) {
        match self {
            Self::Account(account) => _ = keys.entry(account).or_default(),
            Self::Slot { account, slot } => _ = keys.entry(account).or_default().insert(slot),
        }
    }
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

/// Proofs of two different states cannot be read as one.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("state under root {found} cannot join state under root {expected}: prove both at one block")]
pub struct OtherRoot {
    /// Root of the state that is there.
    pub expected: B256,
    /// Root of the state that came.
    pub found: B256,
}

/// State whose every word was checked against one state root.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProvenState {
    pub(crate) root: B256,
    pub(crate) accounts: BTreeMap<Address, Option<Account>>,
    pub(crate) slots: BTreeMap<(Address, B256), U256>,
}

impl ProvenState {
    /// State root under which everything here was proven.
    #[must_use]
    pub const fn root(&self) -> B256 {
        self.root
    }

    /// Accounts and slots that are proven, absent ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len() + self.slots.len()
    }

    /// Whether nothing is proven yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Adds what another proof showed of the same state. A state in which nothing is proven yet takes any root.
    ///
    /// # Errors
    /// [`OtherRoot`] when the two lie under different roots; nothing is added then.
    pub fn join(&mut self, other: Self) -> Result<(), OtherRoot> {
        if self.is_empty() {
            *self = other;
        } else if self.root == other.root {
            self.accounts.extend(other.accounts);
            self.slots.extend(other.slots);
        } else if !other.is_empty() {
            return Err(OtherRoot { expected: self.root, found: other.root });
        }
        Ok(())
    }

    /// Of `keys`, what is not proven yet.
    #[must_use]
    pub fn lacks(&self, keys: &Keys) -> Keys {
        let mut lacking = Keys::new();
        for (account, slots) in keys {
            if self.account(*account).is_err() {
                lacking.insert(*account, slots.clone());
                continue;
            }
            let missing: BTreeSet<B256> =
                slots.iter().filter(|slot| self.storage(*account, **slot).is_err()).copied().collect();
            if !missing.is_empty() {
                lacking.insert(*account, missing);
            }
        }
        lacking
    }
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
