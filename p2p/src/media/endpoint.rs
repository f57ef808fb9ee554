//! A node's end of the media plane on raw QUIC.
//!
//! In flow requests to peers and, from strangers, connections and streams within [`Bounds`]; out flow answers and incoming
//! offers. The wire of one stream is in `ask` and `serve`, who is connected in `link`, who may connect in `gate`.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use protocol::{Offer, PeerKey};
use quinn::{ConnectionId, ConnectionIdGenerator, VarInt};
use rand::RngCore;
use tokio::sync::mpsc;

use super::ask::{Answers, Ended, Patience, Steps, ask};
use super::bell::{self, nobody_at};
use super::fault::{Code, MediaError};
use super::frame::{Floor, read_frame, write_frame};
use super::gate::{AddressPermit, Bounds, Gate, Knock};
use super::half::{Sink, Source, no_longer_than};
use super::introduce::Introduce;
use super::link::{Dial, Links};
use super::opener::Opener;
use super::pace::Congestion;
use super::serve::{Door, IncomingOffer};
use super::sight::{Sightings, decode_seen, encode_seen};
use super::tls::{ResetKey, Tls, peer_of};
use super::wire::proto;
use crate::identity::Identity;

/// How a media endpoint behaves. The default suits a node on the open Internet.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Who decides how fast to send.
    pub congestion: Congestion,
    /// What strangers may hold of this node.
    pub bounds: Bounds,
    /// The slowest that a peer may send or read.
    pub floor: Floor,
    /// Longest time between two steps of an answer, beats included.
    pub silence: Duration,
    /// A connection without a sign of life for so long is dead.
    pub dead_after: Duration,
    /// How often a quiet connection is probed: three probes fit before it counts as dead.
    pub probe_every: Duration,
    /// Longest handshake.
    pub handshake: Duration,
    /// Receive and send buffer of the UDP socket, bytes; what the system does not grant is done without.
    pub socket_buffer: usize,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            congestion: Congestion::default(),
            bounds: Bounds::default(),
            floor: Floor::default(),
            silence: Duration::from_secs(10),
            dead_after: Duration::from_secs(2),
            probe_every: Duration::from_millis(500),
            handshake: Duration::from_secs(5),
            socket_buffer: 4 << 20,
        }
    }
}

/// A node's end of the media plane. Cheap to clone; the last clone closes it.
#[derive(Clone, Debug)]
pub struct MediaEndpoint(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    quic: quinn::Endpoint,
    links: Links,
    sightings: Arc<Sightings>,
    opener: Opener,
    offers: tokio::sync::Mutex<mpsc::Receiver<IncomingOffer>>,
    config: MediaConfig,
}

/// Bytes in flight on one stream before its reader must read: a segment of 2 s at 32 Mbit/s.
const STREAM_WINDOW: u32 = 8 << 20;
/// Bytes in flight on one connection.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Streams that QUIC itself lets a peer have open, on top of those that are served: each is refused with a reason.
const SPARE_STREAMS: usize = 48;
/// First guess of the round trip, until the handshake has measured it; RFC 9002's 333 ms makes a lost Initial cost a second.
const FIRST_RTT: Duration = Duration::from_millis(150);
/// Length of a connection id, bytes.
const CONNECTION_ID: usize = 8;
/// How long a peer has for saying where it sees this node.
const SIGHTING: Duration = Duration::from_secs(5);
/// How long closing waits for peers to hear of it.
const GOODBYE: Duration = Duration::from_secs(1);

// === impl MediaEndpoint ===

impl MediaEndpoint {
    /// Listens on `addr`. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`MediaError::Bind`] when the address cannot be used.
    pub fn bind(identity: &Identity, addr: SocketAddr, config: MediaConfig) -> Result<Self, MediaError> {
        let tls = Tls::new(identity).map_err(|e| MediaError::Bind { addr, why: e.to_string() })?;
        let dialler = quic(identity, addr, &config, Arc::new(tls))?;
        let quic = dialler.quic.clone();
        let (offers_in, offers) = mpsc::channel(config.bounds.waiting);
        let door = Door { gate: Gate::new(config.bounds), floor: config.floor, offers: offers_in };
        tokio::spawn(listen(quic.clone(), door, config.handshake));
        let (sightings, opener) = (dialler.sightings.clone(), dialler.opener.clone());
        let links = Links::new(Arc::new(dialler));
        let offers = tokio::sync::Mutex::new(offers);
        Ok(Self(Arc::new(Inner { quic, links, sightings, opener, offers, config })))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_addr(&self) -> Result<SocketAddr, MediaError> {
        self.0.quic.local_addr().map_err(|e| MediaError::Unreachable(e.to_string()))
    }

    /// Sends `segment` to `peer` and yields the steps of its answer, ending after the receipt or an error. Uses the
    /// connection that there is, or makes one to the first of `addrs` that answers.
    #[must_use]
    pub fn request(&self, peer: PeerKey, addrs: &[SocketAddr], offer: Offer, segment: Bytes) -> Answers {
        let (inner, addrs) = (self.0.clone(), addrs.to_vec());
        Answers::run(|steps| async move { inner.request(peer, &addrs, &offer, segment, &steps).await })
    }

    /// The next offer of anybody; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<IncomingOffer> {
        self.0.offers.lock().await.recv().await
    }

