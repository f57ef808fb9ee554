//! What is behind a publisher: the segmenter and everything after it, as the ingest sees it.

use std::fmt;

use futures::future::BoxFuture;
use media::packet::Packet;
use protocol::StreamId;
use protocol::ladder::LadderPlan;
use tokio::sync::mpsc;

/// Builds what a new stream needs: segmenter, dispatcher, publisher.
pub trait StreamFactory: Send + Sync + fmt::Debug + 'static {
    /// Starts a stream whose first segment has the number `first_seq`; 0 unless an earlier stream of this name is remembered.
    /// `None` takes the node's own ladder.
    fn start(&self, stream: &StreamId, first_seq: u64, ladder: Option<LadderPlan>) -> StreamHandle;
}

/// One running stream. Dropping it abandons the stream.
pub trait RunningStream: Send + fmt::Debug + 'static {
    /// Takes the packets of one publisher; resolves when the last one has been taken, or when nothing takes them any more.
    /// At most one publisher is attached at a time.
    fn attach(&self, packets: mpsc::Receiver<Packet>) -> BoxFuture<'static, Result<(), Died>>;

    /// Ends the stream; resolves when its playlists say so, with the number that the next segment would have had. Packets
    /// of an attached publisher that have not been taken yet are dropped and its channel is closed.
    fn finish(&self) -> BoxFuture<'static, u64>;
}

/// A running stream, owned.
pub type StreamHandle = Box<dyn RunningStream>;

/// The stream's segmenter is gone: the publisher has to start anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream's segmenter stopped")]
pub struct Died;
