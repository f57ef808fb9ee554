//! Probabilistic payments (`TicketBroker`): a ticket, its hash, its sender's signature, whether it won. Pure: what a
//! redemption also needs to know about rounds, deposits and reserves is in [`crate::chain`] and [`crate::reserve`].

use alloy_primitives::{Address, B256, Bytes, U256, eip191_hash_message, keccak256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, SECP256K1};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::rounds::Round;

pub mod batch;
pub mod check;
pub mod credit;
pub mod fees;
pub mod params;
pub mod quote;
pub mod sign;
pub mod terms;

/// A promise to pay `face_value` with a probability of `win_prob` in 2^256.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// The orchestrator that may be paid.
    pub recipient: Address,
    /// The gateway that pays.
    pub sender: Address,
    /// What a win pays, wei.
    pub face_value: U256,
    /// A ticket wins when its draw is below this.
    pub win_prob: U256,
    /// Makes tickets of one `recipient_rand_hash` differ.
    pub sender_nonce: U256,
    /// Keccak-256 of the number that the recipient keeps to itself until it redeems.
    pub recipient_rand_hash: B256,
    /// Creation round and that round's block hash, 32 bytes each.
    pub aux_data: Bytes,
}

/// Why a signature counts for nobody, in the contract's words.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum BadSignature {
    /// Not 65 bytes.
    #[error("INVALID_SIGNATURE_LENGTH")]
    Length,
    /// The malleable half of the curve.
    #[error("ECDSA: invalid signature 's' value")]
    HighS,
    /// No public key fits, or the last byte is neither 27 nor 28.
    #[error("ECDSA: invalid signature")]
    Unrecoverable,
}

/// Half of the group order of secp256k1: an `s` above it is refused (EIP-2).
const HALF_ORDER: U256 =
    U256::from_limbs([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, u64::MAX, 0x7fff_ffff_ffff_ffff]);

impl Ticket {
    /// The auxiliary data of a ticket that is made in a round; none where neither is known, and then no contract takes it.
    #[must_use]
    pub fn aux(round: Round, block_hash: B256) -> Bytes {
        if round == Round(0) && block_hash.is_zero() {
            return Bytes::new();
        }
        [round.to_word().to_be_bytes::<32>(), block_hash.0].concat().into()
    }

    /// Creation round and block hash, when there are 64 bytes of them.
    #[must_use]
    pub fn creation(&self) -> Option<(U256, B256)> {
        let (round, hash) = <&[u8; 64]>::try_from(self.aux_data.as_ref()).ok()?.split_at(32);
        Some((U256::from_be_slice(round), B256::from_slice(hash)))
    }

    /// Keccak-256 of the packed fields (`getTicketHash`).
    #[must_use]
    pub fn hash(&self) -> B256 {
        let word = |n: U256| n.to_be_bytes::<32>();
        let mut packed = Vec::with_capacity(232);
        packed.extend_from_slice(self.recipient.as_slice());
        packed.extend_from_slice(self.sender.as_slice());
        packed.extend_from_slice(&word(self.face_value));
        packed.extend_from_slice(&word(self.win_prob));
        packed.extend_from_slice(&word(self.sender_nonce));
        packed.extend_from_slice(self.recipient_rand_hash.as_slice());
        packed.extend_from_slice(&self.aux_data);
        keccak256(packed)
    }

    /// What the sender signs: the hash as a personal message (EIP-191).
    #[must_use]
    pub fn digest(&self) -> B256 {
        eip191_hash_message(self.hash())
    }

    /// Whether the ticket's sender made this signature.
    ///
    /// # Errors
    /// [`BadSignature`] where the contract reverts instead of answering.
    pub fn is_signed_by_sender(&self, signature: &[u8]) -> Result<bool, BadSignature> {
        Ok(recover(self.digest(), signature)? == self.sender)
    }

    /// Whether it won, with this signature and the recipient's number (`isWinningTicket`).
    #[must_use]
    pub fn wins(&self, signature: &[u8], recipient_rand: U256) -> bool {
        draw(signature, recipient_rand) < self.win_prob
    }
}

/// The number that is compared with a ticket's winning probability.
#[must_use]
pub fn draw(signature: &[u8], recipient_rand: U256) -> U256 {
    keccak256([signature, &recipient_rand.to_be_bytes::<32>()].concat()).into()
}

/// The hash that binds a recipient to its number.
#[must_use]
pub fn rand_hash(recipient_rand: U256) -> B256 {
    keccak256(recipient_rand.to_be_bytes::<32>())
}

/// Who signed a digest: 65 bytes r, s, v with v 27 or 28 and s in the lower half.
///
/// # Errors
/// [`BadSignature`].
pub fn recover(digest: B256, signature: &[u8]) -> Result<Address, BadSignature> {
    let signature = <&[u8; 65]>::try_from(signature).map_err(|_| BadSignature::Length)?;
    if U256::from_be_slice(&signature[32..64]) > HALF_ORDER {
        return Err(BadSignature::HighS);
    }
    let recovery = match signature[64] {
        27 => RecoveryId::Zero,
        28 => RecoveryId::One,
        _ => return Err(BadSignature::Unrecoverable),
    };
    let unrecoverable = |_| BadSignature::Unrecoverable;
    let scalars = RecoverableSignature::from_compact(&signature[..64], recovery).map_err(unrecoverable)?;
    let key = SECP256K1.recover_ecdsa(Message::from_digest(digest.0), &scalars).map_err(unrecoverable)?;
    Ok(Address::from_raw_public_key(&key.serialize_uncompressed()[1..]))
}
