//! The shell of an orchestrator's payments: draws seeds, writes, signs receipts and statements, passes winners on.

use std::fmt;
use std::sync::Arc;

use actix::prelude::*;
use alloy_primitives::{Address, B256, U256};
use ed25519_dalek::SigningKey;
use protocol::payments::entry::Winner;
use protocol::payments::{Entry, SignedStatement};
use protocol::tickets::quote::Quote;
use protocol::{SignedReceipt, receipt};
use tokio::sync::mpsc;

use super::account::Hold;
use super::core::{Accepted, Config, Core};
use super::messages::{
    Again, AskQuote, Compare, Denied, Doubt, Head, Order, Proven, Redeemed, Release, Senders, Settle,
};
use super::refusal::Refusal;
use crate::budget;
use crate::clock::Clock;
use crate::payments::books::{self, Books};
use crate::payments::{Commit, Unready};
use crate::ports::payments::{SharedLedger, SharedRecall};

/// Receipts that are shown with a statement.
type Compared = (SignedStatement, Vec<SignedReceipt>);

/// What a recipient's payments need from outside.
#[derive(Clone)]
pub struct Parts {
    /// Where entries are written.
    pub ledger: SharedLedger,
    /// Where they are read again.
    pub recall: SharedRecall,
    /// Signs receipts and statements.
    pub key: Arc<SigningKey>,
    /// Where winners go. One that does not fit is in the ledger, where the redeemer finds it when it looks next.
    pub winners: mpsc::Sender<Winner>,
    /// The time.
    pub clock: Clock,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// An orchestrator's payments.
#[derive(Debug)]
pub struct Payee {
    config: Config,
    parts: Parts,
    core: Option<Core>,
    ready: bool,
    head: Option<Head>,
}

impl Payee {
    /// Books that are read when the actor starts.
    #[must_use]
    pub const fn new(config: Config, parts: Parts) -> Self {
        Self { config, parts, core: None, ready: false, head: None }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.parts.clock.now().as_millis()).unwrap_or(u64::MAX)
    }

    fn core(&mut self) -> Result<&mut Core, Denied> {
        self.core.as_mut().filter(|_| self.ready).ok_or(Denied::Unready(Unready::Reading))
    }

    /// Winners of a commit go on when they are on disk: the ledger keeps the order of commits, so an answer does too.
    fn credit(&mut self, batch: &protocol::tickets::batch::Batch) -> Result<Credited, Denied> {
        let now = self.now_ms();
        let Commit { entries, answer } = self.core()?.accept(now, batch);
        let won = |entry: &Entry| match entry {
            Entry::Winner(winner) => Some(winner.clone()),
            _ => None,
        };
        let winners = entries.iter().filter_map(won).collect();
        Ok(Credited { entries, winners, answer })
    }
}

/// What came of a batch, not on disk yet.
struct Credited {
    entries: Vec<Entry>,
    winners: Vec<Winner>,
    answer: Result<Accepted, Refusal>,
}

/// Passes winners on once they are on disk, then unwraps the answer that was waiting for it.
fn after<T: 'static>(
    act: &Payee,
    entries: Vec<Entry>,
    winners: Vec<Winner>,
    answer: Result<T, Refusal>,
) -> ResponseActFuture<Payee, Result<T, Denied>> {
    let written = books::answer(act, Ok::<_, Denied>(Commit { entries, answer }));
    Box::pin(written.map(|answer, act: &mut Payee, _: &mut Context<Payee>| {
        let answer = answer?;
        for winner in winners {
            tracing::info!(ticket = %winner.id(), face = %protocol::Wei(winner.ticket.face_value), "a ticket won");
            if act.parts.winners.try_send(winner).is_err() {
                tracing::debug!("the redeemer is busy and will find the winner in the ledger");
            }
        }
        Ok(answer?)
    }))
}

fn now<T: 'static>(answer: Result<T, Denied>) -> ResponseActFuture<Payee, Result<T, Denied>> {
    Box::pin(actix::fut::ready(answer))
}

impl Books for Payee {
    fn ledger(&self) -> &SharedLedger {
        &self.parts.ledger
    }

    fn recall(&self) -> &SharedRecall {
        &self.parts.recall
    }

    fn restored(&mut self, entries: &[Entry]) -> Vec<Entry> {
        let Commit { entries, answer } =
            Core::restore(self.config, entries, B256::from(rand::random::<[u8; 32]>()));
        let mut core = answer;
        self.core.iter().flat_map(Core::proven).for_each(|(sender, facts)| core.on_facts(sender, facts));
        self.core = Some(core);
        entries
    }

    fn ready(&mut self, ready: bool) {
        self.ready = ready;
        if let (Some(core), Some(Head(head))) = (self.core.as_mut(), self.head) {
            core.on_head(head);
        }
    }
}

impl Actor for Payee {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(budget::MAILBOX);
        books::read(self, ctx);
    }
}

impl Handler<Head> for Payee {
    type Result = ();

    fn handle(&mut self, head: Head, _: &mut Context<Self>) {
        self.head = Some(head);
        if let Some(core) = &mut self.core {
            core.on_head(head.0);
        }
    }
}

