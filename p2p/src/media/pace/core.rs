//! The decisions of the congestion controller, without a clock: what was acknowledged and lost in a round trip decides the
//! rate of the next one.
//!
//! - **Start**: twice the rate every round while the queue stays empty; then what the path delivered.
//! - **Cruise**: some packets more every round while the delay is low, a fifth less when it is not. The packets are nearly the
//!   same for everybody and the fifths are not, which is what makes two flows meet; and the faster of the two finds the delay
//!   high a little sooner. A fifth is less than what the queue holds by then, so the link stays busy.
//! - **Drain**: a flow that never pauses lets the queue run empty for a round every few seconds, to see the path's own delay
//!   again: otherwise a late comer takes an old flow's queue for distance.
//!
//! Loss counts only when it is heavy (a policer, a tiny queue) or total. Times are since any fixed origin.

use std::time::Duration;

/// Packets in the first window: a segment's first quarter megabyte goes out before the path is known.
const FIRST_WINDOW: u64 = 256;
/// Packets in the smallest window: enough that acknowledgements keep coming.
const LEAST_WINDOW: u64 = 8;
/// Packets in the window while the queue drains.
const DRAIN_WINDOW: u64 = 4;
/// How much longer than the path a packet may take before it counts as queued: this factor and this slack, which covers
/// timers, jitter and delayed acknowledgements.
const QUEUE_FACTOR: f64 = 1.25;
const QUEUE_SLACK: f64 = 0.010;
/// The same at the start, where the rate doubles and the queue fills fast.
const START_FACTOR: f64 = 1.125;
const START_SLACK: f64 = 0.006;
/// A slow flow waits longer before it gives way than a fast one: by so many packets at its rate, and no longer than this.
const QUEUE_PACKETS: f64 = 24.0;
const QUEUE_MORE: f64 = 0.015;
/// Packets in a row that have queued: the start is over without waiting for the end of its round.
const LATE_PACKETS: u32 = 8;
/// Packets that cruise adds each round: so many, and this times the root of those in the window, so that a wide link is filled
/// in seconds and a narrow one is not flooded.
const RAISE_PACKETS: f64 = 6.0;
const RAISE_ROOT: f64 = 0.5;
/// What is kept of what the path delivered at the end of the start.
const KEEP_DELIVERED: f64 = 0.9;
/// What is kept when there is a queue, when loss is heavy, and when nothing arrives at all.
const KEEP_QUEUED: f64 = 0.8;
const KEEP_LOSSY: f64 = 0.8;
const KEEP_NOTHING: f64 = 0.5;
/// Loss that counts as congestion: this part of a round, and no less than this many packets.
const HEAVY_LOSS: f64 = 0.08;
const HEAVY_PACKETS: u64 = 12;
/// Shortest round: on a LAN the rate would otherwise change before a timer can fire.
const LEAST_ROUND: Duration = Duration::from_millis(1);
/// How long a smallest round trip is believed without being seen again, in halves; the first is short, because a flow that
/// starts behind another's queue has never seen the path empty.
const AGE: Duration = Duration::from_secs(5);
const FIRST_AGE: Duration = Duration::from_secs(1);

/// Packets that have arrived.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// When this side learnt it.
    pub now: Duration,
    /// When they were sent.
    pub sent: Duration,
    /// How many bytes.
    pub bytes: u64,
    /// Whether the sender had nothing more to send.
    pub app_limited: bool,
}

/// The controller's state.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Contracted rate, bytes per second.
    cap: f64,
    /// Rate now, bytes per second.
    rate: f64,
    mtu: u64,
    phase: Phase,
    round: Round,
    path: Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Start,
    Cruise,
    /// The effect of a cut is not yet visible: nothing is decided in this round.
    Settle,
    Drain,
}

/// What happened since the round began.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    began: Duration,
    /// Smallest round trip: jitter and delayed acknowledgements only add to it, a standing queue does so to all.
    least: Option<Duration>,
    acked: u64,
    lost: u64,
    /// Packets in a row, up to the last one, that have queued.
    late: u32,
    app_limited: bool,
}

/// The smallest round trip of the last one to two ages.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    older: Option<Duration>,
    newer: Option<Duration>,
    /// When the newer half is over.
    ripe: Option<Duration>,
    /// Whether the flow has paused in the newer half: its queue was empty then.
    paused: bool,
}

// === impl Pace ===

impl Pace {
    /// A flow of at most `cap` bytes per second, starting at a quarter of it.
    #[must_use]
    pub fn new(cap: u64, mtu: u16) -> Self {
        let cap = cap.max(1) as f64;
        Self {
            cap,
            rate: cap / 4.0,
            mtu: mtu.max(1).into(),
            phase: Phase::Start,
            round: Round::default(),
            path: Path::default(),
        }
    }

