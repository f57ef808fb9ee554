//! A broadcaster's purse: opens accounts, has them quoted, pays, and makes both books agree again where something was lost. One for
//! the node; it knows no stream's orchestrators.
//!
//! What it says to orchestrators goes over the control plane; what it writes and signs is the payer's business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::budget;
use actors::payments::sender::account::Account as Books;
use actors::payments::sender::actor::Payer;
use actors::payments::sender::alarm::Alarm;
use actors::payments::sender::core::Healed;
use actors::payments::sender::messages::{
    Accounts, Alarms, Close, Compared, Denied, Lost, Open, Pay, Quoted, Received, State, WantsQuote, Withheld,
};
use actors::ports::{Candidate, SharedMesh};
use actors::supervise::Slot;
use alloy_primitives::Address;
use p2p::Control;
use p2p::payment::{self, Ask, Reply, Request};
use protocol::payments::unpaid::{Cause, Unpaid};
use protocol::payments::{Payment, SessionId};
use protocol::{PeerKey, PricePerPixel, SignedReceipt, StreamId};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Times that books are compared in a row: once, again after lost tickets were sent again, and once more.
const ROUNDS: u32 = 3;
/// Rest before an account is tried to be closed again, and how often that is tried.
const CLOSE_AGAIN: Duration = Duration::from_millis(500);
const CLOSE_TRIES: u32 = 20;
/// Rest between two looks for the orchestrators of accounts of an earlier run.
const LOOK: Duration = Duration::from_secs(1);

/// An account, and who is at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) session: SessionId,
    /// Who is asked.
    pub(crate) peer: PeerKey,
    /// Whose signature counts.
    pub(crate) signer: PeerKey,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Purse {
    payer: Slot<Payer>,
    /// Whose tickets they are.
    sender: Address,
    control: Control,
    /// Why somebody is not paid now, for people: by stream and orchestrator.
    told: Mutex<BTreeMap<(StreamId, PeerKey), Unpaid>>,
    /// Accounts that are being closed.
    closing: TaskTracker,
    runtime: tokio::runtime::Handle,
}

