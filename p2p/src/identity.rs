//! Who this node is: one ed25519 key, the same on both planes.
//!
//! A libp2p PeerId of an ed25519 key is the identity multihash of its protobuf form, so it holds the 32 key bytes and
//! converts to a [`PeerKey`] and back without a lookup. Where the key is kept is not known here.

use std::fmt;

use ed25519_dalek::SigningKey;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::{PeerId, multihash};
use protocol::PeerKey;
use rand::RngCore;

/// A node's key pair.
#[derive(Clone)]
pub struct Identity {
    signing: SigningKey,
    keypair: Keypair,
}

impl Identity {
    /// The identity of a 32-byte ed25519 seed (RFC 8032 5.1.5).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self::from_signing_key(SigningKey::from_bytes(&seed))
    }

    /// The identity of a key that exists already.
    #[must_use]
    pub fn from_signing_key(signing: SigningKey) -> Self {
        let keypair =
            Keypair::ed25519_from_bytes(signing.to_bytes()).expect("every 32 bytes are an ed25519 seed");
        Self { signing, keypair }
    }

    /// A new identity from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        rand::rng().fill_bytes(&mut seed);
        Self::from_seed(seed)
    }

    /// The key as libp2p holds it.
    #[must_use]
    pub fn keypair(&self) -> Keypair {
        self.keypair.clone()
    }

    /// The key for signatures of our own.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// The name of this node in libp2p.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }

    /// The name of this node everywhere else.
    #[must_use]
    pub fn peer_key(&self) -> PeerKey {
        PeerKey(self.signing.verifying_key().to_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.peer_key()).finish()
    }
}

/// The multihash code of "these are the bytes themselves".
const IDENTITY_HASH: u64 = 0;
/// What precedes the key in the protobuf form of a public key: type ed25519, 32 bytes follow.
const ED25519_PREFIX: [u8; 4] = [0x08, 0x01, 0x12, 0x20];

/// The PeerId of any 32 bytes that are to be an ed25519 key; nobody can prove to own it when they are none.
#[must_use]
pub fn peer_id_of(peer: PeerKey) -> PeerId {
    let mut encoded = [0; 36];
    encoded[..4].copy_from_slice(&ED25519_PREFIX);
    encoded[4..].copy_from_slice(&peer.0);
    let hash = multihash::Multihash::wrap(IDENTITY_HASH, &encoded).expect("36 bytes fit a multihash of 64");
    PeerId::from_multihash(hash).expect("an identity hash of at most 42 bytes is a peer id")
}

/// The key inside a PeerId; `None` for one of another kind of key.
#[must_use]
pub fn peer_key_of(peer: &PeerId) -> Option<PeerKey> {
    let hash = peer.as_ref();
    let key = hash.digest().strip_prefix(&ED25519_PREFIX)?;
    if hash.code() != IDENTITY_HASH {
        return None;
    }
    key.try_into().ok().map(PeerKey)
}

/// The key of a libp2p public key; `None` for another kind of key.
#[must_use]
pub fn peer_key_of_public(public: &PublicKey) -> Option<PeerKey> {
    let key: ed25519::PublicKey = public.clone().try_into_ed25519().ok()?;
    Some(PeerKey(key.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_and_a_peer_key_are_the_same_name() {
        let identity = Identity::from_seed([7; 32]);
        assert_eq!(peer_id_of(identity.peer_key()), identity.peer_id());
        assert_eq!(peer_key_of(&identity.peer_id()), Some(identity.peer_key()));
        assert_eq!(peer_key_of_public(&identity.keypair().public()), Some(identity.peer_key()));
        assert!(identity.peer_id().to_base58().starts_with("12D3KooW"));
    }

    #[test]
    fn a_peer_id_of_another_kind_of_key_has_no_peer_key() {
        assert_eq!(peer_key_of(&PeerId::random()), None);
    }

    #[test]
    fn the_secret_is_not_shown() {
        let seed = [7; 32];
        let shown = format!("{:?}", Identity::from_seed(seed));
        assert!(!shown.contains("07070707") && shown.len() < 40, "{shown}");
    }
}
