//! What this node measured of each orchestrator: how long it takes, how often it fails, how long to leave it alone.
//!
//! One board serves all streams of a node and is written to disk by the composition root, so that an orchestrator that
//! failed one stream is avoided by the next one, across restarts. Pure: time comes in as a [`Duration`] since the Unix epoch.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::PeerKey;
use serde::{Deserialize, Serialize};

/// Samples kept for each orchestrator: a minute or two of one stream, enough for a p95.
const SAMPLES: usize = 64;
/// Samples that say what to expect next: few, so that one that turns slow is soon asked less.
const LATELY: usize = 5;
/// Fewer samples than this say nothing about a p95.
const ENOUGH: usize = 5;
/// What an orchestrator without history is expected to need, as a share of the segment's duration. Optimistic, so that
/// newcomers are tried.
const UNKNOWN_RATIO: f64 = 0.4;
/// When the first send to an orchestrator without history is hedged, as a share of the segment's duration.
const UNKNOWN_P95: f64 = 0.7;
/// First time out after a fault; doubles with each further one.
const FIRST_AVOIDANCE: Duration = Duration::from_secs(2);
/// Longest time out.
const LONGEST_AVOIDANCE: Duration = Duration::from_secs(600);
/// Silence that raises no suspicion: two beats and a half, so that one late packet is none.
const LEAST_SILENCE: Duration = Duration::from_millis(250);
/// The same for one whose beat is not known yet.
const UNKNOWN_SILENCE: Duration = Duration::from_millis(450);
/// Signs of life that make a beat known: the answer to one segment or two.
const KNOWN_BEAT: u32 = 10;
/// Silence that raises suspicion however irregular an orchestrator usually is.
const MOST_SILENCE: Duration = Duration::from_millis(1500);
/// Orchestrators remembered; the one heard of longest ago is forgotten first.
const MAX_PEERS: usize = 4096;

/// How bad a fault was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It may be the network: unreachable, silent, crashed.
    Fault,
    /// It was this orchestrator: broke the protocol, or its work did not pass the checks. Counts four times.
    Misbehaviour,
}