impl Handler<Doubt> for Payee {
    type Result = ();

    fn handle(&mut self, _: Doubt, _: &mut Context<Self>) {
        self.head = None;
        if let Some(core) = &mut self.core {
            core.on_doubt();
        }
    }
}

impl Handler<Proven> for Payee {
    type Result = ();

    fn handle(&mut self, Proven(sender, facts): Proven, _: &mut Context<Self>) {
        if let Some(core) = &mut self.core {
            core.on_facts(sender, facts);
        }
    }
}

impl Handler<Redeemed> for Payee {
    type Result = ();

    fn handle(&mut self, Redeemed(ticket, step): Redeemed, _: &mut Context<Self>) {
        if let Some(core) = &mut self.core {
            core.on_redemption(ticket, &step);
        }
    }
}

impl Handler<Senders> for Payee {
    type Result = MessageResult<Senders>;

    fn handle(&mut self, _: Senders, _: &mut Context<Self>) -> Self::Result {
        let mut senders: Vec<Address> = self.core.iter().flat_map(Core::senders).collect();
        senders.sort_unstable();
        senders.dedup();
        MessageResult(senders)
    }
}

impl Handler<AskQuote> for Payee {
    type Result = ResponseActFuture<Self, Result<Quote, Denied>>;

    fn handle(&mut self, AskQuote(ask): AskQuote, _: &mut Context<Self>) -> Self::Result {
        let (at, seed) = (self.now_ms(), U256::from_limbs(rand::random()));
        let quote = self.core().and_then(|core| Ok(core.quote(at, &ask, seed)?));
        books::answer(self, quote)
    }
}

impl Handler<Order> for Payee {
    type Result = ResponseActFuture<Self, Result<Hold, Denied>>;

    fn handle(&mut self, order: Order, _: &mut Context<Self>) -> Self::Result {
        let credited = match order.tickets.as_ref().map(|batch| self.credit(batch)).transpose() {
            Ok(credited) => credited,
            Err(denied) => return now(Err(denied)),
        };
        let (entries, winners, told) = match credited {
            None => (Vec::new(), Vec::new(), None),
            Some(Credited { entries, winners, answer: Err(refusal) }) => (entries, winners, Some(refusal)),
            Some(Credited { entries, winners, answer: Ok(accepted) }) => {
                (entries, winners, accepted.refused.into_iter().map(|(_, refusal)| refusal).next())
            }
        };
        let held = match self.core() {
            Ok(core) => core.admit(order.sender, order.session, order.seq, order.pixels),
            Err(denied) => return now(Err(denied)),
        };
        // Too little credit because a ticket was not good: the reason is the ticket's.
        let held = held.map_err(|refusal| match (refusal, told) {
            (Refusal::Credit { .. }, Some(ticket)) => ticket,
            (refusal, _) => refusal,
        });
        after(self, entries, winners, held)
    }
}

impl Handler<Again> for Payee {
    type Result = ResponseActFuture<Self, Result<Accepted, Denied>>;

    fn handle(&mut self, Again(batch): Again, _: &mut Context<Self>) -> Self::Result {
        match self.credit(&batch) {
            Ok(Credited { entries, winners, answer }) => after(self, entries, winners, answer),
            Err(denied) => now(Err(denied)),
        }
    }
}

impl Handler<Settle> for Payee {
    type Result = ResponseActFuture<Self, Result<SignedReceipt, Denied>>;

    fn handle(&mut self, Settle { session, receipt }: Settle, _: &mut Context<Self>) -> Self::Result {
        let at = self.now_ms();
        let settled = self.core().and_then(|core| Ok(core.settle(at, session, receipt.clone())?));
        let settled = settled.map(|Commit { entries, .. }| Commit { entries, answer: receipt });
        let written = books::answer(self, settled);
        Box::pin(written.map(|receipt, act: &mut Self, _: &mut Context<Self>| {
            receipt.map(|receipt: receipt::Receipt| receipt.sign(&act.parts.key))
        }))
    }
}

impl Handler<Release> for Payee {
    type Result = ();

    fn handle(&mut self, Release { session, seq }: Release, _: &mut Context<Self>) {
        if let Some(core) = &mut self.core {
            core.release(session, seq);
        }
    }
}

impl Handler<Compare> for Payee {
    type Result = ResponseActFuture<Self, Result<Compared, Denied>>;

    fn handle(
        &mut self,
        Compare { sender, session, theirs }: Compare,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let (at, key) = (self.now_ms(), Arc::clone(&self.parts.key));
        let core = match self.core() {
            Ok(core) => core,
            Err(denied) => return now(Err(denied)),
        };
        let signed = theirs.filter(|(statement, signer)| statement.verify(*signer).is_ok());
        let known = signed.as_ref().map_or(0, |(theirs, _)| theirs.statement.works);
        let entries = signed.map(|(theirs, _)| core.on_statement(at, &theirs).entries).unwrap_or_default();
        let ours = core.statement(sender, session, known).map(|(statement, receipts)| {
            (statement.sign(&key), receipts.into_iter().map(|receipt| receipt.sign(&key)).collect())
        });
        after(self, entries, Vec::new(), ours)
    }
}
