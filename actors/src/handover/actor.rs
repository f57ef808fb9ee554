//! The shell of the handover: one question at a time, as often as there is something to say, each step into the ledger before the
//! next question. Takes the same messages as a redeemer in this process.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::prelude::*;
use protocol::payments::Entry;

use super::core::{Core, Say};
use crate::budget;
use crate::clock::Clock;
use crate::ports::handover::{NotTaken, SharedRemote, Steps};
use crate::ports::payments::{LedgerFault, SharedLedger};
use crate::redeemer::messages::{GetStanding, Stop, Won};

/// Hands over the winners of one node.
#[derive(Debug)]
pub struct Handover {
    core: Core,
    remote: SharedRemote,
    ledger: SharedLedger,
    clock: Clock,
    /// Time between two questions.
    pace: Duration,
    /// Whether the redeemer answered the last one.
    heard: bool,
}

impl Handover {
    /// Goes on from all entries of the ledger. Asks once each `pace`, and at once while winners wait to be handed over.
    #[must_use]
    pub fn new(
        entries: impl IntoIterator<Item = Entry>,
        remote: SharedRemote,
        ledger: SharedLedger,
        clock: Clock,
        pace: Duration,
    ) -> Self {
        Self { core: Core::recover(entries), remote, ledger, clock, pace, heard: true }
    }

    fn ask(&mut self, ctx: &mut Context<Self>) {
        let Some(say) = self.core.to_say() else {
            ctx.run_later(self.pace, Self::ask);
            return;
        };
        let answer = match say.clone() {
            Say::Take(winners) => self.remote.take(winners),
            Say::Ask(tickets) => self.remote.ask(tickets),
        };
        ctx.spawn(
            wrap_future::<_, Self>(answer).map(move |answer, act, ctx| act.answered(&say, answer, ctx)),
        );
    }

    fn answered(&mut self, said: &Say, answer: Result<Steps, NotTaken>, ctx: &mut Context<Self>) {
        let heard = answer.is_ok();
        if heard != std::mem::replace(&mut self.heard, heard) {
            match &answer {
                Ok(_) => tracing::info!("the redeemer answers"),
                Err(fault) => tracing::warn!(%fault, "winners are kept and handed over later"),
            }
        }
        let Ok(steps) = answer else {
            ctx.run_later(self.pace, Self::ask);
            return;
        };
        let now_ms = u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX);
        let entries = self.core.on_steps(now_ms, said, steps);
        // More winners may wait; one that was not taken waits for its next turn.
        let took = matches!(said, Say::Take(_)) && !entries.is_empty();
        let rest = if took { Duration::ZERO } else { self.pace };
        if entries.is_empty() {
            ctx.run_later(rest, Self::ask);
            return;
        }
        let written = self.ledger.commit(entries);
        ctx.spawn(wrap_future::<_, Self>(written).map(move |written, _, ctx| match written {
            Ok(()) => _ = ctx.run_later(rest, Self::ask),
            Err(fault) => give_up(&fault, ctx),
        }));
    }
}

/// What the core believes is no longer what is on disk: whoever supervises starts it again from the ledger.
fn give_up(fault: &LedgerFault, ctx: &mut Context<Handover>) {
    tracing::error!(%fault, "winners are handed over no more");
    ctx.terminate();
}

impl Actor for Handover {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(budget::MAILBOX);
        self.ask(ctx);
    }
}

impl Handler<Won> for Handover {
    type Result = ();

    fn handle(&mut self, Won(winner): Won, _: &mut Context<Self>) {
        self.core.on_winner(winner);
    }
}

impl Handler<GetStanding> for Handover {
    type Result = MessageResult<GetStanding>;

    fn handle(&mut self, _: GetStanding, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.core.standing())
    }
}

impl Handler<Stop> for Handover {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.terminate();
    }
}
