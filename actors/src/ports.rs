//! What actors need from outside, as traits and plain values. `src/adapters` joins them to the mesh and to the workers.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use protocol::{Declined, Failed, Ladder, Offer, PeerKey, PricePerPixel, Rendition, SignedReceipt};
use tokio::sync::mpsc;

use crate::admission::Stake;

pub mod chain;
pub mod handover;
pub mod payments;
pub mod redeemer;

/// An orchestrator that could be asked now: its record is signed, unexpired and admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Who.
    pub peer: PeerKey,
    /// The price it asks.
    pub price: PricePerPixel,
    /// Segments it takes at the same time.
    pub capacity: u32,
    /// Segments in work when it last said so.
    pub load: u32,
    /// Measured round trip, milliseconds, where there is a connection.
    pub rtt_ms: Option<f64>,
    /// The key that signs its receipts.
    pub receipt_key: PeerKey,
    /// Proven stake; none where stake is not asked for.
    pub stake: Option<Stake>,
    /// For one that is paid: how it may be asked. One that works for nothing may be asked at any time.
    pub turn: Option<Turn>,
}

/// How an orchestrator that is paid may be asked: for one segment of a stream at a time, in their order, because each is paid
/// against the receipt of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The last segment that it was paid for.
    pub after: Option<u64>,
}

/// The mesh as the dispatcher sees it.
pub trait Mesh: Send + Sync + fmt::Debug + 'static {
    /// The orchestrators known now, in a fixed order.
    fn candidates(&self) -> Vec<Candidate>;

    /// Sends a segment to `peer` and yields what comes back, ending after a receipt or an error.
    fn transcode(
        &self,
        peer: PeerKey,
        offer: Offer,
        segment: Bytes,
    ) -> BoxStream<'static, Result<Answer, MeshFault>>;
}

/// One step of an orchestrator's answer, in the order in which they come.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The offer is admitted. Comes before the upload has ended.
    Accepted,
    /// The job is alive; sent while nothing else is.
    Beat,
    /// One rendition is done.
    Rendition(Rendition),
    /// All renditions are done. Always last.
    Receipt(SignedReceipt),
}

/// Why an asked orchestrator gave no answer, by what the dispatcher does next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MeshFault {
    /// It said no before the work: ask another one, no fault.
    #[error(transparent)]
    Declined(#[from] Declined),
    /// It tried and failed.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// It could not be reached, or the connection died: avoid it for a time.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// It broke the protocol: avoid it for longer.
    #[error("broke the protocol: {0}")]
    Protocol(String),
}

/// The worker processes as the transcoder sees them.
pub trait Worker: Send + Sync + fmt::Debug + 'static {
    /// Transcodes one segment; renditions go to `out` as they are made. Resolves when all are, or with the reason.
    fn transcode(
        &self,
        segment: Bytes,
        ladder: Ladder,
        out: mpsc::Sender<Rendition>,
    ) -> BoxFuture<'static, Result<(), Failed>>;
}

/// An offer that waits for an answer, as the transcoder sees it.
pub trait Work: Send + fmt::Debug {
    /// Says no.
    fn decline(self: Box<Self>, reason: Declined) -> BoxFuture<'static, ()>;

    /// Says yes and takes the segment, checked against the offer's length and hash. The error is for the log.
    fn accept(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, String>>;
}

/// The segment of an accepted offer, and the way back.
pub type Accepted = (Bytes, Box<dyn Reply>);

/// The way back to whoever offered. Each step says whether somebody still listens.
pub trait Reply: Send + fmt::Debug {
    /// The job is alive.
    fn beat(&mut self) -> BoxFuture<'_, bool>;

    /// One rendition is done.
    fn rendition<'a>(&'a mut self, rendition: &'a Rendition) -> BoxFuture<'a, bool>;

    /// All are done.
    fn finish(self: Box<Self>, receipt: SignedReceipt) -> BoxFuture<'static, bool>;

    /// It came to nothing.
    fn fail(self: Box<Self>, reason: Failed) -> BoxFuture<'static, ()>;
}

/// A shared [`Mesh`].
pub type SharedMesh = Arc<dyn Mesh>;
/// A shared [`Worker`].
pub type SharedWorker = Arc<dyn Worker>;
