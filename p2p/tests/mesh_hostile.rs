//! What strangers may do to a node: not much, and not for long. Each test has a good node, an honest neighbour who must
//! notice nothing, and a stranger who speaks libp2p but not the truth.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

#[path = "mesh/world.rs"]
mod world;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::gossipsub::{self, MessageAuthenticity, ValidationMode};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, identify, ping};
use p2p::behaviour::{names, protocol_version, record_topic};
use p2p::identity::peer_id_of;
use p2p::wire::Reach;
use p2p::{ControlConfig, Identity, Signed};
use protocol::NodeRecord;
use protocol::record::Roles;
use tokio::sync::mpsc;
use world::{LIMIT, Node, config, identity, orchestrator, start, worker};

/// A stranger's own libp2p node: it identifies itself as one of ours, gossips what it likes and opens raw streams.
struct Stranger {
    streams: libp2p_stream::Control,
    say: mpsc::Sender<Vec<u8>>,
    cut_off: mpsc::Receiver<()>,
    identity: Identity,
}

#[derive(NetworkBehaviour)]
struct Lies {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    gossip: gossipsub::Behaviour,
    streams: libp2p_stream::Behaviour,
}

impl Stranger {
    async fn at(node: &Node, version: &str) -> Self {
        let identity = identity(666);
        let mut swarm = hostile_swarm(&identity, version);
        let mut streams = swarm.behaviour().streams.new_control();
        tokio::spawn(know_nobody(streams.accept(names::ROSTER).unwrap()));
        swarm.dial(addr_of(node)).unwrap();
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => break,
                SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
        let (say, said) = mpsc::channel(10_000);
        let (cut, cut_off) = mpsc::channel(1);
        tokio::spawn(live(swarm, said, cut));
        Self { streams, say, cut_off, identity }
    }

    async fn honest_looking(node: &Node) -> Self {
        Self::at(node, &protocol_version("test")).await
    }

    async fn open(&mut self, node: &Node, protocol: StreamProtocol) -> libp2p::Stream {
        self.streams.open_stream(peer_id_of(node.key()), protocol).await.unwrap()
    }

    async fn is_cut_off(&mut self) {
        let cut = tokio::time::timeout(LIMIT, self.cut_off.recv()).await;
        assert!(cut.is_ok(), "the stranger is still connected");
    }

    fn record(&self, sequence_offset: i64, life_secs: u64) -> NodeRecord {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let sequence = (now.as_millis() as i64 + sequence_offset) as u64;
        NodeRecord {
            peer: self.identity.peer_key(),
            sequence,
            expires: now.as_secs() + life_secs,
            control: vec!["127.0.0.1:1".parse().unwrap()],
            media: vec![],
            roles: Roles { orchestrator: true, ..Roles::default() },
            work: orchestrator(0).work,
            certificate: None,
        }
    }

    fn signed(&self, record: &NodeRecord) -> Vec<u8> {
        Signed::new(record, &Reach::default(), &self.identity, "test").unwrap().0.to_vec()
    }
}

fn addr_of(node: &Node) -> Multiaddr {
    let addr = node.addr();
    Multiaddr::from(addr.ip()).with(Protocol::Udp(addr.port())).with(Protocol::QuicV1)
}

fn hostile_swarm(identity: &Identity, version: &str) -> Swarm<Lies> {
    SwarmBuilder::with_existing_identity(identity.keypair())
        .with_tokio()
        .with_quic()
        .with_behaviour(|key| {
            let config = gossipsub::ConfigBuilder::default()
                .protocol_id_prefix(names::GOSSIP_PREFIX)
                .validation_mode(ValidationMode::Anonymous)
                .message_id_fn(|m| gossipsub::MessageId::new(&protocol::Hash::of(&m.data).0[..20]))
                .build()
                .unwrap();
            let mut gossip = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).unwrap();
            gossip.subscribe(&record_topic("test")).unwrap();
            Lies {
                identify: identify::Behaviour::new(identify::Config::new(version.into(), key.public())),
                ping: ping::Behaviour::default(),
                gossip,
                streams: libp2p_stream::Behaviour::new(),
            }
        })
        .unwrap()
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(600)))
        .build()
}

