//! What to ask next, what an answer means, when to look again: the driver without sockets and clocks.
//!
//! In flow the time and verified objects, out flow a plan (one question, or when to come back) and effects
//! (finalized, save, halt). A chain that does not finalize leaves the client where it is: nothing is ever
//! forced. Knows no source by name.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use alloy_primitives::B256;

use super::checkpoint::{CheckpointError, Freshness};
use super::clock::slot_at;
use super::status::Phase;
use crate::consensus::{Bootstrap, FinalityUpdate, Header, OptimisticUpdate, Store, Update, Verified};
use crate::forks::ChainSpec;
use crate::store::Saved;

mod apply;
mod judge;
mod pace;

pub(super) use judge::Unfit;

/// Epochs without anything newly finalized after which the client says that it is stalled: the honest rhythm
/// is one.
const STALL_EPOCHS: u64 = 3;
/// Epochs between a checkpoint's block and the block that shows it finalized.
const FINALITY_EPOCHS: u64 = 2;
/// First pause after all sources failed, milliseconds; it doubles.
const FIRST_PAUSE_MS: u64 = 500;
/// Longest pause, slots.
const LONGEST_PAUSE_SLOTS: u64 = 5;

/// One question that brings the store forward.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Want {
    Bootstrap { root: B256 },
    Update { period: u64 },
    Finality,
    Optimistic,
}

/// What to do now: ask, or come back then (milliseconds since 1970).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Plan {
    Ask(Want),
    Wait { until_ms: u64 },
    Halted,
}

/// A claim, decoded.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Bootstrap { root: B256, bootstrap: Box<Bootstrap> },
    Update(Box<Update>),
    Finality(Box<FinalityUpdate>),
    Optimistic(Box<OptimisticUpdate>),
}

/// A claim that was verified against the store as it was.
#[derive(Clone, Debug)]
pub(super) enum Checked {
    Store(Box<Store>),
    Update(Box<Verified<Update>>),
    Finality(Box<Verified<FinalityUpdate>>),
    Optimistic(Box<Verified<OptimisticUpdate>>),
}

/// What follows from a verified answer, in order.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// A newer finalized header; to be made durable before anybody is told.
    Finalized(Box<Header>),
    /// A newer signed header.
    Optimistic(Box<Header>),
    /// The store changed in a way worth keeping.
    Save,
    /// Two histories are validly finalized; nothing is followed any more.
    Conflict(Box<Conflict>),
    /// An old checkpoint is used, as configured.
    Old(CheckpointError),
    /// The answer was true and brought nothing.
    Nothing,
}

/// Two validly signed finalized headers that exclude each other.
#[derive(Clone, Debug)]
pub(super) struct Conflict {
    pub(super) slot: u64,
    pub(super) ours: B256,
    pub(super) theirs: B256,
    /// What finalized ours; nothing where it was the checkpoint, or where that was before a restart.
    pub(super) our_proof: Option<FinalityUpdate>,
    pub(super) their_proof: FinalityUpdate,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pause {
    until_ms: u64,
    failures: u32,
}

/// The driver's state.
#[derive(Debug)]
pub(super) struct Core {
    spec: Arc<ChainSpec>,
    freshness: Freshness,
    /// Roots to bootstrap from, best first.
    roots: VecDeque<B256>,
    store: Option<Store>,
    /// Finalized slots and roots, oldest first.
    history: VecDeque<(u64, B256)>,
    /// The finality update that brought each finalized slot, as evidence should another one contradict it.
    proofs: BTreeMap<u64, FinalityUpdate>,
    newest_signed: u64,
    pauses: BTreeMap<Want, Pause>,
    /// When to fetch the update of the store's own period; drawn at random so that not all clients come at
    /// once.
    committee_at_ms: u64,
    finality_at_ms: u64,
    optimistic_at_ms: u64,
    progress_ms: u64,
    /// Times in a row that nobody had anything newer finalized.
    quiet: u32,
    synced: bool,
    halted: bool,
    why: String,
    heads: bool,
    seed: u64,
    draws: u64,
}

impl Core {
    /// A driver without any state yet. `seed` spreads this client's requests in time; `heads` says whether
    /// optimistic headers are followed.
    pub(super) fn new(
        spec: Arc<ChainSpec>,
        freshness: Freshness,
        heads: bool,
        seed: u64,
        now_ms: u64,
    ) -> Self {
        Self {
            spec,
            freshness,
            roots: VecDeque::new(),
            store: None,
            history: VecDeque::new(),
            proofs: BTreeMap::new(),
            newest_signed: 0,
            pauses: BTreeMap::new(),
            committee_at_ms: 0,
            finality_at_ms: 0,
            optimistic_at_ms: 0,
            progress_ms: now_ms,
            quiet: 0,
            synced: false,
            halted: false,
            why: String::new(),
            heads,
            seed,
            draws: 0,
        }
    }

    /// Begins with a trusted root; older ones that are known to be finalized serve where nobody has its
    /// bootstrap any more.
    pub(super) fn trust(&mut self, roots: impl IntoIterator<Item = B256>) {
        self.roots = roots.into_iter().collect();
        self.pauses.clear();
    }

    /// Takes up a stored state.
    pub(super) fn resume(&mut self, now_ms: u64, store: Store, saved: &Saved) {
        self.history = saved.finalized.iter().copied().collect();
        self.newest_signed = saved.newest_signed;
        self.install(now_ms, store);
    }

