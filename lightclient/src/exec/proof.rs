//! `eth_getProof` answers (EIP-1186). In: JSON of any server, written as loosely as servers do. Out: state proven against a
//! root. What the answer says beside its nodes is a claim: the nodes decide, and a claim that they contradict is refused.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use thiserror::Error;

use super::bundle::ProofBundle;
use super::mpt::{EMPTY_ROOT, TrieError};
use super::rlp::{Item, RlpError};
use crate::state::{Account, Keys, ProvenState, StateView};

mod json;

/// keccak-256 of no code.
pub const EMPTY_CODE: B256 = alloy_primitives::KECCAK256_EMPTY;
/// Most trie nodes in one path: a key has 64 nibbles, and a leaf follows.
pub const MAX_PATH: usize = 65;
/// Longest trie node that is read, bytes: a branch of 16 hashes has 532, a leaf of an account about 150.
pub const MAX_NODE: usize = 1024;
/// Most slots in one answer.
pub const MAX_SLOTS: usize = 16_384;

/// One account's part of an `eth_getProof` answer, not yet believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountProof {
    /// The account asked for.
    pub address: Address,
    /// What the server says that the account is.
    pub claim: Account,
    /// Trie nodes from the state root.
    pub nodes: Vec<Bytes>,
    /// Slots asked for.
    pub slots: Vec<SlotProof>,
}

/// One slot's part of an `eth_getProof` answer, not yet believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotProof {
    /// The storage key.
    pub slot: B256,
    /// What the server says that it holds.
    pub claim: U256,
    /// Trie nodes from the account's storage root.
    pub nodes: Vec<Bytes>,
}

/// Why state is not proven.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ProofError {
    /// The path to an account fails.
    #[error("account {address}: {why}")]
    Account {
        /// The account.
        address: Address,
        /// Which node fails, and how.
        why: TrieError,
    },
    /// The path to a slot fails.
    #[error("slot {slot} of {account}: {why}")]
    Slot {
        /// The contract.
        account: Address,
        /// The storage key.
        slot: B256,
        /// Which node fails, and how.
        why: TrieError,
    },
    /// The server says one thing and its own proof another.
    #[error("{account}: the source says {what} is {claimed}, its proof says {proven}")]
    Claim {
        /// The account.
        account: Address,
        /// What it is about.
        what: Claimed,
        /// What the server says.
        claimed: U256,
        /// What is proven.
        proven: U256,
    },
    /// The answer is not about what was asked.
    #[error("{0} is not in the answer: ask another source")]
    Unanswered(crate::state::Missing),
    /// The code is not the account's.
    #[error("the code hashes to {found}, the account has {expected}")]
    Code {
        /// The proven code hash.
        expected: B256,
        /// The hash of what came.
        found: B256,
    },
    /// The answer is not of the form of EIP-1186, or over a limit.
    #[error("not an eth_getProof answer: {0}")]
    Json(String),
}

/// What a server claims beside its proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claimed {
    /// Transactions sent.
    Nonce,
    /// Wei held.
    Balance,
    /// Root of the storage trie.
    StorageRoot,
    /// Hash of the code.
    CodeHash,
    /// The word in a slot.
    Slot(B256),
}

impl std::fmt::Display for Claimed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nonce => f.write_str("the nonce"),
            Self::Balance => f.write_str("the balance"),
            Self::StorageRoot => f.write_str("the storage root"),
            Self::CodeHash => f.write_str("the code hash"),
            Self::Slot(slot) => write!(f, "slot {slot}"),
        }
    }
}

impl AccountProof {
    /// Reads an answer: the `result` of `eth_getProof`. Values may have any number of leading zeros, keys too.
    ///
    /// # Errors
    /// [`ProofError::Json`] when it has another form or is over a limit.
    pub fn from_json(answer: &serde_json::Value) -> Result<Self, ProofError> {
        json::account(answer)
    }

    /// What the answer is about.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys::from([(self.address, self.slots.iter().map(|slot| slot.slot).collect())])
    }

    /// Whether what the server claims is what the nodes prove.
    ///
    /// # Errors
    /// [`ProofError::Claim`] where they differ, [`ProofError::Unanswered`] when `proven` is about something else.
    pub fn agrees(&self, proven: &ProvenState) -> Result<(), ProofError> {
        let account = proven.account(self.address).map_err(ProofError::Unanswered)?;
        let differs =
            |what, claimed, proven| ProofError::Claim { account: self.address, what, claimed, proven };
        for (what, claimed, proven) in self.account_claims(account) {
            if claimed != proven {
                return Err(differs(what, claimed, proven));
            }
        }
        for SlotProof { slot, claim, .. } in &self.slots {
            let word = proven.storage(self.address, *slot).map_err(ProofError::Unanswered)?;
            if *claim != word {
                return Err(differs(Claimed::Slot(*slot), *claim, word));
            }
        }
        Ok(())
    }

    /// Claimed and proven, pairwise. For an account that is not there, servers give either zeros or the hashes of nothing.
    fn account_claims(&self, proven: Option<Account>) -> [(Claimed, U256, U256); 4] {
        let (claim, word) = (self.claim, |hash: B256| U256::from_be_bytes(hash.0));
        let nothing = |claimed: B256, empty| if claimed.is_zero() { claimed } else { empty };
        let proven = proven.unwrap_or(Account {
            nonce: 0,
            balance: U256::ZERO,
            storage_root: nothing(claim.storage_root, EMPTY_ROOT),
            code_hash: nothing(claim.code_hash, EMPTY_CODE),
        });
        [
            (Claimed::Nonce, U256::from(claim.nonce), U256::from(proven.nonce)),
            (Claimed::Balance, claim.balance, proven.balance),
            (Claimed::StorageRoot, word(claim.storage_root), word(proven.storage_root)),
            (Claimed::CodeHash, word(claim.code_hash), word(proven.code_hash)),
        ]
    }
}

/// Proves everything in `answers` under one root, claims included.
///
/// # Errors
/// [`ProofError`] for the first account or slot that fails.
pub fn verify(answers: &[AccountProof], state_root: B256) -> Result<ProvenState, ProofError> {
    let proven = ProofBundle::from_answers(answers).verify(state_root)?;
    answers.iter().try_for_each(|answer| answer.agrees(&proven))?;
    Ok(proven)
}

/// Whether `code` is what an account's code hash names.
///
/// # Errors
/// [`ProofError::Code`] when it is not.
pub fn verify_code(code: &[u8], code_hash: B256) -> Result<(), ProofError> {
    let found = keccak256(code);
    if found == code_hash { Ok(()) } else { Err(ProofError::Code { expected: code_hash, found }) }
}

/// Reads an account as it lies in the state trie.
pub(crate) fn account(value: &[u8]) -> Result<Account, RlpError> {
    let mut rest = Item::only(value)?.list()?;
    let account = Account {
        nonce: Item::take(&mut rest)?.u64()?,
        balance: U256::from_be_slice(Item::take(&mut rest)?.integer(32)?),
        storage_root: B256::new(Item::take(&mut rest)?.fixed()?),
        code_hash: B256::new(Item::take(&mut rest)?.fixed()?),
    };
    if rest.is_empty() { Ok(account) } else { Err(RlpError::Trailing) }
}

/// Reads a word as it lies in a storage trie. A leaf of zero is no leaf of a canonical trie, yet some development chains keep
/// one; it is bound to the root all the same, so it is read as the zero that it says.
pub(crate) fn word(value: &[u8]) -> Result<U256, RlpError> {
    Ok(U256::from_be_slice(Item::only(value)?.integer(32)?))
}
