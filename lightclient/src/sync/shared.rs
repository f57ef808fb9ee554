//! What the client's tasks and handles share: the core behind a lock that is never held across a wait,
//! sources, disk, cache, alarms. The only way from a verified item into the core leads through
//! [`Shared::take`], which makes it durable before anybody is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast, watch};
use tokio::task::{AbortHandle, spawn_blocking};

use super::anchors::Anchors;
use super::cache::Cache;
use super::checkpoint::{Checkpoint, CheckpointError};
use super::clock::{self};
use super::core::{Checked, Conflict, Core, Effect, Item, Unfit, Want};
use super::status::{Alarm, Event, Origin, Phase};
use super::{Config, SyncError, anchors, evidence, follow, items};
use crate::consensus::{Header, Reject};
use crate::source::crowd::{Crowd, Refusal};
use crate::source::{Answer, Ask};
use crate::store::{Disk, Saved};

mod open;
mod serve;
mod view;

use serve::Wishes;

/// Events that a slow listener may be behind.
const EVENTS: usize = 256;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) crowd: Crowd,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) anchors: Arc<Anchors>,
    core: Arc<Mutex<Core>>,
    cache: Mutex<Cache>,
    disk: Arc<Mutex<Option<Disk>>>,
    origin: Mutex<Option<Origin>>,
    alarms: Mutex<BTreeMap<&'static str, Alarm>>,
    /// Why there will be no sync, once that is certain.
    refused: Mutex<Option<SyncError>>,
    /// Finalized slot that was on disk at the start.
    floor: u64,
    /// Items are taken one at a time, so that what is told is told in order.
    turn: tokio::sync::Mutex<()>,
    phase: watch::Sender<Phase>,
    /// Newest finalized slot that is on disk.
    finalized: watch::Sender<u64>,
    /// What others asked for.
    wishes: Mutex<Wishes>,
    wished: Notify,
    pub(super) wake: Notify,
}

/// The background tasks; dropping it ends them.
#[derive(Debug)]
pub(super) struct Tasks(Vec<AbortHandle>);

impl Tasks {
    pub(super) fn spawn(shared: &Arc<Shared>) -> Self {
        let follow = tokio::spawn(follow::follow(Arc::clone(shared)));
        let witness = tokio::spawn(follow::witness(Arc::clone(shared)));
        let climb = tokio::spawn(anchors::climb(Arc::clone(shared)));
        let grant = tokio::spawn(serve::grant(Arc::clone(shared)));
        Self([follow, witness, climb, grant].iter().map(tokio::task::JoinHandle::abort_handle).collect())
    }