    /// Keeps a connection to `peer` warm until [`Self::forget`]; call it again when its addresses change.
    pub fn keep(&self, peer: PeerKey, addrs: &[SocketAddr]) {
        self.0.links.keep(peer, addrs);
    }

    /// Closes the connection to `peer`.
    pub fn forget(&self, peer: PeerKey) {
        self.0.links.forget(peer);
    }

    /// The smoothed round trip to `peer`, where there is a connection.
    #[must_use]
    pub fn rtt(&self, peer: PeerKey) -> Option<Duration> {
        self.0.links.rtt(peer)
    }

    /// Whether a peer to which a connection is kept is known to have died and not to be back. Where a firewall hides that, it
    /// is found out by asking.
    #[must_use]
    pub fn is_gone(&self, peer: PeerKey) -> bool {
        self.0.links.is_gone(peer)
    }

    /// Bytes sent to `peer` on the live connection, and those of them that were lost and sent again.
    #[must_use]
    pub fn sent_and_lost(&self, peer: PeerKey) -> Option<(u64, u64)> {
        let stats = self.0.links.live(peer)?.stats();
        Some((stats.udp_tx.bytes, stats.path.lost_bytes))
    }

    /// Where those to whom this node has dialled agree to see its media port: behind a NAT, what others can be told.
    #[must_use]
    pub fn seen_at(&self) -> Vec<SocketAddr> {
        self.0.sightings.agreed(|peer| self.0.links.live(peer).is_some())
    }

    /// Makes sure that there is a connection to `peer`, and that it does not count as idle.
    pub(crate) async fn touch(&self, peer: PeerKey, addrs: &[SocketAddr]) {
        if let Err(error) = self.0.links.get(peer, addrs).await {
            tracing::debug!(?peer, %error, "a public node sees nothing of this one");
        }
    }

    /// From now on, peers that cannot be dialled are met through `introduce`. The first one stays.
    pub(crate) fn introduced_by(&self, introduce: Arc<dyn Introduce>) {
        self.0.links.introduced_by(introduce);
    }

    /// Opens this node's NAT.
    pub(crate) fn opener(&self) -> Opener {
        self.0.opener.clone()
    }

    /// Takes nothing new and says goodbye to everybody.
    pub async fn close(&self) {
        self.0.quic.close(Code::Stopping.var(), b"the node is stopping");
        // Whoever does not hear it finds out by the missing signs of life.
        drop(tokio::time::timeout(GOODBYE, self.0.quic.wait_idle()).await);
    }
}

impl Inner {
    async fn request(
        &self,
        peer: PeerKey,
        addrs: &[SocketAddr],
        offer: &Offer,
        segment: Bytes,
        steps: &Steps,
    ) -> Result<(), MediaError> {
        let first = self.exchange(peer, addrs, offer, segment.clone(), steps).await;
        let Err((connection, ended)) = first else { return Ok(()) };
        let restarted = connection.as_ref().and_then(quinn::Connection::close_reason).is_some_and(|why| {
            matches!(why, quinn::ConnectionError::Reset | quinn::ConnectionError::ApplicationClosed(_))
        });
        // The peer was restarted since the last request: it has not seen this one.
        if restarted && !ended.answered {
            tracing::debug!(?peer, "the connection was stale, asking on a new one");
            let second = self.exchange(peer, addrs, offer, segment, steps).await;
            return second.map_err(|(_, ended)| ended.error);
        }
        Err(ended.error)
    }

