//! The control plane's protocols, composed in one place.
//!
//! In flow a configuration and a key, out flows one libp2p behaviour whose every name, size and rate is bounded. It decides
//! nothing: the event loop in [`crate::swarm`] does.

mod proofs;
mod table;

use std::collections::HashSet;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libp2p::gossipsub::{
    self, Behaviour as Gossip, IdentTopic, IdentityTransform, MaxCountSubscriptionFilter,
    MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, TopicScoreParams, ValidationMode,
    WhitelistSubscriptionFilter,
};
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    StreamProtocol, autonat, connection_limits, dcutr, identify, kad, mdns, memory_connection_limits, ping,
    relay, request_response,
};
use protocol::{Hash, NodeRecord};

pub use proofs::ProofCodec;
pub use table::{BadRequest, Page, PageRequest, TableCodec};

use crate::limits;
use crate::media::{fallback, introduce};
use crate::payment;
use crate::proofs::News;

/// The major version of everything below: nodes of another one refuse each other.
pub const MAJOR: u32 = 1;

/// Every protocol name that this crate registers or opens.
pub mod names {
    use libp2p::StreamProtocol;

    /// The table of records, a page at a time.
    pub const ROSTER: StreamProtocol = StreamProtocol::new("/livemesh/roster/1");
    /// Proofs and what they need, opaque here.
    pub const PROOFS: StreamProtocol = StreamProtocol::new("/livemesh/proofs/1");
    /// Winners from a node to its redeemer, and their steps back; spoken beside the mesh.
    pub const REDEEMER: StreamProtocol = StreamProtocol::new("/livemesh/redeemer/1");
    /// Addresses of peers by name.
    pub const KAD: StreamProtocol = StreamProtocol::new("/livemesh/kad/1");
    /// Gossip; libp2p appends its own versions.
    pub const GOSSIP_PREFIX: &str = "/livemesh/gossip";
}

/// Fewer connections than this make no mesh.
const MIN_CONNECTIONS: u32 = 8;

/// What kind of node the protocols are for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The mesh that it belongs to.
    pub network: String,
    /// Peers that gossip goes to.
    pub degree: usize,
    /// Connections that it keeps.
    pub max_connections: u32,
    /// Whether others can reach it directly, so that it can serve addresses, probes and relaying.
    pub public: bool,
    /// Whether a NAT may be in the way: it asks others to probe it and punches holes.
    pub open: bool,
    /// Whether it looks for others on the LAN.
    pub mdns: bool,
    /// How often peers are pinged.
    pub ping: Duration,
    /// Whether it relays proofs and news of chains.
    pub proofs: bool,
}

/// Gossip of few topics, of which nobody may make us remember others.
pub type RecordGossip = Gossip<IdentityTransform, MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>>;

/// All protocols of the control plane.
#[derive(NetworkBehaviour)]
pub(crate) struct Protocols {
    /// Connections at most: in all, each way, of a peer.
    pub limits: connection_limits::Behaviour,
    /// No new connection when memory is short.
    pub memory: memory_connection_limits::Behaviour,
    /// Who is there: network, version, addresses seen.
    pub identify: identify::Behaviour,
    /// Is it alive, and how far.
    pub ping: ping::Behaviour,
    /// Records, as they change.
    pub gossip: RecordGossip,
    /// Records, all at once.
    pub table: request_response::Behaviour<TableCodec>,
    /// Proofs, asked of one peer.
    pub proofs: Toggle<request_response::Behaviour<ProofCodec>>,
    /// Addresses of known peers; neither records nor providers.
    pub kad: kad::Behaviour<MemoryStore>,
    /// Being reached through others.
    pub relayed: relay::client::Behaviour,
    /// From relayed to direct.
    pub punch: Toggle<dcutr::Behaviour>,
    /// Am I reachable?
    pub probe: Toggle<autonat::v2::client::Behaviour>,
    /// Are you?
    pub prober: Toggle<autonat::v2::server::Behaviour>,
    /// Relaying for others, within the bounds of [`relay_bounds`].
    pub relay: Toggle<relay::Behaviour>,
    /// Others on the LAN.
    pub mdns: Toggle<mdns::tokio::Behaviour>,
    /// Raw streams, for segments where no direct path exists.
    pub streams: libp2p_stream::Behaviour,
}

