//! Why a recipient does not credit a ticket, each reason by itself, in Livepeer's words where it has some. A *final* reason
//! holds for whatever the sender sends with these parameters; a *passing* one for this ticket, or until something changes.

use alloy_primitives::{Address, B256, U256};
use thiserror::Error;

use super::batch::{MAX_BATCH, MAX_NONCE};
use super::quote::Quote;
use super::{BadSignature, Ticket};
use crate::payments::SessionId;
use crate::price::PricePerPixel;
use crate::rounds::Round;

/// Rounds after its own in which a ticket is paid (`ticketValidityPeriod` - 1).
pub const VALID_AFTER: u64 = 1;

/// Why a ticket or a batch is not credited.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    /// No tickets, or too many.
    #[error("a batch has 1 to {MAX_BATCH} tickets, this one has {tickets}: send fewer at a time")]
    Size {
        /// How many.
        tickets: usize,
    },
    /// Nonces do not ascend.
    #[error("invalid ticket senderNonce: a batch has ascending nonces")]
    NonceOrder,
    /// Not for this recipient.
    #[error("invalid ticket recipient: these tickets pay {0}")]
    Recipient(Address),
    /// From nobody.
    #[error("invalid ticket sender: the zero address")]
    NoSender,
    /// The session is another sender's, or not known.
    #[error("the session {0} is not known here for this sender: ask for ticket parameters first")]
    Session(SessionId),
    /// Another price than the session's.
    #[error("the session's price is {agreed}, these tickets say {claimed}")]
    Price {
        /// The session's.
        agreed: PricePerPixel,
        /// The tickets'.
        claimed: PricePerPixel,
    },
    /// Some field is not as it was quoted.
    #[error("invalid recipientRand for ticket recipientRandHash: these parameters were never quoted")]
    Rand,
    /// Made in a round in which, or for which, it is not paid.
    #[error("tickets of round {made} are not paid after round {made_next}, and round {now} is current", made_next = made.next())]
    WrongRound {
        /// When they were made.
        made: Round,
        /// The current round.
        now: Round,
    },
    /// The parameters are too old.
    #[error("TicketParams expired: at block {expired}, now is {now}; ask for new ones")]
    Expired {
        /// L1 block.
        expired: u64,
        /// L1 block.
        now: u64,
    },
    /// Nonce out of range.
    #[error("invalid ticket senderNonce: too many values, {nonce} is not between 1 and {MAX_NONCE}")]
    NonceRange {
        /// The nonce.
        nonce: u32,
    },
    /// Nonce seen before.
    #[error("invalid ticket senderNonce: already seen {nonce}")]
    NonceSeen {
        /// The nonce.
        nonce: u32,
    },
    /// The signature is none.
    #[error("invalid ticket signature: {0}")]
    BadSignature(#[from] BadSignature),
    /// Somebody else signed.
    #[error("invalid ticket signature: not the sender's")]
    ForeignSignature,
}

/// What a reason says of the next ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// These parameters are worth nothing; whoever made up such a ticket did so on purpose or is broken.
    Final,
    /// Another ticket, new parameters or another time may do.
    Passing,
}

impl Invalid {
    /// Whether there is any sense in going on with these parameters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Recipient(_)
            | Self::NoSender
            | Self::Session(_)
            | Self::Price { .. }
            | Self::Rand
            | Self::Size { .. }
            | Self::NonceOrder => Severity::Final,
            Self::WrongRound { .. }
            | Self::Expired { .. }
            | Self::NonceRange { .. }
            | Self::NonceSeen { .. }
            | Self::BadSignature(_)
            | Self::ForeignSignature => Severity::Passing,
        }
    }
}

/// The recipient's number behind a quote that is its own and unchanged.
///
/// # Errors
/// [`Invalid::Recipient`], [`Invalid::NoSender`], [`Invalid::Rand`].
pub fn open(quote: &Quote, me: Address, secret: &B256) -> Result<U256, Invalid> {
    if quote.recipient != me {
        return Err(Invalid::Recipient(quote.recipient));
    }
    if quote.sender.is_zero() {
        return Err(Invalid::NoSender);
    }
    quote.opened(secret).ok_or(Invalid::Rand)
}

/// Whether tickets of a quote may be credited now.
///
/// # Errors
/// [`Invalid::WrongRound`], [`Invalid::Expired`].
pub fn in_time(quote: &Quote, l1_block: u64, round: Round) -> Result<(), Invalid> {
    let made = quote.creation_round;
    if made > round || made.0.saturating_add(VALID_AFTER) < round.0 {
        return Err(Invalid::WrongRound { made, now: round });
    }
    if quote.expiration_block <= l1_block {
        return Err(Invalid::Expired { expired: quote.expiration_block, now: l1_block });
    }
    Ok(())
}

/// Whether a ticket is signed by its sender.
///
/// # Errors
/// [`Invalid::BadSignature`], [`Invalid::ForeignSignature`].
pub fn signed(ticket: &Ticket, signature: &[u8]) -> Result<(), Invalid> {
    if ticket.is_signed_by_sender(signature)? { Ok(()) } else { Err(Invalid::ForeignSignature) }
}
