//! What the client's tasks and handles share: the core behind a lock that is never held across a wait, sources, disk, cache, alarms. The
//! only way from a verified item into the core leads through [`Shared::take`], which makes it durable before anybody is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::B256;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::{AbortHandle, spawn_blocking};

use super::anchors::Anchors;
use super::cache::Cache;
use super::checkpoint::{Checkpoint, CheckpointError, Trust};
use super::clock::{self, slot_at, start_of};
use super::core::{Checked, Conflict, Core, Effect, Item, Want};
use super::status::{Alarm, Event, Head, Origin, Phase, Status};
use super::{Config, Offered, StartError, SyncError, anchors, evidence, follow, items, resume};
use crate::consensus::{Header, Reject};
use crate::source::crowd::{Crowd, Refusal};
use crate::source::{Answer, Ask, Source};
use crate::store::{Disk, Opened, Saved};

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
    /// Items are taken one at a time, so that what is told is told in order.
    turn: tokio::sync::Mutex<()>,
    phase: watch::Sender<Phase>,
    /// Newest finalized slot that is on disk.
    finalized: watch::Sender<u64>,
    /// Bootstraps that others asked for.
    wishes: Mutex<Vec<B256>>,
    pub(super) wake: Notify,
    members: Mutex<Vec<alloy_primitives::Address>>,
}

/// The background tasks; dropping it ends them.
#[derive(Debug)]
pub(super) struct Tasks(Vec<AbortHandle>);

impl Tasks {
    pub(super) fn spawn(shared: &Arc<Shared>) -> Self {
        let follow = tokio::spawn(follow::follow(Arc::clone(shared)));
        let witness = tokio::spawn(follow::witness(Arc::clone(shared)));
        let climb = tokio::spawn(anchors::climb(Arc::clone(shared)));
        Self(vec![follow.abort_handle(), witness.abort_handle(), climb.abort_handle()])
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
    pub(super) fn open(config: Config, sources: Vec<Arc<dyn Source>>) -> Result<Self, StartError> {
        let now_ms = config.clock.now_ms();
        let spec = Arc::new(config.spec.clone());
        let mut core = Core::new(Arc::clone(&spec), config.freshness, config.heads, rand::random(), now_ms);
        let opened = config.data_dir.as_ref().map(|folder| open_disk(&config, folder)).transpose()?;
        let saved = opened.as_ref().and_then(|opened| opened.saved.clone());
        let mut alarms = BTreeMap::new();
        if let Some(warning) = opened.as_ref().and_then(|opened| opened.warning.as_ref()) {
            alarms.insert("store", Alarm::Store(warning.to_string()));
        }
        let mut pinned = Vec::new();
        let origin = match (&saved, &config.data_dir) {
            (Some(saved), Some(folder)) => {
                clock::check(&config.spec, now_ms, saved.newest_signed)?;
                pinned.clone_from(&saved.pins);
                Some(take_up(&config, folder, saved, &mut core, now_ms, &mut alarms)?)
            }
            _ => begin(&config, &mut core, now_ms, &mut alarms)?,
        };
        let finalized = core.finalized().map_or(0, Header::slot);
        let assertions = saved.as_ref().map_or(&[][..], |saved| &saved.assertions);
        Ok(Self {
            anchors: Arc::new(Anchors::new(config.rollup.clone(), assertions, &pinned)),
            crowd: Crowd::new(sources, config.patience),
            events: broadcast::Sender::new(EVENTS),
            phase: watch::Sender::new(core.phase(now_ms)),
            finalized: watch::Sender::new(finalized),
            core: Arc::new(Mutex::new(core)),
            cache: Mutex::new(Cache::new()),
            disk: Arc::new(Mutex::new(opened.map(|opened| opened.disk))),
            origin: Mutex::new(origin),
            alarms: Mutex::new(alarms),
            refused: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
            wishes: Mutex::new(Vec::new()),
            wake: Notify::new(),
            members: Mutex::new(Vec::new()),
            config,
        })
    }

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
            Err(reject) if reject.is_lie() => Err(Refusal::Lie(reject.to_string())),
            Err(reject) => {
                let witness =
                    matches!(reject, Reject::FromTheFuture { .. }).then(|| core.signed_in_future(&item));
                drop(core);
                self.doubt_clock(now_ms, witness.flatten());
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

    /// Takes a verified item in: applies it, makes it durable, then tells. Returns whether it brought the client forward.
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
        }
        advanced
    }

