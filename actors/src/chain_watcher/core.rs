//! Decides what is read next, what the node knows, what is alarming and which duty is due. Sans-IO: (now, input) -> effects,
//! next wake. Times are Unix milliseconds.
//!
//! In: the health of what follows the chain, readings, ends of duties. Out: reads and calls to do, and a [`ChainView`] that
//! only ever gets newer: a reading of an older block is not taken, and a failed one takes nothing away.

use std::sync::Arc;

use alloy_primitives::Address;

use super::alarm::{Cause, Leaving};
use super::alarms;
use super::duties::Book;
use super::view::{ChainView, Known, Own, PriceLimits};
use crate::ports::chain::{Ask, Called, ChainFault, Duty, DutyFault, Health, Reading};

/// Addresses that are watched for taking money out at a time; each costs a few slots of every reading.
pub const MOST_WATCHED: usize = 64;
/// Slots between two readings at least, and after the first failure.
const READ_GAP: u64 = 4;
/// Slots after which is read again even when no newer block was heard of: the accepted tier may need no announcement.
const READ_EVERY: u64 = 50;

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This node's own orchestrator.
    pub own: Option<Address>,
    /// Who is watched from the beginning.
    pub watched: Vec<Address>,
    /// Milliseconds from one L1 block to the next.
    pub slot_ms: u64,
    /// Age of the proven state from which on a person is told.
    pub stale_after_ms: u64,
    /// How much more than the pool's last is near eviction, percent of it.
    pub eviction_percent: u64,
}

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reads the chain and tells the end by [`Core::on_reading`].
    Read(Ask),
    /// Does a duty and tells the end by [`Core::on_called`].
    Call(Duty, u32),
}

/// See the module.
#[derive(Debug)]
pub struct Core {
    config: Config,
    watched: Vec<Address>,
    view: ChainView,
    book: Book,
    client: Vec<Cause>,
    leaving: Vec<(Address, Leaving)>,
    refused: Option<Cause>,
    anchor: Option<u64>,
    reading: bool,
    read_at_ms: Option<u64>,
    failures: u32,
}

impl Core {
    /// Goes on with what was known before; `caller` is whose key calls duties.
    #[must_use]
    pub fn new(config: Config, caller: Option<Address>, view: ChainView) -> Self {
        let mut watched = config.watched.clone();
        watched.truncate(MOST_WATCHED);
        let book = Book::new(caller);
        Self {
            config,
            watched,
            view,
            book,
            client: Vec::new(),
            leaving: Vec::new(),
            refused: None,
            anchor: None,
            reading: false,
            read_at_ms: None,
            failures: 0,
        }
    }

    /// What is known.
    #[must_use]
    pub fn view(&self) -> &ChainView {
        &self.view
    }

    /// The health was looked at.
    pub fn on_health(&mut self, now_ms: u64, health: Health) -> Vec<Effect> {
        let Health { anchor, l1, alarms, sources } = health;
        self.anchor = anchor.or(self.anchor);
        self.view.l1 = l1.or(self.view.l1);
        self.client = alarms;
        if *self.view.sources != sources {
            self.view.sources = Arc::new(sources);
        }
        self.step(now_ms)
    }

    /// A reading ended.
    pub fn on_reading(&mut self, now_ms: u64, reading: Result<Reading, ChainFault>) -> Vec<Effect> {
        self.reading = false;
        self.read_at_ms = Some(now_ms);
        match reading {
            Ok(reading) => {
                (self.failures, self.refused) = (0, None);
                if self.view.known.is_none_or(|known| known.l2_block <= reading.l2_block) {
                    self.take(now_ms, reading);
                }
            }
            Err(fault) => {
                self.failures = self.failures.saturating_add(1);
                self.refused = match fault {
                    ChainFault::NotNow(_) => self.refused.take(),
                    ChainFault::UnknownTarget(why) => Some(Cause::UnknownTarget(why)),
                    ChainFault::Unreadable(why) => Some(Cause::Unreadable(why)),
                };
            }
        }
        self.step(now_ms)
    }

