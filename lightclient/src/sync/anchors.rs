//! From the finalized L1 block up to L2: proves the rollup's assertions whenever finality moves, asks for logs that name the next one,
//! fetches the L2 headers that they commit to. Logs are hints: what counts is the word that is proven in the contract's storage.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256};
use serde::Serialize;
use tokio::sync::Notify;

use super::reads::ReadError;
use super::shared::{Shared, lock};
use super::status::{Alarm, Event};
use crate::arbitrum::path::{End, Link, PathError};
use crate::arbitrum::{Assertion, L2Anchor, Path, Rollup};
use crate::consensus::ExecAnchor;
use crate::exec::ExecHeader;
use crate::guard::{self, Guard, GuardError};
use crate::proven::{Accept, Anchor, Proven, Tier};
use crate::source::crowd::Refusal;
use crate::source::{Answer, Ask, Block, Layer, Log};
use crate::state::{Keys, Missing, ProvenState, StateView};

mod kept;

/// Requests for logs in one climb; each extends the path or ends it.
const MAX_ROUNDS: usize = 32;
/// Assertions looked at; the path itself is bounded by [`crate::arbitrum::path::MAX_PENDING`].
const MAX_ASSERTIONS: usize = 1024;

/// An execution block that a finalized beacon header names.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct L1Block {
    /// Slot of the beacon header.
    pub slot: u64,
    /// Height.
    pub number: u64,
    /// keccak-256 of its header.
    pub hash: B256,
    /// Root of its state.
    pub state_root: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

impl L1Block {
    /// What values read under it carry. Finalized L1 state is as good as confirmed.
    pub(super) const fn anchor(self) -> Anchor {
        Anchor { tier: Tier::Confirmed, l1_slot: self.slot, l2_block: self.number, timestamp: self.timestamp }
    }

    pub(super) const fn proven(self) -> Proven<Self> {
        Proven::new(self, self.anchor())
    }

    pub(super) const fn block(self) -> Block {
        Block { number: self.number, hash: self.hash }
    }
}

/// What is known of the way to L2.
#[derive(Debug)]
pub(super) struct Anchors {
    rollup: Option<Rollup>,
    known: Mutex<Known>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// Assertions by hash, with the log that showed each.
    logs: BTreeMap<B256, (Assertion, Log)>,
    pins: Vec<Guard>,
    way: Option<Arc<Way>>,
    /// Why there is no way at the newest finalized block.
    trouble: Option<ReadError>,
}

/// A proven path, and where it starts.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) l1: L1Block,
    pub(super) path: Path,
    /// L2 headers of the confirmed and the youngest assertion.
    pub(super) shown: Vec<L2Anchor>,
}

impl Anchors {
    pub(super) fn new(rollup: Option<Rollup>, assertions: &[Vec<u8>], pins: &[Vec<u8>]) -> Self {
        let logs = assertions.iter().filter_map(|bytes| kept::read_log(bytes));
        let logs = logs.filter_map(|log| Some((Assertion::from_log(&log.topics, &log.data).ok()?, log)));
        let logs = logs.map(|(assertion, log)| (assertion.hash(), (assertion, log))).collect();
        let pins = pins.iter().filter_map(|bytes| kept::read_pin(bytes)).collect();
        Self { rollup, known: Mutex::new(Known { logs, pins, ..Known::default() }), wake: Notify::new() }
    }

    pub(super) const fn rollup(&self) -> Option<&Rollup> {
        self.rollup.as_ref()
    }

    pub(super) fn nudge(&self) {
        self.wake.notify_one();
    }

    /// The newest proven path, or why there is none.
    pub(super) fn way(&self) -> Result<Arc<Way>, ReadError> {
        let known = lock(&self.known);
        match (&known.way, &known.trouble) {
            (_, Some(alarm @ ReadError::Guard(_))) => Err(alarm.clone()),
            (Some(way), _) => Ok(Arc::clone(way)),
            (None, Some(trouble)) => Err(trouble.clone()),
            (None, None) => Err(ReadError::NotYet("the rollup's assertions are not proven")),
        }
    }

    /// L2 blocks that state can be read at, strongest tier first.
    pub(super) fn anchors(&self) -> Vec<Anchor> {
        let known = lock(&self.known);
        known.way.iter().flat_map(|way| way.shown.iter().map(L2Anchor::anchor)).collect()
    }

