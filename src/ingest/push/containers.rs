//! What has to be done to the bytes of pushed segments, by whoever may look into bytes from strangers.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use media::packet::Packet;
use media::worker::{Target, WorkerError, Workers};

/// The container of a pushed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// MPEG-TS, `.ts`.
    Ts,
    /// MP4, fragmented or not, `.mp4`.
    Mp4,
}

impl Container {
    /// The container that a file name's end stands for.
    pub(crate) fn of(extension: &str) -> Option<Self> {
        match extension {
            "ts" => Some(Self::Ts),
            "mp4" => Some(Self::Mp4),
            _ => None,
        }
    }

    /// The end of a file name.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Ts => "ts",
            Self::Mp4 => "mp4",
        }
    }

    /// The MIME type.
    pub(crate) fn mime(self) -> &'static str {
        match self {
            Self::Ts => "video/mp2t",
            Self::Mp4 => "video/mp4",
        }
    }
}

/// Why bytes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// They are at fault: pushing them again is of no use.
    #[error("the segment cannot be transcoded: {0}")]
    Input(String),
    /// The worker is at fault.
    #[error("the worker failed: {0}")]
    Worker(String),
}

/// Reads and writes containers, away from this process.
#[async_trait]
pub(crate) trait Containers: Send + Sync + fmt::Debug + 'static {
    /// The packets of a segment, in order of decoding time.
    async fn demux(&self, bytes: Bytes, container: Container) -> Result<Vec<Packet>, Unusable>;

    /// One file of the video, and the audio, of two fragmented MP4 files.
    async fn remux(
        &self,
        video: Bytes,
        audio: Option<Bytes>,
        container: Container,
    ) -> Result<Bytes, Unusable>;
}

#[async_trait]
impl Containers for Workers {
    async fn demux(&self, bytes: Bytes, _: Container) -> Result<Vec<Packet>, Unusable> {
        Ok(self.demux(bytes).await?)
    }

    async fn remux(
        &self,
        video: Bytes,
        audio: Option<Bytes>,
        container: Container,
    ) -> Result<Bytes, Unusable> {
        let target = match container {
            Container::Ts => Target::MpegTs,
            Container::Mp4 => Target::Mp4,
        };
        Ok(self.remux(video, audio, target).await?)
    }
}

impl From<WorkerError> for Unusable {
    fn from(e: WorkerError) -> Self {
        match e {
            WorkerError::Input(why) => Self::Input(why),
            other => Self::Worker(other.to_string()),
        }
    }
}
