//! What `/api/v1/state` says: the node, its streams, the mesh as it sees it. Read by the dashboard and `livemesh peers`.

use actors::admission::Told;
use actors::publisher::{RenditionInfo, SourceStats, StreamInfo, StreamState};
use protocol::StreamId;
use protocol::payments::Unpaid;
use serde::{Deserialize, Serialize};

/// Everything at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// This node.
    pub node: Node,
    /// Its streams, by name.
    pub streams: Vec<Stream>,
    /// The mesh.
    pub mesh: Mesh,
}

/// This node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    /// Its libp2p peer id.
    pub peer_id: String,
    /// The same as a hex key, which is how traces name peers.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// What it does.
    pub roles: Vec<String>,
    /// Its version.
    pub version: String,
    /// Since it started, seconds.
    pub uptime_s: u64,
}

/// A stream that this node publishes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// Its name.
    pub id: StreamId,
    /// `live`, `reconnecting` or `ended`.
    pub state: String,
    /// When it began, Unix time in milliseconds.
    pub started_unix_ms: u64,
    /// Its own video, once a segment appeared.
    pub source: Option<Source>,
    /// Whether it has audio.
    pub audio: bool,
    /// Its ladder, lowest first.
    pub renditions: Vec<Rendition>,
    /// The segment that appears next.
    pub next_seq: u64,
    /// Renditions of segments that are missing, since the stream began.
    pub missing: u64,
    /// Path of its master playlist.
    pub master: String,
    /// From the cut until every rung was checked, once there are any.
    pub latency_ms: Option<Quantiles>,
}

/// The source of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: f64,
    /// RFC 6381.
    pub codecs: String,
    /// Bits a second.
    pub bitrate: u64,
}

/// One rung of a stream's ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rendition {
    /// Its name.
    pub name: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Peak, bits a second.
    pub bandwidth: u64,
    /// Segments that appeared.
    pub segments: u64,
}

/// Two quantiles of a duration, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
}

/// The mesh as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mesh {
    /// The known nodes, this one included.
    pub nodes: Vec<MeshNode>,
    /// Who works for whom.
    pub links: Vec<Link>,
}

/// A node of the mesh.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeshNode {
    /// Its libp2p peer id.
    pub peer_id: String,
    /// The same as a hex key, which is how traces name peers.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// Whether it is this node.
    #[serde(rename = "self")]
    pub is_self: bool,
    /// What it does.
    pub roles: Vec<String>,
    /// Measured round trip, where there is a connection.
    pub rtt_ms: Option<f64>,
    /// Segments in work.
    pub load: u32,
    /// Segments that it takes at the same time.
    pub capacity: u32,
    /// What it asks, in words.
    pub price: String,
    /// What it transcodes with, such as `cpu`.
    pub backend: String,
    /// What this node thinks of it, 0 to 1.
    pub score: f64,
    /// How long it is avoided from now on.
    pub avoided_for_ms: Option<u64>,
    /// Whether proven stake admits it, and why; none of those who do not transcode and where no chain is followed.
    #[serde(default)]
    pub stake: Option<Told>,
    /// Why this node does not pay it now, and so does not ask it.
    #[serde(default)]
    pub unpaid: Option<Unpaid>,
}

/// Work of one node for another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Hex key of the node whose stream it is.
    pub from: String,
    /// Hex key of the node that transcodes.
    pub to: String,
    /// The stream.
    pub stream: StreamId,
    /// Segments made.
    pub segments: u64,
    /// Segments in work.
    pub in_flight: u32,
}

impl Stream {
    /// What a publisher tells of a stream, with how long its segments took.
    pub(crate) fn new(info: StreamInfo, latency_ms: Option<Quantiles>) -> Self {
        Self {
            master: format!("/live/{}/master.m3u8", info.id),
            id: info.id,
            state: match info.state {
                StreamState::Live => "live",
                StreamState::Reconnecting => "reconnecting",
                StreamState::Ended => "ended",
            }
            .into(),
            started_unix_ms: info.started_unix_ms,
            source: info.source.map(Source::from),
            audio: info.audio,
            renditions: info.renditions.into_iter().map(Rendition::from).collect(),
            next_seq: info.next_seq,
            missing: info.missing,
            latency_ms,
        }
    }
}

impl From<SourceStats> for Source {
    fn from(s: SourceStats) -> Self {
        Self { width: s.width, height: s.height, fps: s.fps, codecs: s.codecs, bitrate: s.bitrate }
    }
}

impl From<RenditionInfo> for Rendition {
    fn from(r: RenditionInfo) -> Self {
        Self { name: r.name, width: r.width, height: r.height, bandwidth: r.bandwidth, segments: r.segments }
    }
}