async fn live(mut swarm: Swarm<Lies>, mut said: mpsc::Receiver<Vec<u8>>, cut: mpsc::Sender<()>) {
    let mut subscribed = false;
    loop {
        tokio::select! {
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionClosed { num_established: 0, .. } => {
                    let _ = cut.send(()).await;
                }
                SwarmEvent::Behaviour(LiesEvent::Gossip(gossipsub::Event::Subscribed { .. })) => subscribed = true,
                _ => {}
            },
            Some(data) = said.recv(), if subscribed => {
                let _ = swarm.behaviour_mut().gossip.publish(record_topic("test"), data);
            }
        }
    }
}

/// Answers requests for the table with an empty one, as a newcomer does.
async fn know_nobody(mut asked: libp2p_stream::IncomingStreams) {
    while let Some((_, mut stream)) = asked.next().await {
        let mut request = Vec::new();
        let _ = (&mut stream).take(2000).read_to_end(&mut request).await;
        let _ = stream.close().await;
    }
}

/// A good node with an honest neighbour.
async fn good() -> (Node, Node) {
    let a = start(
        ControlConfig { draft: orchestrator(0), patience: Duration::from_secs(5), ..config(&[]) },
        identity(1),
    );
    let a = a.await;
    let b = worker(2, &[&a]).await;
    a.sees_workers(2).await;
    (a, b)
}

/// The honest neighbour's next word still arrives, and nobody else is known.
async fn undisturbed(a: &Node, b: &Node) {
    b.control.announce(orchestrator(9));
    a.sees("the honest neighbour's load", |view| Node::load_of(view, b.key()) == Some(9)).await;
    assert_eq!(a.control.roster().records.len(), 2);
}

#[tokio::test]
async fn garbage_on_the_roster_protocol_is_cut_off() {
    let (a, b) = good().await;
    let mut stranger = Stranger::honest_looking(&a).await;
    let mut stream = stranger.open(&a, names::ROSTER).await;
    stream.write_all(&[0xff; 300]).await.unwrap();
    stream.close().await.unwrap();
    stranger.is_cut_off().await;
    undisturbed(&a, &b).await;
}

#[tokio::test]
async fn an_oversized_request_is_cut_off() {
    let (a, b) = good().await;
    let mut stranger = Stranger::honest_looking(&a).await;
    let mut stream = stranger.open(&a, names::ROSTER).await;
    let _ = stream.write_all(&[0x0a; 100_000]).await;
    stranger.is_cut_off().await;
    undisturbed(&a, &b).await;
}

#[tokio::test]
async fn a_request_that_never_ends_is_ended() {
    let (a, b) = good().await;
    let mut stranger = Stranger::honest_looking(&a).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        let mut stream = stranger.open(&a, names::ROSTER).await;
        stream.write_all(&[0x0a]).await.unwrap();
        stream.flush().await.unwrap();
        held.push(stream);
    }
    assert!(stranger.cut_off.try_recv().is_err(), "cut off before its time");
    stranger.is_cut_off().await;
    undisturbed(&a, &b).await;
}

#[tokio::test]
async fn a_neighbour_that_says_nothing_is_cut_off() {
    let (a, b) = good().await;
    let mut swarm = SwarmBuilder::with_existing_identity(identity(666).keypair())
        .with_tokio()
        .with_quic()
        .with_behaviour(|_| libp2p_stream::Behaviour::new())
        .unwrap()
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(600)))
        .build();
    swarm.dial(addr_of(&a)).unwrap();
    let closed =
        async { while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {} };
    tokio::time::timeout(LIMIT, closed).await.expect("cut off");
    undisturbed(&a, &b).await;
}

#[tokio::test]
async fn another_major_version_is_refused() {
    let (a, b) = good().await;
    let mut stranger = Stranger::at(&a, "livemesh/2/test").await;
    stranger.is_cut_off().await;
    undisturbed(&a, &b).await;
}

