//! Where a stream is cut: the segment rules.
//!
//! In: a publisher's packets. Out: [`Piece`]s, video at the moment of each cut and its audio a little later, on one steady
//! [timeline](crate::timeline). A cut comes at an IDR picture near the target length; what cannot be part of a segment that
//! decodes alone is dropped and counted, and nothing that a publisher sends ends a stream. Knows no clock, builds no container.

mod audio;
mod video;

use std::sync::Arc;

use protocol::{Segment, Ticks};

use crate::aac::Asc;
use crate::avc::Sps;
use crate::fmp4::Sample;
use crate::packet::{AudioConfig, NOBODY, Packet, VideoConfig};
use crate::timeline::Timeline;

/// Length of a segment that is aimed at.
pub const TARGET: Ticks = Ticks(2 * Ticks::PER_SECOND);
/// Pictures of one segment: [`Segment::MAX_DURATION`] at 120 a second, which is what a transcode job may have by default.
pub const MAX_PICTURES: usize = 3600;
/// Bytes of a segment's pictures: what may travel, less what the container adds.
pub const MAX_BYTES: usize = Segment::MAX_BYTES - 1024 * 1024;
/// Video runs that far past a segment's end before its audio is closed without having passed it.
pub const AUDIO_PATIENCE: Ticks = Ticks(Ticks::PER_SECOND);

/// Something that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The pictures of a segment.
    Video(CutVideo),
    /// The audio of a segment, once for each, in order.
    Audio(CutAudio),
}

/// The pictures of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutVideo {
    /// Counts the cutter's segments from 0.
    pub index: u64,
    /// Presentation time of the first picture.
    pub start: Ticks,
    /// Distance to the next segment's start.
    pub duration: Ticks,
    /// The pictures in decoding order, times in 90 kHz ticks.
    pub samples: Vec<Sample>,
    /// Their parameters.
    pub config: VideoConfig,
    /// What the parameters say.
    pub info: Sps,
    /// Whether the timeline before it was broken: a reconnect, a jump, new parameters.
    pub discontinuity: bool,
    /// From the [`Packet::Boundary`] that ended it.
    pub token: Option<u64>,
}

/// The audio of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutAudio {
    /// Of which segment.
    pub index: u64,
    /// The frames; `None` when there are none in this time.
    pub part: Option<AudioPart>,
}

/// Audio frames with one set of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioPart {
    /// Their parameters.
    pub config: AudioConfig,
    /// What the parameters say.
    pub info: Asc,
    /// Presentation time of the first frame.
    pub start: Ticks,
    /// The frames, untouched; times in samples of the stream since the timeline's zero.
    pub samples: Vec<Sample>,
}

/// What was dropped or mended, and why. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Segments cut.
    pub segments: u64,
    /// Pictures that were not H.264 access units, or larger than a segment.
    pub malformed_pictures: u64,
    /// Pictures before any parameters.
    pub unconfigured_pictures: u64,
    /// Pictures before the first IDR picture, or after a break until the next.
    pub pictures_before_idr: u64,
    /// Pictures shown before the segment that they were sent in.
    pub leading_pictures: u64,
    /// Segments that ended because they reached the limit of length or size.
    pub limits_reached: u64,
    /// Cuts at a recovery point because no IDR picture came.
    pub recovery_cuts: u64,
    /// Parameter sets, of video or audio, that cannot be used.
    pub refused_configs: u64,
    /// Breaks of the publisher's clock.
    pub clock_jumps: u64,
    /// Audio frames before any parameters, or of no honest size.
    pub refused_audio: u64,
    /// Audio frames before the first picture, or too late for their segment.
    pub misplaced_audio: u64,
    /// Audio frames that overlapped earlier ones, or had other parameters than their segment.
    pub overlapping_audio: u64,
    /// Pushed segments that held no picture, so that nothing answers their token.
    pub unanswered_tokens: u64,
}

/// Cuts one stream. Sans-IO: packets in, pieces out.
#[derive(Debug)]
pub struct Cutter {
    target: Ticks,
    timeline: Timeline,
    counts: Counts,
    video: video::State,
    audio: audio::State,
    next_index: u64,
}

impl Cutter {
    /// A cutter that aims at segments of `target`; [`Segment::MAX_DURATION`] keeps pushed segments whole from the first on.
    #[must_use]
    pub fn new(target: Ticks) -> Self {
        Self {
            target: Ticks(target.0.clamp(1, Segment::MAX_DURATION.0)),
            timeline: Timeline::new(),
            counts: Counts::default(),
            video: video::State::default(),
            audio: audio::State::default(),
            next_index: 0,
        }
    }

    /// Takes a packet; what is done by it goes to the end of `out`.
    pub fn push(&mut self, packet: Packet, out: &mut Vec<Piece>) {
        match packet {
            Packet::VideoConfig(config) => self.video_config(config),
            Packet::Video(unit) => self.picture(unit, out),
            Packet::AudioConfig(config) => self.audio_config(config),
            Packet::Audio(frame) => self.audio_frame(frame),
            Packet::Discontinuity => self.discontinuity(out),
            Packet::Boundary { token } => self.boundary(token, out),
        }
        self.settle_audio(out);
    }

    /// Ends the open segment with what there is: the publisher is gone, or the stream is over.
    pub fn flush(&mut self, out: &mut Vec<Piece>) {
        self.close_here(None, out);
        self.flush_audio(out);
    }

    /// What was dropped or mended so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn discontinuity(&mut self, out: &mut Vec<Piece>) {
        self.flush(out);
        self.timeline.discontinuity();
        self.audio.restart();
        self.video.broken = self.next_index > 0;
        self.video.anew = true;
    }

    fn boundary(&mut self, token: u64, out: &mut Vec<Piece>) {
        self.video.pushed = true;
        if self.close_here(Some(token), out) {
            self.flush_audio(out);
        } else {
            self.counts.unanswered_tokens += u64::from(token != NOBODY);
        }
    }
}

/// Parameters with what they say, shared by all that use them.
type Shared<T> = Arc<T>;

#[cfg(test)]
mod tests;
