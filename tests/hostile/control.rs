//! Strangers at the control port: what is no libp2p gets no connection, and who speaks it but not as it should loses his.

use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, identify, ping};
use p2p::Identity;
use p2p::behaviour::{names, protocol_version};
use p2p::identity::peer_id_of;
use p2p::media::MediaConfig;
use p2p::media::raw::Raw;
use tokio::sync::oneshot;
use tokio::time::{Duration, timeout};

use crate::media::{Door, any_port, datagrams, door};
use crate::world::Node;
use crate::{SOON, noise};

/// A stranger's libp2p node.
#[derive(NetworkBehaviour)]
struct Lies {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    streams: libp2p_stream::Behaviour,
}

pub(crate) async fn attack(node: &Node) {
    let door = door(node, "control_addr");
    datagrams(door.at);
    let another_plane = async {
        let raw = Raw::bind(&Identity::from_seed([70; 32]), any_port(), &MediaConfig::default()).unwrap();
        let refused = timeout(SOON, raw.connect(door.key, door.at)).await.expect("an answer").unwrap_err();
        assert!(!refused.to_string().is_empty());
    };
    let requests: [(u8, Vec<u8>, bool); 6] = [
        (71, vec![0xFF; 300], true),
        (72, vec![0x0A; 100_000], true),
        (73, vec![0x0A], false),
        (74, noise(7, 900), true),
        // A key of three bytes.
        (75, vec![0x0A, 3, 1, 2, 3], true),
        // A record of another length than told.
        (76, vec![0x12, 0xFF, 0x7F, 0], true),
    ];
    let requests = requests.into_iter().map(|(seed, bytes, end)| asks(door, seed, bytes, end));
    tokio::join!(
        another_plane,
        join_all(requests),
        speaks(door, 77, "livemesh/2/test"),
        speaks(door, 78, "other/1"),
        wants_more(door)
    );
}

/// Sends `bytes` for a request, and is cut off.
async fn asks(door: Door, seed: u8, bytes: Vec<u8>, end: bool) {
    let (mut streams, cut_off) = connect(door, seed, &protocol_version("test")).await;
    let mut stream = streams.open_stream(peer_id_of(door.key), names::ROSTER).await.unwrap();
    // The node may have heard enough before everything is sent.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
    if end {
        let _ = stream.close().await;
    }
    timeout(SOON, cut_off).await.unwrap_or_else(|_| panic!("{seed} is still connected")).unwrap();
}

/// Says that it speaks `version`, and is cut off.
async fn speaks(door: Door, seed: u8, version: &str) {
    let (_streams, cut_off) = connect(door, seed, version).await;
    timeout(SOON, cut_off).await.unwrap_or_else(|_| panic!("{version} is still connected")).unwrap();
}

/// Opens a protocol that nobody has.
async fn wants_more(door: Door) {
    let (mut streams, _cut_off) = connect(door, 79, &protocol_version("test")).await;
    let refused = streams.open_stream(peer_id_of(door.key), StreamProtocol::new("/livemesh/root/1")).await;
    assert!(matches!(refused, Err(libp2p_stream::OpenStreamError::UnsupportedProtocol(_))), "{refused:?}");
}

async fn connect(door: Door, seed: u8, version: &str) -> (libp2p_stream::Control, oneshot::Receiver<()>) {
    let mut swarm = swarm(seed, version);
    let mut streams = swarm.behaviour().streams.new_control();
    tokio::spawn(know_nobody(streams.accept(names::ROSTER).unwrap()));
    let at = Multiaddr::from(door.at.ip()).with(Protocol::Udp(door.at.port())).with(Protocol::QuicV1);
    swarm.dial(at).unwrap();
    let connected = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => return,
                SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    };
    timeout(SOON, connected).await.expect("a connection");
    let (cut, cut_off) = oneshot::channel();
    tokio::spawn(async move {
        while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {}
        let _ = cut.send(());
    });
    (streams, cut_off)
}

/// Answers requests for the table with an empty one, as a newcomer does, so as not to be sent away for that.
async fn know_nobody(mut asked: libp2p_stream::IncomingStreams) {
    while let Some((_, mut stream)) = asked.next().await {
        let mut request = Vec::new();
        let _ = (&mut stream).take(2000).read_to_end(&mut request).await;
        let _ = stream.close().await;
    }
}

fn swarm(seed: u8, version: &str) -> Swarm<Lies> {
    SwarmBuilder::with_existing_identity(Identity::from_seed([seed; 32]).keypair())
        .with_tokio()
        .with_quic()
        .with_behaviour(|key| Lies {
            identify: identify::Behaviour::new(identify::Config::new(version.into(), key.public())),
            ping: ping::Behaviour::default(),
            streams: libp2p_stream::Behaviour::new(),
        })
        .unwrap()
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(600)))
        .build()
}
