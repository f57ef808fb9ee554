//! Decides who makes a segment, when to ask a second one, and when to give up. Sans-IO: (now, input) -> effects, next wake.
//!
//! In: segments from the segmenter, answers and faults from the mesh, verdicts of the checks. Out: asks, cancels, checks, the
//! finished ladder for the publisher, a trace for people. Each rung is filled by the first rendition that passes the
//! checks, whoever made it. Knows no socket and no codec.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::{Declined, Failed, Ladder, Offer, PeerKey, PricePerPixel, Rendition, SignedReceipt, StreamId};
use rand::Rng;

use super::job::{Habits, Job};
use super::messages::Dispatch;
use super::score::{Blame, Scoreboard};
use super::select::Choice;
use super::trace::{RECEIPTED, SegmentTrace};
use crate::ports::{Answer, Candidate, MeshFault, Turn};
use crate::publisher::messages::Made;

/// An orchestrator that has nobody's answer beats this often, so that silence means something.
pub const BEAT: Duration = Duration::from_millis(100);
/// Hedges that may be saved up.
const HEDGES_SAVED: f64 = 3.0;
/// Hedges that one segment earns. Without this bound, a mesh that is merely overloaded would get every segment twice.
const HEDGES_EARNED: f64 = 0.2;
/// Sends of one segment that may show signs of life at the same time.
const MAX_LIVE_ASKS: usize = 2;
/// Pause before everybody is tried again.
const RETRY: Duration = Duration::from_millis(150);
/// Orchestrators that must agree that a segment cannot be transcoded by anybody.
const INPUT_VERDICTS: u32 = 2;
/// Lateness of a wake from which on this node itself was held up: two schedulers' ticks on a machine with work to do.
const HELD_UP: Duration = Duration::from_millis(50);

/// What can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// The most that may be paid for a pixel; `None` pays any price.
    pub max_price: Option<PricePerPixel>,
    /// How long to try before a rung is given up: this many durations of the segment, and at least [`Config::patience_min`].
    pub patience: u32,
    /// See [`Config::patience`].
    pub patience_min: Duration,
}

impl Default for Config {
    /// Livepeer's own limit for a whole exchange: four segments, at least 8 s.
    fn default() -> Self {
        Self { max_price: None, patience: 4, patience_min: Duration::from_secs(8) }
    }
}

/// Names one send of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// What the shell has to do.
#[derive(Debug)]
pub enum Effect {
    /// Send a segment to `peer`.
    Ask {
        /// Names the answers that come back.
        ask: AskId,
        /// To whom.
        peer: PeerKey,
        /// The offer.
        offer: Box<Offer>,
        /// The segment's bytes.
        segment: Bytes,
    },
    /// Stop listening to an ask.
    Cancel(AskId),
    /// Check a rendition.
    Check {
        /// Who sent it.
        ask: AskId,
        /// What was sent.
        rendition: Rendition,
        /// What was asked for: which rung it should be.
        ladder: Arc<Ladder>,
        /// The segment it should have been made of.
        source: Bytes,
    },
    /// A segment is done with.
    Made(Made),
    /// Something that people may want to see.
    Trace(Box<SegmentTrace>),
}

/// The world at one moment, lent to each step.
#[derive(Debug)]
pub struct World<'a, R> {
    /// Time since the Unix epoch, never going back.
    pub now: Duration,
    /// Orchestrators known now.
    pub candidates: &'a [Candidate],
    /// What was measured of them, shared by all streams.
    pub scores: &'a mut Scoreboard,
    /// Randomness.
    pub rng: &'a mut R,
}

/// Running totals of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Second sends because the first was late.
    pub hedges: u64,
    /// Sends after a fault or a refusal.
    pub retries: u64,
    /// Rungs given up.
    pub missing: u64,
    /// Segments complete.
    pub complete: u64,
}

/// The dispatcher of one stream.
#[derive(Debug)]
pub struct Core {
    stream: StreamId,
    config: Config,
    jobs: BTreeMap<u64, Job>,
    asks: BTreeMap<AskId, u64>,
    next_ask: u64,
    counters: Counters,
    hedges_left: f64,
}

