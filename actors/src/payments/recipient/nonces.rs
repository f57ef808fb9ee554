//! Which nonces of a hash were credited: a bit each, kept as long as a ticket with it could come again.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use protocol::tickets::batch::MAX_NONCE;

/// Words of 64 nonces.
const WORDS: usize = MAX_NONCE as usize / 64 + 1;

/// Blocks for which nonces are kept after nothing of their hash is taken any more, should the head of L1 go back a little.
pub(in crate::payments) const KEPT_AFTER: u64 = 100;

/// All nonces that could be replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nonces(BTreeMap<B256, Seen>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    bits: [u64; WORDS],
    expiration_block: u64,
}

/// Word and bit of a nonce; none when it is out of range.
fn place(nonce: u32) -> Option<(usize, u64)> {
    (1..=MAX_NONCE).contains(&nonce).then_some((nonce as usize / 64, 1 << (nonce % 64)))
}

impl Nonces {
    /// Whether a nonce can never be one.
    #[must_use]
    pub fn is_out_of_range(nonce: u32) -> bool {
        place(nonce).is_none()
    }

    /// Whether it was credited.
    #[must_use]
    pub fn has(&self, hash: &B256, nonce: u32) -> bool {
        let bit = |(word, bit): (usize, u64)| self.0.get(hash).is_some_and(|seen| seen.bits[word] & bit != 0);
        place(nonce).is_some_and(bit)
    }

    /// Remembers it until its block is long past. One out of range is not remembered.
    pub fn insert(&mut self, hash: B256, nonce: u32, expiration_block: u64) {
        let Some((word, bit)) = place(nonce) else { return };
        let seen = self.0.entry(hash).or_insert(Seen { bits: [0; WORDS], expiration_block });
        seen.bits[word] |= bit;
    }

    /// Forgets what cannot come again.
    pub fn forget(&mut self, l1_block: u64) {
        self.0.retain(|_, seen| seen.expiration_block.saturating_add(KEPT_AFTER) > l1_block);
    }

    /// How many hashes are remembered.
    #[must_use]
    pub fn hashes(&self) -> usize {
        self.0.len()
    }
}
