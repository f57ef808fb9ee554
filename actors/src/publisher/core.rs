//! Decides when a segment appears, and with what.
//!
//! In: cuts, audio, renditions and the end, in any interleaving and with any of them lost. Out: [`Appeared`] values in the
//! order of the stream, each once. It knows no actor, no file, no clock: the time is an argument, Unix milliseconds.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{Rendition, Segment, Ticks};

use super::library::Published;
use super::messages::{Audio, AudioTrack, Cut, Made};
use super::packaging::{self, Parts};
use super::shelf::{Row, SOURCE, Shelf};
use crate::budget::{AHEAD_SEGMENTS, END_GRACE, LOST_SEGMENTS, PENDING_SEGMENTS};

/// A segment that is now in all playlists.
#[derive(Debug)]
pub(crate) struct Appeared {
    /// As it stands in the playlists.
    pub(crate) row: Arc<Row>,
    /// For those who wait for it; `None` for a segment whose cut was lost.
    pub(crate) published: Option<Published>,
    /// The target duration had to be raised, from and to, seconds.
    pub(crate) raised: Option<(u32, u32)>,
}

/// What was ignored or had to be given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Messages about segments that had already appeared, were told twice, or lie absurdly far ahead.
    pub(crate) ignored: u64,
    /// Segments that appeared incomplete because too many were waiting or the stream ended.
    pub(crate) forced: u64,
    /// Segments whose cut never came.
    pub(crate) lost: u64,
}

/// The state of one stream's publisher.
#[derive(Debug)]
pub(crate) struct Core {
    shelf: Shelf,
    pending: BTreeMap<u64, Pending>,
    /// When waiting for segments in work ends; set by the end of the stream.
    deadline: Option<u64>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Pending {
    cut: Option<(Cut, u64)>,
    audio: Option<Option<AudioTrack>>,
    made: Option<Vec<Option<Rendition>>>,
}

impl Pending {
    fn complete(&self) -> bool {
        let nothing_to_make = self.cut.as_ref().is_some_and(|(cut, _)| cut.ladder.0.is_empty());
        self.cut.is_some() && self.audio.is_some() && (self.made.is_some() || nothing_to_make)
    }
}

impl Core {
    /// Starts with an empty shelf, or goes on from one.
    pub(crate) fn new(shelf: Shelf) -> Self {
        Self { shelf, pending: BTreeMap::new(), deadline: None, tally: Tally::default() }
    }

    /// What can be seen now.
    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// What was ignored or given up so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Segments that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Whether the stream is over and everything has appeared.
    pub(crate) fn ended(&self) -> bool {
        self.shelf.ended
    }

    /// When [`Core::on_wake`] wants to be called, Unix milliseconds.
    pub(crate) fn next_wake(&self) -> Option<u64> {
        self.deadline.filter(|_| !self.shelf.ended)
    }

    /// A segment was cut.
    pub(crate) fn on_cut(&mut self, now: u64, cut: Cut) -> Vec<Appeared> {
        let seq = cut.segment.id.seq;
        if self.shelf.ended || self.shelf.next.is_some_and(|next| seq < next) {
            return self.ignore();
        }
        self.make_way(seq);
        let slot = self.pending.entry(seq).or_default();
        if slot.cut.is_some() {
            return self.ignore();
        }
        slot.cut = Some((cut, now));
        self.advance(now)
    }

    /// The audio of a segment is complete.
    pub(crate) fn on_audio(&mut self, now: u64, audio: Audio) -> Vec<Appeared> {
        match self.slot(audio.seq) {
            Some(slot) if slot.audio.is_none() => slot.audio = Some(audio.track),
            _ => return self.ignore(),
        }
        self.advance(now)
    }

    /// The renditions of a segment are made, or given up.
    pub(crate) fn on_made(&mut self, now: u64, made: Made) -> Vec<Appeared> {
        match self.slot(made.seq) {
            Some(slot) if slot.made.is_none() => slot.made = Some(made.renditions),
            _ => return self.ignore(),
        }
        self.advance(now)
    }

    /// The stream is over: segments in work have [`END_GRACE`] to complete.
    pub(crate) fn on_end(&mut self, now: u64) -> Vec<Appeared> {
        self.deadline.get_or_insert(now.saturating_add(END_GRACE.as_millis() as u64));
        self.advance(now)
    }

    /// Time has passed.
    pub(crate) fn on_wake(&mut self, now: u64) -> Vec<Appeared> {
        self.advance(now)
    }

    fn ignore(&mut self) -> Vec<Appeared> {
        self.tally.ignored += 1;
        Vec::new()
    }

    /// Where a message about `seq` belongs, unless it has appeared or lies too far ahead.
    fn slot(&mut self, seq: u64) -> Option<&mut Pending> {
        let next = self.shelf.next.or_else(|| self.pending.keys().next().copied()).unwrap_or(seq);
        let known = self.shelf.next.is_some();
        if self.shelf.ended || (known && seq < next) || seq.abs_diff(next) > AHEAD_SEGMENTS {
            return None;
        }
        if !known && self.pending.len() as u64 > AHEAD_SEGMENTS {
            return None;
        }
        Some(self.pending.entry(seq).or_default())
    }