    /// What is to be kept: the path's logs, oldest first, and the pins.
    pub(super) fn saved(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let known = lock(&self.known);
        let logs = known.path_logs().map(kept::write_log).collect();
        (logs, known.pins.iter().map(kept::write_pin).collect())
    }

    /// Logs of the path for others.
    pub(super) fn logs(&self, rollup: Address, hashes: &[B256]) -> Option<Vec<Log>> {
        self.rollup.as_ref().filter(|ours| ours.address == rollup)?;
        let known = lock(&self.known);
        let wanted =
            |log: &&Log| hashes.is_empty() || log.topics.get(1).is_some_and(|hash| hashes.contains(hash));
        let logs: Vec<Log> = known.path_logs().filter(wanted).cloned().collect();
        (!logs.is_empty()).then_some(logs)
    }

    fn hashes(&self) -> Vec<B256> {
        lock(&self.known).logs.keys().copied().collect()
    }

    fn preimages(&self) -> Vec<Assertion> {
        lock(&self.known).logs.values().map(|(assertion, _)| *assertion).collect()
    }

    fn learn(&self, found: Vec<(Assertion, Log)>) {
        let mut known = lock(&self.known);
        for (assertion, log) in found {
            if known.logs.len() < MAX_ASSERTIONS {
                known.logs.insert(assertion.hash(), (assertion, log));
            }
        }
    }

    /// Forgets what is not on the path any more.
    fn settle(&self, way: Way) {
        let mut known = lock(&self.known);
        let on_path: Vec<B256> = links(&way.path).map(|link| link.hash).collect();
        known.logs.retain(|hash, _| on_path.contains(hash));
        known.way = Some(Arc::new(way));
        known.trouble = None;
    }
}

impl Known {
    fn path_logs(&self) -> impl Iterator<Item = &Log> {
        let links = self.way.iter().flat_map(|way| links(&way.path));
        links.filter_map(|link| self.logs.get(&link.hash).map(|(_, log)| log))
    }
}

fn links(path: &Path) -> impl Iterator<Item = &Link> {
    std::iter::once(&path.confirmed).chain(&path.pending)
}

/// Climbs whenever something newer is finalized, until the task is ended.
pub(super) async fn climb(shared: Arc<Shared>) {
    if shared.anchors.rollup().is_none() {
        return;
    }
    let mut finalized = shared.finalized_slots();
    finalized.mark_changed();
    let again = Duration::from_millis(shared.config.spec.slot_ms.max(100));
    loop {
        let up_to_date = shared.climb_once().await;
        tokio::select! {
            changed = finalized.changed() => if changed.is_err() { return },
            () = shared.anchors.wake.notified() => {}
            () = tokio::time::sleep(again), if !up_to_date => {}
        }
    }
}

impl Shared {
    /// Brings the path to the newest finalized block; says whether that succeeded.
    async fn climb_once(&self) -> bool {
        if !self.core().is_synced() {
            return false;
        }
        match self.find_way().await {
            Ok(way) => {
                self.arrive(way).await;
                true
            }
            Err(error) => {
                match &error {
                    ReadError::Guard(guard) => self.raise(Alarm::Guard(*guard)),
                    other => self.raise(Alarm::Anchor(other.to_string())),
                }
                lock(&self.anchors.known).trouble = Some(error);
                false
            }
        }
    }

    async fn arrive(&self, way: Way) {
        self.clear("anchor");
        self.clear("guard");
        let before = self.anchors.anchors().last().map(|anchor| anchor.l2_block);
        let newest = way.shown.last().map(L2Anchor::anchor);
        self.anchors.settle(way);
        let Some(newest) = newest.filter(|newest| before != Some(newest.l2_block)) else { return };
        self.save().await;
        if let Some(rollup) = self.anchors.rollup()
            && let Some(logs) = self.anchors.logs(rollup.address, &[])
        {
            let ask = Ask::Assertions {
                rollup: rollup.address,
                from_block: 0,
                to_block: u64::MAX,
                hashes: Vec::new(),
            };
            self.tell(Event::Verified { ask, answer: Answer::Assertions(logs) });
        }
        self.tell(Event::Assertion(newest));
    }

