//! What the node says of itself to people: state for the page and the API, traces, metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use actors::chain_watcher::ChainView;
use actors::clock::Clock;
use actors::dispatcher::actor::SharedScores;
use actors::dispatcher::log::TraceLog;
use actors::dispatcher::trace::SegmentTrace;
use actors::publisher::{Library, StreamState};
use actors::transcoder::actor::Load;
use alloy_primitives::Address;
use p2p::Control;
use p2p::identity::peer_id_of;
use protocol::record::Roles;
use protocol::{NodeRecord, PeerKey, PricePerPixel, StreamId};
use tokio::sync::{broadcast, watch};

use crate::adapters::admission::Door;
use crate::adapters::mesh::MeshAdapter;
use crate::adapters::payments::purse::Purse;
use crate::config::Config;
use crate::http::NodeView;
use crate::http::chain::ChainState;
use crate::http::payments::Payments;
use crate::http::state::{Link, Mesh, MeshNode, Node, Quantiles, State, Stream};
use crate::metrics::Metrics;

pub(crate) mod books;

use books::Books;

/// Reads every part of the node; changes none.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) control: Control,
    pub(crate) mesh: Arc<MeshAdapter>,
    /// Whose stake admits them.
    pub(crate) admitted: Door,
    pub(crate) library: Library,
    pub(crate) traces: TraceLog,
    pub(crate) scores: SharedScores,
    pub(crate) load: watch::Receiver<Load>,
    pub(crate) metrics: Metrics,
    /// What is known of the chain, and the network's name; none where none is followed.
    pub(crate) chain: Option<(String, watch::Receiver<ChainView>)>,
    /// Who pays, where this node does.
    pub(crate) purse: Option<Arc<Purse>>,
    /// What was paid and earned.
    pub(crate) books: Books,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl View {
    fn streams(&self) -> Vec<Stream> {
        let with_latency = |info: actors::publisher::StreamInfo| {
            let latency = self.traces.latency(&info.id).map(|(p50, p99)| Quantiles { p50, p99 });
            Stream::new(info, latency)
        };
        self.library.streams().into_iter().map(with_latency).collect()
    }

    fn nodes(&self) -> Vec<MeshNode> {
        let me = self.control.me();
        let others = self
            .control
            .roster()
            .records
            .iter()
            .filter(|r| r.peer != me)
            .map(|r| self.other(r))
            .collect::<Vec<_>>();
        std::iter::once(self.this()).chain(others).collect()
    }

    fn this(&self) -> MeshNode {
        let (me, roles) = (self.control.me(), self.config.roles);
        let work = self.config.orchestrator;
        MeshNode {
            peer_id: peer_id_of(me).to_string(),
            key: me.to_string(),
            name: self.config.name.clone(),
            is_self: true,
            roles: names(Roles {
                broadcaster: roles.broadcaster,
                orchestrator: roles.orchestrator,
                verifier: false,
            }),
            rtt_ms: Some(0.0),
            load: self.load.borrow().in_work,
            capacity: if roles.orchestrator { work.capacity } else { 0 },
            price: if roles.orchestrator { work.price.to_string() } else { String::new() },
            backend: if roles.orchestrator { "cpu".into() } else { String::new() },
            score: 1.0,
            avoided_for_ms: None,
            stake: self.admitted.told(me, self.now_ms()),
            unpaid: None,
        }
    }

    fn other(&self, record: &NodeRecord) -> MeshNode {
        let scores = self.scores.lock().unwrap_or_else(PoisonError::into_inner);
        let id = peer_id_of(record.peer).to_string();
        let (work, peer) = (record.work.as_ref(), record.peer);
        MeshNode {
            name: id.chars().skip(id.len().saturating_sub(6)).collect(),
            peer_id: id,
            key: peer.to_string(),
            is_self: false,
            roles: names(record.roles),
            rtt_ms: self.mesh.rtt_ms(peer),
            load: work.map_or(0, |w| w.load).max(scores.in_flight(peer)),
            capacity: work.map_or(0, |w| w.capacity),
            price: work.map_or_else(String::new, |w| PricePerPixel::to_string(&w.price)),
            backend: work.map_or_else(String::new, |w| w.backend.clone()),
            score: scores.reliability(peer),
            avoided_for_ms: scores.avoided_for(peer, self.clock.now()).map(|d| d.as_millis() as u64),
            stake: self.admitted.told(peer, self.now_ms()),
            unpaid: self.purse.as_ref().and_then(|purse| purse.told(peer)),
        }
    }

    /// Who works for whom, by the traces that are kept.
    fn links(&self) -> Vec<Link> {
        let mut count: BTreeMap<(StreamId, PeerKey), (u64, u32)> = BTreeMap::new();
        for stream in self.library.streams().into_iter().filter(|s| s.state != StreamState::Ended) {
            for trace in self.traces.of(&stream.id) {
                for ask in &trace.asks {
                    let (segments, in_flight) = count.entry((stream.id.clone(), ask.peer)).or_default();
                    *segments += u64::from(ask.won);
                    *in_flight += u32::from(ask.outcome.is_none());
                }
            }
        }
        let from = self.control.me().to_string();
        let link = |((stream, to), (segments, in_flight)): ((StreamId, PeerKey), (u64, u32))| Link {
            from: from.clone(),
            to: to.to_string(),
            stream,
            segments,
            in_flight,
        };
        count.into_iter().map(link).collect()
    }
}

