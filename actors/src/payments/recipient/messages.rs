//! What an orchestrator's payments may be told and asked. Every answer is on disk before it is given.

use actix::prelude::*;
use alloy_primitives::{Address, B256};
use protocol::payments::entry::Redemption;
use protocol::payments::{SessionId, SignedStatement};
use protocol::receipt::Receipt;
use protocol::tickets::batch::Batch;
use protocol::tickets::quote::Quote;
use protocol::{PeerKey, SignedReceipt};
use thiserror::Error;

use super::account::Hold;
use super::core::{Accepted, Ask};
use super::refusal::Refusal;
use crate::payments::Unready;
use crate::ports::payments::{ChainHead, SenderFacts};

/// Why there is no answer but no.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// It is refused, to be told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not now, nothing is wrong with the other side.
    #[error(transparent)]
    Unready(#[from] Unready),
}

/// Where the chain stands.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Head(pub ChainHead);

/// What is known of the chain contradicts itself. The next [`Head`] ends that.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Doubt;

/// What is proven of a sender.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Proven(pub Address, pub SenderFacts);

/// A step of a winner's redemption that is in the ledger.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Redeemed(pub B256, pub Redemption);

/// Senders whose funds have to be proven.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Address>")]
pub struct Senders;

/// Asks for ticket parameters.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Quote, Denied>")]
pub struct AskQuote(pub Ask);

/// Orders a segment: credits its tickets, then sets aside what it may cost.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Hold, Denied>")]
pub struct Order {
    /// Who pays.
    pub sender: Address,
    /// From which account.
    pub session: SessionId,
    /// Number of the segment.
    pub seq: u64,
    /// Most pixels that it may come to.
    pub pixels: u64,
    /// What comes with it.
    pub tickets: Option<Batch>,
}

/// Tickets without an order: those that were lost.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Accepted, Denied>")]
pub struct Again(pub Batch);

/// The segment is done: pays it from the account and signs the receipt, which may leave then.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<SignedReceipt, Denied>")]
pub struct Settle {
    /// From which account.
    pub session: SessionId,
    /// What was made.
    pub receipt: Receipt,
}

/// The segment came to nothing.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Release {
    /// Of which account.
    pub session: SessionId,
    /// Number of the segment.
    pub seq: u64,
}

/// Compares books: theirs, if they sent it, for ours and the receipts that they lack.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(SignedStatement, Vec<SignedReceipt>), Denied>")]
pub struct Compare {
    /// Who asks.
    pub sender: Address,
    /// About which account.
    pub session: SessionId,
    /// Its statement, and the key of the node that must have signed it.
    pub theirs: Option<(SignedStatement, PeerKey)>,
}