/// Everything measured, for all orchestrators.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Scoreboard {
    #[serde(with = "as_list")]
    peers: BTreeMap<PeerKey, Score>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Score {
    /// Time from asking to the last checked rendition over the segment's duration, newest last.
    samples: VecDeque<Sample>,
    successes: u64,
    faults: u64,
    /// Faults since the last success, misbehaviour weighted.
    strikes: u32,
    avoided_until: Duration,
    /// When it last failed or fell silent.
    #[serde(default)]
    failed_at: Duration,
    /// It broke the protocol or cheated, and has done nothing right since.
    #[serde(default)]
    misbehaved: bool,
    /// It said so itself; not its fault.
    #[serde(skip)]
    busy_until: Duration,
    #[serde(skip)]
    in_flight: u32,
    last_heard: Duration,
    /// Longest time between two signs of life lately.
    #[serde(skip)]
    gap: Duration,
    /// Signs of life since this node started.
    #[serde(skip)]
    signs: u32,
    /// It fell silent and has shown no life since.
    #[serde(skip)]
    suspected_until: Duration,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Sample {
    ratio: f32,
    /// False when it was cancelled at this time: its own time would have been longer.
    complete: bool,
}

impl Scoreboard {
    /// Records that `peer` was asked.
    pub fn asked(&mut self, peer: PeerKey, now: Duration) {
        self.entry(peer, now).in_flight += 1;
    }

    /// Records that an ask ended, however.
    pub fn ended(&mut self, peer: PeerKey) {
        if let Some(score) = self.peers.get_mut(&peer) {
            score.in_flight = score.in_flight.saturating_sub(1);
        }
    }

    /// Records a sign of life `after` the one before.
    pub fn sign(&mut self, peer: PeerKey, after: Duration) {
        if let Some(score) = self.peers.get_mut(&peer) {
            score.gap = after.max(score.gap.mul_f64(0.97));
            score.signs = score.signs.saturating_add(1);
            score.suspected_until = Duration::ZERO;
        }
    }

    /// Silence after which `peer` is suspected: twice the longest of late, so that a busy machine is not taken for a dead one.
    #[must_use]
    pub fn silence(&self, peer: PeerKey) -> Duration {
        let (gap, signs) = self.peers.get(&peer).map_or((Duration::ZERO, 0), |s| (s.gap, s.signs));
        let least = if signs < KNOWN_BEAT { UNKNOWN_SILENCE } else { LEAST_SILENCE };
        (gap * 2).clamp(least, MOST_SILENCE)
    }

    /// Records a suspicious silence: until the next sign of life, or for as long as after a first fault, others are asked.
    pub fn suspected(&mut self, peer: PeerKey, now: Duration) {
        let score = self.entry(peer, now);
        (score.failed_at, score.suspected_until) = (now, now + FIRST_AVOIDANCE);
    }

    /// Records a complete and checked answer that took `took` for a segment of `duration`.
    pub fn succeeded(&mut self, peer: PeerKey, now: Duration, took: Duration, duration: Duration) {
        self.entry(peer, now).push(took, duration, true);
        self.helped(peer, now);
    }

    /// Records a complete and checked answer to a part of a ladder, which says nothing about its usual time.
    pub fn helped(&mut self, peer: PeerKey, now: Duration) {
        let score = self.entry(peer, now);
        score.successes += 1;
        score.strikes = 0;
        score.misbehaved = false;
        score.avoided_until = Duration::ZERO;
    }

    /// Records that somebody else was first; the time is a lower bound of what this one needs.
    pub fn was_slow(&mut self, peer: PeerKey, now: Duration, at_least: Duration, duration: Duration) {
        // A bound below what it usually takes says nothing.
        if at_least >= self.expected(peer, duration) {
            self.entry(peer, now).push(at_least, duration, false);
        }
    }

    /// Records a fault and leaves the orchestrator alone for a time that grows.
    pub fn failed(&mut self, peer: PeerKey, now: Duration, blame: Blame) {
        let score = self.entry(peer, now);
        score.faults += 1;
        score.failed_at = now;
        score.misbehaved |= blame == Blame::Misbehaviour;
        score.strikes = score.strikes.saturating_add(if blame == Blame::Misbehaviour { 4 } else { 1 });
        let doubled = FIRST_AVOIDANCE.saturating_mul(1 << (score.strikes - 1).min(16));
        score.avoided_until = now + doubled.min(LONGEST_AVOIDANCE);
    }

    /// Records that it is busy and when to ask again.
    pub fn busy(&mut self, peer: PeerKey, now: Duration, retry_after: Duration) {
        let longest = Duration::from_secs(10);
        self.entry(peer, now).busy_until = now + retry_after.min(longest);
    }

    /// Forgives all faults: it came back as a new process.
    pub fn returned(&mut self, peer: PeerKey) {
        if let Some(score) = self.peers.get_mut(&peer) {
            score.avoided_until = Duration::ZERO;
            score.suspected_until = Duration::ZERO;
            score.busy_until = Duration::ZERO;
        }
    }

    /// Time left in which `peer` is not asked, because it failed or fell silent.
    #[must_use]
    pub fn avoided_for(&self, peer: PeerKey, now: Duration) -> Option<Duration> {
        let until = self.peers.get(&peer).map(|s| s.avoided_until.max(s.suspected_until))?;
        (until > now).then(|| until - now)
    }

    /// How little there is to hope for from one that is avoided, least first: whoever cheated comes last, and of the others
    /// whoever failed last, because it is the least likely to be back.
    #[must_use]
    pub fn despair(&self, peer: PeerKey) -> (bool, Duration) {
        self.peers.get(&peer).map_or((false, Duration::ZERO), |s| (s.misbehaved, s.failed_at))
    }

    /// Whether it said that it is busy.
    #[must_use]
    pub fn is_busy(&self, peer: PeerKey, now: Duration) -> bool {
        self.peers.get(&peer).is_some_and(|s| s.busy_until > now)
    }

    /// Segments that this node has with `peer` now.
    #[must_use]
    pub fn in_flight(&self, peer: PeerKey) -> u32 {
        self.peers.get(&peer).map_or(0, |s| s.in_flight)
    }

    /// Expected time for a segment of `duration`: the median of what was measured lately.
    #[must_use]
    pub fn expected(&self, peer: PeerKey, duration: Duration) -> Duration {
        duration.mul_f64(self.quantile(peer, 0.5, LATELY, |_| true).unwrap_or(UNKNOWN_RATIO))
    }

    /// Time after which only one answer in twenty is still to come: when to ask somebody else as well. Cancelled answers do
    /// not count, or an orchestrator that turns slow would be waited for ever longer.
    #[must_use]
    pub fn p95(&self, peer: PeerKey, duration: Duration) -> Duration {
        duration.mul_f64(self.quantile(peer, 0.95, SAMPLES, |s| s.complete).unwrap_or(UNKNOWN_P95))
    }

    /// Share of asks that succeeded, 0 to 1, starting at 1 for a newcomer.
    #[must_use]
    pub fn reliability(&self, peer: PeerKey) -> f64 {
        self.peers
            .get(&peer)
            .map_or(1.0, |s| (s.successes as f64 + 1.0) / ((s.successes + s.faults) as f64 + 1.0))
    }

    fn quantile(&self, peer: PeerKey, q: f64, last: usize, counts: impl Fn(&Sample) -> bool) -> Option<f64> {
        let samples = &self.peers.get(&peer)?.samples;
        let mut sorted: Vec<f32> =
            samples.iter().rev().take(last).filter(|s| counts(s)).map(|s| s.ratio).collect();
        if sorted.len() < ENOUGH {
            return None;
        }
        sorted.sort_by(f32::total_cmp);
        let rank = (sorted.len() as f64 * q).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len()) - 1).map(|r| f64::from(*r))
    }

    fn entry(&mut self, peer: PeerKey, now: Duration) -> &mut Score {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&peer) {
            let oldest = self.peers.iter().min_by_key(|(_, s)| s.last_heard).map(|(p, _)| *p);
            oldest.map(|p| self.peers.remove(&p));
        }
        let score = self.peers.entry(peer).or_default();
        score.last_heard = now;
        score
    }
}

