//! Makes the ladder visible: a segment appears in all playlists at once.
//!
//! In: that a segment was cut, its audio, its renditions, the stream's end. Out: HLS playlists and CMAF segments in the
//! [`Library`], which HTTP reads, and in a recording on disk. It never knows who transcoded, who watches, or a socket.
//!
//! The core decides when a segment appears; packaging turns it into a row; the shelf is all that can
//! be seen of a stream at one instant, and also the state from which a restarted publisher continues.

pub mod actor;
mod core;
mod hls;
pub mod library;
pub mod messages;
pub mod metrics;
mod packaging;
mod rate;
mod record;
mod shelf;
pub use actor::{Publisher, PublisherConfig};
pub use library::{Cache, Library, Published, RenditionInfo, Resource, SourceStats, StreamInfo, StreamState};
pub use metrics::PublisherMetrics;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
