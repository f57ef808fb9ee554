//! The certificate by which a staking key vouches for a node.
//!
//! In flow the fields that a staker signs, cold if it likes, and the signature; out flows whether this node may speak for that
//! stake. How much stake there is, and whether it is active, is what the chain proves and not known here; nor is how a
//! certificate travels.

use std::fmt;

use alloy_primitives::{Address, B256};
use k256::ecdsa::SigningKey;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::PeerKey;
use crate::record::Roles;
use crate::tickets::{self, BadSignature};

pub mod typed_data;

/// What a staking key says of a node. Signed as EIP-712 typed data, see [`typed_data`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The orchestrator's Ethereum address, whose stake it is and whose key signs.
    pub staker: Address,
    /// The node that may speak for that stake.
    pub peer: PeerKey,
    /// The ed25519 key that signs the node's receipts; the node's own key or another one.
    pub receipt_key: PeerKey,
    /// What the node may do in the staker's name.
    pub roles: Roles,
    /// First second of its validity, Unix time.
    pub not_before: u64,
    /// Last second of its validity, Unix time; at most [`Certificate::MAX_LIFETIME`] later.
    pub not_after: u64,
    /// A certificate with a larger number voids all of the same staker with a smaller one.
    pub revocation: u64,
}

/// A certificate with the staking key's signature.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct SignedCertificate {
    /// What is signed.
    pub certificate: Certificate,
    /// 65 bytes over [`Certificate::digest`]: r, s in the lower half of the order, v of 27 or 28.
    pub signature: [u8; 65],
}

/// Why a certificate vouches for nobody.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum BadCertificate {
    /// The signature is none.
    #[error("the certificate's signature cannot be one: {0}")]
    Signature(#[from] BadSignature),
    /// Somebody else signed, or a field was changed, or it is for another chain.
    #[error("the certificate names the stake of {staker} and is signed by {signer}, or for another chain")]
    Foreign {
        /// Whose stake it claims.
        staker: Address,
        /// Whose signature it is, if it is for this chain at all.
        signer: Address,
    },
    /// It ends before it begins, or is valid for longer than any certificate may be.
    #[error("the certificate is valid for no time or for more than {} days", Certificate::MAX_LIFETIME / 86_400)]
    Lifetime,
    /// It allows nothing.
    #[error("the certificate is for no role")]
    NoRole,
    /// It is for another node.
    #[error("the certificate is for the node {0}")]
    OtherPeer(PeerKey),
    /// What it should cover begins before it or ends after it.
    #[error(
        "the certificate is valid from {not_before} to {not_after} (Unix time), and not all that time is within"
    )]
    OutOfTime {
        /// First second of its validity.
        not_before: u64,
        /// Last second of its validity.
        not_after: u64,
    },
}

impl Certificate {
    /// Longest validity, seconds: a year and a day. What was voided must be remembered for as long.
    pub const MAX_LIFETIME: u64 = 366 * 86_400;

    /// Signs with the staking key, for the chain that holds the stake.
    ///
    /// # Panics
    /// Never: a digest of 32 bytes can always be signed.
    #[must_use]
    pub fn sign(self, chain_id: u64, key: &SigningKey) -> SignedCertificate {
        let (scalars, recovery) =
            key.sign_prehash_recoverable(self.digest(chain_id).as_slice()).expect("32 bytes are a prehash");
        let mut signature = [0; 65];
        signature[..64].copy_from_slice(&scalars.to_bytes());
        signature[64] = 27 + u8::from(recovery.is_y_odd());
        SignedCertificate { certificate: self, signature }
    }

    /// Whether it vouches for everything that `peer` says from `from` to `to`, Unix time in seconds.
    ///
    /// # Errors
    /// [`BadCertificate::OtherPeer`] or [`BadCertificate::OutOfTime`].
    pub fn covers(&self, peer: PeerKey, from: u64, to: u64) -> Result<(), BadCertificate> {
        if self.peer != peer {
            return Err(BadCertificate::OtherPeer(self.peer));
        }
        if from < self.not_before || self.not_after < to {
            let Self { not_before, not_after, .. } = *self;
            return Err(BadCertificate::OutOfTime { not_before, not_after });
        }
        Ok(())
    }

