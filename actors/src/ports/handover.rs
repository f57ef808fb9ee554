//! A redeemer that runs elsewhere, as a node sees it: takes winners over and says what became of them. `src/adapters` joins it to
//! the line between the two. Nothing here knows a connection.

use std::fmt;
use std::sync::Arc;

use alloy_primitives::B256;
use futures::future::BoxFuture;
use protocol::payments::entry::{Redemption, Winner};

/// Winners that are handed over at once.
pub const WINNERS_AT_ONCE: usize = 64;
/// Tickets that are asked after at once.
pub const ASKED_AT_ONCE: usize = 128;

/// What the redeemer has on its disk of tickets: the last steps of each, oldest first. Tickets that it does not have are not
/// among them.
pub type Steps = Vec<(B256, Vec<Redemption>)>;

/// Why it said nothing: ask again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the redeemer took nothing over: {0}")]
pub struct NotTaken(pub String);

/// The redeemer.
pub trait RemoteRedeemer: Send + Sync + fmt::Debug + 'static {
    /// Hands winners over, at most [`WINNERS_AT_ONCE`]. Those that come back are on the redeemer's disk.
    fn take(&self, winners: Vec<Winner>) -> BoxFuture<'static, Result<Steps, NotTaken>>;

    /// Asks after tickets that were handed over, at most [`ASKED_AT_ONCE`].
    fn ask(&self, tickets: Vec<B256>) -> BoxFuture<'static, Result<Steps, NotTaken>>;
}

/// A shared [`RemoteRedeemer`].
pub type SharedRemote = Arc<dyn RemoteRedeemer>;
