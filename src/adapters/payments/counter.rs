//! An orchestrator's counter: what others ask of its books, answered in the words of the wire.

use actors::budget;
use actors::payments::recipient::actor::Payee;
use actors::payments::recipient::core::{Accepted, Ask};
use actors::payments::recipient::messages::{Again, AskQuote, Compare, Denied};
use actors::supervise::Slot;
use p2p::payment::{Asked, Counter, Reply, Request};
use protocol::payments::unpaid::{Cause, Unpaid};
use protocol::{PeerKey, PricePerPixel};

use super::facts::Wants;

/// What an answer needs.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) books: Slot<Payee>,
    /// What is asked for a pixel, as this node's record says.
    pub(crate) price: PricePerPixel,
    pub(crate) facts: Wants,
}

/// Answers until the mesh ends.
pub(crate) async fn serve(mut counter: Counter, desk: Desk) {
    while let Some(Asked { from, request, reply }) = counter.next().await {
        let desk = desk.clone();
        tokio::spawn(async move {
            let said = desk.answer(from, request).await;
            tracing::debug!(peer = ?from, ?said, "asked of the books");
            // An error means that the asker is gone.
            let _ = reply.send(said);
        });
    }
}

impl Desk {
    async fn answer(&self, from: PeerKey, request: Request) -> Reply {
        let said = match request {
            Request::Quote(ask) => self.quote(ask).await,
            Request::Compare { session, sender, theirs } => {
                let theirs = theirs.map(|statement| (statement, from));
                let (statement, receipts) = match self.ask(Compare { sender, session, theirs }).await {
                    Ok(compared) => compared,
                    Err(unpaid) => return Reply::Unpaid(unpaid),
                };
                Ok(Reply::Compared { statement, receipts })
            }
            Request::Again(batch) => self.ask(Again(batch)).await.and_then(taken),
        };
        said.unwrap_or_else(Reply::Unpaid)
    }

    /// A sender of whom nothing is proven yet is read first.
    async fn quote(&self, ask: p2p::payment::Ask) -> Result<Reply, Unpaid> {
        let p2p::payment::Ask { session, sender, stream, pixels } = ask;
        let ask = Ask { session, sender, stream, pixels, price: self.price };
        let quote = match self.ask(AskQuote(ask.clone())).await {
            Err(Unpaid { cause: Cause::Unproven, .. }) => {
                self.facts.read(sender).await;
                self.ask(AskQuote(ask)).await
            }
            quote => quote,
        };
        quote.map(Reply::Quote)
    }

    async fn ask<M, T>(&self, message: M) -> Result<T, Unpaid>
    where
        M: actix::Message<Result = Result<T, Denied>> + Send + 'static,
        T: Send + 'static,
        Payee: actix::Handler<M>,
    {
        let asked = tokio::time::timeout(budget::ASK, self.books.recipient().send(message)).await;
        match asked.ok().and_then(Result::ok) {
            Some(said) => said.map_err(|denied| Unpaid::from(&denied)),
            None => Err(Unpaid::new(Cause::NotReady, "this orchestrator's books are down")),
        }
    }
}

/// Tickets of which all are refused are refused.
fn taken(accepted: Accepted) -> Result<Reply, Unpaid> {
    match (accepted.credited.len(), accepted.refused.into_iter().next()) {
        (0, Some((_, refusal))) => Err(Unpaid::new(refusal.cause(), refusal)),
        (credited, _) => Ok(Reply::Taken { credited: u32::try_from(credited).unwrap_or(u32::MAX) }),
    }
}
