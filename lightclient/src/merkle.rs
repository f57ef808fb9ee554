//! Merkle branches of SSZ objects by generalized index.
//!
//! In: a leaf, a branch, an index and a root, all claimed by strangers. Out: whether they fit. The table of indices says where
//! a fork keeps what light clients prove (consensus-specs `light-client/sync-protocol.md` of Altair, Capella, Electra and Gloas).
//! Knows no object, only 32-byte nodes.

use alloy_primitives::B256;

use crate::forks::Fork;

/// SHA-256 of bytes, the hash of SSZ trees.
#[must_use]
pub fn hash(bytes: &[u8]) -> B256 {
    B256::new(ethereum_hashing::hash_fixed(bytes))
}

/// The parent of two nodes.
#[must_use]
pub fn hash_pair(left: &B256, right: &B256) -> B256 {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left.as_slice());
    both[32..].copy_from_slice(right.as_slice());
    hash(&both)
}

/// How far a node lies below the root: the length of its branch.
#[must_use]
pub const fn depth(gindex: u64) -> usize {
    if gindex == 0 { 0 } else { gindex.ilog2() as usize }
}

/// The root that a leaf and its branch (deepest sibling first) lead to; none when the branch has another length than the index
/// asks for.
#[must_use]
pub fn branch_root(leaf: B256, branch: &[B256], gindex: u64) -> Option<B256> {
    if gindex == 0 || branch.len() != depth(gindex) {
        return None;
    }
    let climb = |(node, index): (B256, u64), sibling: &B256| {
        let parent = if index & 1 == 1 { hash_pair(sibling, &node) } else { hash_pair(&node, sibling) };
        (parent, index >> 1)
    };
    Some(branch.iter().fold((leaf, gindex), climb).0)
}

/// Whether the branch proves the leaf at exactly this index (consensus-specs `is_valid_merkle_branch`).
#[must_use]
pub fn verify_branch(leaf: B256, branch: &[B256], gindex: u64, root: B256) -> bool {
    branch_root(leaf, branch, gindex) == Some(root)
}

/// The same for a branch that may be longer than its index asks for, as older data is in a newer format: what is too much
/// leads, and must be zero (consensus-specs `is_valid_normalized_merkle_branch`).
#[must_use]
pub fn verify_normalized_branch(leaf: B256, branch: &[B256], gindex: u64, root: B256) -> bool {
    let Some(extra) = branch.len().checked_sub(depth(gindex)) else { return false };
    let (extra, branch) = branch.split_at(extra);
    extra.iter().all(B256::is_zero) && verify_branch(leaf, branch, gindex, root)
}

/// A branch of an older format in the length that a newer index asks for (consensus-specs `normalize_merkle_branch`).
#[must_use]
pub fn normalize_branch(branch: &[B256], gindex: u64) -> Vec<B256> {
    let extra = depth(gindex).saturating_sub(branch.len());
    let mut normalized = vec![B256::ZERO; extra];
    normalized.extend_from_slice(branch);
    normalized
}

/// `finalized_checkpoint.root` in the beacon state.
#[must_use]
pub const fn finalized_root_gindex(fork: Fork) -> u64 {
    match fork {
        Fork::Phase0 | Fork::Altair | Fork::Bellatrix | Fork::Capella | Fork::Deneb => 105,
        Fork::Electra | Fork::Fulu => 169,
        Fork::Gloas => 735,
    }
}

/// `current_sync_committee` in the beacon state.
#[must_use]
pub const fn current_committee_gindex(fork: Fork) -> u64 {
    match fork {
        Fork::Phase0 | Fork::Altair | Fork::Bellatrix | Fork::Capella | Fork::Deneb => 54,
        Fork::Electra | Fork::Fulu => 86,
        Fork::Gloas => 2945,
    }
}

/// `next_sync_committee` in the beacon state.
#[must_use]
pub const fn next_committee_gindex(fork: Fork) -> u64 {
    match fork {
        Fork::Phase0 | Fork::Altair | Fork::Bellatrix | Fork::Capella | Fork::Deneb => 55,
        Fork::Electra | Fork::Fulu => 87,
        Fork::Gloas => 2946,
    }
}

/// `execution_payload` in the block body, Capella to Fulu.
pub const EXECUTION_PAYLOAD_GINDEX: u64 = 25;

/// The hash of an execution block in the block body: of its own payload from Capella to Fulu, of its parent's payload from
/// Gloas on (`signed_execution_payload_bid.message.parent_block_hash`). None before Capella.
#[must_use]
pub const fn block_hash_gindex(fork: Fork) -> Option<u64> {
    match fork {
        Fork::Phase0 | Fork::Altair | Fork::Bellatrix => None,
        Fork::Capella => Some(412),
        Fork::Deneb | Fork::Electra | Fork::Fulu => Some(812),
        Fork::Gloas => Some(2856),
    }
}

#[cfg(test)]
mod tests;
