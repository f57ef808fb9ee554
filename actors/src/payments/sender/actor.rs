//! The shell of a broadcaster's payments: writes, signs statements, checks signatures of what comes back.

use std::fmt;
use std::sync::Arc;

use actix::prelude::*;
use ed25519_dalek::SigningKey;
use protocol::payments::{Entry, SignedStatement};
use protocol::receipt::Receipt;
use protocol::tickets::credit::Credit;
use protocol::tickets::sign::TicketKey;
use protocol::{PeerKey, SignedReceipt};

use super::core::{Config, Core, Healed, Payment};
use super::messages::{
    Accounts, Alarms, Close, Compared, Denied, Doubt, Head, Lost, Open, Pay, Proven, Quoted, Received, State,
    WantsQuote, Withheld,
};
use crate::budget;
use crate::clock::Clock;
use crate::payments::Unready;
use crate::payments::books::{self, Books};
use crate::ports::payments::{SharedLedger, SharedRecall};

/// What a sender's payments need from outside.
#[derive(Clone)]
pub struct Parts {
    /// Where entries are written.
    pub ledger: SharedLedger,
    /// Where they are read again.
    pub recall: SharedRecall,
    /// Signs tickets.
    pub tickets: TicketKey,
    /// Signs statements: the node's own.
    pub key: Arc<SigningKey>,
    /// The time.
    pub clock: Clock,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("tickets", &self.tickets).finish_non_exhaustive()
    }
}

/// A broadcaster's payments.
#[derive(Debug)]
pub struct Payer {
    config: Config,
    parts: Parts,
    core: Option<Core>,
    ready: bool,
    head: Option<Head>,
    funds: Option<Proven>,
}

impl Payer {
    /// Books that are read when the actor starts.
    #[must_use]
    pub const fn new(config: Config, parts: Parts) -> Self {
        Self { config, parts, core: None, ready: false, head: None, funds: None }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.parts.clock.now().as_millis()).unwrap_or(u64::MAX)
    }

    fn core(&mut self) -> Result<&mut Core, Denied> {
        self.core.as_mut().filter(|_| self.ready).ok_or(Denied::Unready(Unready::Reading))
    }
}

/// The receipts, if all are signed by that node.
fn signed(receipts: Vec<SignedReceipt>, signer: PeerKey) -> Result<Vec<Receipt>, Denied> {
    let check = |receipt: SignedReceipt| match receipt.verify(signer) {
        Ok(()) => Ok(receipt.receipt),
        Err(_) => Err(Denied::Foreign),
    };
    receipts.into_iter().map(check).collect()
}

impl Books for Payer {
    fn ledger(&self) -> &SharedLedger {
        &self.parts.ledger
    }

    fn recall(&self) -> &SharedRecall {
        &self.parts.recall
    }

    fn restored(&mut self, entries: &[Entry]) -> Vec<Entry> {
        self.core = Some(Core::restore(self.config, self.parts.tickets.clone(), entries));
        Vec::new()
    }

    fn ready(&mut self, ready: bool) {
        self.ready = ready;
        if let Some(core) = &mut self.core {
            self.head.into_iter().for_each(|Head(head)| core.on_head(head));
            self.funds.into_iter().for_each(|Proven(funds)| core.on_funds(funds));
        }
    }
}

impl Actor for Payer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(budget::MAILBOX);
        books::read(self, ctx);
    }
}

impl Handler<Head> for Payer {
    type Result = ();

    fn handle(&mut self, head: Head, _: &mut Context<Self>) {
        self.head = Some(head);
        if let Some(core) = &mut self.core {
            core.on_head(head.0);
        }
    }
}

impl Handler<Doubt> for Payer {
    type Result = ();

    fn handle(&mut self, _: Doubt, _: &mut Context<Self>) {
        self.head = None;
        if let Some(core) = &mut self.core {
            core.on_doubt();
        }
    }
}

impl Handler<Proven> for Payer {
    type Result = ();

    fn handle(&mut self, proven: Proven, _: &mut Context<Self>) {
        self.funds = Some(proven);
        if let Some(core) = &mut self.core {
            core.on_funds(proven.0);
        }
    }
}

impl Handler<Open> for Payer {
    type Result = ResponseActFuture<Self, Result<(), Denied>>;

