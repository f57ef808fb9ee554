//! Decides what becomes of winning tickets: which wait, which go together, at what cost at most, and what the ledger says of it.
//!
//! In flow winners, proven situations and ends of orders, each with the time; out flow effects in the order in which they must
//! be done: a ledger entry comes before what depends on it. The same entries give the same state again after a crash.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, U256};
use protocol::Wei;
use protocol::payments::Entry;
use protocol::payments::entry::{Redemption, Winner};

use super::messages::Standing;
use super::plan;
pub use super::threshold::Gas;
use super::ticket::{Held, Stage, flaw, starts};
use crate::ports::redeemer::{Ask, Order, OrderFault, Paid, Settled, Situation};

/// Tickets whose use is asked for at once, first those that end first: a proof of each is about a kilobyte.
const MAX_ASKED: usize = 256;
/// Longest rest after refusals in a row, as a power of two of L1 blocks.
const MAX_REST: u32 = 5;

/// How a redeemer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What redemptions use.
    pub gas: Gas,
    /// Most orders under way at once: a pool keeps 64 transactions of an account.
    pub max_orders: usize,
    /// Most tickets of one transaction; their names must fit a wallet's name of an intent, 1024 bytes.
    pub max_batch: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { gas: Gas::default(), max_orders: 8, max_batch: 14 }
    }
}

/// What the shell does, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Puts entries into the ledger; nothing after it may happen before they are on disk.
    Write(Vec<Entry>),
    /// Sends an order, or goes on with one of this name.
    Redeem(Order),
    /// Goes on with an order of this name if it was signed, and signs nothing: what it was planned by is long gone.
    Follow(Order),
}

/// All winning tickets that are not done with.
#[derive(Debug)]
pub struct Core {
    pub(super) config: Config,
    pub(super) held: BTreeMap<B256, Held>,
    /// Names of orders under way.
    pub(super) orders: BTreeSet<String>,
    /// Tickets that are done with: a ledger or a caller may name one again.
    done: BTreeSet<B256>,
    /// The newest L2 block in which something was redeemed: what was proven before it does not show that.
    settled: u64,
    standing: Standing,
}

impl Core {
    /// Goes on from a ledger and from the names of orders that were signed and may still happen. What may be under way is
    /// followed by its name; what turns out not to be is planned afresh.
    #[must_use]
    pub fn recover(
        config: Config,
        entries: impl IntoIterator<Item = Entry>,
        under_way: &[String],
    ) -> (Self, Vec<Effect>) {
        let mut core = Self {
            config,
            held: BTreeMap::new(),
            orders: BTreeSet::new(),
            done: BTreeSet::new(),
            settled: 0,
            standing: Standing::default(),
        };
        entries.into_iter().for_each(|entry| core.fold(entry));
        let again = core.again(under_way);
        (core, again)
    }

    /// A ticket won. Known ones change nothing.
    pub fn on_winner(&mut self, now_ms: u64, winner: Winner) -> Vec<Effect> {
        let id = winner.id();
        if self.held.contains_key(&id) || self.done.contains(&id) {
            return Vec::new();
        }
        let mut steps = vec![(id, Redemption::Queued)];
        let flaw = flaw(&winner);
        self.held.insert(id, Held::new(winner));
        if let Some(reason) = flaw {
            self.finish(id);
            self.standing.dropped += 1;
            steps.push((id, Redemption::Dropped { reason }));
        }
        write(now_ms, steps).into_iter().collect()
    }

    /// What must be proven before anything is decided; none while nothing waits.
    #[must_use]
    pub fn ask(&self) -> Option<Ask> {
        let mut waiting: Vec<(&B256, &Held)> = self.held.iter().filter(|(_, held)| held.waits()).collect();
        waiting.sort_by_key(|(id, held)| (held.winner.creation_round, std::cmp::Reverse(held.face()), **id));
        let ordered = self.held.iter().filter(|(_, held)| !held.waits());
        let tickets: BTreeSet<B256> =
            ordered.chain(waiting.into_iter().take(MAX_ASKED)).map(|(id, _)| *id).collect();
        let senders = tickets.iter().map(|id| self.held[id].winner.ticket.sender).collect();
        (!tickets.is_empty()).then_some(Ask { senders, tickets })
    }

