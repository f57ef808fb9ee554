//! Proven state as the EVM reads it. What is missing reads as nothing and is written down, so that one run finds out most of
//! what it needs; its result is then thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use revm::Database;
use revm::bytecode::Bytecode;
use revm::database_interface::DBErrorMarker;
use revm::state::AccountInfo;
use thiserror::Error;

use crate::state::{Account, Keys, StateView};

/// Who calls in a read, and who would earn fees: nobody. Its account has no part in any result.
pub(super) const NOBODY: Address = Address::ZERO;

/// Highest address of a precompiled contract; they have no state.
const LAST_PRECOMPILE: Address = Address::with_last_byte(0x11);

/// The instruction that is none (EIP-141).
const INVALID: u8 = 0xfe;

/// Contract code by its hash. Whoever brought it, it is what its hash says.
#[derive(Clone, Debug, Default)]
pub struct Codes(BTreeMap<B256, Bytecode>);

/// What a run still needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// Accounts and slots.
    pub keys: Keys,
    /// Code by its hash, and an account that has it.
    pub codes: BTreeMap<B256, Address>,
}

/// Code asked for the hash of a block.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "the code asks for the hash of block {0}: on Arbitrum that is no hash that anybody can prove, so this needs a stand-in"
)]
pub struct NoBlockHash(pub u64);

impl DBErrorMarker for NoBlockHash {}

impl Codes {
    /// Takes code in under its own hash.
    pub fn insert(&mut self, code: Bytes) -> B256 {
        let hash = keccak256(&code);
        let parsed = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
        self.0.insert(hash, parsed);
        hash
    }

    /// Whether code of this hash is there.
    #[must_use]
    pub fn contains(&self, hash: B256) -> bool {
        self.0.contains_key(&hash)
    }
}

impl Wanted {
    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.codes.is_empty()
    }

    pub(super) fn join(&mut self, more: Self) {
        for (account, slots) in more.keys {
            self.keys.entry(account).or_default().extend(slots);
        }
        self.codes.extend(more.codes);
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots: usize = self.keys.values().map(BTreeSet::len).sum();
        write!(f, "{slots} slots of {} accounts and {} pieces of code", self.keys.len(), self.codes.len())
    }
}

/// The database of one run.
pub(super) struct Proven<'a> {
    view: &'a dyn StateView,
    codes: &'a Codes,
    /// Which account was seen with which code, to ask somebody for it.
    seen: BTreeMap<B256, Address>,
    block_hash: Option<B256>,
    wanted: Wanted,
}

impl fmt::Debug for Proven<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proven").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl<'a> Proven<'a> {
    pub(super) fn new(view: &'a dyn StateView, codes: &'a Codes, block_hash: Option<B256>) -> Self {
        Self { view, codes, seen: BTreeMap::new(), block_hash, wanted: Wanted::default() }
    }

    pub(super) fn into_wanted(self) -> Wanted {
        self.wanted
    }

    pub(super) fn nonce(&mut self, address: Address) -> u64 {
        self.account(address).map_or(0, |account| account.nonce)
    }

    /// Whether code lies there that does anything: not where it is proven that there is none, nor where it begins with the
    /// instruction that ends every run. What is not known yet is taken to.
    pub(super) fn runs(&mut self, address: Address) -> bool {
        let Ok(known) = self.view.account(address) else { return true };
        let Some(Account { code_hash, .. }) = known else { return false };
        let code = self.codes.0.get(&code_hash);
        let begins = code.and_then(|code| code.original_byte_slice().first().copied());
        code_hash != KECCAK256_EMPTY && begins != Some(INVALID)
    }

    fn account(&mut self, address: Address) -> Option<Account> {
        if address == NOBODY || address <= LAST_PRECOMPILE {
            return None;
        }
        self.view.account(address).unwrap_or_else(|_| {
            self.wanted.keys.entry(address).or_default();
            None
        })
    }
}

impl Database for Proven<'_> {
    type Error = NoBlockHash;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, NoBlockHash> {
        let Some(Account { nonce, balance, code_hash, .. }) = self.account(address) else { return Ok(None) };
        self.seen.insert(code_hash, address);
        Ok(Some(AccountInfo { nonce, balance, code_hash, code: None, ..AccountInfo::default() }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, NoBlockHash> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        Ok(self.codes.0.get(&hash).cloned().unwrap_or_else(|| {
            let holder = self.seen.get(&hash).copied().unwrap_or_default();
            self.wanted.codes.insert(hash, holder);
            Bytecode::default()
        }))
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, NoBlockHash> {
        let slot = B256::from(index);
        Ok(self.view.storage(address, slot).unwrap_or_else(|_| {
            self.wanted.keys.entry(address).or_default().insert(slot);
            U256::ZERO
        }))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, NoBlockHash> {
        self.block_hash.ok_or(NoBlockHash(number))
    }
}
