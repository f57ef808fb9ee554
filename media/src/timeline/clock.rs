//! One track's mapping from the publisher's time to ours.

use super::{JUMP, MAX_SKEW, START};

/// Periods after which counters start anew: 33 bits of 90 kHz (MPEG-TS), 32 bits of milliseconds (RTMP).
const PERIODS: [i64; 2] = [1 << 33, (1 << 32) * 90];
/// Publishers' times are cut to this, three million years, so that sums cannot overflow.
const BOUND: i64 = 1 << 52;

/// A publisher's time that can be added to others without overflow.
pub(super) fn bounded(raw: i64) -> i64 {
    raw.clamp(-BOUND, BOUND)
}

/// Undoes a counter's wrap: `raw`, moved by whole periods when that brings it next to `reference`.
pub(super) fn unwrap(raw: i64, reference: i64) -> i64 {
    let near = |value: i64| (value - reference).abs() <= JUMP.0;
    if near(raw) {
        return raw;
    }
    let moved = PERIODS.map(|period| {
        let turns = (reference - raw + period / 2).div_euclid(period);
        raw + turns * period
    });
    moved.into_iter().find(|&value| near(value)).unwrap_or(raw)
}

/// A time that was placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// Ours.
    pub(super) out: i64,
    /// The publisher's, unwrapped.
    pub(super) raw: i64,
    /// Whether the mapping changed.
    pub(super) jump: bool,
}

/// Where one track is.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Last time of the publisher, unwrapped; `None` before the first.
    last_raw: Option<i64>,
    /// Added to the publisher's time.
    offset: i64,
    /// The offset before the last break, restored when a single wrong timestamp turns out to have been one.
    previous: Option<i64>,
    /// Last time given out.
    pub(super) last_out: i64,
    /// Distance to the next one when the publisher does not tell.
    pub(super) step: i64,
    started: bool,
}

impl Clock {
    pub(super) fn new(step: i64) -> Self {
        Self { last_raw: None, offset: 0, previous: None, last_out: START.0, step, started: false }
    }

    pub(super) fn forget(&mut self) {
        self.last_raw = None;
        self.previous = None;
    }

    /// Where this track is and would be next; `None` before its first time.
    pub(super) fn anchor(&self) -> Option<(i64, i64)> {
        self.started.then_some((self.last_out, self.last_out + self.step))
    }

    /// Places a time. `shared` is the newest mapping of any track; `other` where the other track is; a new clock does not
    /// start before `floor`.
    pub(super) fn place(
        &mut self,
        raw: Option<i64>,
        shared: &mut Option<i64>,
        other: Option<(i64, i64)>,
        floor: i64,
    ) -> Placed {
        let placed = match (raw.map(bounded), self.last_raw) {
            (None, _) => self.untold(other),
            (Some(raw), None) => self.first(raw, shared, other, floor),
            (Some(raw), Some(last)) => self.next(raw, last, shared),
        };
        self.started = true;
        placed
    }

    /// One step on, the publisher's time carried along.
    fn untold(&mut self, other: Option<(i64, i64)>) -> Placed {
        let out = match (self.started, other) {
            (true, _) => self.last_out + self.step,
            (false, Some((now, _))) => now,
            (false, None) => START.0,
        };
        if let Some(last) = &mut self.last_raw {
            *last = bounded(*last + self.step);
        }
        Placed { out, raw: out - self.offset, jump: false }
    }

    /// The first time since the start or a break: by the other track's mapping where that makes sense.
    fn first(&mut self, raw: i64, shared: &mut Option<i64>, other: Option<(i64, i64)>, floor: i64) -> Placed {
        let resume = [self.anchor(), other].into_iter().flatten().map(|(_, next)| next).fold(floor, i64::max);
        let mut raw = raw;
        match (*shared, other) {
            (Some(offset), Some((now, _))) => {
                raw = unwrap(raw, now - offset);
                let fits = (raw + offset - now).abs() <= MAX_SKEW.0;
                self.offset = if fits { offset } else { now - raw };
            }
            _ => {
                self.offset = resume - raw;
                *shared = Some(self.offset);
            }
        }
        self.last_raw = Some(raw);
        Placed { out: raw + self.offset, raw, jump: false }
    }

    fn next(&mut self, raw: i64, last: i64, shared: &mut Option<i64>) -> Placed {
        let raw = unwrap(raw, last);
        let steady = (raw - last).abs() <= JUMP.0;
        // Times that creep backwards in small steps are a break too, once they lag far enough.
        let stalled = self.last_out - (raw + self.offset) > JUMP.0;
        let jump = !steady || stalled;
        let mut unwrapped = raw;
        if jump {
            let broken = self.offset;
            unwrapped = self.rejoin(raw, shared);
            self.previous = Some(broken);
        }
        self.last_raw = Some(unwrapped);
        Placed { out: unwrapped + self.offset, raw: unwrapped, jump }
    }

    /// Chooses a mapping after a break: the one before, the other track's, or one that continues here.
    fn rejoin(&mut self, raw: i64, shared: &mut Option<i64>) -> i64 {
        let known = [(self.previous, JUMP.0), (*shared, MAX_SKEW.0)];
        for (offset, reach) in known.into_iter().filter_map(|(offset, reach)| Some((offset?, reach))) {
            let candidate = unwrap(raw, self.last_out - offset);
            if offset != self.offset && (candidate + offset - self.last_out).abs() <= reach {
                self.offset = offset;
                *shared = Some(offset);
                return candidate;
            }
        }
        self.offset = self.last_out + self.step - raw;
        *shared = Some(self.offset);
        raw
    }
}
