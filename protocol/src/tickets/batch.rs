//! Several tickets of one quote, as they travel: what they share once, then a nonce and a signature each.

use std::ops::RangeInclusive;

use alloy_primitives::FixedBytes;
use serde::{Deserialize, Serialize};

use super::Ticket;
use super::check::Invalid;
use super::quote::Quote;
use super::sign::TicketKey;

/// Most tickets of one hash, as Livepeer's nodes count them.
pub const MAX_NONCE: u32 = 600;
/// Most tickets that are looked at together: a signature costs about a tenth of a millisecond to check, so ten of them.
pub const MAX_BATCH: usize = 100;

/// What differs between tickets of one quote (`TicketSenderParams` of Livepeer's wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedNonce {
    /// From 1 to [`MAX_NONCE`].
    pub nonce: u32,
    /// The sender's signature over the ticket.
    pub signature: FixedBytes<65>,
}

/// Tickets of one quote, nonces ascending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// What they share.
    pub quote: Quote,
    /// What each has.
    pub tickets: Vec<SignedNonce>,
}

impl Batch {
    /// Signs tickets with these nonces.
    #[must_use]
    pub fn sign(quote: &Quote, nonces: RangeInclusive<u32>, key: &TicketKey) -> Self {
        let signed = |nonce| SignedNonce { nonce, signature: key.sign(&quote.ticket(nonce)) };
        Self { quote: quote.clone(), tickets: nonces.map(signed).collect() }
    }

    /// The tickets with their signatures.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Ticket, &FixedBytes<65>)> {
        self.tickets.iter().map(|t| (t.nonce, self.quote.ticket(t.nonce), &t.signature))
    }

    /// Whether it has the form of a batch.
    ///
    /// # Errors
    /// [`Invalid::Size`], [`Invalid::NonceOrder`].
    pub fn shape(&self) -> Result<(), Invalid> {
        if self.tickets.is_empty() || self.tickets.len() > MAX_BATCH {
            return Err(Invalid::Size { tickets: self.tickets.len() });
        }
        if self.tickets.windows(2).any(|two| two[0].nonce >= two[1].nonce) {
            return Err(Invalid::NonceOrder);
        }
        Ok(())
    }
}