    async fn exchange(
        &self,
        peer: PeerKey,
        addrs: &[SocketAddr],
        offer: &Offer,
        segment: Bytes,
        steps: &Steps,
    ) -> Result<(), (Option<quinn::Connection>, Ended)> {
        let unheard = |error| Ended { error, answered: false };
        let connection = self.links.get(peer, addrs).await.map_err(|e| (None, unheard(e)))?;
        let opened = no_longer_than(self.config.silence, "opening a stream", async {
            Ok(connection.open_bi().await?)
        });
        let (send, recv) = match opened.await {
            Ok(halves) => halves,
            Err(error) => return Err((Some(connection), unheard(error))),
        };
        let sink = Sink::quic(send, Code::Cancelled);
        let patience =
            Patience { first: self.config.silence, silence: self.config.silence, floor: self.config.floor };
        let heard = || connection.stats().udp_rx.datagrams;
        let gone = nobody_at(connection.remote_address(), bell::WAITING, heard);
        let asked = tokio::select! {
            asked = ask(sink, Source::Quic(recv), offer, segment, steps, patience) => asked,
            () = gone => {
                self.links.deserted(peer, &connection);
                let error = MediaError::unreachable(peer, "its port is closed, its process has gone");
                Err(Ended { error, answered: true })
            }
        };
        asked.map_err(|ended| (Some(connection), ended))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.quic.close(Code::Stopping.var(), b"the node is stopping");
    }
}

// === Connecting ===

/// A listening socket and what is needed to connect from it.
#[derive(Debug)]
pub(crate) struct Dialler {
    pub(crate) quic: quinn::Endpoint,
    tls: Arc<Tls>,
    transport: Arc<quinn::TransportConfig>,
    limit: Duration,
    sightings: Arc<Sightings>,
    opener: Opener,
}

impl Dial for Dialler {
    fn dial(
        &self,
        peer: PeerKey,
        addr: SocketAddr,
    ) -> BoxFuture<'static, Result<quinn::Connection, MediaError>> {
        let (quic, limit, sightings) = (self.quic.clone(), self.limit, self.sightings.clone());
        let config = self.tls.client(peer).map(|crypto| {
            let mut config = quinn::ClientConfig::new(Arc::new(crypto));
            config.transport_config(self.transport.clone());
            config
        });
        async move {
            let config = config.map_err(|e| MediaError::Unreachable(e.to_string()))?;
            // The name is not sent: the certificate is checked against the peer's key.
            let connecting = quic
                .connect_with(config, addr, "livemesh")
                .map_err(|e| MediaError::Unreachable(e.to_string()))?;
            let connection = no_longer_than(limit, "the handshake", async { Ok(connecting.await?) }).await?;
            tokio::spawn(be_told(connection.clone(), peer, sightings));
            Ok(connection)
        }
        .boxed()
    }
}

/// Waits for what the peer that was dialled says at once: where it sees this node.
async fn be_told(connection: quinn::Connection, peer: PeerKey, sightings: Arc<Sightings>) {
    let told = async {
        let mut recv = connection.accept_uni().await?;
        let frame = read_frame::<_, proto::Seen>(&mut recv, SIGHTING).await?;
        decode_seen(frame.ok_or_else(|| MediaError::Protocol("an empty stream".into()))?)
    };
    match no_longer_than(SIGHTING, "being told where one is seen", told).await {
        Ok(at) => sightings.saw(peer, at),
        Err(error) => tracing::debug!(?peer, %error, "not told where this node is seen"),
    }
}

/// Tells a peer that has dialled where it is seen.
async fn tell(connection: quinn::Connection) {
    let frame = encode_seen(connection.remote_address());
    let said = async {
        let mut send = connection.open_uni().await?;
        write_frame(&mut send, &frame).await?;
        drop(send.finish());
        // Whoever has gone needs nothing more; the stream would be reset if it were dropped before.
        drop(send.stopped().await);
        Ok(())
    };
    if let Err(error) = no_longer_than(SIGHTING, "saying where a peer is seen", said).await {
        tracing::debug!(%error, "a peer was not told where it is seen");
    }
}

// === Being connected to ===

async fn listen(quic: quinn::Endpoint, door: Door, handshake: Duration) {
    while let Some(incoming) = quic.accept().await {
        let from = incoming.remote_address();
        match door.gate.knock(from.ip(), incoming.remote_address_validated()) {
            Knock::Enter(permit) => {
                let door = door.clone();
                tokio::spawn(async move {
                    if let Err(error) = welcome(incoming, permit, door, handshake).await {
                        tracing::debug!(%from, %error, "a media connection has ended");
                    }
                });
            }
            // Fails only for an address that is proven already.
            Knock::Prove => drop(incoming.retry()),
            Knock::Refuse => {
                tracing::debug!(%from, "a media connection is refused: too many");
                incoming.refuse();
            }
        }
    }
}

