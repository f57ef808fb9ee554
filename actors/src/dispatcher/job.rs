//! One segment in work: who was asked for it, what came back, when something is due. Bookkeeping only; what to do about it
//! is decided in `core`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::{Hash, Ladder, Offer, PeerKey, PricePerPixel, Rendition, Segment, SignedReceipt, StreamId};

use super::core::{AskId, Config};
use super::messages::Dispatch;
use super::select::Chosen;
use super::trace::{Ask, RungTrace, SegmentTrace, TraceOutcome};

/// No segment is hedged sooner: shorter waits are noise.
const MIN_HEDGE: Duration = Duration::from_millis(150);
/// Silence after which an orchestrator counts as gone, once somebody else has been asked.
const GONE: Duration = Duration::from_secs(3);
/// How long a complete answer may take to send its receipt before that counts as a fault.
const RECEIPT: Duration = Duration::from_secs(2);

/// A segment, its ladder, and everyone who works on it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) segment: Segment,
    pub(super) ladder: Arc<Ladder>,
    pub(super) cut: Duration,
    pub(super) deadline: Duration,
    pub(super) rungs: Vec<Option<Rendition>>,
    pub(super) live: BTreeMap<AskId, LiveAsk>,
    pub(super) tried: BTreeSet<PeerKey>,
    pub(super) input_verdicts: u32,
    pub(super) retry_at: Option<Duration>,
    pub(super) done: bool,
    pub(super) trace: SegmentTrace,
}

/// One send of the segment that has not ended.
#[derive(Debug)]
pub(super) struct LiveAsk {
    pub(super) peer: PeerKey,
    /// The key that signs its receipts.
    pub(super) signer: PeerKey,
    pub(super) asked: Duration,
    pub(super) last_sign: Duration,
    hedge_at: Duration,
    /// Silence after which it is suspected.
    pub(super) silence: Duration,
    /// Its own p95 has passed, and that was dealt with.
    pub(super) late: bool,
    /// Somebody else was asked after it, or should be: what it does decides nothing any more, but its work still counts.
    pub(super) relieved: bool,
    /// When somebody else was asked after it.
    followed_at: Option<Duration>,
    /// What it was asked for: the rungs that were missing then.
    pub(super) ladder: Arc<Ladder>,
    /// Where each of them belongs in the whole ladder.
    rungs: Vec<usize>,
    /// What has come of each of them.
    pub(super) sent: Vec<Option<(Hash, u64)>>,
    pub(super) checked: usize,
    /// Its receipt came and stands.
    pub(super) receipted: bool,
    pub(super) trace: usize,
}

/// What is known of an orchestrator at the moment it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// How long it takes for such a segment, but for one in twenty.
    pub(super) p95: Duration,
    /// Silence after which it is suspected.
    pub(super) silence: Duration,
}

impl Job {
    pub(super) fn new(
        stream: &StreamId,
        config: &Config,
        now: Duration,
        Dispatch { segment, ladder }: Dispatch,
    ) -> Self {
        let duration = segment_duration(&segment);
        let rung = |name: &String| RungTrace { name: name.clone(), bytes: 0, by: None, at_ms: None };
        let trace = SegmentTrace {
            stream: stream.clone(),
            seq: segment.id.seq,
            cut_unix_ms: millis(now),
            duration_ms: millis(duration),
            bytes: segment.bytes.len() as u64,
            asks: Vec::new(),
            renditions: ladder.0.iter().map(|r| rung(&r.name)).collect(),
            latency_ms: None,
            outcome: None,
        };
        Self {
            cut: now,
            deadline: now + (duration * config.patience).max(config.patience_min),
            rungs: vec![None; ladder.0.len()],
            live: BTreeMap::new(),
            tried: BTreeSet::new(),
            input_verdicts: 0,
            retry_at: None,
            done: false,
            segment,
            ladder: Arc::new(ladder),
            trace,
        }
    }

