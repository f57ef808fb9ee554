//! A redeemer elsewhere as the handover sees it: the port over the line between the two, which proves who is at its other end.

use std::fmt::Display;

use actors::ports::handover::{ASKED_AT_ONCE, NotTaken, RemoteRedeemer, Steps, WINNERS_AT_ONCE};
use alloy_primitives::B256;
use futures::FutureExt;
use futures::future::BoxFuture;
use p2p::limits;
use p2p::pinned::Pinned;
use p2p::wire::redeemer::{Reply, Request};
use protocol::PeerKey;
use protocol::payments::entry::Winner;

const _: () = assert!(WINNERS_AT_ONCE <= limits::WINNERS_AT_ONCE && ASKED_AT_ONCE <= limits::ASKED_AT_ONCE);

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    line: Pinned,
    peer: PeerKey,
}

impl Remote {
    /// At the other end of a line that was opened with this peer pinned.
    pub(crate) const fn new(line: Pinned, peer: PeerKey) -> Self {
        Self { line, peer }
    }

    async fn say(self, request: Request) -> Result<Steps, NotTaken> {
        let why = |error: &dyn Display| NotTaken(error.to_string());
        let reply = self.line.ask(self.peer, request.encode()).await.map_err(|error| why(&error))?;
        let Reply { steps, refused } = Reply::decode(&reply).map_err(|error| why(&error))?;
        if !refused.is_empty() {
            tracing::warn!(%refused, "the redeemer does not take every winner");
        }
        Ok(steps)
    }
}

impl RemoteRedeemer for Remote {
    fn take(&self, winners: Vec<Winner>) -> BoxFuture<'static, Result<Steps, NotTaken>> {
        self.clone().say(Request::Take(winners)).boxed()
    }

    fn ask(&self, tickets: Vec<B256>) -> BoxFuture<'static, Result<Steps, NotTaken>> {
        self.clone().say(Request::Ask(tickets)).boxed()
    }
}