    /// The state of the chain, as proven: what is over is written off, what is due is ordered.
    pub fn on_situation(&mut self, now_ms: u64, situation: &Situation) -> Vec<Effect> {
        if situation.l2_block < self.settled {
            return Vec::new();
        }
        let over = self.over(situation);
        let mut effects: Vec<Effect> = write(now_ms, over).into_iter().collect();
        if situation.initialized {
            let orders = plan::orders(self, situation);
            orders.iter().for_each(|order| self.take_up(order));
            effects.extend(orders.into_iter().map(Effect::Redeem));
        }
        effects
    }

    /// An order's transaction is signed on disk.
    pub fn on_sent(&mut self, now_ms: u64, order: &Order, transaction: B256) -> Vec<Effect> {
        let mut steps = Vec::new();
        for id in order.winners.iter().map(Winner::id) {
            let Some(held) = self.held.get_mut(&id) else { continue };
            let stage = Stage::Ordered { attempt: order.attempt, transaction: Some(transaction) };
            if held.is_in(order.attempt) && held.stage != stage {
                held.stage = stage;
                steps.push((id, Redemption::Sent { transaction, attempt: order.attempt }));
            }
        }
        write(now_ms, steps).into_iter().collect()
    }

    /// What became of an order. `l1_block` is the newest known one.
    pub fn on_ended(
        &mut self,
        now_ms: u64,
        l1_block: u64,
        order: &Order,
        end: Result<Settled, OrderFault>,
    ) -> Vec<Effect> {
        self.orders.remove(&order.name());
        let steps = match end {
            Ok(settled) => self.settle(order, &settled),
            Err(fault) => {
                for id in order.winners.iter().map(Winner::id) {
                    self.put_back(id, order.attempt, l1_block, &fault);
                }
                Vec::new()
            }
        };
        write(now_ms, steps).into_iter().collect()
    }

