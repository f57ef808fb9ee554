//! What a node counts, in Prometheus' text format. go-livepeer's names where the meaning is the same, so that its dashboards
//! keep working; ours begin with `livemesh_`.

use std::sync::{Arc, Mutex, PoisonError};

use actors::chain_watcher::ChainView;
use actors::dispatcher::trace::{SegmentTrace, TraceOutcome};
use actors::publisher::PublisherMetrics;
use actors::transcoder::actor::Load;
use ledger::Summary;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

mod chain;
mod payments;

use chain::ChainFigures;
use payments::PaymentFigures;

/// Upper bounds of the latency histogram's buckets, seconds: fine below a segment's length, coarse above.
const LATENCY: [f64; 12] = [0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0];

/// The figures of one node. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    figures: Arc<Figures>,
    /// Lent to the publishers.
    pub(crate) publisher: PublisherMetrics,
}

#[derive(Debug)]
struct Figures {
    chain: ChainFigures,
    payments: PaymentFigures,
    sessions: Gauge,
    emerged: Counter,
    appeared: Counter,
    transcoded: Counter,
    all_appeared: Counter,
    failed: Counter,
    retried: Counter,
    swaps: Counter,
    hedges: Counter,
    asks: Family<Outcome, Counter>,
    latency: Histogram,
    source_duration: Histogram,
    capacity: Gauge,
    load: Gauge,
    mil_pixels: Counter<f64, std::sync::atomic::AtomicU64>,
    declined: Counter,
    served: Counter,
    served_failed: Counter,
    nodes: Gauge,
    orchestrators: Gauge,
    last: Mutex<Load>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            chain: ChainFigures::default(),
            payments: PaymentFigures::default(),
            sessions: Gauge::default(),
            emerged: Counter::default(),
            appeared: Counter::default(),
            transcoded: Counter::default(),
            all_appeared: Counter::default(),
            failed: Counter::default(),
            retried: Counter::default(),
            swaps: Counter::default(),
            hedges: Counter::default(),
            asks: Family::default(),
            latency: Histogram::new(LATENCY),
            source_duration: Histogram::new(LATENCY),
            capacity: Gauge::default(),
            load: Gauge::default(),
            mil_pixels: Counter::default(),
            declined: Counter::default(),
            served: Counter::default(),
            served_failed: Counter::default(),
            nodes: Gauge::default(),
            orchestrators: Gauge::default(),
            last: Mutex::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn new(capacity: u32) -> Self {
        let figures = Figures::default();
        figures.capacity.set(i64::from(capacity));
        let publisher = PublisherMetrics::default();
        let mut registry = Registry::default();
        figures.register(&mut registry);
        publisher.register(&mut registry);
        Self { registry: Arc::new(registry), figures: Arc::new(figures), publisher }
    }

    /// Counts a segment, when its trace says that it is over.
    pub(crate) fn segment(&self, trace: &SegmentTrace) {
        let f = &self.figures;
        let Some(outcome) = trace.outcome else { return };
        f.emerged.inc();
        f.appeared.inc();
        f.source_duration.observe(trace.duration_ms as f64 / 1000.0);
        let made = trace.renditions.iter().filter(|r| r.by.is_some()).count() as u64;
        f.transcoded.inc_by(made);
        f.failed.inc_by(trace.renditions.len() as u64 - made);
        if outcome == TraceOutcome::Complete {
            f.all_appeared.inc();
        }
        if let Some(ms) = trace.latency_ms {
            f.latency.observe(ms as f64 / 1000.0);
        }
        let hedges = trace.asks.iter().filter(|ask| ask.hedge).count();
        f.hedges.inc_by(hedges as u64);
        f.retried.inc_by(trace.asks.len().saturating_sub(1 + hedges) as u64);
        f.swaps.inc_by(trace.asks.len().saturating_sub(1) as u64);
        for ask in &trace.asks {
            let outcome = if ask.won { "used" } else { "not_used" };
            f.asks.get_or_create(&Outcome { outcome }).inc();
        }
    }

    /// Counts what the transcoder did for others since the last call.
    pub(crate) fn load(&self, now: Load) {
        let f = &self.figures;
        let mut last = f.last.lock().unwrap_or_else(PoisonError::into_inner);
        f.load.set(i64::from(now.in_work));
        f.mil_pixels.inc_by(now.pixels.saturating_sub(last.pixels) as f64 / 1e6);
        f.served.inc_by(now.done.saturating_sub(last.done));
        f.served_failed.inc_by(now.failed.saturating_sub(last.failed));
        f.declined.inc_by(now.declined.saturating_sub(last.declined));
        *last = now;
    }