    pub(super) fn stop(&self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn now_ms(&self) -> u64 {
        self.config.clock.now_ms()
    }

    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.cache)
    }

    /// The newest finalized header.
    pub(super) fn finalized(&self) -> Option<Header> {
        self.core().finalized().cloned()
    }

    /// Changes whenever something newer is finalized and on disk.
    pub(super) fn finalized_slots(&self) -> watch::Receiver<u64> {
        self.finalized.subscribe()
    }

    pub(super) fn nudge(&self) {
        self.core().nudge();
        self.wake.notify_one();
        self.anchors.nudge();
    }

    /// Begins with a checkpoint that sources agreed on.
    pub(super) fn trust_agreed(&self, checkpoint: Checkpoint, by: Vec<String>) {
        *lock(&self.origin) = Some(Origin::Agreed { root: checkpoint.root, by });
        self.core().trust([checkpoint.root]);
    }

    /// Decodes and checks an answer to a want against the store as it is.
    pub(super) fn check(&self, want: Want, answer: &Answer) -> Result<(Item, Checked), Refusal> {
        let item = items::decode(&self.config.spec, want, answer)?;
        let now_ms = self.now_ms();
        let core = self.core();
        match core.judge(now_ms, &item) {
            Ok(checked) => Ok((item, checked)),
            Err(Unfit::Idle) => Err(Refusal::Useless("it is valid, and nothing new is in it".to_owned())),
            Err(Unfit::Rejected(reject)) if reject.is_lie() => Err(Refusal::Lie(reject.to_string())),
            Err(Unfit::Rejected(reject)) => {
                let future = matches!(reject, Reject::FromTheFuture { .. });
                let witness = if future { core.signed_in_future(&item) } else { None };
                drop(core);
                self.doubt_clock(now_ms, witness);
                Err(Refusal::Useless(reject.to_string()))
            }
        }
    }

    fn doubt_clock(&self, now_ms: u64, signed: Option<u64>) {
        let Some(signed) = signed else { return };
        if let Err(behind) = clock::check(&self.config.spec, now_ms, signed) {
            self.raise(Alarm::Clock(behind));
        }
    }

    /// Takes a verified item in: applies it, makes it durable, then tells. Returns whether it brought the
    /// client forward.
    pub(super) async fn take(&self, item: Item, checked: Checked) -> bool {
        let _turn = self.turn.lock().await;
        let now_ms = self.now_ms();
        let effects = self.core().accept(now_ms, checked);
        let effects = match effects {
            Ok(effects) => effects,
            Err(error) => {
                self.refuse(error);
                return false;
            }
        };
        self.clear("clock");
        let mut advanced = false;
        for effect in effects {
            advanced |= self.perform(effect).await;
        }
        if advanced {
            self.publish(&item);
            if matches!(item, Item::Update(_) | Item::Bootstrap { .. }) {
                self.keep_cached().await;
            }
        }
        advanced
    }

    async fn perform(&self, effect: Effect) -> bool {
        match effect {
            Effect::Nothing => return false,
            Effect::Old(error) => self.raise(Alarm::OldCheckpoint(error.to_string())),
            Effect::Save => self.save().await,
            Effect::Optimistic(header) => self.tell(Event::Optimistic(self.head(&header))),
            // On the way back to what was promised before the start: no news, and nothing to keep.
            Effect::Finalized(header) if header.slot() < self.floor => {}
            Effect::Finalized(header) => {
                self.save().await;
                self.clear("stalled");
                self.finalized.send_replace(header.slot());
                self.tell(Event::Finalized(self.head(&header)));
            }
            Effect::Conflict(conflict) => self.halt(&conflict),
        }
        true
    }

    /// Writes the whole state as it is once its turn comes, durably; not while it is older than what is on
    /// disk.
    pub(super) async fn save(&self) {
        if self.finalized().is_none_or(|header| header.slot() < self.floor) {
            return;
        }
        let (disk, core, anchors) =
            (Arc::clone(&self.disk), Arc::clone(&self.core), Arc::clone(&self.anchors));
        let written = spawn_blocking(move || {
            let mut disk = lock(&disk);
            let Some(disk) = disk.as_mut() else { return Ok(()) };
            let Some(saved) = lock(&core).saved() else { return Ok(()) };
            let (assertions, pins) = anchors.saved();
            disk.save(&Saved { assertions, pins, ..saved }).map_err(|error| error.to_string())
        });
        match written.await {
            Ok(Ok(())) => {
                self.clear("save");
                self.clear("store");
            }
            Ok(Err(error)) => self.raise(Alarm::Save(error)),
            // The program is ending; what was durable before still is.
            Err(ended) if ended.is_cancelled() => {}
            Err(panicked) => self.raise(Alarm::Save(panicked.to_string())),
        }
    }

    /// Writes what makes the next start cheap, for newcomers and for this node itself.
    async fn keep_cached(&self) {
        let (disk, updates) = (Arc::clone(&self.disk), self.cache().to_keep());
        let write = move || lock(&disk).as_mut().map_or(Ok(()), |disk| disk.save_updates(&updates));
        if let Ok(Err(error)) = spawn_blocking(write).await {
            self.raise(Alarm::Save(error.to_string()));
        }
    }

    fn publish(&self, item: &Item) {
        let (ask, answer) = items::relayed(&self.config.spec, item);
        self.verified(ask, answer);
    }

    /// Keeps a verified answer for others and tells of it.
    pub(super) fn verified(&self, ask: Ask, answer: Answer) {
        self.cache().put(ask.clone(), answer.clone());
        self.tell(Event::Verified { ask, answer });
    }

    fn halt(&self, conflict: &Conflict) {
        let Conflict { slot, ours, theirs, .. } = *conflict;
        let kept = self
            .config
            .data_dir
            .as_ref()
            .map(|folder| evidence::keep(folder, &self.config.spec.name, conflict));
        let evidence = match kept {
            Some(Ok(path)) => path,
            Some(Err(error)) => format!("nothing, because it could not be written: {error}").into(),
            None => "this process's memory only".into(),
        };
        let alarm = Alarm::Conflict { slot, ours, theirs, evidence };
        *lock(&self.refused) = Some(SyncError::Halted(alarm.to_string()));
        self.raise(alarm);
        self.look();
    }

    fn refuse(&self, error: CheckpointError) {
        self.core().halt();
        self.raise(Alarm::OldCheckpoint(error.to_string()));
        *lock(&self.refused) = Some(SyncError::Checkpoint(error));
        self.look();
    }

    pub(super) fn refused(&self) -> Option<SyncError> {
        lock(&self.refused).clone()
    }

    /// Tells of a change of phase, and raises or ends the alarm of a stall.
    pub(super) fn look(&self) {
        let phase = self.core().phase(self.now_ms());
        if let Phase::Stalled { since_ms, why } = &phase {
            let finalized = *self.finalized.borrow();
            self.raise(Alarm::Stalled { finalized, since_ms: *since_ms, why: why.clone() });
        } else {
            self.clear("stalled");
        }
        // Waiters look again each time: that the head is reached need not change the phase of a chain that
        // stalls.
        let before = self.phase.send_replace(phase.clone());
        let changed = std::mem::discriminant(&before) != std::mem::discriminant(&phase);
        if changed {
            self.anchors.nudge();
            self.tell(Event::Phase(phase));
        }
    }

    pub(super) fn raise(&self, alarm: Alarm) {
        let before = lock(&self.alarms).insert(alarm.kind(), alarm.clone());
        if before.is_none_or(|before| before.kind() != "stalled" && before != alarm) {
            tracing::warn!(kind = alarm.kind(), %alarm, "alarm");
            self.tell(Event::Alarm(alarm));
        }
    }

    pub(super) fn clear(&self, kind: &'static str) {
        lock(&self.alarms).remove(kind);
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody listens: no fault.
        let _ = self.events.send(event);
    }

    pub(super) async fn wait_synced(&self) -> Result<(), SyncError> {
        let mut phase = self.phase.subscribe();
        loop {
            phase.borrow_and_update();
            if let Some(refused) = self.refused() {
                return Err(refused);
            }
            if self.core().is_synced() {
                return Ok(());
            }
            phase.changed().await.map_err(|_| SyncError::Stopped)?;
        }
    }

    /// Returns when nothing is being written any more; nothing will be.
    pub(super) async fn stopped(&self) {
        let disk = Arc::clone(&self.disk);
        // The task can only fail by a panic in dropping a file.
        let _ = spawn_blocking(move || drop(lock(&disk).take())).await;
    }
}