    pub(super) fn duration(&self) -> Duration {
        segment_duration(&self.segment)
    }

    /// Milliseconds since the cut.
    pub(super) fn since_cut(&self, now: Duration) -> u64 {
        millis(now.saturating_sub(self.cut))
    }

    pub(super) fn complete(&self) -> bool {
        self.rungs.iter().all(Option::is_some)
    }

    /// Whether nobody who works on it can still be hoped for.
    pub(super) fn all_relieved(&self) -> bool {
        self.live.values().all(|l| l.relieved)
    }

    /// Neither asked before nor being asked now.
    pub(super) fn may_ask(&self, peer: PeerKey) -> bool {
        !self.tried.contains(&peer) && self.live.values().all(|l| l.peer != peer)
    }

    /// Notes a new send and says what to offer: the rungs that are missing. The one asked now is given its own time: those
    /// asked before it decide nothing more.
    pub(super) fn ask(
        &mut self,
        now: Duration,
        ask: AskId,
        hedge: bool,
        chosen: Chosen,
        habits: Habits,
    ) -> Offer {
        let Chosen { candidate, why } = chosen;
        let rtt = Duration::from_secs_f64(candidate.rtt_ms.unwrap_or(0.0).clamp(0.0, 2000.0) / 1000.0);
        let rungs: Vec<usize> = (0..self.rungs.len()).filter(|rung| self.rungs[*rung].is_none()).collect();
        let ladder = Arc::new(Ladder(rungs.iter().map(|rung| self.ladder.0[*rung].clone()).collect()));
        self.tried.insert(candidate.peer);
        for earlier in self.live.values_mut() {
            earlier.relieved = true;
            earlier.followed_at.get_or_insert(now);
        }
        let live = LiveAsk {
            peer: candidate.peer,
            signer: candidate.receipt_key,
            asked: now,
            // The first sign needs a round trip more than the following ones.
            last_sign: now + rtt * 3,
            hedge_at: now + habits.p95.max(MIN_HEDGE) + rtt,
            silence: habits.silence,
            late: false,
            relieved: false,
            followed_at: None,
            sent: vec![None; rungs.len()],
            ladder: Arc::clone(&ladder),
            rungs,
            checked: 0,
            receipted: false,
            trace: self.trace.asks.len(),
        };
        self.live.insert(ask, live);
        self.trace.asks.push(Ask {
            peer: candidate.peer,
            why,
            hedge,
            rungs: ladder.0.iter().map(|rung| rung.name.clone()).collect(),
            asked_ms: self.since_cut(now),
            accepted_ms: None,
            first_rendition_ms: None,
            ended_ms: None,
            outcome: None,
            won: false,
        });
        self.offer(Ladder::clone(&ladder), candidate.price, self.deadline.saturating_sub(now))
    }

    /// Puts a rendition that passed the checks into its rung, unless somebody was there before.
    pub(super) fn fill(&mut self, now: Duration, ask: AskId, mut rendition: Rendition) {
        let at = self.since_cut(now);
        let Some(live) = self.live.get_mut(&ask) else { return };
        let Some(index) = live.rungs.get(rendition.index).copied() else { return };
        live.checked += 1;
        rendition.index = index;
        if self.rungs[index].is_none() {
            let rung = &mut self.trace.renditions[index];
            rung.bytes = rendition.bytes.len() as u64;
            rung.by = Some(live.peer);
            rung.at_ms = Some(at);
            self.trace.asks[live.trace].won = true;
            self.rungs[index] = Some(rendition);
        }
    }

    /// Notes how a send ended.
    pub(super) fn end(&mut self, now: Duration, ask: AskId, outcome: String) -> Option<LiveAsk> {
        let live = self.live.remove(&ask)?;
        let at = self.since_cut(now);
        let trace = &mut self.trace.asks[live.trace];
        trace.ended_ms = Some(at);
        trace.outcome = Some(outcome);
        Some(live)
    }