    async fn perform(&self, effect: Effect) -> bool {
        match effect {
            Effect::Nothing => return false,
            Effect::Old(error) => self.raise(Alarm::OldCheckpoint(error.to_string())),
            Effect::Save => self.save().await,
            Effect::Optimistic(header) => self.tell(Event::Optimistic(self.head(&header))),
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

    /// Writes the whole state as it is once its turn comes, durably.
    pub(super) async fn save(&self) {
        let (disk, core, anchors) =
            (Arc::clone(&self.disk), Arc::clone(&self.core), Arc::clone(&self.anchors));
        let written = spawn_blocking(move || {
            let mut disk = lock(&disk);
            let Some(disk) = disk.as_mut() else { return Ok(()) };
            let Some(saved) = lock(&core).saved() else { return Ok(()) };
            let (assertions, pins) = anchors.saved();
            disk.save(&Saved { assertions, pins, ..saved }).map_err(|error| error.to_string())
        });
        match written.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => self.clear("save"),
            Err(error) => self.raise(Alarm::Save(error)),
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
        // Waiters look again each time: that the head is reached need not change the phase of a chain that stalls.
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

    /// Serves from what was verified, and notes a bootstrap that is not there as a wish.
    pub(super) fn serve(&self, ask: &Ask) -> Option<Answer> {
        if let Ask::Assertions { rollup, hashes, .. } = ask {
            return self.anchors.logs(*rollup, hashes).map(Answer::Assertions);
        }
        if *ask == Ask::Checkpoint {
            let header = self.finalized()?;
            return Some(Answer::Checkpoint { root: header.root(), slot: header.slot() });
        }
        let answer = self.cache().get(ask);
        if let (None, Ask::Bootstrap { root }) = (&answer, ask) {
            let known = self.core().history().iter().any(|(_, finalized)| finalized == root);
            let mut wishes = lock(&self.wishes);
            if known && !wishes.contains(root) && wishes.len() < 4 {
                wishes.push(*root);
                self.wake.notify_one();
            }
        }
        answer
    }

    pub(super) fn take_wish(&self) -> Option<B256> {
        lock(&self.wishes).pop()
    }

    pub(super) async fn offer(&self, answer: &Answer) -> Offered {
        let Some((want, _)) = items::claim_of(answer, None) else { return Offered::Known };
        match self.check(want, answer) {
            Ok((item, checked)) => {
                if self.take(item, checked).await {
                    Offered::Advanced
                } else {
                    Offered::Known
                }
            }
            Err(Refusal::Useless(_)) => Offered::Known,
            Err(Refusal::Lie(why)) => Offered::Lie(why),
        }
    }

    /// Members of the pool as they were last read: what to fetch first, next time.
    pub(super) fn better_hint(&self, hint: &crate::livepeer::Hint) -> crate::livepeer::Hint {
        let mut hint = hint.clone();
        if hint.members.is_empty() {
            hint.members.clone_from(&lock(&self.members));
        }
        hint
    }

    pub(super) fn learn(&self, read: &crate::livepeer::Read) {
        if let crate::livepeer::Read::Pool(pool) = read {
            *lock(&self.members) = pool.members.iter().map(|member| member.address).collect();
        }
    }

    fn head(&self, header: &Header) -> Head {
        let slot = header.slot();
        let age_ms = self.now_ms().saturating_sub(start_of(&self.config.spec, slot));
        Head { slot, root: header.root(), age_s: age_ms / 1000, block: header.exec.block_number() }
    }

    pub(super) fn status(&self) -> Status {
        let (now_ms, spec) = (self.now_ms(), &self.config.spec);
        let core = self.core();
        let (finalized, optimistic) = (core.finalized().cloned(), core.optimistic().cloned());
        let (phase, period) = (core.phase(now_ms), core.store().map(crate::consensus::Store::current_period));
        drop(core);
        let sources = self.crowd.status();
        let wall_slot = slot_at(spec, now_ms);
        Status {
            network: spec.name.clone(),
            phase,
            wall_slot,
            wall_period: spec.period_at(wall_slot),
            period,
            finalized: finalized.as_ref().map(|header| self.head(header)),
            optimistic: optimistic.as_ref().map(|header| self.head(header)),
            lag_slots: optimistic.as_ref().map(|header| wall_slot.saturating_sub(header.slot())),
            origin: lock(&self.origin).clone(),
            anchors: self.anchors.anchors(),
            requests: sources.iter().map(|source| source.health.answers + source.health.failures).sum(),
            sources,
            alarms: lock(&self.alarms).values().cloned().collect(),
        }
    }
}

fn open_disk(config: &Config, folder: &std::path::Path) -> Result<Opened, StartError> {
    if let Some(path) = evidence::left(folder) {
        return Err(StartError::Evidence { path });
    }
    Ok(Disk::open(folder, config.spec.genesis_validators_root)?)
}

/// Goes on from the state on disk, however old the checkpoint in the configuration is.
fn take_up(
    config: &Config,
    folder: &std::path::Path,
    saved: &Saved,
    core: &mut Core,
    now_ms: u64,
    alarms: &mut BTreeMap<&'static str, Alarm>,
) -> Result<Origin, StartError> {
    let store = resume(&config.spec, folder, saved)?;
    let (root, slot) = (store.finalized_root(), store.finalized().slot());
    check_age(config, root, slot, now_ms, alarms)?;
    core.resume(now_ms, store, saved);
    Ok(Origin::Disk { slot })
}

/// Begins with the configured checkpoint; nothing yet where sources have to agree first.
fn begin(
    config: &Config,
    core: &mut Core,
    now_ms: u64,
    alarms: &mut BTreeMap<&'static str, Alarm>,
) -> Result<Option<Origin>, StartError> {
    let (checkpoint, origin) = match &config.trust {
        Trust::Given(checkpoint) => (*checkpoint, Origin::Given { root: checkpoint.root }),
        Trust::BuiltIn => {
            let checkpoint = Checkpoint::built_in(&config.spec)?;
            (checkpoint, Origin::BuiltIn { root: checkpoint.root })
        }
        Trust::Agreed { least } if *least < 2 => {
            return Err(CheckpointError::OneVoice { least: *least }.into());
        }
        Trust::Agreed { .. } => return Ok(None),
    };
    if let Some(slot) = checkpoint.slot {
        check_age(config, checkpoint.root, slot, now_ms, alarms)?;
    }
    core.trust([checkpoint.root]);
    Ok(Some(origin))
}

fn check_age(
    config: &Config,
    root: B256,
    slot: u64,
    now_ms: u64,
    alarms: &mut BTreeMap<&'static str, Alarm>,
) -> Result<(), CheckpointError> {
    match config.freshness.check(&config.spec, root, slot, now_ms) {
        Err(error @ CheckpointError::TooOld { .. }) if !config.freshness.strict => {
            alarms.insert("old_checkpoint", Alarm::OldCheckpoint(error.to_string()));
            Ok(())
        }
        judged => judged,
    }
}