impl Protocols {
    /// Composes the protocols.
    ///
    /// # Errors
    /// When a protocol refuses its settings, or mDNS its socket.
    pub(crate) fn new(
        plan: &Plan,
        key: &Keypair,
        relayed: relay::client::Behaviour,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let me = key.public().to_peer_id();
        let served = plan.public;
        Ok(Self {
            limits: connection_limits::Behaviour::new(connection_bounds(plan)),
            memory: memory_connection_limits::Behaviour::with_max_percentage(0.9),
            identify: identify::Behaviour::new(
                identify::Config::new_with_signed_peer_record(protocol_version(&plan.network), key)
                    .with_agent_version(concat!("livemesh/", env!("CARGO_PKG_VERSION")).into())
                    .with_cache_size(0),
            ),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(plan.ping).with_timeout(plan.ping)),
            gossip: record_gossip(plan)?,
            table: request_response::Behaviour::new(
                [(names::ROSTER, request_response::ProtocolSupport::Full)],
                request_response::Config::default()
                    .with_request_timeout(limits::REQUEST_TIMEOUT)
                    .with_max_concurrent_streams(limits::REQUEST_STREAMS),
            ),
            proofs: plan.proofs.then(proofs_of_peers).into(),
            kad: addresses_only(plan, key),
            relayed,
            punch: plan.open.then(|| dcutr::Behaviour::new(me)).into(),
            probe: plan.open.then(autonat::v2::client::Behaviour::default).into(),
            prober: served.then(autonat::v2::server::Behaviour::default).into(),
            relay: served.then(|| relay::Behaviour::new(me, relay_bounds())).into(),
            mdns: if plan.mdns {
                Some(mdns::tokio::Behaviour::new(mdns::Config::default(), me)?).into()
            } else {
                None.into()
            },
            streams: libp2p_stream::Behaviour::new(),
        })
    }
}

/// What gossip calls a message: the same data is the same message, whoever sends it.
pub(crate) fn message_id(data: &[u8]) -> MessageId {
    MessageId::new(&Hash::of(data).0[..20])
}

/// What a node calls its network and version, compared when peers meet.
#[must_use]
pub fn protocol_version(network: &str) -> String {
    format!("livemesh/{MAJOR}/{network}")
}

/// The topic on which records of a network spread.
#[must_use]
pub fn record_topic(network: &str) -> IdentTopic {
    IdentTopic::new(format!("/livemesh/{network}/records/{MAJOR}"))
}

/// The topic on which a kind of news spreads.
#[must_use]
pub fn news_topic(network: &str, news: News) -> IdentTopic {
    IdentTopic::new(format!("/livemesh/{network}/{}/{MAJOR}", news.name()))
}

fn proofs_of_peers() -> request_response::Behaviour<ProofCodec> {
    request_response::Behaviour::new(
        [(names::PROOFS, request_response::ProtocolSupport::Full)],
        request_response::Config::default()
            .with_request_timeout(limits::PROOF_TIMEOUT)
            .with_max_concurrent_streams(limits::REQUEST_STREAMS),
    )
}

/// Connections that a node keeps of those that others made, of `max_connections` in all: the rest is for those that it makes.
#[must_use]
pub(crate) fn max_inbound(max_connections: u32, degree: usize) -> u32 {
    let max = max_connections.max(MIN_CONNECTIONS);
    max - (2 * degree as u32).min(max / 2)
}

fn connection_bounds(plan: &Plan) -> connection_limits::ConnectionLimits {
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits::MAX_PENDING))
        .with_max_pending_outgoing(Some(limits::MAX_PENDING))
        .with_max_established(Some(plan.max_connections.max(MIN_CONNECTIONS) + limits::VISITORS))
        .with_max_established_incoming(Some(
            max_inbound(plan.max_connections, plan.degree) + limits::VISITORS,
        ))
        .with_max_established_per_peer(Some(limits::MAX_PER_PEER))
}

/// Records are signed by their makers, so gossip signs nothing itself, and the same record is the same message whoever sends it.
fn record_gossip(plan: &Plan) -> Result<RecordGossip, Box<dyn Error + Send + Sync>> {
    let topic = record_topic(&plan.network).hash();
    let news = News::ALL.map(|news| news_topic(&plan.network, news).hash());
    // Gossip wants at least two peers, one of which this node dialed.
    let degree = plan.degree.max(2);
    let mut config = gossipsub::ConfigBuilder::default();
    config
        .protocol_id_prefix(names::GOSSIP_PREFIX)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| message_id(&message.data))
        .flood_publish(false)
        .mesh_n(degree)
        .mesh_n_low((degree * 2 / 3).max(1))
        .mesh_n_high(degree * 2)
        .mesh_outbound_min((degree / 3).max(1))
        .max_transmit_size(limits::GOSSIP_FRAME_BYTES)
        .max_transmit_size_for_topic(NodeRecord::MAX_BYTES + limits::GOSSIP_OVERHEAD_BYTES, topic.clone());
    for topic in &news {
        config.max_transmit_size_for_topic(limits::NEWS_BYTES + limits::GOSSIP_OVERHEAD_BYTES, topic.clone());
    }
    let config = config.build()?;
    let topics: HashSet<_> = news.into_iter().chain([topic]).collect();
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(topics.clone()),
        max_subscribed_topics: limits::TOPICS,
        max_subscriptions_per_request: 4 * limits::TOPICS,
    };
    let mut gossip = Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)?;
    let (params, thresholds) = scoring(topics);
    gossip.with_peer_score(params, thresholds)?;
    Ok(gossip)
}