    fn take(&mut self, now_ms: u64, reading: Reading) {
        let Reading { tier, l1_slot, l2_block, at_ms, round, members, pool_limit, own, balance, leaving } =
            reading;
        let view = &mut self.view;
        let facts = 1 + members.len() + usize::from(own.is_some()) + usize::from(balance.is_some());
        view.reads.count(tier, facts as u64);
        view.known = Some(Known { tier, l1_slot, l2_block, at_ms, read_at_ms: now_ms });
        view.round = Some(round);
        view.members = Arc::new(members.into_iter().collect());
        view.pool_limit = pool_limit;
        let caller = self.book.caller;
        view.own = self.config.own.zip(own).map(|(address, (registered, facts))| Own {
            address,
            caller,
            balance,
            registered,
            facts,
        });
        self.leaving = leaving;
        self.book.on_reading(&mut self.view, now_ms);
    }

    /// A duty ended.
    pub fn on_called(&mut self, now_ms: u64, duty: Duty, end: Result<Called, DutyFault>) -> Vec<Effect> {
        self.book.ended(&mut self.view, now_ms, duty, end);
        self.step(now_ms)
    }

    /// Somebody else is to be watched too. The oldest beyond [`MOST_WATCHED`] are let go.
    pub fn on_watch(&mut self, who: &[Address]) {
        for address in who {
            self.watched.retain(|known| known != address);
            self.watched.push(*address);
        }
        let over = self.watched.len().saturating_sub(MOST_WATCHED);
        self.watched.drain(..over);
    }

    /// A price feed says between which prices this node works.
    pub fn on_prices(&mut self, prices: PriceLimits) {
        self.view.prices = prices;
    }

    /// Time has passed.
    pub fn on_wake(&mut self, now_ms: u64) -> Vec<Effect> {
        self.step(now_ms)
    }

    /// Milliseconds until [`Core::on_wake`] is wanted: one slot, in which rounds and ages move.
    #[must_use]
    pub fn wake_in_ms(&self) -> u64 {
        self.config.slot_ms
    }

    fn step(&mut self, now_ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !self.reading && self.wants_reading(now_ms) {
            self.reading = true;
            effects.push(Effect::Read(self.ask()));
        }
        if let Some((duty, attempt)) = self.book.begin(&self.view, now_ms) {
            effects.push(Effect::Call(duty, attempt));
        }
        self.renew_alarms(now_ms);
        effects
    }

    /// A newer block, a round that must be over, or long ago; never more often than each few slots, and slower after failures.
    fn wants_reading(&self, now_ms: u64) -> bool {
        let Some(read_at_ms) = self.read_at_ms else { return self.anchor.is_some() };
        let slots = now_ms.saturating_sub(read_at_ms) / self.config.slot_ms.max(1);
        let known = self.view.known.map(|known| known.l2_block);
        let over = self.view.round.as_ref().map(|round| round.end_block());
        let round_is_over = over.is_some_and(|end| self.view.l1_block(now_ms) >= Some(end));
        let newer = self.anchor > known || (round_is_over && self.anchor != known);
        let gap = READ_GAP.saturating_mul(1 << self.failures.saturating_sub(1).min(8)).min(READ_EVERY);
        slots >= READ_EVERY || (slots >= gap && (newer || self.failures > 0))
    }

    fn ask(&self) -> Ask {
        Ask {
            members: self.view.members.keys().copied().collect(),
            own: self.config.own,
            caller: self.book.caller,
            watched: self.watched.clone(),
        }
    }

    fn renew_alarms(&mut self, now_ms: u64) {
        let mut causes = self.client.clone();
        let told = |kind: &str| self.client.iter().any(|cause| cause.kind() == kind);
        causes.extend(self.refused.clone().filter(|cause| !told(cause.kind())));
        let rewarded = self.book.rewarded(&self.view);
        causes.extend(alarms::of_view(&self.config, &self.view, now_ms, rewarded));
        causes.extend(self.leaving.iter().map(|&(who, how)| Cause::Leaving { who, how }));
        causes.extend(self.book.no_gas());
        alarms::renew(&mut self.view.alarms, causes, now_ms);
    }
}
