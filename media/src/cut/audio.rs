//! The audio frames: which segment each belongs to, and when a segment has all of its own.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::Ticks;

use super::{AUDIO_PATIENCE, AudioPart, CutAudio, Cutter, Piece, Shared};
use crate::aac::Asc;
use crate::fmp4::Sample;
use crate::packet::{AudioConfig, AudioFrame};
use crate::timeline::AudioGrid;

/// Largest AAC frame: 6144 bits a channel, 48 channels at most (ISO/IEC 14496-3 4.5.3.2), bytes.
const MAX_FRAME: usize = 6144 / 8 * 48;
/// Frames that wait for their segment: more than [`protocol::Segment::MAX_DURATION`] at 96 kHz.
const MAX_QUEUE: usize = 4096;
/// Audio that has been missing that long is not waited for.
const GONE: Ticks = Ticks(5 * Ticks::PER_SECOND);
/// A frame that much later than its segment is still played, in the next one.
const LATE: Ticks = Ticks(Ticks::PER_SECOND);

/// The audio side of a cutter.
#[derive(Debug, Default)]
pub(super) struct State {
    known: Option<Shared<Known>>,
    grid: Option<AudioGrid>,
    queue: VecDeque<Frame>,
    waiting: VecDeque<Waiting>,
    /// Presentation time of the newest frame.
    newest: Option<Ticks>,
    /// Where the newest frame ends: none may start before, whatever its parameters.
    heard: Ticks,
}

/// Parameters in use.
#[derive(Debug)]
struct Known {
    config: AudioConfig,
    info: Asc,
}

/// A frame that has no segment yet.
#[derive(Debug)]
struct Frame {
    known: Shared<Known>,
    pts: Ticks,
    /// Number of its first sample.
    number: i64,
    data: Bytes,
}

/// A segment that has no audio yet.
#[derive(Debug)]
struct Waiting {
    index: u64,
    start: Ticks,
    end: Ticks,
    /// No segment precedes it without a break.
    first: bool,
}

impl State {
    /// The publisher's clock starts anew: the count of samples does too.
    pub(super) fn restart(&mut self) {
        self.newest = None;
        self.grid =
            self.known.as_ref().map(|known| AudioGrid::new(known.info.rate, known.info.frame_samples));
    }
}

impl Cutter {
    pub(super) fn audio_config(&mut self, config: AudioConfig) {
        if self.audio.known.as_ref().is_some_and(|known| known.config == config) {
            return;
        }
        match config.info() {
            Ok(info) => {
                self.audio.grid = Some(AudioGrid::new(info.rate, info.frame_samples));
                self.audio.known = Some(Known { config, info }.into());
            }
            Err(_) => self.counts.refused_configs += 1,
        }
    }

    pub(super) fn audio_frame(&mut self, frame: AudioFrame) {
        let (Some(known), Some(grid)) = (&self.audio.known, &mut self.audio.grid) else {
            self.counts.refused_audio += 1;
            return;
        };
        if frame.data.is_empty() || frame.data.len() > MAX_FRAME {
            self.counts.refused_audio += 1;
            return;
        }
        let (pts, jump) = self.timeline.audio(frame.pts, grid.frame());
        self.counts.clock_jumps += u64::from(jump);
        let heard = self.audio.heard;
        let Some(number) = grid.place(pts).filter(|&number| grid.ticks(number) >= heard) else {
            self.counts.overlapping_audio += 1;
            return;
        };
        let pts = grid.ticks(number);
        self.audio.heard = grid.ticks(number.saturating_add(i64::from(known.info.frame_samples)));
        self.audio.newest = Some(pts);
        self.audio.queue.push_back(Frame { known: known.clone(), pts, number, data: frame.data });
        if self.audio.queue.len() > MAX_QUEUE {
            self.audio.queue.pop_front();
            self.counts.misplaced_audio += 1;
        }
    }

    pub(super) fn wait_for_audio(&mut self, index: u64, start: Ticks, end: Ticks, first: bool) {
        self.audio.waiting.push_back(Waiting { index, start, end, first });
    }

    /// Gives out the audio of every segment that has all it will get.
    pub(super) fn settle_audio(&mut self, out: &mut Vec<Piece>) {
        while let Some(front) = self.audio.waiting.front() {
            let silent = match self.audio.newest {
                None => self.audio.known.is_none(),
                Some(newest) => newest + GONE < front.start,
            };
            let passed = self.audio.newest.is_some_and(|newest| newest >= front.end);
            let late = self.video.latest - front.end > AUDIO_PATIENCE;
            if !(silent || passed || late) {
                break;
            }
            self.give_audio(Ticks::ZERO, out);
        }
    }

    /// Gives out the audio of all segments; the last one takes what was sent ahead of its pictures.
    pub(super) fn flush_audio(&mut self, out: &mut Vec<Piece>) {
        while self.audio.waiting.len() > 1 {
            self.give_audio(Ticks::ZERO, out);
        }
        self.give_audio(LATE, out);
        self.counts.misplaced_audio += self.audio.queue.len() as u64;
        self.audio.queue.clear();
    }

    /// Gives the oldest waiting segment its frames, those until `extra` after its end included.
    fn give_audio(&mut self, extra: Ticks, out: &mut Vec<Piece>) {
        let Some(segment) = self.audio.waiting.pop_front() else { return };
        let mut part: Option<AudioPart> = None;
        let mine = self.audio.queue.iter().take_while(|frame| frame.pts < segment.end + extra).count();
        for frame in self.audio.queue.drain(..mine) {
            let earliest = if segment.first { segment.start } else { segment.start - LATE };
            if frame.pts < earliest {
                self.counts.misplaced_audio += 1;
            } else if part.as_ref().is_some_and(|part| part.config != frame.known.config) {
                self.counts.overlapping_audio += 1;
            } else {
                part.get_or_insert_with(|| frame.part()).samples.push(frame.sample());
            }
        }
        out.push(Piece::Audio(CutAudio { index: segment.index, part }));
    }
}

impl Frame {
    fn part(&self) -> AudioPart {
        let Known { config, info } = self.known.as_ref();
        AudioPart { config: config.clone(), info: *info, start: self.pts, samples: Vec::with_capacity(128) }
    }

    fn sample(self) -> Sample {
        let duration = self.known.info.frame_samples;
        Sample { dts: self.number, pts: self.number, duration, key: true, data: self.data }
    }
}