    /// Unix time in seconds until which a certificate that this one voids could still be valid, if whoever signs counts
    /// upwards as time goes on.
    #[must_use]
    pub const fn remember_until(&self) -> u64 {
        self.not_before.saturating_add(Self::MAX_LIFETIME)
    }

    fn check_fields(&self) -> Result<(), BadCertificate> {
        let lifetime = self.not_after.checked_sub(self.not_before);
        if lifetime.is_none_or(|secs| secs == 0 || secs > Self::MAX_LIFETIME) {
            return Err(BadCertificate::Lifetime);
        }
        if self.roles == Roles::default() {
            return Err(BadCertificate::NoRole);
        }
        Ok(())
    }
}

impl SignedCertificate {
    /// Joins a certificate with a signature that was made elsewhere: 65 bytes, whose last is 27 or 28, or 0 or 1 as some
    /// signing devices write it.
    ///
    /// # Errors
    /// [`BadCertificate`] as of [`Self::verify`].
    pub fn new(certificate: Certificate, signature: &[u8], chain_id: u64) -> Result<Self, BadCertificate> {
        let mut signature = <[u8; 65]>::try_from(signature).map_err(|_| BadSignature::Length)?;
        if signature[64] < 2 {
            signature[64] += 27;
        }
        let signed = Self { certificate, signature };
        signed.verify(chain_id).map(|()| signed)
    }

    /// Checks the bounds of the fields and that the staker signed them for this chain. Time is not looked at: see
    /// [`Certificate::covers`].
    ///
    /// # Errors
    /// [`BadCertificate`] says what is wrong.
    pub fn verify(&self, chain_id: u64) -> Result<(), BadCertificate> {
        self.certificate.check_fields()?;
        let signer = self.signer(chain_id)?;
        let staker = self.certificate.staker;
        if signer == staker { Ok(()) } else { Err(BadCertificate::Foreign { staker, signer }) }
    }

    /// Who signed it, if it is for this chain.
    ///
    /// # Errors
    /// [`BadSignature`] when the signature is none.
    pub fn signer(&self, chain_id: u64) -> Result<Address, BadSignature> {
        tickets::recover(self.certificate.digest(chain_id), &self.signature)
    }

    /// The signature in 64 bytes (EIP-2098): the parity stands in the highest bit of s, which a low s leaves free.
    #[must_use]
    pub fn compact_signature(&self) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(&self.signature[..64]);
        out[32] = (out[32] & 0x7f) | (u8::from(self.signature[64] == 28) << 7);
        out
    }

    /// Reads [`Self::compact_signature`].
    #[must_use]
    pub fn from_compact(certificate: Certificate, compact: [u8; 64]) -> Self {
        let mut signature = [0; 65];
        signature[..64].copy_from_slice(&compact);
        signature[32] &= 0x7f;
        signature[64] = 27 + (compact[32] >> 7);
        Self { certificate, signature }
    }
}

impl fmt::Debug for SignedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignedCertificate").field(&self.certificate).finish()
    }
}

/// A certificate as it lies in a file: with its chain, so that it can be checked without knowing any other.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFile {
    /// The chain that holds the stake, such as 42161 for Arbitrum One.
    pub chain_id: u64,
    /// What is signed.
    pub certificate: Certificate,
    /// The signature, 65 bytes in hex.
    #[serde(with = "hex_signature")]
    signature: [u8; 65],
}

impl CertificateFile {
    /// Of a certificate that was signed for a chain.
    #[must_use]
    pub const fn new(chain_id: u64, signed: &SignedCertificate) -> Self {
        Self { chain_id, certificate: signed.certificate, signature: signed.signature }
    }

    /// What is in it, checked.
    ///
    /// # Errors
    /// [`BadCertificate`] as of [`SignedCertificate::verify`].
    pub fn open(&self) -> Result<SignedCertificate, BadCertificate> {
        SignedCertificate::new(self.certificate, &self.signature, self.chain_id)
    }
}

/// `0x` and 130 hex digits.
mod hex_signature {
    use alloy_primitives::hex;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 65], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode_prefixed(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 65], D::Error> {
        hex::decode_to_array(String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl Certificate {
    /// What the staker signs (EIP-712), for the chain that holds the stake.
    #[must_use]
    pub fn digest(&self, chain_id: u64) -> B256 {
        typed_data::digest(self, chain_id)
    }
}

#[cfg(test)]
mod tests;