    /// Ends the job: what was made, and how many rungs are missing.
    pub(super) fn finish(&mut self, now: Duration) -> (Vec<Option<Rendition>>, u64) {
        self.done = true;
        self.retry_at = None;
        let missing = self.rungs.iter().filter(|r| r.is_none()).count() as u64;
        self.trace.latency_ms = Some(self.since_cut(now));
        self.trace.outcome = Some(match (self.ladder.0.is_empty(), missing) {
            (true, _) => TraceOutcome::SourceOnly,
            (false, 0) => TraceOutcome::Complete,
            (false, _) => TraceOutcome::Missing,
        });
        let nothing = vec![None; self.ladder.0.len()];
        (std::mem::replace(&mut self.rungs, nothing), missing)
    }

    /// This node itself was held up for `lost`: what came meanwhile is not read yet, so that time is no silence.
    pub(super) fn excuse(&mut self, lost: Duration) {
        self.live.values_mut().for_each(|live| live.last_sign += lost);
    }

    /// When time alone makes something due.
    pub(super) fn wakes(&self) -> Vec<Duration> {
        let mut at: Vec<Duration> = self.retry_at.into_iter().collect();
        if !self.done {
            at.push(self.deadline);
        }
        for live in self.live.values() {
            if !self.done && !live.relieved {
                at.push(live.due());
            }
            at.extend(live.gone(self.done));
        }
        at
    }

    /// Those whose silence has lasted too long to hope.
    pub(super) fn gone(&self, now: Duration) -> Vec<AskId> {
        let gone = |live: &LiveAsk| live.gone(self.done).is_some_and(|at| now >= at);
        self.live.iter().filter(|(_, live)| gone(live)).map(|(ask, _)| *ask).collect()
    }

    fn offer(&self, ladder: Ladder, price: PricePerPixel, deadline: Duration) -> Offer {
        Offer {
            segment: self.segment.id.clone(),
            start: self.segment.start,
            duration: self.segment.duration,
            source: self.segment.source,
            bytes: self.segment.bytes.len() as u64,
            hash: self.segment.hash,
            ladder,
            price,
            deadline,
            payment: None,
        }
    }

    /// Whether a receipt names this segment and exactly what `ask` sent, signed by who was asked.
    pub(super) fn agrees(&self, ask: AskId, SignedReceipt { receipt, .. }: &SignedReceipt) -> bool {
        let sent = |live: &LiveAsk| live.sent.iter().copied().collect::<Option<Vec<_>>>();
        self.live.get(&ask).and_then(sent).is_some_and(|sent| receipt.renditions == sent)
            && receipt.segment == self.segment.id
            && receipt.source == self.segment.hash
    }
}

impl LiveAsk {
    /// When its silence has lasted too long to hope. The one asked last is waited for while there is nobody else: its machine
    /// may be busy, and to begin anew with it would take longer.
    fn gone(&self, only_the_receipt_is_missing: bool) -> Option<Duration> {
        if only_the_receipt_is_missing {
            return Some(self.last_sign + RECEIPT);
        }
        self.followed_at.map(|at| at.max(self.last_sign) + GONE)
    }

    /// When something has to be done about it: its own p95 passes, or it falls silent.
    pub(super) fn due(&self) -> Duration {
        if self.late { self.suspect() } else { self.hedge_at.min(self.suspect()) }
    }

    /// When its silence is suspicious.
    pub(super) fn suspect(&self) -> Duration {
        self.last_sign + self.silence
    }

    /// Whether some rendition has not come yet.
    pub(super) fn owes(&self) -> bool {
        self.sent.iter().any(Option::is_none)
    }

    /// Whether all that it was asked for has come, was checked, and is signed for.
    pub(super) fn is_complete(&self) -> bool {
        self.receipted && self.checked == self.sent.len()
    }
}

fn segment_duration(segment: &Segment) -> Duration {
    Duration::from_millis(segment.duration.as_millis().max(1).unsigned_abs())
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