impl Score {
    fn push(&mut self, took: Duration, duration: Duration, complete: bool) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        let ratio = (took.as_secs_f64() / duration.as_secs_f64().max(0.1)) as f32;
        self.samples.push_back(Sample { ratio, complete });
    }
}

/// JSON keys must be text; a list of pairs needs no such rule.
mod as_list {
    use super::{BTreeMap, PeerKey, Score};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(map: &BTreeMap<PeerKey, Score>, s: S) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<PeerKey, Score>, D::Error> {
        Ok(Vec::<(PeerKey, Score)>::deserialize(d)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerKey = PeerKey([1; 32]);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_out_doubles_with_each_fault_and_ends_with_a_success() {
        let mut board = Scoreboard::default();
        board.failed(PEER, SECOND, Blame::Fault);
        assert_eq!(board.avoided_for(PEER, SECOND), Some(FIRST_AVOIDANCE));
        board.failed(PEER, SECOND, Blame::Fault);
        assert_eq!(board.avoided_for(PEER, SECOND), Some(FIRST_AVOIDANCE * 2));
        for _ in 0..40 {
            board.failed(PEER, SECOND, Blame::Misbehaviour);
        }
        assert_eq!(board.avoided_for(PEER, SECOND), Some(LONGEST_AVOIDANCE));
        board.succeeded(PEER, SECOND, SECOND, SECOND);
        assert_eq!(board.avoided_for(PEER, SECOND), None);
    }

    #[test]
    fn the_p95_is_the_orchestrators_own() {
        let mut board = Scoreboard::default();
        for ms in 1..=40 {
            board.succeeded(PEER, SECOND, Duration::from_millis(ms * 10), SECOND);
        }
        assert!((board.p95(PEER, SECOND).as_secs_f64() - 0.38).abs() < 0.001);
        assert!((board.expected(PEER, SECOND).as_secs_f64() - 0.38).abs() < 0.001);
    }

    #[test]
    fn silence_is_noticed_sooner_of_one_whose_beat_is_regular() {
        let mut board = Scoreboard::default();
        board.asked(PEER, SECOND);
        assert_eq!(board.silence(PEER), UNKNOWN_SILENCE);
        for _ in 0..KNOWN_BEAT {
            board.sign(PEER, Duration::from_millis(100));
        }
        assert_eq!(board.silence(PEER), LEAST_SILENCE);
        board.sign(PEER, Duration::from_millis(300));
        assert_eq!(board.silence(PEER), Duration::from_millis(600));
        for _ in 0..100 {
            board.sign(PEER, Duration::from_millis(100));
        }
        assert_eq!(board.silence(PEER), LEAST_SILENCE);
    }

    #[test]
    fn a_suspect_is_left_alone_until_it_shows_life() {
        let mut board = Scoreboard::default();
        board.suspected(PEER, SECOND);
        assert_eq!(board.avoided_for(PEER, SECOND), Some(FIRST_AVOIDANCE));
        board.sign(PEER, SECOND);
        assert_eq!(board.avoided_for(PEER, SECOND), None);
    }

    #[test]
    fn a_part_of_a_ladder_and_an_early_cancel_say_nothing_about_the_usual_time() {
        let mut board = Scoreboard::default();
        for _ in 0..ENOUGH {
            board.succeeded(PEER, SECOND, SECOND / 2, SECOND);
        }
        for _ in 0..LATELY {
            board.helped(PEER, SECOND);
            board.was_slow(PEER, SECOND, SECOND / 100, SECOND);
        }
        assert_eq!(board.expected(PEER, SECOND), SECOND / 2);
        for _ in 0..LATELY {
            board.was_slow(PEER, SECOND, SECOND, SECOND);
        }
        assert_eq!(board.expected(PEER, SECOND), SECOND);
    }

    #[test]
    fn faults_survive_a_restart_and_what_is_in_flight_does_not() {
        let mut board = Scoreboard::default();
        board.asked(PEER, SECOND);
        board.failed(PEER, SECOND, Blame::Fault);
        let text = serde_json::to_string(&board).unwrap();
        let board: Scoreboard = serde_json::from_str(&text).unwrap();
        assert!(board.avoided_for(PEER, SECOND).is_some());
        assert_eq!(board.in_flight(PEER), 0);
    }
}
