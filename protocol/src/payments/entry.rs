//! One line of a ledger: what must be on disk before anybody is told of it. Every entry is one idea, says when it was, and can
//! be applied again to what came before it: state after a crash is the fold of the entries.

use alloy_primitives::{Address, B256, FixedBytes, U256};
use serde::{Deserialize, Serialize};

use super::SessionId;
use super::statement::SignedStatement;
use crate::amount::Wei;
use crate::price::PricePerPixel;
use crate::receipt::Receipt;
use crate::rounds::Round;
use crate::stream::StreamId;
use crate::tickets::Ticket;
use crate::tickets::credit::Credit;

/// One line. Times are Unix milliseconds, amounts wei or [`Credit`] at the session's price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// Recipient: what its numbers are derived from, drawn once. Keep it secret: who knows it draws losing tickets only.
    ParamsSecret {
        /// The orchestrator.
        recipient: Address,
        /// 32 random bytes.
        secret: B256,
    },
    /// Either side: an account is opened, and its price fixed for good.
    SessionOpened(SessionOpened),
    /// Either side: an account is closed; nothing is paid into it or taken from it any more.
    SessionClosed {
        /// Which.
        session: SessionId,
        /// Whose books.
        side: Side,
        /// When.
        at_ms: u64,
    },
    /// Sender: these nonces are used up, whether or not a ticket with them ever leaves.
    NonceReserved {
        /// Which account.
        session: SessionId,
        /// Whose nonces: the hash of the recipient's number.
        rand_hash: B256,
        /// Nonces up to and including this one are used up.
        up_to: u32,
        /// L1 block after which no ticket of this hash is taken.
        expiration_block: u64,
    },
    /// Sender: a segment is ordered and its tickets are on their way. Money out.
    TicketsSent(TicketsSent),
    /// Recipient: these tickets are good and not seen before. Money in.
    TicketsAccepted(TicketsAccepted),
    /// Recipient: a ticket that won, to be redeemed.
    Winner(Winner),
    /// Recipient: work that was done and is paid from the account. Written before the receipt leaves.
    Debit(Work),
    /// Sender: work that was received, with its receipt.
    Receipt(Work),
    /// Either side: the other side's signed statement, kept as evidence.
    Statement {
        /// What the other side signed.
        statement: SignedStatement,
        /// When it came.
        at_ms: u64,
    },
    /// Sender: tickets of which the recipient's statement knows nothing and that it cannot take any more. A loss.
    WrittenOff {
        /// Which account.
        session: SessionId,
        /// How much.
        credit: Credit,
        /// How many tickets.
        tickets: u64,
        /// When.
        at_ms: u64,
    },
    /// A step of a winning ticket's redemption.
    Redemption {
        /// Hash of the ticket.
        ticket: B256,
        /// The step.
        step: Redemption,
        /// When.
        at_ms: u64,
    },
}

impl Entry {
    /// The account that it changes, and in whose books; none when it changes none.
    #[must_use]
    pub const fn account(&self) -> Option<(Side, SessionId)> {
        let (side, session) = match self {
            Self::ParamsSecret { .. } | Self::Winner(_) | Self::Redemption { .. } => return None,
            Self::SessionOpened(opened) => (opened.side, opened.session),
            Self::SessionClosed { session, side, .. } => (*side, *session),
            Self::NonceReserved { session, .. } | Self::WrittenOff { session, .. } => {
                (Side::Sender, *session)
            }
            Self::TicketsSent(sent) => (Side::Sender, sent.session),
            Self::TicketsAccepted(accepted) => (Side::Recipient, accepted.session),
            Self::Debit(work) => (Side::Recipient, work.session),
            Self::Receipt(work) => (Side::Sender, work.session),
            Self::Statement { statement, .. } => {
                (statement.statement.side.other(), statement.statement.session)
            }
        };
        Some((side, session))
    }
}

/// Whose books an entry stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The broadcaster, who pays.
    Sender,
    /// The orchestrator, who is paid.
    Recipient,
}

impl Side {
    /// The one across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Sender => Self::Recipient,
            Self::Recipient => Self::Sender,
        }
    }
}

