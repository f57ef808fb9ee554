//! The shell of the redeemer: reads what is proven as often as there may be something new, writes each step into the ledger before
//! anything depends on it, and follows orders side by side.

use std::collections::VecDeque;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::prelude::*;
use alloy_primitives::B256;
use futures::future::BoxFuture;
use protocol::payments::Entry;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::core::{Config, Core, Effect};
use super::messages::{GetStanding, Stop, Won};
use crate::budget;
use crate::clock::Clock;
use crate::ports::payments::{LedgerFault, SharedLedger};
use crate::ports::redeemer::{NotProven, Order, OrderFault, Settled, SharedBroker, Situation};

/// How long a reading may take.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Redeems the tickets of one recipient.
#[derive(Debug)]
pub struct Redeemer {
    core: Core,
    broker: SharedBroker,
    ledger: SharedLedger,
    clock: Clock,
    /// Time between two looks at the chain.
    pace: Duration,
    /// The newest L1 block that was proven.
    l1_block: u64,
    /// What is to be done, in order; one entry is written at a time.
    effects: VecDeque<Effect>,
    writing: bool,
}

impl Redeemer {
    /// Goes on from all entries of the ledger and from the orders that the broker has under way. Looks at the chain once each
    /// `pace`.
    #[must_use]
    pub fn new(
        config: Config,
        entries: impl IntoIterator<Item = Entry>,
        broker: SharedBroker,
        ledger: SharedLedger,
        clock: Clock,
        pace: Duration,
    ) -> Self {
        let (core, effects) = Core::recover(config, entries, &broker.under_way());
        let effects = effects.into();
        Self { core, broker, ledger, clock, pace, l1_block: 0, effects, writing: false }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX)
    }

    /// Reads, decides, waits, and so on.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let Some(ask) = self.core.ask().filter(|_| !self.writing) else {
            ctx.run_later(self.pace, Self::look);
            return;
        };
        let reading = timeout(READ_TIMEOUT, self.broker.read(ask));
        ctx.spawn(wrap_future::<_, Self>(reading).map(|reading, act, ctx| {
            let late = || NotProven(format!("no reading within {} s", READ_TIMEOUT.as_secs()));
            act.looked(reading.unwrap_or_else(|_| Err(late())), ctx);
            ctx.run_later(act.pace, Self::look);
        }));
    }

    fn looked(&mut self, reading: Result<Situation, NotProven>, ctx: &mut Context<Self>) {
        match reading {
            Ok(situation) => {
                self.l1_block = self.l1_block.max(situation.l1_block);
                let effects = self.core.on_situation(self.now_ms(), &situation);
                self.act(effects, ctx);
            }
            Err(fault) => tracing::debug!(%fault, "tickets wait"),
        }
    }

    fn act(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        self.effects.extend(effects);
        self.go_on(ctx);
    }

    fn go_on(&mut self, ctx: &mut Context<Self>) {
        while !self.writing {
            match self.effects.pop_front() {
                Some(Effect::Write(entries)) => self.write(entries, ctx),
                Some(Effect::Redeem(order)) => self.redeem(order, ctx),
                Some(Effect::Follow(order)) => self.follow(order, ctx),
                None => return,
            }
        }
    }

    fn write(&mut self, entries: Vec<Entry>, ctx: &mut Context<Self>) {
        self.writing = true;
        let written = self.ledger.commit(entries);
        ctx.spawn(wrap_future::<_, Self>(written).map(|written, act, ctx| {
            act.writing = false;
            match written {
                Ok(()) => act.go_on(ctx),
                Err(fault) => give_up(&fault, ctx),
            }
        }));
    }

    fn redeem(&self, order: Order, ctx: &mut Context<Self>) {
        tracing::info!(tickets = order.winners.len(), attempt = order.attempt, "redeeming");
        let (sent, told) = oneshot::channel();
        let end = self.broker.redeem(order.clone(), sent);
        await_end(order, told, end, ctx);
    }

    fn follow(&self, order: Order, ctx: &mut Context<Self>) {
        let (sent, told) = oneshot::channel();
        let end = self.broker.follow(order.clone(), sent);
        await_end(order, told, end, ctx);
    }
}

/// Hears of an order's transaction, and of its end.
fn await_end(
    order: Order,
    told: oneshot::Receiver<B256>,
    end: BoxFuture<'static, Result<Settled, OrderFault>>,
    ctx: &mut Context<Redeemer>,
) {
    let named = order.clone();
    ctx.spawn(wrap_future::<_, Redeemer>(told).map(move |transaction, act, ctx| {
        if let Ok(transaction) = transaction {
            let effects = act.core.on_sent(act.now_ms(), &named, transaction);
            act.act(effects, ctx);
        }
    }));
    ctx.spawn(wrap_future::<_, Redeemer>(end).map(move |end, act, ctx| {
        if let Err(fault) = &end {
            tracing::info!(%fault, tickets = order.winners.len(), "not redeemed");
        }
        let effects = act.core.on_ended(act.now_ms(), act.l1_block, &order, end);
        act.act(effects, ctx);
    }));
}

/// What the core believes is no longer what is on disk: whoever supervises starts it again from the ledger.
fn give_up(fault: &LedgerFault, ctx: &mut Context<Redeemer>) {
    tracing::error!(%fault, "the redeemer stops");
    ctx.terminate();
}

impl Actor for Redeemer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(budget::MAILBOX);
        self.go_on(ctx);
        self.look(ctx);
    }
}

impl Handler<Won> for Redeemer {
    type Result = ();

    fn handle(&mut self, Won(winner): Won, ctx: &mut Context<Self>) {
        let effects = self.core.on_winner(self.now_ms(), winner);
        self.act(effects, ctx);
    }
}

impl Handler<GetStanding> for Redeemer {
    type Result = MessageResult<GetStanding>;

    fn handle(&mut self, _: GetStanding, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.core.standing())
    }
}

impl Handler<Stop> for Redeemer {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.terminate();
    }
}
