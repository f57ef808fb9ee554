//! From the finalized L1 block up to L2: proves the rollup's assertions whenever finality moves, asks for
//! logs that name the next one, fetches the L2 headers that they commit to. Logs are hints: what counts is
//! the word that is proven in the contract's storage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256};
use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::reads::ReadError;
use super::shared::lock;
use crate::arbitrum::node::{Node, Status};
use crate::arbitrum::path::Link;
use crate::arbitrum::{Assertion, L2Anchor, Path, Rollup};
use crate::guard::Guard;
use crate::proven::{Anchor, Proven, Tier};
use crate::source::{Block, Log};
use crate::state::{ProvenState, StateView};

mod climb;
mod kept;

pub(super) use climb::climb;

/// Climbs in a confirmation period: on Arbitrum One one in 76 L1 blocks, which is the least distance between
/// assertions.
const CLIMBS_IN_PERIOD: u64 = 600;
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
    /// Counts what became known of the way.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    /// Assertions by hash.
    logs: BTreeMap<B256, Told>,
    pins: Vec<Guard>,
    way: Option<Arc<Way>>,
    /// Why there is no way at the newest finalized block.
    trouble: Option<ReadError>,
}

/// An assertion that somebody told of.
#[derive(Clone, Debug)]
struct Told {
    assertion: Assertion,
    log: Log,
    /// The source; nobody where it was on disk.
    by: Option<Arc<str>>,
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
        let logs =
            logs.map(|(assertion, log)| (assertion.hash(), Told { assertion, log, by: None })).collect();
        let pins = pins.iter().filter_map(|bytes| kept::read_pin(bytes)).collect();
        let known = Mutex::new(Known { logs, pins, ..Known::default() });
        Self { rollup, known, wake: Notify::new(), news: watch::Sender::new(0) }
    }

    pub(super) const fn rollup(&self) -> Option<&Rollup> {
        self.rollup.as_ref()
    }

    pub(super) fn nudge(&self) {
        self.wake.notify_one();
    }

    /// The newest proven path, or why there is none.
    pub(super) fn way(&self) -> Result<Arc<Way>, ReadError> {
        if self.rollup.is_none() {
            return Err(ReadError::NoRollup);
        }
        let known = lock(&self.known);
        match (&known.way, &known.trouble) {
            (_, Some(alarm @ ReadError::Guard(_))) => Err(alarm.clone()),
            (Some(way), _) => Ok(Arc::clone(way)),
            (None, Some(trouble)) => Err(trouble.clone()),
            (None, None) => Err(ReadError::NotYet("the rollup's assertions are not proven")),
        }
    }

    /// Whether the path is of less than `blocks` L1 blocks ago, and nothing went wrong since.
    fn is_fresh(&self, l1_block: u64, blocks: u64) -> bool {
        let known = lock(&self.known);
        known.trouble.is_none()
            && known.way.as_ref().is_some_and(|way| l1_block < way.l1.number.saturating_add(blocks))
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

    /// Whether an assertion on the path commits to this L2 block.
    pub(super) fn commits_to(&self, block: B256) -> bool {
        let known = lock(&self.known);
        known.way.iter().any(|way| links(&way.path).any(|link| link.assertion.block_hash == block))
    }

    fn hashes(&self) -> Vec<B256> {
        lock(&self.known).logs.keys().copied().collect()
    }

    fn preimages(&self) -> Vec<Assertion> {
        lock(&self.known).logs.values().map(|told| told.assertion).collect()
    }

    fn learn(&self, found: Vec<Told>) {
        let mut known = lock(&self.known);
        for told in found {
            if known.logs.len() < MAX_ASSERTIONS {
                known.logs.entry(told.assertion.hash()).or_insert(told);
            }
        }
    }

    /// Forgets assertions that the contract does not know, and says who told of them.
    fn drop_inventions(&self, rollup: &Rollup, state: &ProvenState) -> BTreeSet<Arc<str>> {
        let invented = |hash: &B256| {
            let word = state.storage(rollup.address, rollup.assertion_slot(*hash));
            word.is_ok_and(|word| Node::decode(word).is_ok_and(|node| node.status == Status::None))
        };
        let mut by = BTreeSet::new();
        lock(&self.known).logs.retain(|hash, told| {
            let keep = !invented(hash);
            if !keep {
                by.extend(told.by.clone());
            }
            keep
        });
        by
    }

    /// Forgets what is not on the path any more.
    fn settle(&self, way: Way) {
        let mut known = lock(&self.known);
        let on_path: Vec<B256> = links(&way.path).map(|link| link.hash).collect();
        known.logs.retain(|hash, _| on_path.contains(hash));
        known.way = Some(Arc::new(way));
        known.trouble = None;
        drop(known);
        self.news.send_modify(|news| *news += 1);
    }

    /// Notes why there is no way at the newest finalized block.
    fn note(&self, trouble: ReadError) {
        lock(&self.known).trouble = Some(trouble);
        self.news.send_modify(|news| *news += 1);
    }

    /// Waits until L2 state can be read, or it is certain that waiting does not help.
    pub(super) async fn wait(&self) -> Result<(), ReadError> {
        let mut news = self.news.subscribe();
        loop {
            news.borrow_and_update();
            match self.way() {
                Ok(_) => return Ok(()),
                Err(certain @ (ReadError::NoRollup | ReadError::Guard(_) | ReadError::Path(_))) => {
                    return Err(certain);
                }
                Err(_) => {}
            }
            if news.changed().await.is_err() {
                return Err(ReadError::NotYet("the light client was stopped"));
            }
        }
    }
}

impl Known {
    fn path_logs(&self) -> impl Iterator<Item = &Log> {
        let links = self.way.iter().flat_map(|way| links(&way.path));
        links.filter_map(|link| self.logs.get(&link.hash).map(|told| &told.log))
    }
}

fn links(path: &Path) -> impl Iterator<Item = &Link> {
    std::iter::once(&path.confirmed).chain(&path.pending)
}
