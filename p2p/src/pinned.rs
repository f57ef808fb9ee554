//! A line between two nodes that know each other's keys from their configuration, beside the mesh: bytes are asked, bytes are
//! answered. It is how a node and its redeemer talk.
//!
//! In flow requests to pinned peers, out flow their answers and what they ask. QUIC's handshake proves who somebody is; whoever is
//! not pinned is let go before it can open a stream. What the bytes mean is not known here.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::allow_block_list::{AllowedPeers, Behaviour as Pins};
use libp2p::request_response::{self, OutboundFailure, OutboundRequestId, ProtocolSupport, ResponseChannel};
use libp2p::swarm::{ListenError, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, connection_limits};
use protocol::PeerKey;
use tokio::sync::{mpsc, oneshot};

use crate::Identity;
use crate::behaviour::{BadRequest, ProofCodec, names};
use crate::identity::{peer_id_of, peer_key_of};
use crate::limits::{MAX_PENDING, MAX_PER_PEER, PROOF_REQUEST_BYTES, PROOF_TIMEOUT, REQUEST_STREAMS};
use crate::proofs::Asked;
use crate::swarm::{listen, quic_address};

/// Requests of this node that wait for the task; more of them wait at their senders.
const WAITING: usize = 16;
/// Requests of peers that are being answered; more are let go.
const ANSWERING: usize = 32;
/// Time for this node to answer: less than the whole exchange may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// Silence after which a connection is dead.
const LIVENESS: Duration = Duration::from_secs(3);
/// A connection without a request is kept for so long: requests come every few seconds.
const IDLE: Duration = Duration::from_secs(60);

/// Whom a node talks to, and where.
#[derive(Clone, Debug, Default)]
pub struct PinnedConfig {
    /// UDP address to listen on; a node that only asks needs none.
    pub listen: Option<SocketAddr>,
    /// The keys of those that it talks to, with the UDP address of each that it dials.
    pub peers: BTreeMap<PeerKey, Option<SocketAddr>>,
}

/// Why there is no line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinnedError {
    /// Nobody is pinned.
    #[error("nobody is named who may talk to this node: name at least one peer id")]
    Nobody,
    /// The address is taken or not this machine's.
    #[error("{0}")]
    Listen(String),
    /// QUIC does not start.
    #[error("QUIC does not start: {0}")]
    Quic(String),
}

/// Why a request came to nothing. It may be made again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// The peer is not pinned, or its address is not known.
    #[error("{0:?} is not pinned with an address")]
    Unknown(PeerKey),
    /// The request is over its bound.
    #[error("a request of {0} bytes, over the limit of {PROOF_REQUEST_BYTES}")]
    TooLarge(usize),
    /// No connection, or it was closed.
    #[error("not connected: the peer is not there, has another key, or has not pinned this node's")]
    Unreachable,
    /// Nothing came in time.
    #[error("no answer within {} s", PROOF_TIMEOUT.as_secs())]
    Timeout,
    /// The exchange broke off.
    #[error("the exchange broke off: {0}")]
    Broken(String),
    /// The line is closed.
    #[error("the line is closed")]
    Gone,
}

/// The handle; when all clones are gone, the line is closed.
#[derive(Clone, Debug)]
pub struct Pinned {
    requests: mpsc::Sender<Ask>,
    addr: Option<SocketAddr>,
}

/// A request on its way to the task.
type Ask = (PeerKey, Bytes, oneshot::Sender<Result<Bytes, NoReply>>);

#[derive(NetworkBehaviour)]
struct Protocols {
    pins: Pins<AllowedPeers>,
    limits: connection_limits::Behaviour,
    exchange: request_response::Behaviour<ProofCodec>,
}

