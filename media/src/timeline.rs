//! Hostile timestamps in, a steady 90 kHz timeline out.
//!
//! In: what a publisher wrote, or did not, for each picture and audio frame. Out: decoding times that rise strictly, presentation
//! times at or after them, both absolute from [`START`] on. Audio and video share one mapping, so they stay in sync; a constant
//! offset is all that happens to a well-behaved publisher. Knows no clock: time is only what comes in.

mod audio;
mod clock;

use std::collections::VecDeque;

use protocol::Ticks;

pub use audio::AudioGrid;
use clock::{Clock, Placed};

/// Where a stream's first timestamp is put: room for reordering and for the other track's earlier start, so that no time is
/// ever negative.
pub const START: Ticks = Ticks(10 * Ticks::PER_SECOND);
/// A larger step than this, either way, is a break of the publisher's clock; a smaller one a gap.
pub const JUMP: Ticks = Ticks(2 * Ticks::PER_SECOND);
/// Furthest apart that audio and video of one moment are believed to be.
pub const MAX_SKEW: Ticks = Ticks(5 * Ticks::PER_SECOND);
/// Longest honest distance from decoding to presentation: 16 reordered pictures at 6 a second.
pub const MAX_REORDER: Ticks = Ticks(3 * Ticks::PER_SECOND);

/// Distance of pictures before any was measured: 30 a second.
const DEFAULT_STEP: i64 = 3000;
/// How far decoding runs ahead where a publisher tells presentation times only: four pictures.
const UNTOLD_LEAD: i64 = 4 * DEFAULT_STEP;
/// Presentation that little before decoding is somebody's rounding.
const ROUNDING: i64 = Ticks::PER_SECOND / 4;
/// Presentation times kept apart from each other; H.264 reorders at most 16 pictures.
const RECENT: usize = 32;

/// When a picture is decoded and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoTime {
    /// Presentation time, not before `dts`, never given twice among neighbours.
    pub pts: Ticks,
    /// Decoding time, above every earlier one.
    pub dts: Ticks,
    /// Whether the publisher's clock broke just before.
    pub jump: bool,
}

/// The state of one stream's time.
#[derive(Clone, Debug)]
pub struct Timeline {
    video: Clock,
    audio: Clock,
    /// Added to a publisher's time: the newest mapping, that the other track may adopt.
    shared: Option<i64>,
    /// Decoding time of the last picture.
    last_dts: Option<i64>,
    max_pts: i64,
    /// No IDR picture is shown, and no new clock starts, before this.
    floor: i64,
    /// Distance from decoding to presentation of the last picture.
    reorder: i64,
    /// Pictures since the one with the highest presentation time.
    since_max: i64,
    recent: VecDeque<i64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

impl Timeline {
    /// A timeline on which nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self {
            video: Clock::new(DEFAULT_STEP),
            audio: Clock::new(1920),
            shared: None,
            last_dts: None,
            max_pts: i64::MIN,
            floor: START.0,
            reorder: 0,
            since_max: 0,
            recent: VecDeque::new(),
        }
    }

    /// Forgets the publisher's clock: the next timestamp, whatever it is, continues where the timeline is now.
    pub fn discontinuity(&mut self) {
        self.shared = None;
        self.video.forget();
        self.audio.forget();
    }

    /// Everything before `end` is taken: the next IDR picture is not shown before it, and a new clock starts there or later.
    pub fn taken_until(&mut self, end: Ticks) {
        self.floor = self.floor.max(end.0);
    }

    /// Typical distance of two pictures now.
    #[must_use]
    pub fn picture_duration(&self) -> Ticks {
        Ticks(self.video.step)
    }

    /// Places a picture. An IDR picture is shown after every picture before it, whatever the publisher says (ITU-T H.264 C.4).
    pub fn video(&mut self, pts: Option<Ticks>, dts: Option<Ticks>, idr: bool) -> VideoTime {
        let (wanted, cts, jump) = match (dts, pts) {
            (Some(dts), pts) => {
                let placed = self.place_video(Some(dts.0));
                self.learn_step(placed);
                (placed.out, self.reorder_of(placed.raw, pts), placed.jump)
            }
            (None, Some(pts)) => self.dts_of(pts),
            (None, None) => (self.place_video(None).out, self.reorder, false),
        };
        let dts = self.last_dts.map_or(wanted, |last| wanted.max(last + 1));
        self.last_dts = Some(dts);
        self.video.last_out = dts;
        let pts = self.distinct(dts + cts, idr);
        VideoTime { pts: Ticks(pts), dts: Ticks(dts), jump }
    }

    /// Places an audio frame of a length; says whether the publisher's clock broke just before. Times may repeat or fall a
    /// little: [`AudioGrid`] counts samples.
    pub fn audio(&mut self, pts: Option<Ticks>, frame: Ticks) -> (Ticks, bool) {
        self.audio.step = frame.0.max(1);
        let other = self.video.anchor();
        let placed = self.audio.place(pts.map(|pts| pts.0), &mut self.shared, other, self.floor);
        self.audio.last_out = placed.out;
        (Ticks(placed.out), placed.jump)
    }

    fn place_video(&mut self, raw: Option<i64>) -> Placed {
        let other = self.audio.anchor();
        self.video.place(raw, &mut self.shared, other, self.floor)
    }

    /// Learns the distance of pictures from two decoding times.
    fn learn_step(&mut self, placed: Placed) {
        if let Some(last) = self.last_dts.filter(|_| !placed.jump) {
            let step = placed.out - last;
            if (1..=JUMP.0).contains(&step) {
                self.video.step = step;
            }
        }
    }

    /// Distance from decoding to presentation, as told where that can be.
    fn reorder_of(&mut self, dts: i64, pts: Option<Ticks>) -> i64 {
        if let Some(pts) = pts {
            let told = clock::unwrap(clock::bounded(pts.0), dts) - dts;
            self.reorder = match told {
                told if (0..=MAX_REORDER.0).contains(&told) => told,
                // Writers that round differently put presentation a little before decoding.
                told if (-ROUNDING..0).contains(&told) => 0,
                _ => self.reorder,
            };
        }
        self.reorder
    }

    /// Finds a decoding time where only presentation is told: pictures evenly spread, some pictures ahead.
    fn dts_of(&mut self, pts: Ticks) -> (i64, i64, bool) {
        let last = self.last_dts;
        let placed = self.place_video(Some(pts.0));
        self.since_max += 1;
        if placed.out > self.max_pts {
            let step = placed.out.saturating_sub(self.max_pts) / self.since_max;
            if !placed.jump && (1..=JUMP.0).contains(&step) {
                self.video.step = step;
            }
            self.since_max = 0;
        }
        let dts = match last {
            None => placed.out - UNTOLD_LEAD,
            Some(last) => (last + self.video.step).min(placed.out).max(last + 1),
        };
        (dts, (placed.out - dts).clamp(0, MAX_REORDER.0), placed.jump)
    }

    /// Moves a presentation time forward until it is nobody else's.
    fn distinct(&mut self, mut pts: i64, idr: bool) -> i64 {
        if idr {
            pts = pts.max(self.max_pts.saturating_add(1)).max(self.floor);
        }
        while self.recent.contains(&pts) {
            pts += 1;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(pts);
        self.max_pts = self.max_pts.max(pts);
        pts
    }
}

#[cfg(test)]
mod tests;
