//! What a broadcaster's payments may be told and asked. Every answer is on disk before it is given.

use actix::prelude::*;
use alloy_primitives::Address;
use protocol::payments::{SessionId, SignedStatement};
use protocol::tickets::credit::Credit;
use protocol::tickets::quote::Quote;
use protocol::tickets::terms::Funds;
use protocol::{PeerKey, PricePerPixel, SignedReceipt, StreamId};
use thiserror::Error;

use super::account::Account;
use super::alarm::Alarm;
use super::core::{Healed, Payment};
use super::refusal::{Disputed, Unpayable};
use crate::payments::Unready;
use crate::ports::payments::ChainHead;

/// Why there is no answer but no.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// It is not paid.
    #[error(transparent)]
    Unpayable(#[from] Unpayable),
    /// The orchestrator is not believed.
    #[error(transparent)]
    Disputed(#[from] Disputed),
    /// A receipt or statement is not signed by that orchestrator.
    #[error("the receipt or statement is not signed by this orchestrator")]
    Foreign,
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

/// What is proven of this node's own funds.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Proven(pub Funds);

/// Opens an account.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), Denied>")]
pub struct Open {
    /// Its name, drawn at random.
    pub session: SessionId,
    /// For which stream.
    pub stream: StreamId,
    /// Whom it pays.
    pub recipient: Address,
    /// What that one asks.
    pub price: PricePerPixel,
}

/// Whether parameters have to be asked for before, or soon.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct WantsQuote(pub SessionId);

/// Parameters came.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), Denied>")]
pub struct Quoted(pub Quote);

/// Orders a segment: what has to go with it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Payment, Denied>")]
pub struct Pay {
    /// From which account.
    pub session: SessionId,
    /// Number of the segment.
    pub seq: u64,
    /// Most pixels that it may come to.
    pub pixels: u64,
}

/// A receipt came; answered with what it cost.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Credit, Denied>")]
pub struct Received {
    /// For which account.
    pub session: SessionId,
    /// The receipt.
    pub receipt: SignedReceipt,
    /// Who must have signed it.
    pub signer: PeerKey,
}

/// No receipt will come, and nobody need be to blame for it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Lost {
    /// For which account.
    pub session: SessionId,
    /// Number of the segment.
    pub seq: u64,
}

/// The orchestrator took the segment, and kept renditions and receipt.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Withheld {
    /// For which account.
    pub session: SessionId,
    /// Number of the segment.
    pub seq: u64,
}

/// This side's statement.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<SignedStatement>")]
pub struct State(pub SessionId);

/// The other side's statement and the receipts that it shows.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Healed, Denied>")]
pub struct Compared {
    /// What it signed.
    pub theirs: SignedStatement,
    /// Its last receipts.
    pub receipts: Vec<SignedReceipt>,
    /// Who must have signed all of it.
    pub signer: PeerKey,
}

/// The stream has ended.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), Denied>")]
pub struct Close(pub SessionId);

/// What people should be told.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Alarm>")]
pub struct Alarms;

/// All open accounts; none while the books are being read.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Vec<Account>>")]
pub struct Accounts;