#[tokio::test]
async fn an_unknown_protocol_gets_no_stream() {
    let (a, b) = good().await;
    let mut stranger = Stranger::honest_looking(&a).await;
    let refused =
        stranger.streams.open_stream(peer_id_of(a.key()), StreamProtocol::new("/livemesh/roster/2")).await;
    assert!(matches!(refused, Err(libp2p_stream::OpenStreamError::UnsupportedProtocol(_))), "{refused:?}");
    undisturbed(&a, &b).await;
}

#[tokio::test]
async fn forged_records_are_not_taken_and_cut_off() {
    let (a, b) = good().await;
    let mut stranger = Stranger::honest_looking(&a).await;
    for n in 0..10 {
        let mut forged = stranger.signed(&stranger.record(n, 60));
        let last = forged.len() - 1;
        forged[last] ^= 1;
        stranger.say.send(forged).await.unwrap();
    }
    stranger.is_cut_off().await;
    undisturbed(&a, &b).await;
}

#[tokio::test]
async fn expired_oversized_and_replayed_records_change_nothing() {
    let (a, b) = good().await;
    let stranger = Stranger::honest_looking(&a).await;
    let first = stranger.signed(&stranger.record(-50, 60));
    let gone = stranger.signed(&NodeRecord { expires: 1, ..stranger.record(-20, 60) });
    let expired = stranger
        .signed(&NodeRecord { expires: stranger.record(0, 0).expires - 2, ..stranger.record(-9_000, 0) });
    stranger.say.send(expired).await.unwrap();
    stranger.say.send(vec![7; 5000]).await.unwrap();
    stranger.say.send(first.clone()).await.unwrap();
    a.sees("the stranger", |view| view.records.len() == 3).await;
    stranger.say.send(gone).await.unwrap();
    a.sees("that it left", |view| view.records.len() == 2).await;
    stranger.say.send(first).await.unwrap();
    undisturbed(&a, &b).await;
}

#[tokio::test]
async fn a_flood_of_records_neither_fills_the_roster_nor_stops_the_mesh() {
    let (a, b) = good().await;
    let stranger = Stranger::honest_looking(&a).await;
    // One key that changes without pause: others hear of it as often as they may.
    for n in 0..3000 {
        let signed = stranger.signed(&stranger.record(n, 60));
        stranger.say.send(signed).await.unwrap();
    }
    a.sees("the stranger", |view| view.get(stranger.identity.peer_key()).is_some()).await;
    b.control.announce(orchestrator(9));
    a.sees("the honest neighbour's load", |view| Node::load_of(view, b.key()) == Some(9)).await;
    assert_eq!(a.control.roster().records.len(), 3);
}

#[tokio::test]
async fn noise_on_the_port_disturbs_nobody() {
    let (a, b) = good().await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut noise = [0u8; 1400];
    for n in 0..2000u32 {
        for (at, byte) in noise.iter_mut().enumerate() {
            *byte = (n.wrapping_mul(2_654_435_761) >> (at % 24)) as u8 ^ at as u8;
        }
        let _ = send(&socket, &noise[..(n as usize % 1400).max(1)], a.addr());
    }
    undisturbed(&a, &b).await;
}

fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
    socket.send_to(bytes, to)
}

#[tokio::test]
async fn a_table_is_given_but_not_over_and_over() {
    let (a, b) = good().await;
    let mut stranger = Stranger::honest_looking(&a).await;
    let mut pages = 0;
    for _ in 0..100 {
        let open = stranger.streams.open_stream(peer_id_of(a.key()), names::ROSTER);
        let Ok(Ok(mut stream)) = tokio::time::timeout(LIMIT, open).await else { break };
        let mut page = Vec::new();
        let asked = async {
            // A request from the start, with an empty key spelled out.
            stream.write_all(&[0x0a, 0]).await?;
            stream.close().await?;
            stream.read_to_end(&mut page).await
        };
        pages += usize::from(asked.await.is_ok_and(|bytes| bytes > 0));
    }
    assert!((20..=40).contains(&pages), "{pages} pages");
    stranger.is_cut_off().await;
    undisturbed(&a, &b).await;
}
