//! What an ingest protocol hands on: compressed pictures and audio frames with the publisher's timestamps.

use bytes::Bytes;
use protocol::Ticks;

/// The token of a [`Packet::Boundary`] for which nobody waits.
pub const NOBODY: u64 = 0;

/// One thing that happened on a publisher's connection, in arrival order.
#[derive(Clone, Debug)]
pub enum Packet {
    /// Parameter sets, before the first picture and again whenever they change.
    VideoConfig(VideoConfig),
    /// One coded picture.
    Video(AccessUnit),
    /// Audio parameters, before the first frame and again whenever they change.
    AudioConfig(AudioConfig),
    /// One audio frame.
    Audio(AudioFrame),
    /// The publisher's timeline starts anew (a reconnect): nothing before it may be assumed to be continuous.
    Discontinuity,
    /// The publisher pushed ready-made segments and one ends here; the cut that results carries `token`.
    Boundary {
        /// Chosen by the ingest that waits for this segment's renditions; [`NOBODY`] where none does.
        token: u64,
    },
}

/// H.264 parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoConfig {
    /// An AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1) with 4-byte NAL lengths.
    pub avcc: Bytes,
}

/// One coded H.264 picture.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// Presentation time as the publisher gave it, 90 kHz, unwrapped or not; `None` when it gave none.
    pub pts: Option<Ticks>,
    /// Decoding time, likewise.
    pub dts: Option<Ticks>,
    /// Whether it holds an IDR slice (NAL type 5). Read from the bytes, not from the container's flag.
    pub idr: bool,
    /// NAL units, each preceded by its length in 4 bytes, big-endian.
    pub data: Bytes,
}

/// AAC parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioConfig {
    /// An AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).
    pub asc: Bytes,
}

/// One raw AAC frame, without ADTS header.
#[derive(Clone, Debug)]
pub struct AudioFrame {
    /// Presentation time as the publisher gave it, 90 kHz; `None` when it gave none.
    pub pts: Option<Ticks>,
    /// The frame.
    pub data: Bytes,
}
