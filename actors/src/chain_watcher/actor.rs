//! The shell of the chain watcher: looks at the health when it changes and each slot, reads, calls, publishes the view.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::prelude::*;
use tokio::sync::watch;
use tokio::time::timeout;

use super::core::{Config, Core, Effect};
use super::messages::{Prices, Watch};
use super::view::ChainView;
use crate::budget;
use crate::clock::Clock;
use crate::ports::chain::{Ask, ChainFault, Duty, DutyFault, SharedChain, SharedDuties};

/// How long a reading may take: a pool of a hundred from a slow public endpoint takes seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a duty is waited for before it is looked at anew; what was sent goes on by itself.
const CALL_TIMEOUT: Duration = Duration::from_secs(600);
/// Rest between two looks, however much happens: a page does not show more.
const REST: Duration = Duration::from_millis(50);

/// Watches the chain for one node.
#[derive(Debug)]
pub struct ChainWatcher {
    core: Core,
    chain: SharedChain,
    duties: Option<SharedDuties>,
    clock: Clock,
    view: Arc<watch::Sender<ChainView>>,
}

impl ChainWatcher {
    /// Goes on with what `view` holds and keeps it up to date. Without `duties` it only watches.
    #[must_use]
    pub fn new(
        config: Config,
        chain: SharedChain,
        duties: Option<SharedDuties>,
        clock: Clock,
        view: Arc<watch::Sender<ChainView>>,
    ) -> Self {
        let caller = duties.as_ref().map(|duties| duties.caller());
        let known = view.borrow().clone();
        Self { core: Core::new(config, caller, known), chain, duties, clock, view }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX)
    }

    /// Looks, then waits for a change or a slot, and so on.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let effects = self.core.on_health(self.now_ms(), self.chain.health());
        self.act(effects, ctx);
        let (changed, slot) = (self.chain.changed(), Duration::from_millis(self.core.wake_in_ms()));
        let next = async move {
            tokio::time::sleep(REST).await;
            let _ = timeout(slot, changed).await;
        };
        ctx.spawn(wrap_future::<_, Self>(next).map(|(), act, ctx| act.look(ctx)));
    }

    fn act(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Read(ask) => self.read(ask, ctx),
                Effect::Call(duty, attempt) => self.call(duty, attempt, ctx),
            }
        }
        self.publish();
    }

    fn read(&self, ask: Ask, ctx: &mut Context<Self>) {
        let reading = timeout(READ_TIMEOUT, self.chain.read(ask));
        ctx.spawn(wrap_future::<_, Self>(reading).map(|reading, act, ctx| {
            let late = || format!("no reading within {} s", READ_TIMEOUT.as_secs());
            let reading = reading.unwrap_or_else(|_| Err(ChainFault::NotNow(late())));
            if let Err(fault) = &reading {
                tracing::debug!(%fault, "the chain was not read");
            }
            let effects = act.core.on_reading(act.now_ms(), reading);
            act.act(effects, ctx);
        }));
    }

    fn call(&self, duty: Duty, attempt: u32, ctx: &mut Context<Self>) {
        let Some(duties) = &self.duties else { return };
        tracing::info!(duty = duty.name(), round = duty.round().0, attempt, "calling");
        let call = timeout(CALL_TIMEOUT, duties.call(duty, attempt));
        ctx.spawn(wrap_future::<_, Self>(call).map(move |end, act, ctx| {
            let late = || format!("not in a block within {} s", CALL_TIMEOUT.as_secs());
            let end = end.unwrap_or_else(|_| Err(DutyFault::Passing(late())));
            tracing::info!(duty = duty.name(), round = duty.round().0, ?end, "called");
            let effects = act.core.on_called(act.now_ms(), duty, end);
            act.act(effects, ctx);
        }));
    }

    fn publish(&self) {
        let new = self.core.view();
        self.view.send_if_modified(|view| {
            let changed = view != new;
            if changed {
                tell(view, new);
                view.clone_from(new);
            }
            changed
        });
    }
}

/// Says once what a person would act on.
fn tell(before: &ChainView, now: &ChainView) {
    for alarm in &now.alarms {
        if !before.alarms.iter().any(|known| known.cause.is_same(&alarm.cause)) {
            tracing::warn!(kind = alarm.cause.kind(), "{}", alarm.cause);
        }
    }
    for over in &before.alarms {
        if !now.alarms.iter().any(|alarm| alarm.cause.is_same(&over.cause)) {
            tracing::info!(kind = over.cause.kind(), "no more: {}", over.cause);
        }
    }
    let number = |view: &ChainView| view.round.as_ref().map(|round| round.number.0);
    if let Some(round) = number(now).filter(|_| number(before) != number(now)) {
        tracing::info!(round, members = now.members.len(), "round");
    }
}

impl Actor for ChainWatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(budget::MAILBOX);
        self.look(ctx);
    }
}

impl Handler<Watch> for ChainWatcher {
    type Result = ();

    fn handle(&mut self, Watch(who): Watch, _: &mut Context<Self>) {
        self.core.on_watch(&who);
    }
}

impl Handler<Prices> for ChainWatcher {
    type Result = ();

    fn handle(&mut self, Prices(limits): Prices, _: &mut Context<Self>) {
        self.core.on_prices(limits);
        self.publish();
    }
}