    /// How it goes.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let mut standing = self.standing;
        for held in self.held.values() {
            if held.waits() {
                standing.waiting += 1;
                standing.face.0 = standing.face.0.saturating_add(held.face());
            } else {
                standing.in_flight += 1;
            }
        }
        standing
    }

    /// Its tickets wait no more.
    fn take_up(&mut self, order: &Order) {
        self.orders.insert(order.name());
        for winner in &order.winners {
            if let Some(held) = self.held.get_mut(&winner.id()) {
                held.stage = Stage::Ordered { attempt: order.attempt, transaction: None };
            }
        }
    }

    fn settle(&mut self, order: &Order, settled: &Settled) -> Vec<(B256, Redemption)> {
        self.settled = self.settled.max(settled.block);
        let count = U256::from(settled.paid.len().max(1));
        let (share, mut odd) = (settled.gas.0 / count, settled.gas.0 % count);
        self.standing.gas.0 = self.standing.gas.0.saturating_add(settled.gas.0);
        let mut steps = Vec::new();
        for id in order.winners.iter().map(Winner::id) {
            if self.done.contains(&id) {
                continue;
            }
            let Some(Paid { from_deposit, from_reserve }) = settled.paid.get(&id).copied() else {
                self.put_back(id, order.attempt, 0, &OrderFault::Void("the batch left it out".into()));
                continue;
            };
            let gas = Wei(share + std::mem::take(&mut odd));
            let (transaction, block) = (settled.transaction, settled.block);
            self.standing.redeemed += 1;
            let earned = from_deposit.0.saturating_add(from_reserve.0);
            self.standing.earned.0 = self.standing.earned.0.saturating_add(earned);
            self.finish(id);
            steps.push((id, Redemption::Redeemed { transaction, block, from_deposit, from_reserve, gas }));
        }
        steps
    }

    fn put_back(&mut self, id: B256, attempt: u32, l1_block: u64, fault: &OrderFault) {
        let Some(held) = self.held.get_mut(&id).filter(|held| held.is_in(attempt)) else { return };
        held.stage = Stage::Waiting;
        match fault {
            OrderFault::Void(_) => held.attempt = attempt.saturating_add(1),
            OrderFault::Refused(why) if !why.contains_key(&id) => {}
            OrderFault::Unsent(_) | OrderFault::Refused(_) => {
                held.not_before = l1_block.saturating_add(1 << held.refusals.min(MAX_REST));
                held.refusals = held.refusals.saturating_add(1);
            }
        }
    }

    /// Writes off what is used by others, and what waits although its rounds are over.
    fn over(&mut self, situation: &Situation) -> Vec<(B256, Redemption)> {
        let waiting = self.held.iter().filter(|(_, held)| held.waits());
        let over: Vec<(B256, Redemption)> = waiting
            .filter_map(|(id, held)| {
                if situation.used.get(id) == Some(&true) {
                    let reason =
                        "it is used: somebody else's transaction redeemed it for its recipient".into();
                    return Some((*id, Redemption::Dropped { reason }));
                }
                let ended = situation.l1_block >= starts(situation, held.over_in(None))
                    && situation.round >= held.over_in(None);
                ended.then(|| (*id, held.loss.map_or(Redemption::Expired, dropped)))
            })
            .collect();
        for (id, step) in &over {
            match step {
                Redemption::Expired => self.standing.expired += 1,
                _ => self.standing.dropped += 1,
            }
            self.finish(*id);
        }
        over
    }

    fn finish(&mut self, id: B256) {
        self.held.remove(&id);
        self.done.insert(id);
    }

    fn fold(&mut self, entry: Entry) {
        match entry {
            Entry::Winner(winner) => {
                let id = winner.id();
                if !self.done.contains(&id) {
                    self.held.entry(id).or_insert_with(|| Held::new(winner));
                }
            }
            Entry::Redemption { ticket, step, .. } => self.fold_step(ticket, &step),
            Entry::ParamsSecret { .. }
            | Entry::SessionOpened(_)
            | Entry::SessionClosed { .. }
            | Entry::NonceReserved { .. }
            | Entry::TicketsSent(_)
            | Entry::TicketsAccepted(_)
            | Entry::Debit(_)
            | Entry::Receipt(_)
            | Entry::Statement { .. }
            | Entry::WrittenOff { .. } => {}
        }
    }

    fn fold_step(&mut self, id: B256, step: &Redemption) {
        if step.is_final() {
            return self.finish(id);
        }
        let Some(held) = self.held.get_mut(&id) else { return };
        match step {
            Redemption::Sent { transaction, attempt } => {
                held.stage = Stage::Ordered { attempt: *attempt, transaction: Some(*transaction) };
                held.attempt = *attempt;
            }
            Redemption::Reopened => held.stage = Stage::Waiting,
            Redemption::Queued
            | Redemption::Redeemed { .. }
            | Redemption::Expired
            | Redemption::Dropped { .. } => {}
        }
    }

    /// Orders that may be under way: those signed ones of which nothing is settled, and what the ledger says was sent and none of
    /// them covers. A ticket in several is in the last of them.
    fn again(&mut self, under_way: &[String]) -> Vec<Effect> {
        let open = |(_, ids): &(u32, Vec<B256>)| ids.iter().all(|id| self.held.contains_key(id));
        let mut all: BTreeSet<(u32, Vec<B256>)> =
            under_way.iter().filter_map(|name| Order::parse(name)).filter(open).collect();
        let mut sent: BTreeMap<(u32, B256), Vec<B256>> = BTreeMap::new();
        for (id, held) in &self.held {
            let Stage::Ordered { attempt, transaction: Some(transaction) } = held.stage else { continue };
            if !all.iter().any(|(signed, ids)| *signed >= attempt && ids.contains(id)) {
                sent.entry((attempt, transaction)).or_default().push(*id);
            }
        }
        all.extend(sent.into_iter().map(|((attempt, _), ids)| (attempt, ids)));
        all.into_iter().filter_map(|(attempt, ids)| self.follow(attempt, &ids)).collect()
    }

    /// Follows an order of open tickets.
    fn follow(&mut self, attempt: u32, ids: &[B256]) -> Option<Effect> {
        let winners: Option<Vec<Winner>> =
            ids.iter().map(|id| Some(self.held.get(id)?.winner.clone())).collect();
        let order = Order { attempt, winners: winners?, max_cost: Wei::default() };
        for id in ids {
            if let Some(held) = self.held.get_mut(id) {
                held.attempt = held.attempt.max(attempt);
            }
        }
        self.take_up(&order);
        Some(Effect::Follow(order))
    }
}

fn dropped(loss: super::ticket::Loss) -> Redemption {
    Redemption::Dropped { reason: loss.to_string() }
}

fn write(at_ms: u64, steps: Vec<(B256, Redemption)>) -> Option<Effect> {
    let entries: Vec<Entry> =
        steps.into_iter().map(|(ticket, step)| Entry::Redemption { ticket, step, at_ms }).collect();
    (!entries.is_empty()).then_some(Effect::Write(entries))
}