/// Two invalid messages silence a neighbour; many neighbours from one address weigh less each.
fn scoring(topics: HashSet<gossipsub::TopicHash>) -> (PeerScoreParams, PeerScoreThresholds) {
    let on_topic = TopicScoreParams {
        topic_weight: 1.0,
        first_message_deliveries_weight: 0.5,
        first_message_deliveries_cap: 40.0,
        invalid_message_deliveries_weight: -25.0,
        invalid_message_deliveries_decay: 0.97,
        // Records come when they come: nobody is punished for having none.
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        ..TopicScoreParams::default()
    };
    let params = PeerScoreParams {
        topics: topics.into_iter().map(|topic| (topic, on_topic.clone())).collect(),
        topic_score_cap: 50.0,
        // A whole mesh on one machine is a test, not an attack.
        ip_colocation_factor_whitelist: [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            .into(),
        ..PeerScoreParams::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -10.0,
        publish_threshold: -50.0,
        graylist_threshold: -80.0,
        ..PeerScoreThresholds::default()
    };
    (params, thresholds)
}

/// libp2p's defaults are for signalling: 128 KiB and 2 minutes, less than one segment. Pairs whose holes cannot be punched
/// have no other way, so a circuit here carries some minutes of a stream, and a node that needs more opens another one.
fn relay_bounds() -> relay::Config {
    relay::Config {
        max_circuit_bytes: limits::CIRCUIT_BYTES,
        max_circuit_duration: limits::CIRCUIT_TIME,
        ..relay::Config::default()
    }
}

fn addresses_only(plan: &Plan, key: &Keypair) -> kad::Behaviour<MemoryStore> {
    let me = key.public().to_peer_id();
    let nothing = MemoryStoreConfig { max_records: 0, max_provided_keys: 0, ..MemoryStoreConfig::default() };
    let mut config = kad::Config::new(names::KAD);
    config
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_periodic_bootstrap_interval(None)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_query_timeout(limits::REQUEST_TIMEOUT * 2)
        .set_max_packet_size(limits::GOSSIP_FRAME_BYTES);
    let mut kad = kad::Behaviour::with_config(me, MemoryStore::with_config(me, nothing), config);
    kad.set_mode(Some(if plan.public { kad::Mode::Server } else { kad::Mode::Client }));
    kad
}

/// Every protocol name of this crate, for the test that no two are the same: of two behaviours with one name, the first
/// would take the other's streams without a word.
#[must_use]
pub fn all_names() -> Vec<String> {
    let ours = [
        names::ROSTER,
        names::PROOFS,
        names::REDEEMER,
        names::KAD,
        fallback::PROTOCOL,
        introduce::PROTOCOL,
        payment::PROTOCOL,
    ]
    .map(|name: StreamProtocol| name.to_string());
    let gossip = ["1.0.0", "1.1.0", "1.2.0", "1.3.0"].map(|v| format!("{}/{v}", names::GOSSIP_PREFIX));
    let libp2ps = [
        identify::PROTOCOL_NAME,
        identify::PUSH_PROTOCOL_NAME,
        ping::PROTOCOL_NAME,
        dcutr::PROTOCOL_NAME,
        relay::HOP_PROTOCOL_NAME,
        relay::STOP_PROTOCOL_NAME,
    ];
    ours.into_iter().chain(gossip).chain(libp2ps.map(|name| name.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_protocols_have_the_same_name() {
        let names = all_names();
        let distinct: HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }

    #[test]
    fn our_names_carry_the_major_version() {
        for name in [
            names::ROSTER,
            names::PROOFS,
            names::KAD,
            fallback::PROTOCOL,
            introduce::PROTOCOL,
            payment::PROTOCOL,
        ] {
            assert!(name.as_ref().ends_with(&format!("/{MAJOR}")), "{name}");
        }
        assert!(protocol_version("n").contains(&format!("/{MAJOR}/")));
    }
}
