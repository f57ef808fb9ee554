//! The pictures: where a segment starts, where it ends, what cannot be in it.

use bytes::Bytes;
use protocol::{Segment, Ticks};

use super::{CutVideo, Cutter, MAX_BYTES, MAX_PICTURES, Piece, Shared};
use crate::avc::{Avcc, Sps, in_band, is_recovery_point, nal_type, nals, unit_type};
use crate::fmp4::Sample;
use crate::packet::{AccessUnit, VideoConfig};
use crate::timeline::{JUMP, VideoTime};

/// Segments this many times the target long may be cut at a recovery point too: the encoder has open GOPs, and pictures
/// that lead it are lost rather than the stream.
const PATIENCE: i64 = 4;

/// The video side of a cutter.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The newest parameters.
    known: Option<Shared<Known>>,
    /// The record as the publisher last announced it.
    announced: Option<Bytes>,
    /// The parameters of the last segment.
    last: Option<Shared<Known>>,
    open: Option<Open>,
    /// Segments end at boundaries only.
    pub(super) pushed: bool,
    /// The next segment begins after a break.
    pub(super) broken: bool,
    /// The next segment is the first of a connection: audio before it is nobody's.
    pub(super) anew: bool,
    /// When the first picture was dropped for want of an IDR picture.
    waiting_since: Option<Ticks>,
    /// The last recovery point that was cut at had no leading pictures, so that the next ones serve as well as IDR pictures.
    clean_recovery: bool,
    /// Highest presentation time.
    pub(super) latest: Ticks,
}

/// Parameters in use.
#[derive(Debug)]
struct Known {
    config: VideoConfig,
    sets: Avcc,
    info: Sps,
}

/// The segment that is being filled.
#[derive(Debug)]
struct Open {
    known: Shared<Known>,
    start: Ticks,
    samples: Vec<Sample>,
    bytes: usize,
    discontinuity: bool,
    at_recovery: bool,
}

/// What a picture is, read from its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Idr,
    Recovery,
    Other,
}

impl Cutter {
    pub(super) fn video_config(&mut self, config: VideoConfig) {
        if self.video.announced.as_ref() == Some(&config.avcc) {
            return;
        }
        match Avcc::parse(&config.avcc).and_then(Known::new) {
            Ok(known) => {
                self.video.announced = Some(config.avcc);
                if self.video.known.as_ref().is_none_or(|old| old.sets != known.sets) {
                    self.video.known = Some(known.into());
                }
            }
            Err(_) => self.counts.refused_configs += 1,
        }
    }

    pub(super) fn picture(&mut self, unit: AccessUnit, out: &mut Vec<Piece>) {
        let Some(kind) = kind(&unit.data) else {
            self.counts.malformed_pictures += 1;
            return;
        };
        let time = self.timeline.video(unit.pts, unit.dts, kind == Kind::Idr);
        self.video.latest = self.video.latest.max(time.pts);
        if time.jump {
            self.counts.clock_jumps += 1;
            self.video.broken |= self.next_index > 0 || self.video.open.is_some();
        }
        if kind == Kind::Idr {
            self.parameters_in_band(&unit.data);
        }
        let Some(known) = self.video.known.clone() else {
            self.counts.unconfigured_pictures += 1;
            return;
        };
        if self.ends_before(kind, time, unit.data.len(), &known) {
            self.close(time.pts, None, out);
        }
        match &mut self.video.open {
            Some(open) => {
                if time.pts < open.start {
                    self.counts.leading_pictures += 1;
                    self.video.clean_recovery &= !open.at_recovery;
                } else {
                    open.push(time, kind == Kind::Idr, unit.data);
                }
            }
            None => self.open(kind, time, known, unit.data),
        }
    }

    /// Ends the open segment after its last picture; says whether there was one.
    pub(super) fn close_here(&mut self, token: Option<u64>, out: &mut Vec<Piece>) -> bool {
        let Some(open) = &self.video.open else { return false };
        let last = open.samples.iter().map(|sample| sample.pts).max().unwrap_or(open.start.0);
        self.close(Ticks(last) + self.timeline.picture_duration(), token, out);
        true
    }

    /// Whether the open segment ends before this picture.
    fn ends_before(&mut self, kind: Kind, time: VideoTime, bytes: usize, known: &Shared<Known>) -> bool {
        let Some(open) = &self.video.open else { return false };
        if !Shared::ptr_eq(&open.known, known) {
            return true;
        }
        let elapsed = time.pts - open.start;
        let full = open.samples.len() >= MAX_PICTURES
            || open.bytes + bytes > MAX_BYTES
            || elapsed > Segment::MAX_DURATION - JUMP;
        if full {
            self.counts.limits_reached += u64::from(kind != Kind::Idr);
            return true;
        }
        // A little short of the target is near enough: waiting for the next IDR picture would overshoot by a whole GOP.
        let long = elapsed.0 >= self.target.0 - self.target.0 / 8;
        match kind {
            _ if self.video.pushed => false,
            Kind::Idr => long || self.video.broken,
            Kind::Recovery => (long && self.video.clean_recovery) || elapsed.0 >= PATIENCE * self.target.0,
            Kind::Other => false,
        }
    }

