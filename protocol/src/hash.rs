//! Keccak-256, the hash that names segments and renditions (the one Livepeer's contracts use).

use std::fmt;

use alloy_primitives::{Keccak256, keccak256};
use serde::{Deserialize, Serialize};

/// A keccak-256 digest, 32 bytes, shown as lower-case hex.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Hashes `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(keccak256(bytes).0)
    }
}

/// A digest of bytes that come one after another.
#[derive(Clone, Default)]
pub struct Hasher(Keccak256);

impl Hasher {
    /// Of no bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything that was added.
    #[must_use]
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().0)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was hashed so far may be a key.
        f.write_str("Hasher")
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", &hex::encode(&self.0[..4]))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let mut out = [0; 32];
        hex::decode_to_slice(text, &mut out).map_err(serde::de::Error::custom)?;
        Ok(Self(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_string_has_ethereums_well_known_digest() {
        assert_eq!(
            Hash::of(b"").to_string(),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
    }

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        let whole: Vec<u8> = (0..1000_u32).map(|i| (i % 251) as u8).collect();
        for piece in [1, 135, 136, 137, 999] {
            let mut hasher = Hasher::new();
            whole.chunks(piece).for_each(|part| hasher.update(part));
            assert_eq!(hasher.finish(), Hash::of(&whole));
        }
    }
}
