//! What a recipient asks of the tickets of one session, for a few minutes. It keeps nothing of it: its number comes again from
//! its secret and the quote itself, so a quote is good after a restart, and a quote of which one bit was changed is not.

use alloy_primitives::{Address, B256, U256};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::credit::Credit;
use super::{Ticket, rand_hash};
use crate::amount::Wei;
use crate::payments::SessionId;
use crate::price::PricePerPixel;
use crate::rounds::Round;

/// L1 blocks for which a quote is good, about eight minutes, as in Livepeer's nodes.
pub const LIFETIME_BLOCKS: u64 = 40;
/// Separates these numbers from everything else that is derived from the same secret.
const DOMAIN: &[u8] = b"livemesh/recipient-rand/1";

/// Ticket parameters and the session and price that they are for. Fields of Livepeer's `TicketParams` and `PriceInfo` carry the
/// same values here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The account.
    pub session: SessionId,
    /// Who will pay.
    pub sender: Address,
    /// Who will be paid.
    pub recipient: Address,
    /// What a win pays, wei.
    pub face_value: Wei,
    /// In 2^256.
    pub win_prob: U256,
    /// Keccak-256 of the recipient's number.
    pub recipient_rand_hash: B256,
    /// Drawn anew for every quote.
    pub seed: U256,
    /// L1 block at which it is no longer good.
    pub expiration_block: u64,
    /// The round in which tickets are made.
    pub creation_round: Round,
    /// Its block hash.
    pub creation_round_hash: B256,
    /// The session's price.
    pub price: PricePerPixel,
}

impl Quote {
    /// The number behind this quote, from the recipient's secret: HMAC-SHA-256 over every field at a fixed width, so that no
    /// two quotes are the same bytes.
    #[must_use]
    pub fn rand(&self, secret: &B256) -> U256 {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.as_slice()).expect("HMAC takes keys of any length");
        mac.update(DOMAIN);
        mac.update(&self.seed.to_be_bytes::<32>());
        mac.update(&self.session.0);
        mac.update(self.sender.as_slice());
        mac.update(self.recipient.as_slice());
        mac.update(&self.face_value.0.to_be_bytes::<32>());
        mac.update(&self.win_prob.to_be_bytes::<32>());
        mac.update(&self.expiration_block.to_be_bytes());
        mac.update(&self.price.wei.to_be_bytes());
        mac.update(&self.price.pixels.to_be_bytes());
        mac.update(&self.creation_round.0.to_be_bytes());
        mac.update(self.creation_round_hash.as_slice());
        U256::from_be_slice(&mac.finalize().into_bytes())
    }

    /// The quote with the hash that commits to its number.
    #[must_use]
    pub fn committed(mut self, secret: &B256) -> Self {
        self.recipient_rand_hash = rand_hash(self.rand(secret));
        self
    }

    /// The number again, if this quote is as it was made with this secret.
    #[must_use]
    pub fn opened(&self, secret: &B256) -> Option<U256> {
        let rand = self.rand(secret);
        (rand_hash(rand) == self.recipient_rand_hash).then_some(rand)
    }

    /// The ticket with a nonce.
    #[must_use]
    pub fn ticket(&self, nonce: u32) -> Ticket {
        Ticket {
            recipient: self.recipient,
            sender: self.sender,
            face_value: self.face_value.0,
            win_prob: self.win_prob,
            sender_nonce: U256::from(nonce),
            recipient_rand_hash: self.recipient_rand_hash,
            aux_data: Ticket::aux(self.creation_round, self.creation_round_hash),
        }
    }

    /// What one ticket is worth in the session.
    #[must_use]
    pub fn ticket_credit(&self) -> Credit {
        Credit::of_ticket(self.face_value, self.win_prob, self.price)
    }
}
