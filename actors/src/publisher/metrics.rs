//! What the publishers of a node count, for Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// One set for all streams of a node; clones share the figures.
#[derive(Clone, Debug, Default)]
pub struct PublisherMetrics {
    /// Segments that appeared in the playlists.
    pub segments: Counter,
    /// Renditions, the source and audio left out, that appeared as EXT-X-GAP.
    pub gaps: Counter,
    /// Segments that appeared incomplete because too many waited or the stream ended.
    pub forced: Counter,
    /// Segments whose cut never reached the publisher.
    pub lost: Counter,
    /// Messages about segments that had already appeared, were told twice, or lie absurdly far ahead.
    pub ignored: Counter,
    /// Recordings that stopped before their stream did.
    pub recordings_failed: Counter,
    /// Segments that wait for audio or renditions, all streams together.
    pub waiting: Gauge,
}

impl PublisherMetrics {
    /// Makes the figures readable under the names that stand here.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("livemesh_publisher");
        registry.register("segments", "Segments that appeared in the playlists", self.segments.clone());
        registry.register("gaps", "Renditions that appeared as EXT-X-GAP", self.gaps.clone());
        registry.register("forced", "Segments that appeared incomplete", self.forced.clone());
        registry.register("lost", "Segments whose cut never came", self.lost.clone());
        registry.register("ignored", "Messages that came too late or twice", self.ignored.clone());
        let help = "Recordings that stopped before their stream did";
        registry.register("recordings_failed", help, self.recordings_failed.clone());
        registry.register("waiting", "Segments that wait for audio or renditions", self.waiting.clone());
    }
}
