//! What nodes are told at the redeemer's door: winners are acknowledged once they are on its disk, and each ticket's steps as its
//! ledger has them.
//!
//! In flow requests of pinned nodes, out flow replies. Whether a winner is good is the redeemer's business: one that is not is
//! dropped with its reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Recipient;
use actors::ports::payments::{Ledger, LedgerFault};
use actors::redeemer::messages::Won;
use alloy_primitives::{Address, B256};
use futures::FutureExt;
use futures::future::BoxFuture;
use p2p::proofs::Asked;
use p2p::wire::redeemer::{Reply, Request};
use protocol::payments::Entry;
use protocol::payments::entry::{Redemption, Winner};
use tokio::sync::mpsc;

use crate::adapters::ledger::DiskLedger;

/// A ledger that remembers the steps of each ticket, as far as they are on disk.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    disk: DiskLedger,
    known: Arc<Mutex<BTreeMap<B256, Vec<Redemption>>>>,
}

impl Steps {
    /// Goes on from all entries of the ledger.
    pub(crate) fn new<'a>(disk: DiskLedger, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let steps = Self { disk, known: Arc::default() };
        steps.know(entries);
        steps
    }

    fn know<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) {
        let mut known = self.known();
        for entry in entries {
            match entry {
                Entry::Winner(winner) => _ = known.entry(winner.id()).or_default(),
                Entry::Redemption { ticket, step, .. } => {
                    known.entry(*ticket).or_default().push(step.clone())
                }
                _ => {}
            }
        }
    }

    fn of(&self, tickets: &[B256]) -> Vec<(B256, Vec<Redemption>)> {
        let known = self.known();
        tickets.iter().filter_map(|id| Some((*id, known.get(id)?.clone()))).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<B256, Vec<Redemption>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Steps {
    fn commit(&self, entries: Vec<Entry>) -> BoxFuture<'static, Result<(), LedgerFault>> {
        let (written, steps) = (self.disk.commit(entries.clone()), self.clone());
        async move {
            written.await?;
            steps.know(&entries);
            Ok(())
        }
        .boxed()
    }
}

/// Answers nodes, one request at a time.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The orchestrator whose tickets are taken.
    pub(crate) recipient: Address,
    pub(crate) steps: Steps,
    pub(crate) redeemer: Recipient<Won>,
}

impl Desk {
    /// Answers until the line is closed. A request that cannot be answered is let go: the node asks again.
    pub(crate) async fn serve(self, mut asked: mpsc::Receiver<Asked>) {
        while let Some(Asked { from, request, reply }) = asked.recv().await {
            let answer = match Request::decode(&request) {
                Ok(Request::Ask(tickets)) => {
                    Ok(Reply { steps: self.steps.of(&tickets), refused: String::new() })
                }
                Ok(Request::Take(winners)) => self.take(winners).await,
                Err(malformed) => {
                    tracing::warn!(?from, %malformed, "a node is not understood: are both of one version?");
                    continue;
                }
            };
            match answer {
                // An error means that the node is gone.
                Ok(answer) => _ = reply.send(answer.encode()),
                Err(fault) => tracing::error!(%fault, "winners stay with their node"),
            }
        }
    }

    /// Writes down those that are new, and hands them to the redeemer.
    async fn take(&self, winners: Vec<Winner>) -> Result<Reply, LedgerFault> {
        let (ours, others): (Vec<Winner>, Vec<Winner>) =
            winners.into_iter().partition(|winner| winner.ticket.recipient == self.recipient);
        let new: Vec<Winner> =
            ours.iter().filter(|winner| !self.steps.known().contains_key(&winner.id())).cloned().collect();
        if !new.is_empty() {
            self.steps.commit(new.iter().cloned().map(Entry::Winner).collect()).await?;
            tracing::info!(winners = new.len(), "taken over");
        }
        for winner in new {
            // A redeemer that is down reads it from the ledger when it is back.
            if self.redeemer.send(Won(winner)).await.is_err() {
                tracing::debug!("a winner waits for the redeemer's restart");
            }
        }
        let refused = match others.first() {
            Some(other) => format!(
                "it redeems for {}, and {} of these are for {}",
                self.recipient,
                others.len(),
                other.ticket.recipient
            ),
            None => String::new(),
        };
        let ids: Vec<B256> = ours.iter().map(Winner::id).collect();
        Ok(Reply { steps: self.steps.of(&ids), refused })
    }
}