    /// Takes over what is known of the chain at `now_ms` (Unix milliseconds).
    pub(crate) fn chain(&self, view: &ChainView, now_ms: u64) {
        self.figures.chain.set(view, now_ms);
    }

    /// Takes over what the ledger says, and the kinds of the alarms that are on.
    pub(crate) fn payments<'a>(&self, summary: &Summary, alarms: impl Iterator<Item = &'a str>) {
        self.figures.payments.set(summary, alarms);
    }

    /// Everything as text, with what is only known at this instant.
    pub(crate) fn text(&self, streams: usize, nodes: usize, orchestrators: usize) -> String {
        let gauge = |gauge: &Gauge, n: usize| gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
        gauge(&self.figures.sessions, streams);
        gauge(&self.figures.nodes, nodes);
        gauge(&self.figures.orchestrators, orchestrators);
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }
}

impl Figures {
    fn register(&self, registry: &mut Registry) {
        let theirs = registry.sub_registry_with_prefix("livepeer");
        theirs.register("current_sessions", "Streams that are being published now", self.sessions.clone());
        theirs.register("segment_source_emerged", "Source segments cut", self.emerged.clone());
        theirs.register(
            "segment_source_appeared",
            "Source segments given to the publisher",
            self.appeared.clone(),
        );
        theirs.register(
            "segment_transcoded",
            "Renditions of segments that came back and passed",
            self.transcoded.clone(),
        );
        let help = "Segments of which every rendition came back and passed";
        theirs.register("segment_transcoded_all_appeared", help, self.all_appeared.clone());
        theirs.register(
            "segment_transcode_failed",
            "Renditions of segments that were given up",
            self.failed.clone(),
        );
        theirs.register(
            "transcode_retried",
            "Segments sent again after a fault or refusal",
            self.retried.clone(),
        );
        theirs.register(
            "orchestrator_swaps",
            "Sends of a segment to another orchestrator",
            self.swaps.clone(),
        );
        let help = "From the cut of a segment until every rendition was checked";
        theirs.register_with_unit("transcode_overall_latency", help, Unit::Seconds, self.latency.clone());
        let help = "Length of source segments";
        theirs.register_with_unit(
            "source_segment_duration",
            help,
            Unit::Seconds,
            self.source_duration.clone(),
        );
        theirs.register(
            "transcoders_capacity",
            "Segments that this node transcodes at the same time",
            self.capacity.clone(),
        );
        theirs.register("transcoders_load", "Segments that this node transcodes now", self.load.clone());
        theirs.register(
            "mil_pixels_processed",
            "Encoded pixels delivered, in millions",
            self.mil_pixels.clone(),
        );

        self.chain.register(registry);
        self.payments.register(registry);
        let ours = registry.sub_registry_with_prefix("livemesh");
        ours.register("hedges", "Second sends of a segment because the first was late", self.hedges.clone());
        ours.register("asks", "Sends of segments to orchestrators", self.asks.clone());
        ours.register("offers_declined", "Offers that this node declined", self.declined.clone());
        ours.register(
            "segments_served",
            "Segments that this node transcoded for others",
            self.served.clone(),
        );
        let help = "Segments that this node took and did not finish";
        ours.register("segments_served_failed", help, self.served_failed.clone());
        ours.register("mesh_nodes", "Nodes with a valid record", self.nodes.clone());
        ours.register("mesh_orchestrators", "Orchestrators with a valid record", self.orchestrators.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_help_and_a_name_with_a_prefix() {
        let text = Metrics::new(2).text(1, 4, 3);
        for line in text.lines().filter(|l| l.starts_with("# TYPE")) {
            let name = line.split(' ').nth(2).unwrap();
            assert!(name.starts_with("livepeer_") || name.starts_with("livemesh_"), "{name}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
        assert!(text.contains("livepeer_transcoders_capacity 2"));
        assert!(text.contains("livemesh_mesh_orchestrators 3"));
    }

    #[test]
    fn work_is_counted_once() {
        let metrics = Metrics::new(2);
        let load = Load { done: 3, pixels: 2_000_000, ..Load::default() };
        metrics.load(load);
        metrics.load(load);
        assert!(metrics.text(0, 0, 0).contains("livemesh_segments_served_total 3"));
    }
}
