//! Who a node is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A node's ed25519 public key, 32 bytes. A libp2p PeerId of such a key contains exactly these bytes, so the two convert
/// without a lookup; text here is the key in hex, `p2p` shows it as `12D3KooW…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub [u8; 32]);

/// Text that is not 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a peer key is 64 hex digits")]
pub struct BadPeerKey;

impl FromStr for PeerKey {
    type Err = BadPeerKey;
    fn from_str(text: &str) -> Result<Self, BadPeerKey> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).map_err(|_| BadPeerKey)?;
        Ok(Self(key))
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", &hex::encode(&self.0[..4]))
    }
}

impl Serialize for PeerKey {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