impl Purse {
    /// Needs a tokio runtime around it.
    pub(crate) fn new(payer: Slot<Payer>, sender: Address, control: Control) -> Self {
        Self {
            payer,
            sender,
            control,
            told: Mutex::default(),
            closing: TaskTracker::new(),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// Opens an account, or nothing where it is open.
    pub(crate) async fn open(
        &self,
        session: SessionId,
        stream: &StreamId,
        recipient: Address,
        price: PricePerPixel,
    ) -> Result<(), Unpaid> {
        self.ask(Open { session, stream: stream.clone(), recipient, price }).await
    }

    /// Has an account quoted, if it needs that or `anew`, for segments of so many pixels.
    pub(crate) async fn renew(
        &self,
        account: &Account,
        stream: &StreamId,
        pixels: u64,
        anew: bool,
    ) -> Result<(), Unpaid> {
        if !anew && !self.send(WantsQuote(account.session)).await? {
            return Ok(());
        }
        let ask = Ask { session: account.session, sender: self.sender, stream: Some(stream.clone()), pixels };
        match self.say(account, Request::Quote(ask)).await? {
            Reply::Quote(quote) => self.ask(Quoted(quote)).await,
            reply => Err(unasked(&reply)),
        }
    }

    /// What goes with a segment of at most so many pixels.
    pub(crate) async fn pay(&self, session: SessionId, seq: u64, pixels: u64) -> Result<Payment, Unpaid> {
        let paid = self.ask(Pay { session, seq, pixels }).await?;
        Ok(Payment { session, sender: self.sender, tickets: paid.tickets })
    }

    /// A receipt came.
    pub(crate) async fn received(&self, account: &Account, receipt: SignedReceipt) -> Result<(), Unpaid> {
        self.ask(Received { session: account.session, receipt, signer: account.signer }).await.map(drop)
    }

    /// No receipt will come, and nobody need be to blame for it.
    pub(crate) async fn lost(&self, session: SessionId, seq: u64) {
        if self.send(Lost { session, seq }).await.is_err() {
            // Books that are read again know of the order, and take it for lost.
            tracing::debug!(?session, seq, "the books are down");
        }
    }

    /// The orchestrator took the segment and let its deadline pass: if it shows a receipt for it later, it kept what was paid for.
    pub(crate) async fn withheld(&self, session: SessionId, seq: u64) {
        if self.send(Withheld { session, seq }).await.is_err() {
            tracing::debug!(?session, seq, "the books are down");
        }
    }

    /// Makes both books agree, as far as they can.
    pub(crate) async fn heal(&self, account: &Account) -> Result<(), Unpaid> {
        let Account { session, signer, .. } = *account;
        for _ in 0..ROUNDS {
            let theirs = self.send(State(session)).await?;
            let compare = Request::Compare { session, sender: self.sender, theirs };
            let compared = match self.say(account, compare).await? {
                Reply::Compared { statement, receipts } => Compared { theirs: statement, receipts, signer },
                reply => return Err(unasked(&reply)),
            };
            match self.ask(compared).await? {
                Healed::Agreed { receipts, written_off } => {
                    if receipts > 0 || written_off != protocol::tickets::credit::Credit::ZERO {
                        tracing::info!(peer = ?account.peer, receipts, lost = %written_off, "books agree again");
                    }
                    return Ok(());
                }
                Healed::Resend(batch) => match self.say(account, Request::Again(batch)).await {
                    Ok(_) | Err(Unpaid { cause: Cause::Replay, .. }) => {}
                    Err(unpaid) => return Err(unpaid),
                },
            }
        }
        Err(Unpaid::new(Cause::Credit, "both books do not come to agree"))
    }

    /// Closes an account in the background, once both books agree.
    pub(crate) fn retire(self: &Arc<Self>, account: Account) {
        let this = Arc::clone(self);
        self.closing.spawn_on(async move { this.close(&account).await }, &self.runtime);
    }

    async fn close(&self, account: &Account) {
        for _ in 0..CLOSE_TRIES {
            match self.heal(account).await {
                // One that the orchestrator never heard of has nothing in it.
                Ok(()) | Err(Unpaid { cause: Cause::Session, .. }) => {
                    if let Err(why) = self.ask(Close(account.session)).await {
                        tracing::debug!(session = ?account.session, %why, "an account is not closed");
                    }
                    return;
                }
                Err(Unpaid { cause: Cause::Distrust, words }) => {
                    return tracing::warn!(peer = ?account.peer, words, "an account stays open");
                }
                Err(why) => tracing::debug!(peer = ?account.peer, %why, "an account is not closed yet"),
            }
            tokio::time::sleep(CLOSE_AGAIN).await;
        }
        tracing::info!(peer = ?account.peer, "an account is left to the next start");
    }

    /// Resolves when all accounts are closed that should be.
    pub(crate) async fn finish(&self) {
        self.closing.close();
        self.closing.wait().await;
    }

    /// Accounts of an earlier run are closed as their orchestrators are met. Its streams went on in new ones.
    pub(crate) async fn close_old(self: Arc<Self>, mesh: SharedMesh, before_ms: u64) {
        let mut old = loop {
            if let Ok(Some(accounts)) = self.send(Accounts).await {
                break accounts;
            }
            tokio::time::sleep(LOOK).await;
        };
        old.retain(|books: &Books| books.opened.at_ms < before_ms);
        while !old.is_empty() {
            let candidates = mesh.candidates();
            old.retain(|books| {
                let pays =
                    |c: &&Candidate| c.stake.as_ref().is_some_and(|s| s.staker == books.opened.recipient);
                let Some(met) = candidates.iter().find(pays) else { return true };
                let session = books.opened.session;
                self.retire(Account { session, peer: met.peer, signer: met.receipt_key });
                false
            });
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What people should be told before payments stop.
    pub(crate) async fn alarms(&self) -> Result<Vec<Alarm>, Unpaid> {
        self.send(Alarms).await
    }

    /// Held by each stream, so that [`Self::finish`] waits for its accounts too.
    pub(crate) fn stream(&self) -> TaskTrackerToken {
        self.closing.token()
    }

    /// Notes why somebody is not paid, or that it is.
    pub(crate) fn note(&self, stream: &StreamId, peer: PeerKey, why: Option<Unpaid>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) => _ = told.insert((stream.clone(), peer), why),
            None => _ = told.remove(&(stream.clone(), peer)),
        }
    }

    /// Why nobody pays `peer` now, on any stream.
    pub(crate) fn told(&self, peer: PeerKey) -> Option<Unpaid> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().find(|((_, known), _)| *known == peer).map(|(_, why)| why.clone())
    }

    /// Forgets what was said of a stream that has ended.
    pub(crate) fn forget(&self, stream: &StreamId) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _), _| known != stream);
    }

    async fn say(&self, account: &Account, request: Request) -> Result<Reply, Unpaid> {
        match payment::ask(&self.control, account.peer, &request).await {
            Ok(Reply::Unpaid(unpaid)) => Err(unpaid),
            Ok(reply) => Ok(reply),
            Err(error) => Err(Unpaid::new(Cause::NotReady, error)),
        }
    }

    async fn send<M>(&self, message: M) -> Result<M::Result, Unpaid>
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        Payer: actix::Handler<M>,
    {
        let sent = tokio::time::timeout(budget::ASK, self.payer.recipient().send(message)).await;
        let down = || Unpaid::new(Cause::NotReady, "this node's books are down");
        sent.ok().and_then(Result::ok).ok_or_else(down)
    }

    async fn ask<M, T>(&self, message: M) -> Result<T, Unpaid>
    where
        M: actix::Message<Result = Result<T, Denied>> + Send + 'static,
        T: Send + 'static,
        Payer: actix::Handler<M>,
    {
        self.send(message).await?.map_err(|denied| Unpaid::from(&denied))
    }
}

fn unasked(reply: &Reply) -> Unpaid {
    Unpaid::new(Cause::Distrust, format!("the orchestrator answers another question: {reply:?}"))
}