impl Core {
    /// A dispatcher without work.
    #[must_use]
    pub const fn new(stream: StreamId, config: Config) -> Self {
        Self {
            stream,
            config,
            jobs: BTreeMap::new(),
            asks: BTreeMap::new(),
            next_ask: 0,
            counters: Counters { hedges: 0, retries: 0, missing: 0, complete: 0 },
            hedges_left: HEDGES_SAVED,
        }
    }

    /// Totals so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Segments in work.
    #[must_use]
    pub fn in_work(&self) -> usize {
        self.jobs.values().filter(|j| !j.done).count()
    }

    /// Takes a segment in.
    pub fn on_dispatch<R: Rng>(&mut self, world: &mut World<'_, R>, dispatch: Dispatch) -> Vec<Effect> {
        let job = Job::new(&self.stream, &self.config, world.now, dispatch);
        let seq = job.segment.id.seq;
        if job.ladder.0.is_empty() {
            return finished_at_once(job, world.now);
        }
        let mut out = Vec::new();
        self.jobs.insert(seq, job);
        self.hedges_left = (self.hedges_left + HEDGES_EARNED).min(HEDGES_SAVED);
        self.serve_waiting(world, Some(seq), &mut out);
        out
    }

    /// Takes one step of an answer.
    pub fn on_answer<R: Rng>(&mut self, world: &mut World<'_, R>, ask: AskId, answer: Answer) -> Vec<Effect> {
        let Some(job) = self.asks.get(&ask).and_then(|seq| self.jobs.get_mut(seq)) else { return Vec::new() };
        let since_cut = job.since_cut(world.now);
        let Some(live) = job.live.get_mut(&ask) else { return Vec::new() };
        world.scores.sign(live.peer, world.now.saturating_sub(live.last_sign));
        live.silence = world.scores.silence(live.peer);
        live.last_sign = world.now;
        let trace = &mut job.trace.asks[live.trace];
        match answer {
            Answer::Accepted => {
                trace.accepted_ms = Some(since_cut);
                vec![Effect::Trace(Box::new(job.trace.clone()))]
            }
            Answer::Beat => Vec::new(),
            Answer::Rendition(rendition) => {
                trace.first_rendition_ms.get_or_insert(since_cut);
                self.on_rendition(world, ask, rendition)
            }
            Answer::Receipt(receipt) => self.on_receipt(world, ask, &receipt),
        }
    }

    /// Takes the end of an ask without a receipt.
    pub fn on_fault<R: Rng>(
        &mut self,
        world: &mut World<'_, R>,
        ask: AskId,
        fault: &MeshFault,
    ) -> Vec<Effect> {
        let Some(seq) = self.asks.get(&ask).copied() else { return Vec::new() };
        let Some(peer) = self.peer(ask) else { return Vec::new() };
        match fault {
            MeshFault::Declined(Declined::Busy { retry_after }) => {
                world.scores.busy(peer, world.now, *retry_after)
            }
            // Who keeps the money knows what to do about it, and for how long it is not asked; if nobody does, that lasts.
            MeshFault::Declined(Declined::Unpaid(_)) if !is_free(world.candidates, peer) => {}
            MeshFault::Declined(_) => world.scores.busy(peer, world.now, Duration::from_secs(5)),
            MeshFault::Failed(Failed::Input(_)) => {}
            MeshFault::Failed(Failed::Internal(_)) | MeshFault::Unreachable(_) => {
                world.scores.failed(peer, world.now, Blame::Fault);
            }
            MeshFault::Protocol(_) => world.scores.failed(peer, world.now, Blame::Misbehaviour),
        }
        let mut out = Vec::new();
        self.end_ask(world, ask, fault.to_string());
        if matches!(fault, MeshFault::Failed(Failed::Input(_))) {
            self.input_verdict(world, seq, &mut out);
        }
        self.replace(world, seq, &mut out);
        self.serve_waiting(world, None, &mut out);
        out
    }

    /// Takes the verdict on a rendition.
    pub fn on_checked<R: Rng>(
        &mut self,
        world: &mut World<'_, R>,
        ask: AskId,
        rendition: Rendition,
        verdict: Result<(), String>,
    ) -> Vec<Effect> {
        let Some(seq) = self.asks.get(&ask).copied() else { return Vec::new() };
        if let Err(violation) = verdict {
            return self.on_fault(
                world,
                ask,
                &MeshFault::Protocol(format!("its work did not pass: {violation}")),
            );
        }
        let Some(job) = self.jobs.get_mut(&seq) else { return Vec::new() };
        job.fill(world.now, ask, rendition);
        let mut out = self.settle(world, ask);
        self.finish_if_complete(world, seq, &mut out);
        self.serve_waiting(world, None, &mut out);
        out
    }