impl Pinned {
    /// Opens the line. What peers ask comes out of the receiver; an answer has up to 1 MiB.
    ///
    /// # Errors
    /// [`PinnedError`] when the configuration cannot be used. Call it inside a tokio runtime.
    pub async fn start(
        config: PinnedConfig,
        identity: Identity,
    ) -> Result<(Self, mpsc::Receiver<Asked>), PinnedError> {
        if config.peers.is_empty() {
            return Err(PinnedError::Nobody);
        }
        let mut swarm = build(&config, &identity)?;
        let addr = match config.listen {
            Some(addr) => listen(&mut swarm, &[addr])
                .await
                .map_err(|error| PinnedError::Listen(error.to_string()))?
                .first()
                .copied(),
            None => None,
        };
        let (requests, asks) = mpsc::channel(WAITING);
        let (shown, asked) = mpsc::channel(ANSWERING);
        let line = Line {
            swarm,
            peers: config.peers,
            shown,
            waiting: HashMap::new(),
            answers: FuturesUnordered::new(),
        };
        tokio::spawn(line.run(asks));
        Ok((Self { requests, addr }, asked))
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Asks a pinned peer, connecting first where there is no connection.
    ///
    /// # Errors
    /// [`NoReply`].
    pub async fn ask(&self, peer: PeerKey, request: Bytes) -> Result<Bytes, NoReply> {
        let (answer, wait) = oneshot::channel();
        self.requests.send((peer, request, answer)).await.map_err(|_| NoReply::Gone)?;
        wait.await.unwrap_or(Err(NoReply::Gone))
    }
}

/// An answer of this node, if it has one.
type Answer = (ResponseChannel<Bytes>, Option<Bytes>);

/// The task.
struct Line {
    swarm: Swarm<Protocols>,
    peers: BTreeMap<PeerKey, Option<SocketAddr>>,
    shown: mpsc::Sender<Asked>,
    waiting: HashMap<OutboundRequestId, oneshot::Sender<Result<Bytes, NoReply>>>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
}

impl Line {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                ask = asks.recv() => match ask {
                    Some(ask) => self.ask(ask),
                    None => return,
                },
                Some((channel, answer)) = self.answers.next() => {
                    if let Some(bytes) = answer {
                        // An error means that the asker is gone.
                        let _ = self.swarm.behaviour_mut().exchange.send_response(channel, bytes);
                    }
                }
            }
        }
    }

    fn ask(&mut self, (peer, request, answer): Ask) {
        let refused = match self.peers.get(&peer) {
            Some(Some(_)) if request.len() > PROOF_REQUEST_BYTES => NoReply::TooLarge(request.len()),
            Some(Some(addr)) => {
                let (exchange, addrs) = (&mut self.swarm.behaviour_mut().exchange, vec![quic_address(addr)]);
                let id = exchange.send_request_with_addresses(&peer_id_of(peer), Ok(request), addrs);
                self.waiting.insert(id, answer);
                return;
            }
            Some(None) | None => NoReply::Unknown(peer),
        };
        // An error means that nobody waits any more.
        let _ = answer.send(Err(refused));
    }

    fn on_event(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(ProtocolsEvent::Exchange(event)) => self.on_exchange(event),
            SwarmEvent::IncomingConnectionError {
                error: ListenError::Denied { .. },
                send_back_addr,
                peer_id,
                ..
            } => {
                let peer = peer_id.map(|peer| peer.to_string()).unwrap_or_default();
                tracing::warn!(%peer, addr = %send_back_addr, "a stranger was let go");
            }
            _ => {}
        }
    }

    fn on_exchange(&mut self, event: request_response::Event<Result<Bytes, BadRequest>, Bytes>) {
        use request_response::{Event, Message};
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                self.show(&peer, request, channel);
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                self.answered(request_id, Ok(response));
            }
            Event::OutboundFailure { request_id, error, .. } => {
                self.answered(request_id, Err(no_reply(&error)));
            }
            Event::InboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "an answer was not taken");
            }
            Event::ResponseSent { .. } => {}
        }
    }

    fn show(&mut self, peer: &PeerId, request: Result<Bytes, BadRequest>, channel: ResponseChannel<Bytes>) {
        let request = match request {
            Ok(request) => request,
            Err(bad) => return tracing::warn!(%peer, %bad, "a request was let go"),
        };
        let Some(from) = peer_key_of(peer) else { return };
        let (reply, answer) = oneshot::channel();
        // A request without an answer: dropping the channel says so.
        if self.answers.len() < ANSWERING && self.shown.try_send(Asked { from, request, reply }).is_ok() {
            self.answers.push(Box::pin(async move {
                let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
                (channel, answer.ok().and_then(Result::ok))
            }));
        }
    }

    fn answered(&mut self, id: OutboundRequestId, result: Result<Bytes, NoReply>) {
        if let Some(waiting) = self.waiting.remove(&id) {
            let _ = waiting.send(result);
        }
    }
}

fn no_reply(error: &OutboundFailure) -> NoReply {
    match error {
        OutboundFailure::Timeout => NoReply::Timeout,
        OutboundFailure::DialFailure
        | OutboundFailure::ConnectionClosed
        | OutboundFailure::UnsupportedProtocols => NoReply::Unreachable,
        OutboundFailure::Io(error) => NoReply::Broken(error.to_string()),
    }
}

fn build(config: &PinnedConfig, identity: &Identity) -> Result<Swarm<Protocols>, PinnedError> {
    let mut pins = Pins::<AllowedPeers>::default();
    config.peers.keys().for_each(|peer| _ = pins.allow_peer(peer_id_of(*peer)));
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING))
        .with_max_established_per_peer(Some(MAX_PER_PEER));
    let exchange = request_response::Behaviour::new(
        [(names::REDEEMER, ProtocolSupport::Full)],
        request_response::Config::default()
            .with_request_timeout(PROOF_TIMEOUT)
            .with_max_concurrent_streams(REQUEST_STREAMS),
    );
    let protocols = Protocols { pins, limits: connection_limits::Behaviour::new(limits), exchange };
    let swarm = SwarmBuilder::with_existing_identity(identity.keypair())
        .with_tokio()
        .with_quic_config(|mut quic| {
            quic.max_idle_timeout = LIVENESS.as_millis() as u32;
            quic.keep_alive_interval = LIVENESS / 3;
            quic
        })
        .with_behaviour(|_| Ok(protocols))
        .map_err(|error| PinnedError::Quic(error.to_string()))?
        .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(IDLE))
        .build();
    Ok(swarm)
}

/// The address to give to whoever dials a listening line: `/ip4/192.0.2.7/udp/4936/quic-v1/p2p/12D3..`.
#[must_use]
pub fn address(peer: PeerKey, at: &SocketAddr) -> Multiaddr {
    quic_address(at).with(libp2p::multiaddr::Protocol::P2p(peer_id_of(peer)))
}

/// Key and UDP address in what [`address`] gives; `None` where one of them is missing.
#[must_use]
pub fn parse_address(addr: &Multiaddr) -> Option<(PeerKey, SocketAddr)> {
    let peer = addr.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::P2p(peer) => peer_key_of(&peer),
        _ => None,
    });
    Some((peer?, crate::swarm::udp_address(addr)?))
}
