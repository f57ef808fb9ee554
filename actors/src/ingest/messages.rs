//! What the ingest may be asked.

use std::fmt;
use std::time::Duration;

use actix::prelude::*;
use media::packet::Packet;
use protocol::StreamId;
use protocol::ladder::LadderPlan;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// How a publisher came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// An RTMP connection.
    Rtmp,
    /// Segments pushed over HTTP.
    Push,
    /// A local file.
    File,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rtmp => "rtmp",
            Self::Push => "push",
            Self::File => "file",
        })
    }
}

/// Asks to publish a stream.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Opened, Refused>")]
pub struct Open {
    /// The stream, or the key alone where keys are given to streams.
    pub stream: StreamId,
    /// The stream key, where one came along.
    pub key: Option<String>,
    /// The protocol.
    pub via: Via,
    /// Who asks, for people: an address or a path.
    pub from: String,
    /// The ladder for this stream; `None` takes the node's. Ignored when the stream is running already.
    pub ladder: Option<LadderPlan>,
}

/// The publisher may send. Dropping `packets` leaves the stream.
#[derive(Debug)]
pub struct Opened {
    /// The stream that was opened.
    pub stream: StreamId,
    /// Where packets go, at most [`crate::budget::INGEST_PACKETS`] at a time. Closed by the other side when the stream ends.
    pub packets: mpsc::Sender<Packet>,
    /// Names this publisher among those that the stream had and will have.
    pub session: u64,
}

/// Why somebody may not publish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// One publisher a stream.
    #[error("stream {stream} is being published already (by {from}, for {} s): stop that publisher or choose another name", age.as_secs())]
    Occupied {
        /// Which stream.
        stream: StreamId,
        /// Who has it.
        from: String,
        /// For how long.
        age: Duration,
    },
    /// A key is needed and none came.
    #[error("stream {0} needs a stream key: publish to live/{0}/KEY or live/{0}?key=KEY")]
    KeyRequired(StreamId),
    /// The key is wrong, or the stream has none.
    #[error("the key for stream {0} is wrong")]
    BadKey(StreamId),
    /// As many streams as this node takes.
    #[error("this node takes {max} streams at a time and has as many: try another node or raise the limit")]
    Full {
        /// The limit.
        max: usize,
    },
    /// The stream's last publisher is gone and its last segments are on their way out.
    #[error("stream {0} is being finished: try again in a few seconds")]
    Finishing(StreamId),
    /// The node is going down.
    #[error("this node is stopping and takes no new publishers")]
    Stopping,
}

/// A publisher leaves. Dropping the channel does the same as `finish: false`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Close {
    /// Which stream.
    pub stream: StreamId,
    /// Which publisher, from [`Opened`].
    pub session: u64,
    /// Whether the stream is over now, instead of after the time in which the publisher may come back.
    pub finish: bool,
}

/// Stops in order: no new publishers, every stream finished. Resolves when every stream is.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// Asks which streams there are.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<StreamStatus>")]
pub struct Streams;

/// A stream as its publisher left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamStatus {
    /// Which stream.
    pub id: StreamId,
    /// Whether somebody publishes.
    pub state: StreamState,
    /// How its last publisher came in.
    pub via: Via,
    /// Who that is.
    pub from: String,
    /// Since the stream started.
    pub age: Duration,
    /// Publishers that it has had.
    pub publishers: u64,
}

/// Whether somebody publishes a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// Yes.
    Live,
    /// Not now, but its publisher may come back.
    Reconnecting,
    /// No, the last segments are on their way out.
    Finishing,
}
