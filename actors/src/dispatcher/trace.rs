//! What happened to a segment: who was asked, why, how long each step took. The answer to `livemesh explain`, a row on the
//! dashboard, and nothing else: no decision is taken from it.

use protocol::{PeerKey, StreamId};
use serde::{Deserialize, Serialize};

/// The way of one segment. Times are milliseconds after the cut unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentTrace {
    /// The stream.
    pub stream: StreamId,
    /// Position in the stream.
    pub seq: u64,
    /// Unix time of the cut, milliseconds.
    pub cut_unix_ms: u64,
    /// Length, milliseconds.
    pub duration_ms: u64,
    /// Size of the source segment, bytes.
    pub bytes: u64,
    /// Everyone who was asked, in order.
    pub asks: Vec<Ask>,
    /// The rungs and who made them.
    pub renditions: Vec<RungTrace>,
    /// From the cut until every rung was checked, or given up.
    pub latency_ms: Option<u64>,
    /// How it ended; `None` while it is in work.
    pub outcome: Option<TraceOutcome>,
}

/// The outcome of an ask that ended as it should.
pub const RECEIPTED: &str = "complete, receipt signed";

/// How a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceOutcome {
    /// Every rung was made.
    Complete,
    /// At least one rung is missing.
    Missing,
    /// Nothing to make: the source is below the lowest rung.
    SourceOnly,
}

/// One orchestrator asked for one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Who.
    pub peer: PeerKey,
    /// Why this one, in words: the two that were drawn and what decided.
    pub why: String,
    /// Whether it was a second send because the first was late.
    pub hedge: bool,
    /// The rungs that it was asked for: those that were missing then.
    #[serde(default)]
    pub rungs: Vec<String>,
    /// When it was asked.
    pub asked_ms: u64,
    /// When it admitted the offer.
    pub accepted_ms: Option<u64>,
    /// When its first rendition was complete here.
    pub first_rendition_ms: Option<u64>,
    /// When its last answer came.
    pub ended_ms: Option<u64>,
    /// What came of it, in words; `None` while it works.
    pub outcome: Option<String>,
    /// Whether this answer was the one used.
    pub won: bool,
}

/// One rung of the ladder of one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungTrace {
    /// Name of the rendition.
    pub name: String,
    /// Size, bytes; 0 when missing.
    pub bytes: u64,
    /// Who made it.
    pub by: Option<PeerKey>,
    /// When it was complete and checked here.
    pub at_ms: Option<u64>,
}