impl NodeView for View {
    fn state(&self) -> State {
        let this = self.this();
        State {
            node: Node {
                peer_id: this.peer_id,
                key: this.key,
                name: this.name,
                roles: this.roles,
                version: env!("CARGO_PKG_VERSION").into(),
                uptime_s: self.clock.uptime().as_secs(),
            },
            streams: self.streams(),
            mesh: Mesh { nodes: self.nodes(), links: self.links() },
        }
    }

    fn traces(&self, stream: &StreamId) -> Vec<SegmentTrace> {
        self.traces.of(stream).iter().map(|trace| SegmentTrace::clone(trace)).collect()
    }

    fn subscribe_traces(&self) -> broadcast::Receiver<Arc<SegmentTrace>> {
        self.traces.subscribe()
    }

    fn metrics(&self) -> String {
        let streams = self.library.streams().iter().filter(|s| s.state == StreamState::Live).count();
        let roster = self.control.roster();
        if let Some((_, chain)) = &self.chain {
            self.metrics.chain(&chain.borrow(), self.now_ms());
        }
        self.books.measure(&self.metrics);
        self.metrics.text(streams, roster.records.len(), roster.orchestrators().count())
    }

    fn chain(&self) -> Option<ChainState> {
        let (network, chain) = self.chain.as_ref()?;
        Some(ChainState::of(network, &chain.borrow(), self.now_ms()))
    }

    /// None where no money can ever have moved.
    fn payments(&self) -> Option<Payments> {
        let payments = self.books.payments(|address| self.node_of(address));
        (self.chain.is_some() || payments.entries > 0).then_some(payments)
    }

    fn ready(&self) -> Result<(), String> {
        let alone = self.mesh_is_empty() && !self.config.roles.orchestrator;
        if alone { Err("no orchestrator is known yet: check mesh.bootstrap".into()) } else { Ok(()) }
    }
}

impl View {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX)
    }

    /// The node for which a staker's address vouches.
    fn node_of(&self, staker: &Address) -> Option<String> {
        let roster = self.control.roster();
        let mut records = roster.records.iter();
        let found =
            records.find(|r| r.certificate.is_some_and(|signed| signed.certificate.staker == *staker));
        found.map(|record| record.peer.to_string())
    }

    fn mesh_is_empty(&self) -> bool {
        self.control.roster().orchestrators().next().is_none()
    }
}

fn names(roles: Roles) -> Vec<String> {
    let all = [
        (roles.broadcaster, "broadcaster"),
        (roles.orchestrator, "orchestrator"),
        (roles.verifier, "verifier"),
    ];
    all.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.to_owned()).collect()
}
