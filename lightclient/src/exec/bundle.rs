//! Proof bundles: what many `eth_getProof` answers prove, each trie node once. Made by whoever has an archive, kept and passed
//! on by anybody: a bundle is worth what verifies under a root that the reader already holds.

use std::collections::BTreeSet;

use alloy_primitives::{B256, Bytes, U256};

use super::mpt::Nodes;
use super::proof::{self, AccountProof, ProofError};
use crate::state::{Account, Keys, ProvenState};

mod wire;

pub use wire::{BundleError, MAX_BUNDLE, MAX_KEYS};

/// Trie nodes and the accounts and slots that they prove.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProofBundle {
    /// What is proven present or absent.
    pub keys: Keys,
    /// Trie nodes of all paths, no two alike.
    pub nodes: BTreeSet<Bytes>,
}

impl ProofBundle {
    /// Puts answers about one block together. Their claims are dropped: only nodes prove.
    #[must_use]
    pub fn from_answers<'a>(answers: impl IntoIterator<Item = &'a AccountProof>) -> Self {
        let mut bundle = Self::default();
        for answer in answers {
            bundle.nodes.extend(answer.nodes.iter().cloned());
            let slots = bundle.keys.entry(answer.address).or_default();
            for slot in &answer.slots {
                slots.insert(slot.slot);
                bundle.nodes.extend(slot.nodes.iter().cloned());
            }
        }
        bundle
    }

    /// Proves every account and slot present or absent under `state_root`. Hashes each node once.
    ///
    /// # Errors
    /// [`ProofError`] with the first account or slot whose path fails, and the node at which it does.
    pub fn verify(&self, state_root: B256) -> Result<ProvenState, ProofError> {
        let nodes = Nodes::new(self.nodes.iter().map(|node| &node[..]));
        let mut state = ProvenState { root: state_root, ..ProvenState::default() };
        for (address, slots) in &self.keys {
            let account = nodes
                .lookup(state_root, alloy_primitives::keccak256(address).as_slice())
                .and_then(|value| value.map(proof::account).transpose().map_err(super::mpt::TrieError::Value))
                .map_err(|why| ProofError::Account { address: *address, why })?;
            state.accounts.insert(*address, account);
            let Some(account_state) = account else { continue };
            for slot in slots {
                let word = storage(&nodes, account_state, *slot).map_err(|why| ProofError::Slot {
                    account: *address,
                    slot: *slot,
                    why,
                })?;
                state.slots.insert((*address, *slot), word);
            }
        }
        Ok(state)
    }

    /// Bytes on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        wire::size(self)
    }

    /// Writes the bundle.
    ///
    /// # Errors
    /// [`BundleError::Size`] or [`BundleError::Keys`] when it is over a limit: split it.
    pub fn encode(&self) -> Result<Vec<u8>, BundleError> {
        wire::encode(self)
    }

    /// Reads a bundle; only its one spelling is accepted.
    ///
    /// # Errors
    /// [`BundleError`] when the bytes are not a bundle or over a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        wire::decode(bytes)
    }
}

fn storage(nodes: &Nodes<'_>, account: Account, slot: B256) -> Result<U256, super::mpt::TrieError> {
    let value = nodes.lookup(account.storage_root, alloy_primitives::keccak256(slot).as_slice())?;
    value.map_or(Ok(U256::ZERO), |value| proof::word(value).map_err(super::mpt::TrieError::Value))
}