    /// Proves the path at the newest finalized block, asking for logs until it ends by itself.
    async fn find_way(&self) -> Result<Way, ReadError> {
        let rollup = self.anchors.rollup().ok_or(ReadError::NoRollup)?;
        let l1 = self.l1_block().await?;
        let (mut more, mut sought) = (Keys::new(), Vec::new());
        for _ in 0..MAX_ROUNDS {
            let mut keys = rollup.keys(&self.anchors.hashes());
            more.iter().for_each(|(account, slots)| keys.entry(*account).or_default().extend(slots));
            let state = self.prove_block(Layer::L1, l1.block(), l1.state_root, &keys).await?;
            self.check_pins(rollup, &state)?;
            match self.step(rollup, &state, l1.number)? {
                Step::Arrived(path) => return self.way(l1, path).await,
                Step::Prove(missing) => missing.ask(&mut more),
                Step::Preimage(hash) => {
                    let from = l1.number.saturating_sub(rollup.confirm_period_blocks.saturating_mul(2));
                    self.anchors.learn(self.preimage(rollup, hash, from, l1.number).await?);
                }
                // What is proven so far is good in any case; a child that nobody knows of now is found next time.
                Step::Child { parent, path, .. } if sought.contains(&parent) => {
                    return self.way(l1, path).await;
                }
                Step::Child { parent, since, path } => {
                    sought.push(parent);
                    match self.children(rollup, parent, since, l1.number).await {
                        Ok(found) => self.anchors.learn(found),
                        Err(_) => return self.way(l1, path).await,
                    }
                }
            }
        }
        Err(ReadError::NotYet("the rollup's assertions need more requests than one climb may make"))
    }

    fn step(&self, rollup: &Rollup, view: &dyn StateView, l1_block: u64) -> Result<Step, ReadError> {
        match Path::prove(rollup, view, &self.anchors.preimages(), l1_block) {
            Ok(path) => Ok(match path.end {
                End::Unknown { parent } => {
                    let since = links(&path).last().unwrap_or(&path.confirmed).node.first_child;
                    Step::Child { parent, since, path }
                }
                End::Tip | End::Challenged { .. } | End::TooLong => Step::Arrived(path),
            }),
            Err(PathError::NoPreimage(hash)) => Ok(Step::Preimage(hash)),
            Err(PathError::Missing(missing) | PathError::Guard(GuardError::Missing(missing))) => {
                Ok(Step::Prove(missing))
            }
            Err(PathError::Guard(alarm)) => Err(ReadError::Guard(alarm)),
            Err(other @ (PathError::Layout(_) | PathError::Misplaced { .. })) => Err(ReadError::Path(other)),
        }
    }

    async fn way(&self, l1: L1Block, path: Path) -> Result<Way, ReadError> {
        let mut shown = vec![self.l2_header(&path.confirmed, Tier::Confirmed, l1.slot).await?];
        let (youngest, tier) = path.choose(Accept::Pending { l1_blocks: 0 });
        if youngest.hash != path.confirmed.hash {
            shown.push(self.l2_header(youngest, tier, l1.slot).await?);
        }
        Ok(Way { l1, path, shown })
    }

    fn check_pins(&self, rollup: &Rollup, state: &ProvenState) -> Result<(), ReadError> {
        let mut known = lock(&self.anchors.known);
        if known.pins.is_empty() && !rollup.pins.is_empty() {
            known.pins =
                guard::pin(state, &rollup.pins).map_err(|missing| ReadError::Guard(missing.into()))?;
        }
        guard::check(state, &known.pins).map_err(ReadError::Guard)
    }

    /// The newest finalized block. Its header is fetched where the beacon chain names its hash alone (from Gloas on).
    pub(super) async fn l1_block(&self) -> Result<L1Block, ReadError> {
        let header = self.finalized().ok_or(ReadError::NotYet("nothing is finalized"))?;
        let slot = header.slot();
        match &header.exec {
            ExecAnchor::Full(exec) => Ok(L1Block {
                slot,
                number: exec.block_number,
                hash: exec.block_hash,
                state_root: exec.state_root,
                timestamp: exec.timestamp,
            }),
            ExecAnchor::HashOnly(hash) => {
                let exec = self.header(Layer::L1, *hash).await?.0;
                Ok(L1Block {
                    slot,
                    number: exec.number,
                    hash: exec.hash,
                    state_root: exec.state_root,
                    timestamp: exec.timestamp,
                })
            }
            ExecAnchor::None => {
                Err(ReadError::NotYet("the finalized header has no execution block (before Capella)"))
            }
        }
    }