    /// The rate now, bytes per second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate as u64
    }

    /// Bytes that may be in flight.
    #[must_use]
    pub fn window(&self) -> u64 {
        if self.phase == Phase::Drain {
            return DRAIN_WINDOW * self.mtu;
        }
        let Some(path) = self.path.least() else { return self.initial_window() };
        ((self.rate * limit(path, QUEUE_FACTOR, QUEUE_SLACK)) as u64).max(LEAST_WINDOW * self.mtu)
    }

    /// Bytes that may be in flight before anything is known of the path.
    #[must_use]
    pub fn initial_window(&self) -> u64 {
        FIRST_WINDOW * self.mtu
    }

    /// The path takes packets of another size.
    pub fn on_mtu(&mut self, mtu: u16) {
        self.mtu = mtu.max(1).into();
    }

    /// Packets have arrived.
    pub fn on_ack(&mut self, ack: Ack) {
        let rtt = ack.now.saturating_sub(ack.sent);
        if self.path.least().is_none() {
            // However much is contracted, a path that nobody knows yet gets no more than the first window.
            let first = self.initial_window() as f64 / limit(rtt, QUEUE_FACTOR, QUEUE_SLACK);
            self.rate = self.rate.min(first);
        }
        self.path.seen(ack.now, rtt, ack.app_limited);
        let round = &mut self.round;
        round.least = Some(round.least.map_or(rtt, |least| least.min(rtt)));
        round.acked += ack.bytes;
        round.app_limited |= ack.app_limited;
        let late = self.path.least().is_some_and(|path| over(rtt, path, QUEUE_FACTOR, QUEUE_SLACK));
        round.late = if late { round.late + 1 } else { 0 };
        // The rate is doubling: the end of the round would be too late.
        if self.phase == Phase::Start && round.late >= LATE_PACKETS {
            self.leave_start(ack.now);
            self.begin(ack.now, Phase::Settle);
            return;
        }
        // A packet of this round has come back: the round trip is over.
        if ack.sent >= round.began && ack.now >= round.began + LEAST_ROUND {
            self.turn(ack.now);
        }
    }

    /// Packets were lost; `persistent` when for a long time nothing else happened.
    pub fn on_loss(&mut self, now: Duration, bytes: u64, persistent: bool) {
        self.round.lost += bytes;
        if persistent {
            self.set(self.rate * KEEP_NOTHING);
            self.begin(now, Phase::Settle);
        }
    }

    fn turn(&mut self, now: Duration) {
        let round = self.round;
        let (Some(path), Some(least)) = (self.path.least(), round.least) else { return };
        let next = match self.phase {
            Phase::Drain => {
                self.path.turn(now);
                Phase::Settle
            }
            Phase::Settle => Phase::Cruise,
            Phase::Start if round.is_lossy(self.mtu) || over(least, path, START_FACTOR, START_SLACK) => {
                self.leave_start(now);
                Phase::Settle
            }
            Phase::Cruise if round.is_lossy(self.mtu) => {
                self.set(self.rate * KEEP_LOSSY);
                Phase::Settle
            }
            Phase::Cruise if over(least, path, QUEUE_FACTOR, self.slack()) => {
                self.set(self.rate * KEEP_QUEUED);
                Phase::Settle
            }
            // A rate that was not used has not been tried.
            same if round.app_limited => same,
            Phase::Start => {
                self.set(self.rate * 2.0);
                Phase::Start
            }
            Phase::Cruise => {
                let (mtu, trip) = (self.mtu as f64, limit(path, QUEUE_FACTOR, QUEUE_SLACK));
                let more = RAISE_PACKETS + RAISE_ROOT * (self.rate * trip / mtu).sqrt();
                self.set(self.rate + more * mtu / trip);
                Phase::Cruise
            }
        };
        self.begin(now, next);
        if self.path.is_ripe(now) && next != Phase::Drain {
            if self.path.paused || self.phase == Phase::Start {
                self.path.turn(now);
            } else {
                self.phase = Phase::Drain;
            }
        }
    }

    /// What cruise takes for no queue yet, seconds beyond the path's own time.
    fn slack(&self) -> f64 {
        QUEUE_SLACK + (QUEUE_PACKETS * self.mtu as f64 / self.rate.max(1.0)).min(QUEUE_MORE)
    }

    /// Goes on with what the path has delivered in this round.
    fn leave_start(&mut self, now: Duration) {
        let took = now.saturating_sub(self.round.began).as_secs_f64().max(LEAST_ROUND.as_secs_f64());
        self.set((self.round.acked as f64 / took).min(self.rate) * KEEP_DELIVERED);
    }

    fn begin(&mut self, now: Duration, phase: Phase) {
        self.phase = phase;
        self.round = Round { began: now, ..Round::default() };
    }

    fn set(&mut self, rate: f64) {
        let path = self.path.least().unwrap_or(LEAST_ROUND);
        let least = (LEAST_WINDOW * self.mtu) as f64 / limit(path, QUEUE_FACTOR, QUEUE_SLACK);
        self.rate = rate.clamp(least.min(self.cap), self.cap);
    }
}

/// The delay in seconds up to which a packet was not queued.
fn limit(path: Duration, factor: f64, slack: f64) -> f64 {
    path.as_secs_f64() * factor + slack
}

fn over(rtt: Duration, path: Duration, factor: f64, slack: f64) -> bool {
    rtt.as_secs_f64() > limit(path, factor, slack)
}

// === impl Round, Path ===

impl Round {
    fn is_lossy(&self, mtu: u64) -> bool {
        self.lost > HEAVY_PACKETS * mtu && self.lost as f64 > HEAVY_LOSS * (self.acked + self.lost) as f64
    }
}

impl Path {
    fn least(&self) -> Option<Duration> {
        match (self.older, self.newer) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }

    fn seen(&mut self, now: Duration, rtt: Duration, paused: bool) {
        self.newer = Some(self.newer.map_or(rtt, |least| least.min(rtt)));
        self.paused |= paused;
        self.ripe.get_or_insert(now + FIRST_AGE);
    }

    fn is_ripe(&self, now: Duration) -> bool {
        self.ripe.is_some_and(|ripe| now >= ripe)
    }

    fn turn(&mut self, now: Duration) {
        *self = Self { older: self.newer, newer: None, ripe: Some(now + AGE), paused: false };
    }
}

#[cfg(test)]
mod tests;