    fn open(&mut self, kind: Kind, time: VideoTime, known: Shared<Known>, data: Bytes) {
        let since = *self.video.waiting_since.get_or_insert(time.dts);
        let starved = time.dts.0 - since.0 >= PATIENCE * self.target.0;
        let nothing_lost_yet = since == time.dts;
        let starts = match kind {
            Kind::Idr => true,
            Kind::Recovery => nothing_lost_yet || starved || self.video.clean_recovery,
            Kind::Other => false,
        };
        if !starts {
            self.counts.pictures_before_idr += 1;
            self.video.broken |= self.next_index > 0;
            return;
        }
        if kind == Kind::Recovery {
            self.counts.recovery_cuts += 1;
            // Until a leading picture shows otherwise.
            self.video.clean_recovery = true;
        }
        self.video.waiting_since = None;
        let renewed =
            self.video.last.replace(known.clone()).is_some_and(|last| !Shared::ptr_eq(&last, &known));
        let mut open = Open {
            known,
            start: time.pts,
            samples: Vec::with_capacity(128),
            bytes: 0,
            discontinuity: std::mem::take(&mut self.video.broken) || renewed,
            at_recovery: kind == Kind::Recovery,
        };
        open.push(time, true, data);
        self.video.open = Some(open);
    }

    /// Ends the open segment at `end`.
    fn close(&mut self, end: Ticks, token: Option<u64>, out: &mut Vec<Piece>) {
        let Some(mut open) = self.video.open.take() else { return };
        let step = self.timeline.picture_duration();
        let last = open.samples.iter().map(|sample| sample.pts).max().unwrap_or(open.start.0);
        let end = end.0.max(last + 1).min(open.start.0 + Segment::MAX_DURATION.0);
        open.set_durations(end - open.start.0, step);
        self.timeline.taken_until(Ticks(end));
        let index = self.next_index;
        self.next_index += 1;
        self.counts.segments += 1;
        let first = index == 0 || std::mem::take(&mut self.video.anew);
        self.wait_for_audio(index, open.start, Ticks(end), first);
        out.push(Piece::Video(CutVideo {
            index,
            start: open.start,
            duration: Ticks(end) - open.start,
            samples: open.samples,
            config: open.known.config.clone(),
            info: open.known.info.clone(),
            discontinuity: open.discontinuity,
            token,
        }));
    }

    /// Takes over parameter sets that a publisher changes inside the stream.
    fn parameters_in_band(&mut self, data: &Bytes) {
        let (sps, pps) = in_band(data);
        let known = self.video.known.as_ref();
        let old = known.map(|known| &known.sets);
        let familiar = |old: &Avcc| {
            sps.iter().all(|set| old.sps.contains(set)) && pps.iter().all(|set| old.pps.contains(set))
        };
        if sps.is_empty() || old.is_some_and(familiar) {
            return;
        }
        let pps = if pps.is_empty() { old.map(|old| old.pps.clone()).unwrap_or_default() } else { pps };
        // Copied, so that a few bytes do not keep a whole picture alive.
        let copied = |sets: Vec<Bytes>| sets.iter().map(|set| Bytes::copy_from_slice(set)).collect();
        match Avcc::new(copied(sps), copied(pps)).and_then(Known::new) {
            Ok(known) => self.video.known = Some(known.into()),
            Err(_) => self.counts.refused_configs += 1,
        }
    }
}

impl Known {
    fn new(sets: Avcc) -> Result<Self, crate::avc::AvcError> {
        let sets = Avcc { length_size: 4, ..sets };
        Ok(Self { config: sets.to_config()?, info: sets.info()?, sets })
    }
}

impl Open {
    fn push(&mut self, time: VideoTime, key: bool, data: Bytes) {
        self.bytes += data.len();
        self.samples.push(Sample { dts: time.dts.0, pts: time.pts.0, duration: 0, key, data });
    }

    /// Every picture lasts until the next one is decoded, and all together as long as the segment.
    fn set_durations(&mut self, total: i64, step: Ticks) {
        let first = self.samples.first().map_or(0, |sample| sample.dts);
        let mut next = first + total;
        for sample in self.samples.iter_mut().rev() {
            let duration = if next > sample.dts { next - sample.dts } else { step.0 };
            sample.duration = duration.clamp(1, i64::from(u32::MAX)) as u32;
            next = sample.dts;
        }
    }
}

/// What an access unit is; `None` when it holds no picture or is no sequence of NAL units.
fn kind(data: &Bytes) -> Option<Kind> {
    if data.len() > MAX_BYTES {
        return None;
    }
    let (mut slices, mut idr) = (false, false);
    for nal in nals(data) {
        let kind = unit_type(nal.ok()?);
        slices |= matches!(kind, Some(nal_type::SLICE..=nal_type::IDR));
        idr |= kind == Some(nal_type::IDR);
    }
    match (slices, idr) {
        (false, _) => None,
        (true, true) => Some(Kind::Idr),
        (true, false) if is_recovery_point(data) => Some(Kind::Recovery),
        (true, false) => Some(Kind::Other),
    }
}
