//! The key that signs tickets: EIP-191, deterministic (RFC 6979), s in the lower half, v of 27 or 28. A ticket that is signed
//! again is the same ticket, byte for byte, so one that was lost on the way can be sent again without paying twice.

use std::fmt;

use alloy_primitives::{Address, B256, FixedBytes};
use secp256k1::{Message, SECP256K1, SecretKey};

use super::Ticket;

/// A sender's key. Never shown, not even for debugging.
#[derive(Clone)]
pub struct TicketKey {
    key: SecretKey,
    address: Address,
}

impl Drop for TicketKey {
    fn drop(&mut self) {
        self.key.non_secure_erase();
    }
}

/// These 32 bytes are no key: zero, or not below the order of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key: 32 bytes between 1 and the order of secp256k1 are")]
pub struct BadKey;

impl TicketKey {
    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        let key = SecretKey::from_byte_array(*bytes).map_err(|_| BadKey)?;
        let point = key.public_key(SECP256K1).serialize_uncompressed();
        let address = Address::from_raw_public_key(&point[1..]);
        Ok(Self { key, address })
    }

    /// Whose tickets it signs.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs a ticket.
    #[must_use]
    pub fn sign(&self, ticket: &Ticket) -> FixedBytes<65> {
        self.sign_digest(ticket.digest())
    }

    /// Signs a digest.
    #[must_use]
    pub fn sign_digest(&self, digest: B256) -> FixedBytes<65> {
        let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(digest.0), &self.key);
        let (recovery, scalars) = signature.serialize_compact();
        let mut out = [0; 65];
        out[..64].copy_from_slice(&scalars);
        out[64] = 27 + (i32::from(recovery) & 1) as u8;
        FixedBytes(out)
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKey({})", self.address)
    }
}
