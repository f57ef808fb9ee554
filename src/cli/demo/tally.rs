//! Counts what became of every segment of the demo.

use std::collections::{BTreeMap, BTreeSet};

use actors::dispatcher::trace::{RECEIPTED, SegmentTrace};
use serde::Serialize;
use tokio::time::Instant;

use super::paid::Paid;
use super::rounds::{Proven, Rounds};
use crate::cli::api::Api;

/// All traces of one stream, gathered while it runs.
#[derive(Debug)]
pub(crate) struct Tally {
    started: Instant,
    first_playlist: Option<u64>,
    traces: BTreeMap<u64, SegmentTrace>,
    rounds: Option<Rounds>,
}

/// What `livemesh demo --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    streams: u32,
    segments_in: u64,
    segments_out: BTreeMap<String, u64>,
    missing: u64,
    orchestrators_used: Vec<String>,
    hedges: u64,
    segment_latency_ms: Quantiles,
    time_to_first_playlist_ms: Option<u64>,
    /// Where the nodes follow a chain.
    #[serde(flatten)]
    proven: Option<Proven>,
    /// Where work is paid; known when all nodes have ended.
    #[serde(flatten)]
    pub(crate) paid: Option<Paid>,
}

#[derive(Debug, Serialize)]
struct Quantiles {
    p50: Option<u64>,
    p99: Option<u64>,
    max: Option<u64>,
}

impl Tally {
    /// Of a stream that begins now, and of a chain if there is one.
    pub(crate) fn new(started: Instant, rounds: Option<Rounds>) -> Self {
        Self { started, first_playlist: None, traces: BTreeMap::new(), rounds }
    }

    /// Asks the broadcaster once, and what follows a chain; `orchestrators` are names and HTTP addresses of those that run.
    pub(crate) async fn poll(&mut self, api: &Api, stream: &str, orchestrators: &[(String, String)]) {
        if self.first_playlist.is_none() && api.is_there(&format!("/live/{stream}/master.m3u8")).await {
            self.first_playlist = Some(self.started.elapsed().as_millis() as u64);
        }
        let traces: Result<Vec<SegmentTrace>, _> =
            api.get(&format!("/api/v1/streams/{stream}/explain")).await;
        self.traces.extend(traces.into_iter().flatten().map(|t| (t.seq, t)));
        if let Some(rounds) = &mut self.rounds {
            rounds.poll(api, orchestrators).await;
        }
    }

    /// Whether nothing is in work.
    pub(crate) fn is_settled(&self) -> bool {
        self.traces.values().all(|t| t.outcome.is_some())
    }

    /// Answers that came with a receipt.
    pub(crate) fn receipts(&self) -> u64 {
        let asks = self.traces.values().flat_map(|trace| &trace.asks);
        asks.filter(|ask| ask.outcome.as_deref() == Some(RECEIPTED)).count() as u64
    }

    /// One line for the terminal.
    pub(crate) fn line(&self) -> String {
        let report = self.report();
        let seconds = self.started.elapsed().as_secs();
        let ms = |ms: Option<u64>| ms.map_or_else(|| "-".into(), |ms| format!("{:.2} s", ms as f64 / 1000.0));
        format!(
            "{:02}:{:02}  segments {}  latency p50 {} p99 {}  hedges {}  missing {}  orchestrators {}",
            seconds / 60,
            seconds % 60,
            report.segments_in,
            ms(report.segment_latency_ms.p50),
            ms(report.segment_latency_ms.p99),
            report.hedges,
            report.missing,
            report.orchestrators_used.len(),
        ) + &self.rounds.as_ref().map_or_else(String::new, Rounds::line)
    }

    pub(crate) fn report(&self) -> Report {
        let done: Vec<&SegmentTrace> = self.traces.values().filter(|t| t.outcome.is_some()).collect();
        let mut latencies: Vec<u64> = done.iter().filter_map(|t| t.latency_ms).collect();
        latencies.sort_unstable();
        let at = |q: f64| latencies.get(((latencies.len() as f64 * q).ceil() as usize).max(1) - 1).copied();
        let mut segments_out: BTreeMap<String, u64> = BTreeMap::new();
        let mut used = BTreeSet::new();
        for rung in done.iter().flat_map(|t| &t.renditions) {
            *segments_out.entry(rung.name.clone()).or_default() += u64::from(rung.by.is_some());
            used.extend(rung.by.map(|peer| peer.to_string()));
        }
        let lost = done.iter().flat_map(|t| &t.renditions).filter(|rung| rung.by.is_none()).count() as u64;
        let unfinished = self.traces.len() as u64 - done.len() as u64;
        let span = self.traces.keys().next_back().map_or(0, |last| last + 1);
        let never_seen = span - self.traces.len() as u64;
        Report {
            streams: u32::from(!self.traces.is_empty()),
            segments_in: span,
            segments_out,
            missing: lost + unfinished + never_seen,
            orchestrators_used: used.into_iter().collect(),
            hedges: self.traces.values().flat_map(|t| &t.asks).filter(|ask| ask.hedge).count() as u64,
            segment_latency_ms: Quantiles { p50: at(0.5), p99: at(0.99), max: latencies.last().copied() },
            time_to_first_playlist_ms: self.first_playlist,
            proven: self.rounds.as_ref().map(Rounds::report),
            paid: None,
        }
    }
}

impl Report {
    /// Whether there was a stream, nothing of it went missing, nothing about the chain was believed, and all of it was paid.
    pub(crate) fn is_whole(&self) -> bool {
        let proven = self.proven.as_ref().is_none_or(Proven::is_all);
        let paid = self.paid.as_ref().is_none_or(Paid::is_exact);
        self.segments_in > 0 && self.missing == 0 && proven && paid
    }
}
