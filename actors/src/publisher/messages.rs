//! What a stream's publisher may be told. Three messages complete a segment: it was cut, its audio is known, its
//! renditions are made. It appears when all three are there and every earlier segment has appeared.

use actix::prelude::*;
use bytes::Bytes;
use media::packet::AudioConfig;
use protocol::{Ladder, Rendition, Segment, Ticks};

/// A segment was cut. Sent by the segmenter, in order of sequence.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Cut {
    /// The segment; its bytes are the source rendition.
    pub segment: Segment,
    /// The ladder that its renditions will follow.
    pub ladder: Ladder,
    /// From [`media::packet::Packet::Boundary`], for whoever pushed it.
    pub token: Option<u64>,
}

/// The audio of a segment is complete. Sent by the segmenter once for every segment, in order, up to about a second after
/// its [`Cut`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Audio {
    /// Of which segment.
    pub seq: u64,
    /// The frames, or `None` when the stream had no audio in this time.
    pub track: Option<AudioTrack>,
}

/// The audio frames of one segment.
#[derive(Clone, Debug)]
pub struct AudioTrack {
    /// Parameters of these frames.
    pub config: AudioConfig,
    /// Presentation time of the first frame.
    pub start: Ticks,
    /// Number of frames.
    pub frames: u32,
    /// Fragmented MP4: initialization segment and one fragment. The frames are the publisher's own, byte for byte.
    pub bytes: Bytes,
}

/// The dispatcher is done with a segment.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Made {
    /// Which segment.
    pub seq: u64,
    /// One entry for each rung of the ladder; `None` is missing and becomes EXT-X-GAP.
    pub renditions: Vec<Option<Rendition>>,
}

/// The stream is over: what is complete appears, what is not becomes a gap, then EXT-X-ENDLIST.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct End;