    /// Begins with the finalized roots of a stored state whose store cannot be read, newest first: where
    /// nobody has that one's bootstrap any more, an older one leads to the same chain.
    pub(super) fn begin_anew(&mut self, saved: &Saved) {
        self.history = saved.finalized.iter().copied().collect();
        self.newest_signed = saved.newest_signed;
        self.trust(saved.finalized.iter().rev().map(|(_, root)| *root));
    }

    pub(super) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Whether the client has come to the head since it began.
    pub(super) const fn is_synced(&self) -> bool {
        self.synced && !self.halted
    }

    /// Whether there is neither a state nor a root to begin with.
    pub(super) fn needs_trust(&self) -> bool {
        self.store.is_none() && self.roots.is_empty()
    }

    /// Notes why nothing goes on.
    pub(super) fn why(&mut self, why: String) {
        self.why = why;
    }

    /// Stops following for good.
    pub(super) fn halt(&mut self) {
        self.halted = true;
    }

    /// What is to be kept; nothing before the bootstrap.
    pub(super) fn saved(&self) -> Option<Saved> {
        let store = self.store.as_ref()?;
        Some(Saved {
            consensus: store.encode(),
            finalized: self.history.iter().copied().collect(),
            newest_signed: self.newest_signed,
            ..Saved::default()
        })
    }

    /// What to do now.
    pub(super) fn plan(&mut self, now_ms: u64) -> Plan {
        if self.halted {
            return Plan::Halted;
        }
        let mut wake = now_ms.saturating_add(self.spec.slot_ms);
        for (want, due_ms) in self.due(now_ms) {
            let due_ms = due_ms.max(self.pauses.get(&want).map_or(0, |pause| pause.until_ms));
            if due_ms <= now_ms {
                return Plan::Ask(want);
            }
            wake = wake.min(due_ms);
        }
        Plan::Wait { until_ms: wake }
    }

    /// What would bring the store forward, most needed first, and when each is due.
    fn due(&self, now_ms: u64) -> Vec<(Want, u64)> {
        let Some(store) = &self.store else {
            return self.roots.front().map(|root| (Want::Bootstrap { root: *root }, 0)).into_iter().collect();
        };
        let wall = self.wall_period(now_ms);
        if let Some(period) = behind(store, wall) {
            return vec![(Want::Update { period }, 0)];
        }
        let mut due = Vec::with_capacity(3);
        if self.expects_finality(now_ms) {
            due.push((Want::Finality, self.finality_at_ms));
        }
        if self.heads
            && self.synced
            && store.optimistic().slot().saturating_add(1) < slot_at(&self.spec, now_ms)
        {
            due.push((Want::Optimistic, self.optimistic_at_ms));
        }
        if !store.knows_next_committee() {
            due.push((Want::Update { period: store.current_period() }, self.committee_at_ms));
        }
        due
    }

    /// Whether an honest chain has finalized more by now than the store knows, or nobody was asked yet.
    fn expects_finality(&self, now_ms: u64) -> bool {
        // The first block of an epoch shows it, the next one carries the signatures, a third of a slot later
        // sources have them.
        let shown = now_ms.saturating_sub(self.spec.slot_ms + self.spec.slot_ms / 3);
        let epoch = self.spec.epoch_at(slot_at(&self.spec, shown)).saturating_sub(FINALITY_EPOCHS);
        let expected = epoch.saturating_mul(self.spec.preset.slots_per_epoch);
        !self.synced || self.store.as_ref().is_some_and(|store| store.finalized().slot() < expected)
    }

    pub(super) fn finalized(&self) -> Option<&Header> {
        self.store.as_ref().map(Store::finalized)
    }

    pub(super) fn optimistic(&self) -> Option<&Header> {
        self.store.as_ref().map(Store::optimistic)
    }

    /// Finalized slots and roots, oldest first.
    pub(super) const fn history(&self) -> &VecDeque<(u64, B256)> {
        &self.history
    }

    /// The period by the clock.
    pub(super) fn wall_period(&self, now_ms: u64) -> u64 {
        self.spec.period_at(slot_at(&self.spec, now_ms))
    }

    /// What the client is doing.
    pub(super) fn phase(&self, now_ms: u64) -> Phase {
        if self.halted {
            return Phase::Halted;
        }
        let since_ms = now_ms.saturating_sub(self.progress_ms);
        let patience =
            STALL_EPOCHS.saturating_mul(self.spec.preset.slots_per_epoch).saturating_mul(self.spec.slot_ms);
        if since_ms > patience {
            return Phase::Stalled { since_ms, why: self.why.clone() };
        }
        let Some(store) = &self.store else { return Phase::Bootstrapping };
        let target = self.wall_period(now_ms);
        if !self.synced || behind(store, target).is_some() {
            return Phase::CatchingUp { period: store.current_period(), target };
        }
        Phase::Following
    }
}

/// The period whose update is needed before anything newer can be verified, if the clock has left the known
/// committees behind.
fn behind(store: &Store, wall_period: u64) -> Option<u64> {
    let (current, known) = (store.current_period(), u64::from(store.knows_next_committee()));
    (wall_period > current.saturating_add(known)).then_some(current.saturating_add(known))
}

#[cfg(test)]
mod tests;
