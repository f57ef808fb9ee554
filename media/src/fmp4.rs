//! Fragmented MP4, written and read (ISO/IEC 14496-12).
//!
//! Written: what travels in the mesh and what players get; an initialization segment and fragments whose timestamps are
//! absolute. Read: anything, from anybody; boxes, counts and sizes are bounded by the bytes that are really there, and sample
//! data are slices of the input. Knows no codec beyond the two configuration records.

mod boxes;
mod read;
mod tables;
mod write;

use bytes::Bytes;
use protocol::Ticks;

use crate::aac::AacError;
use crate::avc::AvcError;
use crate::packet::{AudioConfig, VideoConfig};

pub use read::{parse, split};
pub use write::{AUDIO_TRACK, VIDEO_TRACK, audio_segment, fragment, init_audio, init_video, video_segment};

/// Units of a video track's time in one second.
pub const VIDEO_TIMESCALE: u32 = Ticks::PER_SECOND as u32;
/// Most samples that a file may have: [`protocol::Segment::MAX_DURATION`] of two tracks at 240 pictures a second and more.
pub const MAX_SAMPLES: usize = 20_000;

/// One coded picture or audio frame. Times are in units of its track's timescale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Decoding time.
    pub dts: i64,
    /// Presentation time.
    pub pts: i64,
    /// Distance to the next sample's decoding time.
    pub duration: u32,
    /// Whether decoding can start here.
    pub key: bool,
    /// The bytes: NAL units with 4-byte lengths, or a raw AAC frame.
    pub data: Bytes,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movie {
    /// Its tracks of a known codec.
    pub tracks: Vec<Track>,
}

/// One track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Track number.
    pub id: u32,
    /// Units of its times in one second.
    pub timescale: u32,
    /// What it holds.
    pub codec: Codec,
    /// Its samples in decoding order.
    pub samples: Vec<Sample>,
}

/// What a track holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Codec {
    /// H.264. The sample entry's record; samples have been rewritten to 4-byte NAL lengths where they had others.
    Avc(VideoConfig),
    /// AAC.
    Aac(AudioConfig),
}

impl Movie {
    /// The first H.264 track with its parameters.
    #[must_use]
    pub fn video(&self) -> Option<(&VideoConfig, &Track)> {
        self.tracks.iter().find_map(|track| match &track.codec {
            Codec::Avc(config) => Some((config, track)),
            Codec::Aac(_) => None,
        })
    }

    /// The first AAC track with its parameters.
    #[must_use]
    pub fn audio(&self) -> Option<(&AudioConfig, &Track)> {
        self.tracks.iter().find_map(|track| match &track.codec {
            Codec::Aac(config) => Some((config, track)),
            Codec::Avc(_) => None,
        })
    }
}

impl Track {
    /// A time of this track in 90 kHz ticks, rounded to nearest.
    #[must_use]
    pub fn ticks(&self, time: i64) -> Ticks {
        Ticks::from_units(time, 1, i64::from(self.timescale)).unwrap_or(Ticks(i64::MAX))
    }
}

/// Why a file cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mp4Error {
    /// A box, or a table in it, ends before what it announces.
    #[error("box {0:?} is cut short: the file was not sent whole, or is damaged")]
    Truncated(Box4),
    /// A box must be there and is not.
    #[error("there is no {0:?} box: this is no MP4 that can be played")]
    Missing(Box4),
    /// A field has a value that cannot be.
    #[error("{field} in {place:?} is {value}, which is not supported")]
    Field {
        /// In which box.
        place: Box4,
        /// Which field.
        field: &'static str,
        /// What was found.
        value: i64,
    },
    /// More of something than any segment needs.
    #[error("more than {max} {what}: cut shorter segments")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        max: usize,
    },
    /// Nothing to write.
    #[error("a fragment needs at least one sample")]
    Empty,
    /// No track that can be used.
    #[error("no H.264 or AAC track: publish H.264 video, AAC audio")]
    NoTrack,
    /// The H.264 parameters are no good.
    #[error("the video parameters cannot be used: {0}")]
    Avc(#[from] AvcError),
    /// The AAC parameters are no good.
    #[error("the audio parameters cannot be used: {0}")]
    Aac(#[from] AacError),
    /// A box could not be put into bytes.
    #[error("the MP4 header cannot be written: {0}")]
    Write(String),
}

/// The name of a box, four bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Box4(pub [u8; 4]);

impl std::fmt::Debug for Box4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}'", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests;