    /// The header of this hash, from the cache or from anybody.
    pub(super) async fn header(
        &self,
        layer: Layer,
        hash: B256,
    ) -> Result<(ExecHeader, alloy_primitives::Bytes), ReadError> {
        let ask = Ask::Header { layer, hash };
        let cached = self.cache().header(&ask);
        if let Some(raw) = cached
            && let Ok(header) = ExecHeader::verify(&raw, hash)
        {
            return Ok((header, raw));
        }
        let won = self
            .crowd
            .ask(&ask, |answer| match answer {
                Answer::Header(raw) => match ExecHeader::verify(&raw, hash) {
                    Ok(header) => Ok((header, raw)),
                    Err(why) => Err(Refusal::Lie(why.to_string())),
                },
                _ => Err(super::items::off_topic()),
            })
            .await?;
        self.verified(ask, Answer::Header(won.value.1.clone()));
        Ok(won.value)
    }

    /// The L2 header that an assertion commits to.
    pub(super) async fn l2_header(
        &self,
        link: &Link,
        tier: Tier,
        l1_slot: u64,
    ) -> Result<L2Anchor, ReadError> {
        let (_, raw) = self.header(Layer::L2, link.assertion.block_hash).await?;
        L2Anchor::asserted(link, tier, &raw, l1_slot).map_err(ReadError::L2)
    }

    /// Assertions after `parent`, by the logs since it got its first child.
    async fn children(
        &self,
        rollup: &Rollup,
        parent: B256,
        from: u64,
        to: u64,
    ) -> Result<Vec<(Assertion, Log)>, ReadError> {
        let ask =
            Ask::Assertions { rollup: rollup.address, from_block: from, to_block: to, hashes: Vec::new() };
        let won = self.crowd.ask(&ask, |answer| {
            let found = assertions(rollup, answer)?;
            if found.iter().any(|(assertion, _)| assertion.parent == parent) {
                return Ok(found);
            }
            Err(Refusal::Useless(format!("no child of assertion {parent} that has finished")))
        });
        Ok(won.await?.value)
    }

    /// The assertion of this hash: looked for where a confirmed one must lie, then everywhere.
    async fn preimage(
        &self,
        rollup: &Rollup,
        hash: B256,
        from: u64,
        to: u64,
    ) -> Result<Vec<(Assertion, Log)>, ReadError> {
        let mut last = ReadError::NotYet("no log was asked for");
        for from_block in [from, 0] {
            let ask =
                Ask::Assertions { rollup: rollup.address, from_block, to_block: to, hashes: vec![hash] };
            let won = self.crowd.ask(&ask, |answer| {
                let found = assertions(rollup, answer)?;
                if found.iter().any(|(assertion, _)| assertion.hash() == hash) {
                    return Ok(found);
                }
                Err(Refusal::Useless(format!("no log of assertion {hash}")))
            });
            match won.await {
                Ok(won) => return Ok(won.value),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

/// What a climb needs next.
enum Step {
    Arrived(Path),
    Prove(Missing),
    Preimage(B256),
    /// The log of a child of this assertion, made in L1 block `since`; the path so far.
    Child {
        parent: B256,
        since: u64,
        path: Path,
    },
}

/// Reads logs: changed ones are a lie, unfinished and foreign ones are passed over.
fn assertions(rollup: &Rollup, answer: Answer) -> Result<Vec<(Assertion, Log)>, Refusal> {
    let Answer::Assertions(logs) = answer else { return Err(super::items::off_topic()) };
    let mut found = Vec::new();
    for log in logs.into_iter().filter(|log| log.address == rollup.address).take(MAX_ASSERTIONS) {
        match Assertion::from_log(&log.topics, &log.data) {
            Ok(assertion) => found.push((assertion, log)),
            Err(crate::arbitrum::assertion::AssertionError::Unfinished { .. }) => {}
            Err(why) => return Err(Refusal::Lie(why.to_string())),
        }
    }
    Ok(found)
}
