//! The way up, step by step: what is proven decides what is asked for next. Logs are hints: what counts is
//! the word that is proven in the contract's storage.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::B256;

use super::{CLIMBS_IN_PERIOD, L1Block, MAX_ASSERTIONS, MAX_ROUNDS, Told, Way, links};
use crate::arbitrum::path::{End, Link, PathError};
use crate::arbitrum::{Assertion, L2Anchor, Path, Rollup};
use crate::consensus::ExecAnchor;
use crate::exec::ExecHeader;
use crate::guard;
use crate::guard::GuardError;
use crate::proven::{Accept, Tier};
use crate::source::crowd::{Outcome, Refusal, Won};
use crate::source::{Answer, Ask, Layer};
use crate::state::{Keys, Missing, ProvenState, StateView};
use crate::sync::items;
use crate::sync::reads::{ReadError, join_keys};
use crate::sync::shared::{Shared, lock};
use crate::sync::status::{Alarm, Event};

/// Climbs whenever something newer is finalized, until the task is ended.
pub(in crate::sync) async fn climb(shared: Arc<Shared>) {
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
            Ok(None) => true,
            Ok(Some(way)) => {
                self.arrive(way).await;
                true
            }
            Err(error) => {
                match &error {
                    ReadError::Guard(guard) => self.raise(Alarm::Guard(*guard)),
                    other => self.raise(Alarm::Anchor(other.to_string())),
                }
                self.anchors.note(error);
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
            let ask = logs_of(rollup, 0, u64::MAX, Vec::new());
            self.tell(Event::Verified { ask, answer: Answer::Assertions(logs) });
        }
        self.tell(Event::Assertion(newest));
    }

    /// Proves the path at the newest finalized block, asking for logs until it ends by itself.
    ///
    /// Nothing where the last one is young enough: every node of the path is proven anew each time, because
    /// any of them may have got a rival, so this is not done more often than new assertions can come.
    async fn find_way(&self) -> Result<Option<Way>, ReadError> {
        let rollup = self.anchors.rollup().ok_or(ReadError::NoRollup)?;
        let l1 = self.l1_block().await?;
        if self.anchors.is_fresh(l1.number, rollup.confirm_period_blocks / CLIMBS_IN_PERIOD) {
            return Ok(None);
        }
        let (mut more, mut sought) = (Keys::new(), Vec::new());
        for _ in 0..MAX_ROUNDS {
            let mut keys = rollup.keys(&self.anchors.hashes());
            join_keys(&mut keys, &more);
            let state = self.prove_block(Layer::L1, l1.block(), l1.state_root, &keys).await?;
            self.check_pins(rollup, &state)?;
            if self.blame_inventors(rollup, &state) {
                sought.clear();
            }
            match self.step(rollup, &state, l1.number)? {
                Step::Arrived(path) => return self.way(l1, path).await.map(Some),
                Step::Prove(missing) => missing.ask(&mut more),
                Step::Preimage(hash) => {
                    let from = l1.number.saturating_sub(rollup.confirm_period_blocks.saturating_mul(2));
                    self.anchors.learn(self.preimage(rollup, hash, from, l1.number).await?);
                }
                // What is proven so far is good in any case; a child that nobody knows of now is found next
                // time.
                Step::Child { parent, path, .. } if sought.contains(&parent) => {
                    return self.way(l1, path).await.map(Some);
                }
                Step::Child { parent, since, path } => {
                    sought.push(parent);
                    match self.children(rollup, parent, since, l1.number).await {
                        Ok(found) => self.anchors.learn(found),
                        Err(_) => return self.way(l1, path).await.map(Some),
                    }
                }
            }
        }
        Err(ReadError::NotYet("the rollup's assertions need more requests than one climb may make"))
    }

    /// Whether somebody told of assertions that are not in the contract: held against the source, so that
    /// another one is asked first.
    fn blame_inventors(&self, rollup: &Rollup, state: &ProvenState) -> bool {
        let inventors = self.anchors.drop_inventions(rollup, state);
        for by in &inventors {
            let why = "it tells of an assertion that is not in the rollup's storage".to_owned();
            self.crowd.note(by, &logs_of(rollup, 0, 0, Vec::new()), Outcome::Refused(Refusal::Lie(why)));
        }
        !inventors.is_empty()
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

    /// The newest finalized block. Its header is fetched where the beacon chain names its hash alone (from
    /// Gloas on).
    pub(in crate::sync) async fn l1_block(&self) -> Result<L1Block, ReadError> {
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
    pub(in crate::sync) async fn header(
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
                _ => Err(items::off_topic()),
            })
            .await?;
        self.verified(ask, Answer::Header(won.value.1.clone()));
        Ok(won.value)
    }

    /// The L2 header that an assertion commits to.
    pub(in crate::sync) async fn l2_header(
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
    ) -> Result<Vec<Told>, ReadError> {
        let ask = logs_of(rollup, from, to, Vec::new());
        let won = self.crowd.ask(&ask, |answer| {
            let found = assertions(rollup, answer)?;
            if found.iter().any(|told| told.assertion.parent == parent) {
                return Ok(found);
            }
            Err(Refusal::Useless(format!("no child of assertion {parent} that has finished")))
        });
        Ok(told_by(won.await?))
    }

    /// The assertion of this hash: looked for where a confirmed one must lie, then everywhere.
    async fn preimage(
        &self,
        rollup: &Rollup,
        hash: B256,
        from: u64,
        to: u64,
    ) -> Result<Vec<Told>, ReadError> {
        let mut last = ReadError::NotYet("no log was asked for");
        for from_block in [from, 0] {
            let ask = logs_of(rollup, from_block, to, vec![hash]);
            let won = self.crowd.ask(&ask, |answer| {
                let found = assertions(rollup, answer)?;
                if found.iter().any(|told| told.assertion.hash() == hash) {
                    return Ok(found);
                }
                Err(Refusal::Useless(format!("no log of assertion {hash}")))
            });
            match won.await {
                Ok(won) => return Ok(told_by(won)),
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

const fn logs_of(rollup: &Rollup, from_block: u64, to_block: u64, hashes: Vec<B256>) -> Ask {
    Ask::Assertions { rollup: rollup.address, from_block, to_block, hashes }
}

fn told_by(won: Won<Vec<Told>>) -> Vec<Told> {
    let by = won.by;
    won.value.into_iter().map(|told| Told { by: Some(Arc::clone(&by)), ..told }).collect()
}

/// Reads logs: changed ones are a lie, unfinished and foreign ones are passed over.
fn assertions(rollup: &Rollup, answer: Answer) -> Result<Vec<Told>, Refusal> {
    let Answer::Assertions(logs) = answer else { return Err(items::off_topic()) };
    let mut found = Vec::new();
    for log in logs.into_iter().filter(|log| log.address == rollup.address).take(MAX_ASSERTIONS) {
        match Assertion::from_log(&log.topics, &log.data) {
            Ok(assertion) => found.push(Told { assertion, log, by: None }),
            Err(crate::arbitrum::assertion::AssertionError::Unfinished { .. }) => {}
            Err(why) => return Err(Refusal::Lie(why.to_string())),
        }
    }
    Ok(found)
}