    /// The first cut of all says where the stream begins; one far beyond the next says that a whole window was lost.
    fn make_way(&mut self, seq: u64) {
        match self.shelf.next {
            None => self.shelf.next = Some(seq),
            Some(next) if seq - next > LOST_SEGMENTS && !self.has_cut_before(seq) => {
                self.tally.lost += seq - next;
                self.shelf.skip_to(seq);
            }
            Some(_) => return,
        }
        self.pending = self.pending.split_off(&seq);
    }

    fn has_cut_before(&self, seq: u64) -> bool {
        self.pending.range(..seq).any(|(_, p)| p.cut.is_some())
    }

    fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.pending.values().filter_map(|p| p.cut.as_ref()).map(|(cut, _)| cut)
    }

    fn advance(&mut self, now: u64) -> Vec<Appeared> {
        let mut out = Vec::new();
        let force = self.deadline.is_some_and(|at| now >= at);
        while let Some(next) = self.shelf.next {
            let full = self.cuts().count() > PENDING_SEGMENTS;
            let Some(slot) = self.pending.get(&next).filter(|slot| slot.cut.is_some()) else {
                // Cuts come in order: one that is missing before another was lost on the way.
                let Some(later) = self.cuts().next().map(|cut| cut.segment.clone()) else { break };
                self.pending.remove(&next);
                out.push(self.appear_lost(now, next, &later));
                continue;
            };
            let complete = slot.complete();
            if !complete && !force && !full {
                break;
            }
            self.tally.forced += u64::from(!complete);
            let slot = self.pending.remove(&next).unwrap_or_default();
            if let Some((cut, cut_at)) = slot.cut {
                let made = slot.made.unwrap_or_default();
                out.push(self.appear(now, cut_at, cut, slot.audio.flatten(), made));
            }
        }
        self.close(force);
        out
    }

    fn close(&mut self, force: bool) {
        if self.deadline.is_some() && (force || self.cuts().next().is_none()) {
            self.pending.clear();
            if !self.shelf.ended {
                self.shelf.finish();
            }
        }
    }

    fn appear(
        &mut self,
        now: u64,
        cut_at: u64,
        cut: Cut,
        audio: Option<AudioTrack>,
        mut renditions: Vec<Option<Rendition>>,
    ) -> Appeared {
        let Cut { segment, ladder, token } = cut;
        renditions.resize(ladder.0.len(), None);
        let duration = bounded(segment.duration);
        let parts = Parts {
            seq: segment.id.seq,
            duration,
            discontinuity: segment.discontinuity,
            wall: self.wall(cut_at, duration, segment.discontinuity),
            source: &segment,
            ladder: &ladder,
            renditions: &renditions,
            audio: audio.as_ref(),
        };
        let raised = self.raise_target(duration);
        let row = packaging::pack(&mut self.shelf, &parts);
        let row = self.shelf.append(row, now);
        self.shelf.end = segment.start + duration;
        let stream = segment.id.stream.clone();
        let published = Published { stream, seq: row.seq, token, source: segment, audio, ladder, renditions };
        Appeared { row, published: Some(published), raised }
    }

    /// A segment of which nothing came: a gap in every playlist, with its share of the time until the next known one.
    fn appear_lost(&mut self, now: u64, seq: u64, later: &Segment) -> Appeared {
        self.tally.lost += 1;
        let missing = i64::try_from(later.id.seq - seq).unwrap_or(i64::MAX).max(1);
        let between = Ticks((later.start - self.shelf.end).0 / missing);
        let usual = self.shelf.rows.back().map_or(later.duration, |row| row.duration);
        let plausible = !later.discontinuity && between.0 > 0 && between <= Segment::MAX_DURATION;
        let duration = bounded(if plausible { between } else { usual });
        let ladder = self.shelf.rows.back().map_or_else(|| vec![SOURCE.into()], |row| row.ladder.clone());
        let raised = self.raise_target(duration);
        let wall = self.wall(now, duration, false);
        let row = packaging::gap(&mut self.shelf, seq, duration, wall, ladder);
        let row = self.shelf.append(row, now);
        self.shelf.end += duration;
        Appeared { row, published: None, raised }
    }

    /// Wall-clock time of a segment's start: after a break from the clock, otherwise where the previous one ended.
    fn wall(&self, cut_at: u64, duration: Ticks, discontinuity: bool) -> Ticks {
        let by_clock = Ticks::from_millis(i64::try_from(cut_at).unwrap_or(i64::MAX)) - duration;
        if !self.shelf.begun {
            return by_clock;
        }
        if discontinuity { by_clock.max(self.shelf.wall_end) } else { self.shelf.wall_end }
    }

    /// EXT-X-TARGETDURATION must not change (RFC 8216 6.2.1) and must not be below any rounded EXTINF (4.3.3.1). A longer
    /// segment than any before breaks the first rule rather than the second, which players depend on.
    fn raise_target(&mut self, duration: Ticks) -> Option<(u32, u32)> {
        let rounded = (duration.0 + Ticks::PER_SECOND / 2) / Ticks::PER_SECOND;
        let rounded = u32::try_from(rounded).unwrap_or(u32::MAX);
        let before = self.shelf.target_secs;
        self.shelf.target_secs = before.max(rounded);
        (rounded > before && self.shelf.begun).then_some((before, rounded))
    }
}

/// No segment lasts no time or longer than one may travel.
fn bounded(duration: Ticks) -> Ticks {
    duration.clamp(Ticks(1), Segment::MAX_DURATION)
}
