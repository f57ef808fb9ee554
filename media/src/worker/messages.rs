//! What a node and its worker say to each other. Bulk bytes follow a message in the same frame.

use bytes::Bytes;
use protocol::{Ladder, Ticks};
use serde::{Deserialize, Serialize};

use crate::packet::{AccessUnit, AudioConfig, AudioFrame, Packet, VideoConfig};
use crate::transcode::ffi::Target;
use crate::transcode::{Capabilities, Limits, Stats};

/// From the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// The first one: how to close itself off. Answered with `Hello`.
    Setup {
        /// Address space, bytes.
        memory: u64,
    },
    /// Body: the segment. Answered with `Rendition`s, then `Transcoded`.
    Transcode { ladder: Ladder, limits: Limits },
    /// Body: MPEG-TS or MP4. Answered with `Packet`s, then `Done`.
    Demux,
    /// Body: a video segment and, after `video` bytes, an audio segment or nothing. Answered with `File`.
    Remux { target: Target, video: usize },
    /// Answered with `Capabilities`.
    Probe,
    /// Answered with `Isolation`.
    SelfTest,
}

/// From the worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Response {
    /// Ready for jobs.
    Hello(Protections),
    /// Body: the rendition's bytes.
    Rendition { index: usize, frames: u32 },
    /// Body: the packet's bytes.
    Packet(Head),
    /// Body: a file.
    File,
    /// What this machine can do.
    Capabilities(Capabilities),
    /// What the worker tried and could not do.
    Isolation(Isolation),
    /// The transcode is complete.
    Transcoded(Stats),
    /// The job is complete.
    Done,
    /// The job failed; the worker is ready for another one.
    Failed { fault: Fault, message: String },
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fault {
    Input,
    Deadline,
    Internal,
}

/// Which protections hold in a worker, as it set them up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protections {
    /// Limits on memory, open files, file sizes and core dumps.
    pub limits: bool,
    /// The kernel's Landlock refuses every path (and TCP where it can).
    pub landlock: bool,
    /// A seccomp filter refuses all system calls but those of computing.
    pub seccomp: bool,
}

/// What a worker tried to do from the inside, and whether it was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Reading a file that everybody may read, and making one.
    pub files_refused: bool,
    /// Making a socket.
    pub network_refused: bool,
    /// Starting a program.
    pub programs_refused: bool,
}

/// A packet without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Head {
    VideoConfig,
    Video { pts: Option<Ticks>, dts: Option<Ticks>, idr: bool },
    AudioConfig,
    Audio { pts: Option<Ticks> },
}

impl Head {
    /// Parts a packet; those that only an ingest makes have no form here.
    pub(super) fn part(packet: Packet) -> Option<(Self, Bytes)> {
        match packet {
            Packet::VideoConfig(config) => Some((Self::VideoConfig, config.avcc)),
            Packet::Video(AccessUnit { pts, dts, idr, data }) => Some((Self::Video { pts, dts, idr }, data)),
            Packet::AudioConfig(config) => Some((Self::AudioConfig, config.asc)),
            Packet::Audio(AudioFrame { pts, data }) => Some((Self::Audio { pts }, data)),
            Packet::Discontinuity | Packet::Boundary { .. } => None,
        }
    }

    /// Puts a packet together again.
    pub(super) fn join(self, data: Bytes) -> Packet {
        match self {
            Self::VideoConfig => Packet::VideoConfig(VideoConfig { avcc: data }),
            Self::Video { pts, dts, idr } => Packet::Video(AccessUnit { pts, dts, idr, data }),
            Self::AudioConfig => Packet::AudioConfig(AudioConfig { asc: data }),
            Self::Audio { pts } => Packet::Audio(AudioFrame { pts, data }),
        }
    }
}