async fn welcome(
    incoming: quinn::Incoming,
    mut permit: AddressPermit,
    door: Door,
    handshake: Duration,
) -> Result<(), MediaError> {
    let connection =
        no_longer_than(handshake, "the handshake", async { Ok(incoming.accept()?.await?) }).await?;
    permit.established();
    let Some(peer) = peer_of(&connection) else {
        connection.close(Code::Protocol.var(), b"the certificate has no ed25519 key");
        return Err(MediaError::Protocol("the certificate has no ed25519 key".into()));
    };
    let Some(_counted) = door.gate.connection(peer) else {
        connection.close(Code::TooMany.var(), b"too many connections of this peer");
        return Err(MediaError::Protocol("too many connections of one peer".into()));
    };
    tokio::spawn(tell(connection.clone()));
    loop {
        let (send, recv) = connection.accept_bi().await?;
        let door = door.clone();
        let sink = Sink::quic(send, Code::Dropped);
        tokio::spawn(async move { door.receive(peer, sink, Source::Quic(recv)).await });
    }
}

// === Settings of QUIC ===

/// Listens on `addr` as `identity`.
pub(crate) fn quic(
    identity: &Identity,
    addr: SocketAddr,
    config: &MediaConfig,
    tls: Arc<Tls>,
) -> Result<Dialler, MediaError> {
    let cannot = |why: String| MediaError::Bind { addr, why };
    let socket = socket(addr, config.socket_buffer).map_err(|e| cannot(e.to_string()))?;
    let crypto = Arc::new(tls.server().map_err(|e| cannot(e.to_string()))?);
    let mut server = quinn::ServerConfig::with_crypto(crypto);
    let streams = Streams { both_ways: config.bounds.streams_per_peer + SPARE_STREAMS, one_way: 0 };
    server.transport_config(Arc::new(transport(config, streams)));
    server.max_incoming(config.bounds.handshakes * 2);
    let opener = Opener::new(socket.try_clone().map_err(|e| cannot(e.to_string()))?);
    let quic =
        quinn::Endpoint::new(endpoint_config(identity), Some(server), socket, Arc::new(quinn::TokioRuntime))
            .map_err(|e| cannot(e.to_string()))?;
    // Whoever is dialled may only say where it sees this node.
    let transport = Arc::new(transport(config, Streams { both_ways: 0, one_way: 1 }));
    Ok(Dialler { quic, tls, transport, limit: config.handshake, sightings: Arc::default(), opener })
}

/// A UDP socket with buffers for a burst of segments, on both IP families when asked for any address of IPv6.
fn socket(addr: SocketAddr, buffer: usize) -> std::io::Result<UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() && addr.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    for granted in [socket.set_recv_buffer_size(buffer), socket.set_send_buffer_size(buffer)] {
        if let Err(error) = granted {
            tracing::debug!(%error, "the system grants no larger UDP buffer");
        }
    }
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

fn endpoint_config(identity: &Identity) -> quinn::EndpointConfig {
    let mut config = quinn::EndpointConfig::new(Arc::new(ResetKey::of(identity)));
    config.cid_generator(|| Box::new(ConnectionIds));
    config
}

/// Random connection ids. quinn's own are signed with a key that is new at every start, and a packet that carries another
/// signature is dropped without the reset that tells its sender of the restart.
#[derive(Debug)]
struct ConnectionIds;

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID];
        rand::rng().fill_bytes(&mut id);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Streams that the other side may have open.
struct Streams {
    both_ways: usize,
    one_way: u32,
}

fn transport(config: &MediaConfig, streams: Streams) -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    let idle = quinn::IdleTimeout::try_from(config.dead_after).unwrap_or(VarInt::from_u32(2000).into());
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(u32::try_from(streams.both_ways).unwrap_or(u32::MAX)))
        .max_concurrent_uni_streams(VarInt::from_u32(streams.one_way))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(CONNECTION_WINDOW.into())
        .initial_rtt(FIRST_RTT)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(config.probe_every))
        .congestion_controller_factory(config.congestion.factory());
    transport
}