    fn handle(&mut self, open: Open, _: &mut Context<Self>) -> Self::Result {
        let (at, stream) = (self.now_ms(), Some(open.stream));
        let opened = self
            .core()
            .and_then(|core| Ok(core.open(at, open.session, stream, open.recipient, open.price)?));
        books::answer(self, opened)
    }
}

impl Handler<WantsQuote> for Payer {
    type Result = bool;

    fn handle(&mut self, WantsQuote(session): WantsQuote, _: &mut Context<Self>) -> bool {
        self.core.as_ref().is_some_and(|core| core.wants_quote(&session))
    }
}

impl Handler<Quoted> for Payer {
    type Result = Result<(), Denied>;

    fn handle(&mut self, Quoted(quote): Quoted, _: &mut Context<Self>) -> Self::Result {
        Ok(self.core()?.on_quote(quote)?)
    }
}

impl Handler<Pay> for Payer {
    type Result = ResponseActFuture<Self, Result<Payment, Denied>>;

    fn handle(&mut self, Pay { session, seq, pixels }: Pay, _: &mut Context<Self>) -> Self::Result {
        let at = self.now_ms();
        let paid = self.core().and_then(|core| Ok(core.pay(at, session, seq, pixels)?));
        books::answer(self, paid)
    }
}

impl Handler<Received> for Payer {
    type Result = ResponseActFuture<Self, Result<Credit, Denied>>;

    fn handle(&mut self, received: Received, _: &mut Context<Self>) -> Self::Result {
        let at = self.now_ms();
        let cost = signed(vec![received.receipt], received.signer).and_then(|receipts| {
            let receipt = receipts.into_iter().next().ok_or(Denied::Foreign)?;
            Ok(self.core()?.on_receipt(at, received.session, receipt)?)
        });
        books::answer(self, cost)
    }
}

impl Handler<Lost> for Payer {
    type Result = ();

    fn handle(&mut self, Lost { session, seq }: Lost, _: &mut Context<Self>) {
        if let Some(core) = &mut self.core {
            core.on_lost(session, seq);
        }
    }
}

impl Handler<Withheld> for Payer {
    type Result = ();

    fn handle(&mut self, Withheld { session, seq }: Withheld, _: &mut Context<Self>) {
        if let Some(core) = &mut self.core {
            core.on_withheld(session, seq);
        }
    }
}

impl Handler<State> for Payer {
    type Result = Option<SignedStatement>;

    fn handle(&mut self, State(session): State, _: &mut Context<Self>) -> Self::Result {
        let core = self.core.as_ref().filter(|_| self.ready)?;
        Some(core.statement(&session)?.sign(&self.parts.key))
    }
}

impl Handler<Compared> for Payer {
    type Result = ResponseActFuture<Self, Result<Healed, Denied>>;

    fn handle(&mut self, compared: Compared, _: &mut Context<Self>) -> Self::Result {
        let (at, signer) = (self.now_ms(), compared.signer);
        let healed = signed(compared.receipts, signer).and_then(|receipts| {
            compared.theirs.verify(signer).map_err(|_| Denied::Foreign)?;
            Ok(self.core()?.on_statement(at, &compared.theirs, &receipts)?)
        });
        books::answer(self, healed)
    }
}

impl Handler<Close> for Payer {
    type Result = ResponseActFuture<Self, Result<(), Denied>>;

    fn handle(&mut self, Close(session): Close, _: &mut Context<Self>) -> Self::Result {
        let at = self.now_ms();
        let closed = self.core().map(|core| core.close(at, session));
        books::answer(self, closed)
    }
}

impl Handler<Alarms> for Payer {
    type Result = MessageResult<Alarms>;

    fn handle(&mut self, _: Alarms, _: &mut Context<Self>) -> Self::Result {
        let at = self.now_ms();
        MessageResult(self.core.as_ref().map(|core| core.alarms(at)).unwrap_or_default())
    }
}

impl Handler<Accounts> for Payer {
    type Result = MessageResult<Accounts>;

    fn handle(&mut self, _: Accounts, _: &mut Context<Self>) -> Self::Result {
        let core = self.core.as_ref().filter(|_| self.ready);
        MessageResult(core.map(|core| core.accounts().cloned().collect()))
    }
}
