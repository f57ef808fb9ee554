//! Transcode backends behind one trait.
//!
//! In: one segment of H.264 as fragmented MP4 and a ladder in which every number is final. Out: renditions, each handed on when
//! it is made, whose timestamps lie on the source's absolute timeline, so that the outputs of any two nodes join without a
//! seam. Decodes bytes from strangers: outside of tests and benchmarks it runs in a worker process only ([`crate::worker`]).

mod cpu;
pub mod ffi;
mod grid;
mod level;
mod order;
mod plan;
mod probe;
mod rung;
mod source;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use protocol::{Failed, Ladder, Rendition};
use serde::{Deserialize, Serialize};

pub use cpu::CpuBackend;
pub use order::dts_delay;
pub(crate) use probe::warm_up;

use crate::fmp4::Mp4Error;

/// Something that can transcode a segment.
pub trait Backend: Send + Sync + fmt::Debug {
    /// What it can do on this machine, found by looking and not by configuration.
    fn capabilities(&self) -> Capabilities;

    /// Makes the whole ladder. Each rendition goes to `out` as soon as it is made and checked, in any order.
    ///
    /// # Errors
    /// [`TranscodeError`] says whether another node could do better; renditions already handed out stay good.
    fn transcode(&self, job: &Job, out: &mut dyn FnMut(Rendition)) -> Result<Stats, TranscodeError>;
}

/// One segment to transcode.
#[derive(Clone, Debug)]
pub struct Job {
    /// Fragmented MP4: initialization segment and fragments. Only its H.264 track is looked at.
    pub segment: Bytes,
    /// What to make, at most [`Ladder::MAX`].
    pub ladder: Ladder,
    /// What the job may cost.
    pub limits: Limits,
}

/// What one job may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time.
    pub wall: Duration,
    /// Pixels of one source picture.
    pub max_pixels: u64,
    /// Pictures in the source, and in each rendition.
    pub max_frames: u32,
}

impl Default for Limits {
    /// A minute; 4096 x 2304 (the largest picture of H.264 level 5.2); 30 seconds at 120 pictures a second.
    fn default() -> Self {
        Self { wall: Duration::from_secs(60), max_pixels: 4096 * 2304, max_frames: 3600 }
    }
}

/// What a backend can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Name of the backend: `cpu`.
    pub backend: String,
    /// Names of the H.264 encoders that were found, best first; empty when there is none.
    pub encoders: Vec<String>,
    /// Encoder and core version, such as `x264-164`: two nodes with the same one make the same bytes. `None` without encoder.
    pub core: Option<String>,
}

/// What a finished job took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Pictures in the segment.
    pub frames_in: u32,
    /// Pictures that could not be decoded and were replaced by the one before.
    pub concealed: u32,
    /// Pixels decoded.
    pub pixels_in: u64,
    /// Pixels encoded, all renditions together.
    pub pixels_out: u64,
    /// Wall-clock time.
    pub wall: Duration,
}

/// Why a job gave no complete ladder.
#[derive(Debug, thiserror::Error)]
pub enum TranscodeError {
    /// Nobody can transcode this.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It took too long here.
    #[error("not done after {} ms: this node is too slow or too busy for this ladder", .0.as_millis())]
    Deadline(Duration),
    /// The machine has no encoder.
    #[error("no H.264 encoder: FFmpeg here was built without {name}; install the package {package}")]
    NoEncoder {
        /// Name of the encoder in FFmpeg.
        name: &'static str,
        /// Debian's name of the package that brings it.
        package: &'static str,
    },
    /// A library call failed that should not have.
    #[error("rendition {rendition}: {source}")]
    Codec {
        /// Name of the rendition, or `source`.
        rendition: String,
        /// Which call, and why.
        source: ffi::AvError,
    },
    /// What was made is not what was asked for.
    #[error("rendition {rendition} came out wrong: {what}")]
    Output {
        /// Name of the rendition.
        rendition: String,
        /// What is wrong with it.
        what: String,
    },
    /// A thread could not be started.
    #[error("no thread for a rendition: {0}")]
    Thread(std::io::Error),
}

/// What is wrong with a segment or a ladder.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The container cannot be read.
    #[error("the segment is not fragmented MP4 with H.264 video: {0}")]
    Container(#[from] Mp4Error),
    /// The container has no video.
    #[error("the segment has no H.264 pictures")]
    NoVideo,
    /// A picture is too large.
    #[error("a picture of {width} x {height} exceeds the limit of {max} pixels")]
    Pixels {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// [`Limits::max_pixels`].
        max: u64,
    },
    /// Too many pictures.
    #[error("{frames} pictures exceed the limit of {max}: cut shorter segments")]
    Frames {
        /// How many it has, or would have after conversion of the frame rate.
        frames: u64,
        /// [`Limits::max_frames`].
        max: u32,
    },
    /// The timestamps are not usable.
    #[error("the segment's timestamps cannot be used: {0}")]
    Time(String),
    /// Too little of it can be decoded.
    #[error("only {decoded} of {frames} pictures can be decoded")]
    Undecodable {
        /// Pictures that came out.
        decoded: u32,
        /// Pictures that are in it.
        frames: u32,
    },
    /// A rung of the ladder cannot be made by anybody.
    #[error("rendition {rendition:?} cannot be made: {what}")]
    Spec {
        /// Its name.
        rendition: String,
        /// Which number, and what would work.
        what: String,
    },
}

impl TranscodeError {
    /// Whether the segment or the ladder is to blame, and not this node.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        matches!(self, Self::Input(_))
    }
}

impl From<TranscodeError> for Failed {
    fn from(error: TranscodeError) -> Self {
        if error.is_input() { Self::Input(error.to_string()) } else { Self::Internal(error.to_string()) }
    }
}
