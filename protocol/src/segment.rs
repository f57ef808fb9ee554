//! A cut of a live stream.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Hash, StreamId, Ticks};

/// Names one segment of one stream. The sequence starts at 0 and never repeats while the stream is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId {
    /// The stream.
    pub stream: StreamId,
    /// Position in the stream.
    pub seq: u64,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stream, self.seq)
    }
}

/// What is known of a segment's pictures without decoding them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Coded pictures in the segment.
    pub frames: u32,
}

/// A segment of source video, immutable once cut: it starts at an IDR picture, carries absolute timestamps and can be decoded alone.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its name.
    pub id: SegmentId,
    /// Presentation time of the first picture.
    pub start: Ticks,
    /// Distance to the next segment's start.
    pub duration: Ticks,
    /// Whether the timeline before it was broken (a reconnect, a jump, a new size).
    pub discontinuity: bool,
    /// Its pictures.
    pub source: SourceInfo,
    /// Fragmented MP4, video only: initialization segment and one or more fragments.
    pub bytes: Bytes,
    /// Keccak-256 of `bytes`.
    pub hash: Hash,
}

impl Segment {
    /// Largest segment that may travel, bytes: 20 s at 8 Mbit/s is 20 MB; a broadcaster with more must cut more often.
    pub const MAX_BYTES: usize = 32 * 1024 * 1024;
    /// Longest segment that may travel.
    pub const MAX_DURATION: Ticks = Ticks(30 * Ticks::PER_SECOND);
}