/// An account between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// Which.
    pub session: SessionId,
    /// Whose books.
    pub side: Side,
    /// The stream that is worked on; a recipient may not know it.
    pub stream: Option<StreamId>,
    /// Who pays.
    pub sender: Address,
    /// Who is paid.
    pub recipient: Address,
    /// For how much, fixed.
    pub price: PricePerPixel,
    /// When.
    pub at_ms: u64,
}

/// An order and the tickets that go with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketsSent {
    /// Which account.
    pub session: SessionId,
    /// Number of the segment that is ordered.
    pub seq: u64,
    /// Most encoded pixels that it may come to.
    pub pixels: u64,
    /// The tickets; none when there was credit enough.
    pub tickets: Option<Sent>,
    /// When.
    pub at_ms: u64,
}

/// Tickets of one hash with consecutive nonces. They can be signed again, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What they were made from.
    pub quote: crate::tickets::quote::Quote,
    /// First nonce.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// What all of them are worth.
    pub credit: Credit,
    /// What one is worth, wei times 2^256 - 1: for sums over accounts.
    pub each: alloy_primitives::U512,
}

/// Tickets that were credited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketsAccepted {
    /// Which account.
    pub session: SessionId,
    /// Whose nonces.
    pub rand_hash: B256,
    /// The nonces, ascending.
    pub nonces: Vec<u32>,
    /// L1 block after which no ticket of this hash is taken, so that its nonces can be forgotten.
    pub expiration_block: u64,
    /// What all of them are worth.
    pub credit: Credit,
    /// When.
    pub at_ms: u64,
}

/// A ticket that won, with all that a redemption needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Winner {
    /// In which account it came.
    pub session: SessionId,
    /// The ticket.
    pub ticket: Ticket,
    /// Its sender's signature.
    pub signature: FixedBytes<65>,
    /// The recipient's number. Not to be revealed before `expiration_block` has passed.
    pub recipient_rand: U256,
    /// L1 block after which no ticket of this hash is taken any more.
    pub expiration_block: u64,
    /// The round in which it was made: it can be redeemed in that one and the next.
    pub creation_round: Round,
    /// Whether its sender got credit for it. One that came late or too often wins too, and its value is a gift.
    pub credited: bool,
    /// When.
    pub at_ms: u64,
}

impl Winner {
    /// What names it for ever.
    #[must_use]
    pub fn id(&self) -> B256 {
        self.ticket.hash()
    }
}

/// Work that was done on one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Which account.
    pub session: SessionId,
    /// What was made; its orchestrator's signature can be made again over it.
    pub receipt: Receipt,
    /// Pixels that are paid: those of the receipt, and never more than were ordered.
    pub pixels: u64,
    /// What they cost.
    pub cost: Credit,
    /// When.
    pub at_ms: u64,
}

/// What becomes of a winning ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Redemption {
    /// It is known to the redeemer.
    Queued,
    /// A transaction that redeems it was sent; there may be several.
    Sent {
        /// Its hash.
        transaction: B256,
        /// Counts from zero.
        attempt: u32,
    },
    /// It is redeemed for good.
    Redeemed {
        /// The transaction that did it.
        transaction: B256,
        /// The L2 block in which it is.
        block: u64,
        /// What came from the sender's deposit.
        from_deposit: Wei,
        /// What came from its reserve.
        from_reserve: Wei,
        /// This ticket's part of what the transaction cost.
        gas: Wei,
    },
    /// Its redemption was undone by a reorganisation: it is open again.
    Reopened,
    /// Its rounds are over.
    Expired,
    /// It will never be redeemed, in words why.
    Dropped {
        /// Why.
        reason: String,
    },
}

impl Redemption {
    /// Whether nothing comes after it, a reorganisation aside.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Redeemed { .. } | Self::Expired | Self::Dropped { .. })
    }

    /// Whether it says of a ticket what is known: that this transaction redeemed it.
    #[must_use]
    pub fn repeats(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Redeemed { transaction, .. }, Self::Redeemed { transaction: known, .. }) => {
                transaction == known
            }
            _ => false,
        }
    }
}
