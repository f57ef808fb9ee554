//! Receipts: an orchestrator's signature under what it made.

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::{Hash, PeerKey, SegmentId};

/// Separates receipts from everything else that the same key signs.
const DOMAIN: &[u8] = b"livemesh/receipt/1";

/// What was made of one segment: the hash and pixel count of each rendition, in ladder order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which segment.
    pub segment: SegmentId,
    /// Keccak-256 of the segment's bytes.
    pub source: Hash,
    /// Hash and encoded pixels of each rendition, in ladder order.
    pub renditions: Vec<(Hash, u64)>,
}

/// A receipt with its ed25519 signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    /// What is signed.
    pub receipt: Receipt,
    /// Ed25519 signature (RFC 8032) over [`Receipt::signing_bytes`].
    pub signature: [u8; 64],
}

/// A receipt that its supposed signer did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receipt's signature does not verify under the orchestrator's key")]
pub struct BadSignature;

impl Receipt {
    /// The bytes that are signed: every field fixed in width or preceded by its length, integers big-endian.
    #[must_use]
    pub fn signing_bytes(&self) -> Vec<u8> {
        let name = self.segment.stream.as_str().as_bytes();
        let mut out = Vec::with_capacity(DOMAIN.len() + name.len() + 48 + self.renditions.len() * 40);
        out.extend_from_slice(DOMAIN);
        out.extend_from_slice(&(name.len() as u32).to_be_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(&self.segment.seq.to_be_bytes());
        out.extend_from_slice(&self.source.0);
        out.extend_from_slice(&(self.renditions.len() as u32).to_be_bytes());
        for (hash, pixels) in &self.renditions {
            out.extend_from_slice(&hash.0);
            out.extend_from_slice(&pixels.to_be_bytes());
        }
        out
    }

    /// Signs with the orchestrator's receipt key.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedReceipt {
        let signature = key.sign(&self.signing_bytes()).to_bytes();
        SignedReceipt { receipt: self, signature }
    }
}

impl SignedReceipt {
    /// Checks the signature.
    ///
    /// # Errors
    /// [`BadSignature`] when `signer` is no key or did not sign this.
    pub fn verify(&self, signer: PeerKey) -> Result<(), BadSignature> {
        let key = VerifyingKey::from_bytes(&signer.0).map_err(|_| BadSignature)?;
        key.verify(&self.receipt.signing_bytes(), &Signature::from_bytes(&self.signature))
            .map_err(|_| BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> (SignedReceipt, PeerKey) {
        let key = SigningKey::from_bytes(&[7; 32]);
        let segment = SegmentId { stream: "me".parse().unwrap(), seq: 3 };
        let receipt = Receipt { segment, source: Hash::of(b"in"), renditions: vec![(Hash::of(b"out"), 99)] };
        (receipt.sign(&key), PeerKey(key.verifying_key().to_bytes()))
    }

    #[test]
    fn a_receipt_verifies_under_its_signer_only() {
        let (receipt, signer) = signed();
        assert_eq!(receipt.verify(signer), Ok(()));
        assert_eq!(receipt.verify(PeerKey([9; 32])), Err(BadSignature));
    }

    #[test]
    fn every_field_is_under_the_signature() {
        let (good, signer) = signed();
        let changed = |f: fn(&mut Receipt)| {
            let mut bad = good.clone();
            f(&mut bad.receipt);
            bad.verify(signer)
        };
        assert!(changed(|r| r.segment.seq += 1).is_err());
        assert!(changed(|r| r.segment.stream = "you".parse().unwrap()).is_err());
        assert!(changed(|r| r.source.0[0] ^= 1).is_err());
        assert!(changed(|r| r.renditions[0].1 += 1).is_err());
        assert!(changed(|r| r.renditions.clear()).is_err());
    }
}
