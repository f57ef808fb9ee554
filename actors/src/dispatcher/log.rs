//! The last traces of each stream, and a feed of new ones. Bounded; nobody waits for its readers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::StreamId;
use tokio::sync::broadcast;

use super::trace::{SegmentTrace, TraceOutcome};

/// Traces kept for each stream: four minutes of 2 s segments.
const KEPT: usize = 120;
/// Streams of which traces are kept.
const STREAMS: usize = 64;
/// Traces that a slow reader may lag behind.
const FEED: usize = 256;

/// The traces of one stream by sequence.
type Kept = BTreeMap<u64, Arc<SegmentTrace>>;

/// Where dispatchers write and pages read. Clones share it.
#[derive(Clone, Debug)]
pub struct TraceLog {
    kept: Arc<Mutex<BTreeMap<StreamId, Kept>>>,
    feed: broadcast::Sender<Arc<SegmentTrace>>,
}

impl Default for TraceLog {
    fn default() -> Self {
        Self { kept: Arc::default(), feed: broadcast::Sender::new(FEED) }
    }
}

impl TraceLog {
    /// Keeps `trace` in place of an earlier one of the same segment, and tells the readers.
    pub fn record(&self, trace: SegmentTrace) {
        let trace = Arc::new(trace);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_stream = kept.entry(trace.stream.clone()).or_default();
        of_stream.insert(trace.seq, Arc::clone(&trace));
        while of_stream.len() > KEPT {
            of_stream.pop_first();
        }
        if kept.len() > STREAMS {
            let newest = |traces: &Kept| traces.last_key_value().map_or(0, |(_, t)| t.cut_unix_ms);
            let oldest = kept.iter().min_by_key(|(_, traces)| newest(traces)).map(|(id, _)| id.clone());
            oldest.map(|id| kept.remove(&id));
        }
        drop(kept);
        // Without readers the send has nobody to reach, which is no fault.
        let _ = self.feed.send(trace);
    }

    /// The traces of a stream, oldest first.
    #[must_use]
    pub fn of(&self, stream: &StreamId) -> Vec<Arc<SegmentTrace>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(stream).map(|traces| traces.values().cloned().collect()).unwrap_or_default()
    }

    /// New traces from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<SegmentTrace>> {
        self.feed.subscribe()
    }

    /// Median and 99th percentile of the latency of a stream's complete segments, milliseconds.
    #[must_use]
    pub fn latency(&self, stream: &StreamId) -> Option<(u64, u64)> {
        let complete =
            |t: &Arc<SegmentTrace>| (t.outcome == Some(TraceOutcome::Complete)).then_some(t.latency_ms?);
        let mut all: Vec<u64> = self.of(stream).iter().filter_map(complete).collect();
        all.sort_unstable();
        let at = |q: f64| all.get(((all.len() as f64 * q).ceil() as usize).max(1) - 1).copied();
        Some((at(0.5)?, at(0.99)?))
    }
}
