//! What Livepeer's nodes sign with their Ethereum keys: personal messages (EIP-191) over a Keccak-256 hash.

use alloy_primitives::{Address, B256, eip191_hash_message, keccak256};
use protocol::Hash;

/// What is signed for a message (`NodeSign`): the personal message over its hash.
#[must_use]
pub fn digest(message: &[u8]) -> B256 {
    eip191_hash_message(keccak256(message))
}

/// What a gateway signs to say who it is: its own address as text with a checksum (EIP-55). It says nothing of when or to whom, so
/// whoever hears it can say it again.
#[must_use]
pub fn identity_digest(address: Address) -> B256 {
    digest(address.to_checksum(None).as_bytes())
}

/// What an orchestrator signs for its renditions, by their hashes in the order of the profiles.
#[must_use]
pub fn result_digest(renditions: &[Hash]) -> B256 {
    let hashes: Vec<u8> = renditions.iter().flat_map(|hash| hash.0).collect();
    digest(&hashes)
}
