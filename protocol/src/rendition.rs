//! One output format of a ladder, and one made output.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Hash;

/// A rational frame rate, frames per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fps {
    /// Frames.
    pub num: u32,
    /// Seconds, at least 1.
    pub den: u32,
}

/// The H.264 profile of an output (ITU-T H.264 annex A).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum H264Profile {
    /// Constrained Baseline: no B-frames, so the reorder depth must be 0.
    ConstrainedBaseline,
    /// Main.
    Main,
    /// High, the default.
    High,
    /// Constrained High: High without B-frames; what WebRTC players accept.
    ConstrainedHigh,
}

impl H264Profile {
    /// Whether B-frames are allowed.
    #[must_use]
    pub const fn allows_b_frames(self) -> bool {
        matches!(self, Self::Main | Self::High)
    }
}

/// What an orchestrator must make of a segment, fully resolved: every number is final. Two nodes given the same
/// specification make outputs that join without a seam.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RenditionSpec {
    /// Unique within its ladder; a URL path element, 1 to 32 of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// Width, pixels, even.
    pub width: u32,
    /// Height, pixels, even.
    pub height: u32,
    /// Target, maximum and VBV size, bits (per second).
    pub bitrate: u32,
    /// Output frame rate; `None` keeps the source's frames and timestamps.
    pub fps: Option<Fps>,
    /// H.264 profile.
    pub profile: H264Profile,
    /// B-frames in a row, 0 to 3. Part of the specification because the decode-time offset follows from it.
    pub b_frames: u8,
    /// Key frame interval in 90 kHz ticks on the absolute time grid; `None` puts one at the segment's start only.
    pub gop: Option<i64>,
}

impl RenditionSpec {
    /// Pixels of one frame.
    #[must_use]
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Pixels of so many seconds, of a source with so many pictures a second where this follows the source.
    #[must_use]
    pub fn pixels_in(&self, seconds: u64, source: Fps) -> u64 {
        let Fps { num, den } = self.fps.unwrap_or(source);
        let pictures = (u128::from(seconds) * u128::from(num)).div_ceil(u128::from(den.max(1)));
        u64::try_from(u128::from(self.pixels()).saturating_mul(pictures)).unwrap_or(u64::MAX)
    }
}

/// One rendition of one segment, as it came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// Position in the ladder of the offer.
    pub index: usize,
    /// Encoded frames.
    pub frames: u32,
    /// Encoded pixels: frames x width x height.
    pub pixels: u64,
    /// Fragmented MP4, video only: initialization segment and one or more fragments.
    pub bytes: Bytes,
    /// Keccak-256 of `bytes`, computed by whoever holds this value, never copied from the wire.
    pub hash: Hash,
}
