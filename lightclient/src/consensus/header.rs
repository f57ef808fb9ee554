//! A light-client header's own consistency: roots, and whether what it says of the execution chain is in its block's body.

use alloy_primitives::B256;
use tree_hash::TreeHash;

use super::types::{BeaconHeader, ExecAnchor, ExecHeader, Header, SyncCommittee};
use crate::forks::{ChainSpec, Fork};
use crate::merkle;

impl BeaconHeader {
    /// The block's root (`hash_tree_root`).
    #[must_use]
    pub fn root(&self) -> B256 {
        self.tree_hash_root()
    }
}

impl SyncCommittee {
    /// `hash_tree_root(SyncCommittee)`.
    #[must_use]
    pub fn root(&self) -> B256 {
        let mut level: Vec<B256> = self.pubkeys.iter().map(|key| key_root(key.as_slice())).collect();
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|pair| merkle::hash_pair(&pair[0], pair.get(1).unwrap_or(&B256::ZERO)))
                .collect();
        }
        let keys = level.first().copied().unwrap_or_default();
        merkle::hash_pair(&keys, &key_root(self.aggregate_pubkey.as_slice()))
    }
}

impl ExecHeader {
    /// `hash_tree_root(ExecutionPayloadHeader)` as a fork has it.
    #[must_use]
    pub fn root(&self, fork: Fork) -> B256 {
        if fork >= Fork::Deneb {
            self.tree_hash_root()
        } else {
            super::ssz::CapellaExec::from(self).tree_hash_root()
        }
    }
}

impl Header {
    /// The block's root.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.beacon.root()
    }

    /// Slot of the block.
    #[must_use]
    pub const fn slot(&self) -> u64 {
        self.beacon.slot
    }

    /// Whether it is the default header, which formats write for "none".
    #[must_use]
    pub fn is_default(&self) -> bool {
        let exec_is_default = match &self.exec {
            ExecAnchor::None => true,
            ExecAnchor::HashOnly(hash) => hash.is_zero(),
            ExecAnchor::Full(header) => **header == ExecHeader::default(),
        };
        exec_is_default
            && self.beacon == BeaconHeader::default()
            && self.exec_branch.iter().all(B256::is_zero)
    }

    /// Whether the block's body holds what the header says of the execution chain (consensus-specs
    /// `is_valid_light_client_header`, of all forks that have one).
    #[must_use]
    pub fn is_consistent(&self, spec: &ChainSpec) -> bool {
        let fork = spec.fork_at_slot(self.beacon.slot);
        match &self.exec {
            ExecAnchor::None => fork < Fork::Capella && self.exec_branch.is_empty(),
            ExecAnchor::HashOnly(hash) => self.has_block_hash(*hash, fork),
            ExecAnchor::Full(header) => self.has_payload(header, fork),
        }
    }

    /// Root of the execution header that the block's body holds; from Gloas on the hash of an execution block (consensus-specs
    /// `get_lc_execution_root`). None before Capella, and where a branch is too short. Trust it only if the header is consistent.
    #[must_use]
    pub fn execution_root(&self, spec: &ChainSpec) -> Option<B256> {
        let fork = spec.fork_at_slot(self.beacon.slot);
        let outer = merkle::block_hash_gindex(fork)?;
        match &self.exec {
            ExecAnchor::None => None,
            ExecAnchor::Full(header) => Some(header.root(fork)),
            ExecAnchor::HashOnly(hash) if fork >= Fork::Gloas => Some(*hash),
            ExecAnchor::HashOnly(hash) => {
                let inner = merkle::depth(outer) - merkle::depth(merkle::EXECUTION_PAYLOAD_GINDEX);
                let start = self.exec_branch.len().checked_sub(merkle::depth(outer))?;
                let branch = self.exec_branch.get(start..start + inner)?;
                let gindex = (1 << inner) | (outer & ((1 << inner) - 1));
                merkle::branch_root(*hash, branch, gindex)
            }
        }
    }

    fn has_block_hash(&self, hash: B256, fork: Fork) -> bool {
        match merkle::block_hash_gindex(fork) {
            None => hash.is_zero() && self.exec_branch.iter().all(B256::is_zero),
            Some(gindex) => {
                merkle::verify_normalized_branch(hash, &self.exec_branch, gindex, self.beacon.body_root)
            }
        }
    }

    fn has_payload(&self, header: &ExecHeader, fork: Fork) -> bool {
        let counts_blobs = header.blob_gas_used != 0 || header.excess_blob_gas != 0;
        match fork {
            Fork::Phase0 | Fork::Altair | Fork::Bellatrix => {
                *header == ExecHeader::default() && self.exec_branch.iter().all(B256::is_zero)
            }
            Fork::Capella if counts_blobs => false,
            Fork::Capella | Fork::Deneb | Fork::Electra | Fork::Fulu => merkle::verify_branch(
                header.root(fork),
                &self.exec_branch,
                merkle::EXECUTION_PAYLOAD_GINDEX,
                self.beacon.body_root,
            ),
            Fork::Gloas => false,
        }
    }
}

/// A key fills two chunks.
fn key_root(key: &[u8]) -> B256 {
    let mut chunks = [0; 64];
    chunks[..48].copy_from_slice(key);
    merkle::hash(&chunks)
}