    /// A rendition could not be checked, which is not its maker's fault: the ask is dropped and somebody is asked again.
    pub fn on_unchecked<R: Rng>(&mut self, world: &mut World<'_, R>, ask: AskId) -> Vec<Effect> {
        let Some(seq) = self.asks.get(&ask).copied() else { return Vec::new() };
        let mut out = vec![Effect::Cancel(ask)];
        self.end_ask(world, ask, "dropped: this node could not check it".into());
        self.replace(world, seq, &mut out);
        out
    }

    /// Does what time makes due.
    pub fn on_wake<R: Rng>(&mut self, world: &mut World<'_, R>) -> Vec<Effect> {
        let mut out = Vec::new();
        self.excuse_silence(world.now);
        for seq in self.jobs.keys().copied().collect::<Vec<_>>() {
            self.drop_gone(world, seq, &mut out);
            self.hedge(world, seq, &mut out);
            self.retry(world, seq, &mut out);
            if self.jobs.get(&seq).is_some_and(|j| !j.done && world.now >= j.deadline) {
                self.finish(world, seq, &mut out);
            }
        }
        out
    }

    /// When [`Self::on_wake`] has something to do next.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        self.jobs.values().flat_map(Job::wakes).min()
    }

    fn peer(&self, ask: AskId) -> Option<PeerKey> {
        let job = self.jobs.get(self.asks.get(&ask)?)?;
        job.live.get(&ask).map(|l| l.peer)
    }

    fn on_rendition<R: Rng>(
        &mut self,
        world: &mut World<'_, R>,
        ask: AskId,
        rendition: Rendition,
    ) -> Vec<Effect> {
        let Some(job) = self.asks.get(&ask).and_then(|seq| self.jobs.get_mut(seq)) else { return Vec::new() };
        let Some(live) = job.live.get_mut(&ask) else { return Vec::new() };
        match live.sent.get_mut(rendition.index) {
            Some(slot @ None) => *slot = Some((rendition.hash, rendition.pixels)),
            Some(Some(_)) | None => {
                let fault = MeshFault::Protocol(format!(
                    "rendition {} was not asked for, or came twice",
                    rendition.index
                ));
                return self.on_fault(world, ask, &fault);
            }
        }
        let (ladder, source) = (Arc::clone(&live.ladder), job.segment.bytes.clone());
        vec![Effect::Check { ask, rendition, ladder, source }]
    }

    /// A receipt comes last: what it names must be what was sent.
    fn on_receipt<R: Rng>(
        &mut self,
        world: &mut World<'_, R>,
        ask: AskId,
        receipt: &SignedReceipt,
    ) -> Vec<Effect> {
        let Some(job) = self.asks.get(&ask).and_then(|seq| self.jobs.get_mut(seq)) else { return Vec::new() };
        let agrees = job.agrees(ask, receipt);
        let Some(live) = job.live.get_mut(&ask) else { return Vec::new() };
        live.receipted = agrees && receipt.verify(live.signer).is_ok();
        if !live.receipted {
            let fault = MeshFault::Protocol("its receipt does not agree with what it sent".into());
            return self.on_fault(world, ask, &fault);
        }
        let mut out = self.settle(world, ask);
        self.serve_waiting(world, None, &mut out);
        out
    }

    /// Closes an ask that is complete: its receipt stands and all its renditions are checked.
    fn settle<R: Rng>(&mut self, world: &mut World<'_, R>, ask: AskId) -> Vec<Effect> {
        let Some(seq) = self.asks.get(&ask).copied() else { return Vec::new() };
        let Some(job) = self.jobs.get(&seq) else { return Vec::new() };
        let Some(live) = job.live.get(&ask) else { return Vec::new() };
        if !live.is_complete() {
            return Vec::new();
        }
        let (peer, took) = (live.peer, world.now.saturating_sub(live.asked));
        // A part of the ladder says nothing about the time that all of it takes.
        if live.sent.len() == job.ladder.0.len() {
            world.scores.succeeded(peer, world.now, took, job.duration());
        } else {
            world.scores.helped(peer, world.now);
        }
        self.end_ask(world, ask, RECEIPTED.into());
        let out = self.trace(seq);
        self.forget_if_over(seq);
        out
    }

    fn finish_if_complete<R: Rng>(&mut self, world: &mut World<'_, R>, seq: u64, out: &mut Vec<Effect>) {
        if self.jobs.get(&seq).is_some_and(|j| !j.done && j.complete()) {
            self.finish(world, seq, out);
        }
    }

    /// Hands the ladder to the publisher. Asks that have sent everything may still bring their receipt; others are cancelled.
    fn finish<R: Rng>(&mut self, world: &mut World<'_, R>, seq: u64, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&seq) else { return };
        if !job.done {
            let (renditions, missing) = job.finish(world.now);
            self.counters.missing += missing;
            self.counters.complete += u64::from(missing == 0);
            out.push(Effect::Made(Made { seq, renditions }));
        }
        let unfinished: Vec<(AskId, PeerKey, Duration, bool)> = job
            .live
            .iter()
            .filter(|(_, l)| l.owes())
            .map(|(ask, l)| (*ask, l.peer, l.asked, world.now >= l.suspect()))
            .collect();
        let duration = job.duration();
        for (ask, peer, asked, silent) in unfinished {
            let why = if silent {
                world.scores.failed(peer, world.now, Blame::Fault);
                "it fell silent, and somebody else was first"
            } else {
                world.scores.was_slow(peer, world.now, world.now.saturating_sub(asked), duration);
                "cancelled: somebody else was first"
            };
            self.end_ask(world, ask, why.into());
            out.push(Effect::Cancel(ask));
        }
        out.extend(self.trace(seq));
        self.forget_if_over(seq);
    }

    fn input_verdict<R: Rng>(&mut self, world: &mut World<'_, R>, seq: u64, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&seq) else { return };
        job.input_verdicts += 1;
        if job.input_verdicts >= INPUT_VERDICTS && !job.done {
            self.finish(world, seq, out);
        }
    }

    /// After an ask died: somebody else, unless another send is alive and well.
    fn replace<R: Rng>(&mut self, world: &mut World<'_, R>, seq: u64, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get(&seq) else { return };
        if !job.done && job.all_relieved() {
            self.counters.retries += 1;
            self.ask_somebody(world, seq, false, out);
        }
        out.extend(self.trace(seq));
        self.forget_if_over(seq);
    }

    fn drop_gone<R: Rng>(&mut self, world: &mut World<'_, R>, seq: u64, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get(&seq) else { return };
        for ask in job.gone(world.now) {
            out.push(Effect::Cancel(ask));
            out.extend(self.on_fault(world, ask, &MeshFault::Unreachable("it fell silent".into())));
        }
    }

    /// Only the one asked last is waited for: when it is late or silent, somebody else is asked as well, once.
    fn hedge<R: Rng>(&mut self, world: &mut World<'_, R>, seq: u64, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&seq).filter(|j| !j.done) else { return };
        let (mut late, mut silent) = (false, false);
        for live in job.live.values_mut().filter(|l| !l.relieved && world.now >= l.due()) {
            live.late = true;
            live.relieved = world.now >= live.suspect();
            late |= !live.relieved;
            silent |= live.relieved;
            if live.relieved {
                world.scores.suspected(live.peer, world.now);
            }
        }
        let lively = job.live.values().filter(|l| world.now < l.suspect()).count();
        // One that shows life is only slow: asking twice costs the mesh work, so that is rationed. Silence is not.
        let affordable = silent || (late && self.hedges_left >= 1.0);
        if lively < MAX_LIVE_ASKS && affordable && self.ask_somebody(world, seq, true, out) {
            self.counters.hedges += 1;
            self.hedges_left -= if silent { 0.0 } else { 1.0 };
        }
    }

    /// Time that this node itself was late by is not held against anybody: their answers wait to be read.
    fn excuse_silence(&mut self, now: Duration) {
        let late = self.next_wake().map_or(Duration::ZERO, |due| now.saturating_sub(due));
        if late >= HELD_UP {
            self.jobs.values_mut().for_each(|job| job.excuse(late + HELD_UP));
        }
    }

    fn retry<R: Rng>(&mut self, world: &mut World<'_, R>, seq: u64, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&seq) else { return };
        if !job.done && job.retry_at.is_some_and(|at| world.now >= at) {
            job.retry_at = None;
            job.tried.clear();
            self.ask_somebody(world, seq, false, out);
        }
    }

    /// A place may have become free: it goes to the oldest segment that waits for one, `new` last.
    fn serve_waiting<R: Rng>(&mut self, world: &mut World<'_, R>, new: Option<u64>, out: &mut Vec<Effect>) {
        let waits = |job: &Job| !job.done && job.live.is_empty() && job.tried.is_empty();
        let waiting: Vec<u64> = self.jobs.iter().filter(|(_, job)| waits(job)).map(|(seq, _)| *seq).collect();
        for seq in waiting {
            if let Some(job) = self.jobs.get_mut(&seq) {
                job.retry_at = None;
            }
            if !self.ask_somebody(world, seq, false, out) && new.is_none() {
                return;
            }
        }
    }

    fn ask_somebody<R: Rng>(
        &mut self,
        world: &mut World<'_, R>,
        seq: u64,
        hedge: bool,
        out: &mut Vec<Effect>,
    ) -> bool {
        let out_of_turn = self.out_of_turn(world.candidates, seq);
        let Some(job) = self.jobs.get_mut(&seq) else { return false };
        let duration = job.duration();
        let choice = Choice {
            candidates: world.candidates,
            scores: world.scores,
            now: world.now,
            duration,
            max_price: self.config.max_price,
        };
        let Some(chosen) = choice.pick(world.rng, |peer| job.may_ask(peer) && !out_of_turn.contains(&peer))
        else {
            if job.all_relieved() {
                job.retry_at = Some(world.now + RETRY);
            }
            return false;
        };
        let (peer, ask) = (chosen.candidate.peer, AskId(self.next_ask));
        self.next_ask += 1;
        let habits = Habits { p95: world.scores.p95(peer, duration), silence: world.scores.silence(peer) };
        world.scores.asked(peer, world.now);
        let offer = Box::new(job.ask(world.now, ask, hedge, chosen, habits));
        self.asks.insert(ask, seq);
        out.push(Effect::Ask { ask, peer, offer, segment: job.segment.bytes.clone() });
        out.push(Effect::Trace(Box::new(job.trace.clone())));
        true
    }

    /// Orchestrators that are paid and have a segment of this stream in work, or had a later one than `seq`.
    fn out_of_turn(&self, candidates: &[Candidate], seq: u64) -> BTreeSet<PeerKey> {
        let works = |peer| self.jobs.values().flat_map(|job| job.live.values()).any(|live| live.peer == peer);
        let paid = candidates.iter().filter_map(|c| Some((c.peer, c.turn?)));
        let out = |(peer, turn): &(PeerKey, Turn)| turn.after.is_some_and(|last| last >= seq) || works(*peer);
        paid.filter(out).map(|(peer, _)| peer).collect()
    }

    fn end_ask<R>(&mut self, world: &mut World<'_, R>, ask: AskId, outcome: String) {
        let Some(job) = self.asks.remove(&ask).and_then(|seq| self.jobs.get_mut(&seq)) else { return };
        if let Some(live) = job.end(world.now, ask, outcome) {
            world.scores.ended(live.peer);
        }
    }

    fn trace(&self, seq: u64) -> Vec<Effect> {
        self.jobs.get(&seq).map(|j| Effect::Trace(Box::new(j.trace.clone()))).into_iter().collect()
    }

    fn forget_if_over(&mut self, seq: u64) {
        if self.jobs.get(&seq).is_some_and(|j| j.done && j.live.is_empty()) {
            self.jobs.remove(&seq);
        }
    }
}

/// Whether somebody is asked without payment.
fn is_free(candidates: &[Candidate], peer: PeerKey) -> bool {
    candidates.iter().any(|candidate| candidate.peer == peer && candidate.turn.is_none())
}

/// Nothing is to be made of it: the source is below the lowest rung.
fn finished_at_once(mut job: Job, now: Duration) -> Vec<Effect> {
    let (renditions, _) = job.finish(now);
    vec![Effect::Made(Made { seq: job.segment.id.seq, renditions }), Effect::Trace(Box::new(job.trace))]
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
