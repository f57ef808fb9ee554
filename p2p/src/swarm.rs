//! The control plane as the rest of the node sees it: a task that talks, and a cheap handle.
//!
//! In flow a configuration, what this node says of itself and whom it wants near; out flow the roster and who is connected.
//! The handle never waits for the network, except to be told so. What segments are is not known here.

mod addr;
mod carried;
mod dialer;
mod links;
mod own;
mod proofs;
mod pulls;
mod reach;
mod run;
mod talk;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libp2p::Multiaddr;
use protocol::record::{Roles, Work};
use protocol::{PeerKey, SignedCertificate};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::Identity;
use crate::proofs::{Door, News, NoAnswer};
use crate::roster::RosterView;
use crate::wire::MAX_NETWORK;

pub(crate) use addr::{quic as quic_address, udp as udp_address};
pub(crate) use run::listen;

/// Requests to the task that wait; more of them wait at their senders.
const COMMANDS: usize = 64;

/// How a node takes part in the control plane.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// The mesh that it belongs to; nodes of different meshes refuse each other. At most 32 bytes of `a-z 0-9 -`.
    pub network: String,
    /// UDP addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// UDP addresses at which others are known to reach it. With one, it also serves others as relay and prober.
    pub external: Vec<SocketAddr>,
    /// Addresses to join at, such as `/ip4/192.0.2.1/udp/4001/quic-v1`.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether it looks for others on the LAN.
    pub mdns: bool,
    /// What it says of itself from the first moment.
    pub draft: RecordDraft,
    /// Whether it says nothing of itself before [`Control::announce`]: a record without work would take the place of the one
    /// that others still have of an orchestrator that was restarted.
    pub wait_for_draft: bool,
    /// How often the record is sent anew; `None`: max(10 s, orchestrators / 4 s).
    pub announce: Option<Duration>,
    /// Connections that it seeks by itself.
    pub degree: usize,
    /// Connections that it keeps; at most [`VISITORS`](crate::limits::VISITORS) more for a moment. At least 8.
    pub max_connections: u32,
    /// Silence after which a connection is dead.
    pub liveness: Duration,
    /// Time for a new neighbour to say who it is.
    pub patience: Duration,
    /// Where requests for proofs and news of chains go; without one the node takes no part in them.
    pub proofs: Option<Door>,
    /// The chain that holds the stake, by which certificates are checked; without one they are passed on as they are.
    pub chain_id: Option<u64>,
}

impl ControlConfig {
    /// What fits a node with few demands: any free port on all interfaces, no bootstrap, no LAN search.
    #[must_use]
    pub fn new(network: impl Into<String>) -> Self {
        Self {
            network: network.into(),
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 0))],
            external: Vec::new(),
            bootstrap: Vec::new(),
            mdns: false,
            draft: RecordDraft::default(),
            wait_for_draft: false,
            announce: None,
            degree: 6,
            max_connections: 128,
            // One lost keep-alive a second apart is forgiven, two are not.
            liveness: Duration::from_secs(3),
            patience: Duration::from_secs(10),
            proofs: None,
            chain_id: None,
        }
    }

    /// Adds bootstrap nodes by their UDP addresses.
    #[must_use]
    pub fn with_bootstrap(mut self, addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.bootstrap.extend(addrs.into_iter().map(|addr| addr::quic(&addr)));
        self
    }
}

/// Why the control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The network's name cannot be one.
    #[error("{0:?} cannot name a network: use 1 to 32 of a-z, 0-9 and '-'")]
    Network(String),
    /// There is no address to listen on.
    #[error("the control plane has no address to listen on: give at least one")]
    NoListener,
    /// An address is taken or not this machine's.
    #[error("cannot listen on UDP {addr}: {reason}. Choose another address or end what uses it")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// A protocol refused its settings.
    #[error("the control plane's protocols do not start: {0}")]
    Protocols(String),
}

/// A peer that was not connected in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} could not be connected in time: it may be gone, or behind a NAT without a relay")]
pub struct NotConnected(pub PeerKey);

/// What this node says of itself; who, when and where on the control plane is added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordDraft {
    /// UDP addresses of the media plane; an unspecified IP stands for every address of this machine.
    pub media: Vec<SocketAddr>,
    /// What it does.
    pub roles: Roles,
    /// For orchestrators.
    pub work: Option<Work>,
    /// Whose stake it speaks for; left out of records that it does not outlive.
    pub certificate: Option<SignedCertificate>,
}

/// Whether others reach this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Nobody has tried.
    #[default]
    Unknown,
    /// Others reached it, or a person said so.
    Public,
    /// Others tried in vain.
    Private,
}

/// A connected neighbour.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// The last round trip, once measured.
    pub rtt: Option<Duration>,
    /// Whether the connection is not through a relay.
    pub direct: bool,
    /// Where the connection leads, if directly.
    pub addr: Option<SocketAddr>,
}

/// Neighbours by key.
pub type Neighbours = BTreeMap<PeerKey, Neighbour>;

/// What is known of one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerStatus {
    /// Who.
    pub peer: PeerKey,
    /// Whether there is a connection now.
    pub connected: bool,
    /// The last round trip, where there is a connection.
    pub rtt: Option<Duration>,
    /// Whether the connection is not through a relay; `false` without one.
    pub direct: bool,
    /// Its control addresses, as its record says, else where it is connected.
    pub addrs: Vec<SocketAddr>,
}

/// The handle; clones speak for the same node. When all are gone, the node leaves.
#[derive(Clone)]
pub struct Control {
    commands: mpsc::Sender<Command>,
    draft: watch::Sender<RecordDraft>,
    seen: Seen,
    streams: libp2p_stream::Control,
    me: PeerKey,
}

/// What the task shows.
#[derive(Clone, Debug)]
struct Seen {
    roster: watch::Receiver<Arc<RosterView>>,
    neighbours: watch::Receiver<Arc<Neighbours>>,
    addrs: watch::Receiver<Vec<SocketAddr>>,
    reachability: watch::Receiver<Reachability>,
}

/// What the task is asked.
#[derive(Debug)]
enum Command {
    Want(PeerKey),
    Unwant(PeerKey),
    Dial(Multiaddr),
    MediaSeenAt(Vec<SocketAddr>),
    Prefer(BTreeSet<PeerKey>),
    Proof(PeerKey, Bytes, oneshot::Sender<Result<Bytes, NoAnswer>>),
    Tell(News, Bytes),
    Leave(oneshot::Sender<()>),
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("me", &self.me).finish_non_exhaustive()
    }
}

impl Control {
    /// Starts the control plane: listens, joins, and keeps at it until [`Self::shutdown`].
    ///
    /// # Errors
    /// [`ControlError`] when the configuration cannot be used.
    pub async fn start(
        config: ControlConfig,
        identity: Identity,
    ) -> Result<(Self, JoinHandle<()>), ControlError> {
        check(&config)?;
        let me = identity.peer_key();
        let (commands, requests) = mpsc::channel(COMMANDS);
        let (draft, drafts) = watch::channel(config.draft.clone());
        let (mesh, seen, streams) = run::Mesh::start(config, identity, requests, drafts).await?;
        let task = tokio::spawn(mesh.run());
        Ok((Self { commands, draft, seen, streams, me }, task))
    }

    /// This node's key.
    #[must_use]
    pub fn me(&self) -> PeerKey {
        self.me
    }

    /// UDP addresses on which the control plane listens.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.seen.addrs.borrow().clone()
    }

    /// Who is in the mesh: verified, unexpired, this node too.
    #[must_use]
    pub fn roster(&self) -> Arc<RosterView> {
        self.seen.roster.borrow().clone()
    }

    /// The roster as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<RosterView>> {
        self.seen.roster.clone()
    }

    /// Who is connected, as it changes.
    #[must_use]
    pub fn watch_neighbours(&self) -> watch::Receiver<Arc<Neighbours>> {
        self.seen.neighbours.clone()
    }

    /// Whether others reach this node, as it is found out.
    #[must_use]
    pub fn watch_reachability(&self) -> watch::Receiver<Reachability> {
        self.seen.reachability.clone()
    }

    /// Every peer that is known or connected, in the order of keys.
    #[must_use]
    pub fn status(&self) -> Vec<PeerStatus> {
        let (roster, neighbours) = (self.roster(), self.seen.neighbours.borrow().clone());
        let mut peers: BTreeMap<PeerKey, Vec<SocketAddr>> =
            neighbours.iter().map(|(peer, near)| (*peer, near.addr.into_iter().collect())).collect();
        for record in roster.records.iter().filter(|record| record.peer != self.me) {
            peers.insert(record.peer, record.control.clone());
        }
        let status = |(peer, addrs)| {
            let near = neighbours.get(&peer);
            let (rtt, direct) = (near.and_then(|n| n.rtt), near.is_some_and(|n| n.direct));
            PeerStatus { peer, connected: near.is_some(), rtt, direct, addrs }
        };
        peers.into_iter().map(status).collect()
    }

    /// Says something new of this node: merged into its record, signed and sent soon; of several in a hurry the last counts.
    pub fn announce(&self, draft: RecordDraft) {
        self.draft.send_if_modified(|known| {
            let changed = *known != draft;
            *known = draft;
            changed
        });
    }

    /// Raw streams to peers by protocol name, over whatever connection there is.
    #[must_use]
    pub fn streams(&self) -> libp2p_stream::Control {
        self.streams.clone()
    }

    /// Keeps `peer` connected, so that its round trip is known and segments need no handshake. Bounded: of too many the
    /// oldest is let go.
    pub async fn want(&self, peer: PeerKey) {
        self.ask(Command::Want(peer)).await;
    }

    /// Ends [`Self::want`].
    pub async fn unwant(&self, peer: PeerKey) {
        self.ask(Command::Unwant(peer)).await;
    }

    /// Wants `peer` and waits until it is connected.
    ///
    /// # Errors
    /// [`NotConnected`] when it is not within `limit`.
    pub async fn connect(&self, peer: PeerKey, limit: Duration) -> Result<(), NotConnected> {
        self.want(peer).await;
        let mut neighbours = self.watch_neighbours();
        let connected = neighbours.wait_for(|near| near.contains_key(&peer));
        match tokio::time::timeout(limit, connected).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotConnected(peer)),
        }
    }

    /// Dials an address once.
    pub async fn dial(&self, addr: Multiaddr) {
        self.ask(Command::Dial(addr)).await;
    }

    /// Adds addresses at which others see this node's media port through its NAT to its record, in place of those before.
    pub async fn media_seen_at(&self, addrs: Vec<SocketAddr>) {
        self.ask(Command::MediaSeenAt(addrs)).await;
    }

    /// Keeps the records of these peers, who have proven stake, when there is no room for everybody's.
    pub async fn prefer(&self, staked: BTreeSet<PeerKey>) {
        self.ask(Command::Prefer(staked)).await;
    }

    /// Asks a connected peer for a proof; request and answer are opaque and bounded by [`crate::limits`].
    ///
    /// # Errors
    /// [`NoAnswer`] when none came.
    pub async fn ask_proof(&self, peer: PeerKey, request: Bytes) -> Result<Bytes, NoAnswer> {
        let (answer, wait) = oneshot::channel();
        self.ask(Command::Proof(peer, request, answer)).await;
        wait.await.unwrap_or(Err(NoAnswer::Gone))
    }

    /// Tells the mesh something that this node has verified and others may not know yet.
    pub async fn tell(&self, news: News, data: Bytes) {
        self.ask(Command::Tell(news, data)).await;
    }

    /// Tells the mesh that this node leaves, and leaves. Resolves when it has.
    pub async fn shutdown(&self) {
        let (done, left) = oneshot::channel();
        if self.commands.send(Command::Leave(done)).await.is_ok() {
            // An error means that the task is gone, which is what was asked for.
            let _ = left.await;
        }
    }

    /// A task that is gone needs nothing.
    async fn ask(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

fn check(config: &ControlConfig) -> Result<(), ControlError> {
    let name = &config.network;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > MAX_NETWORK || !name.bytes().all(plain) {
        return Err(ControlError::Network(name.chars().take(MAX_NETWORK + 1).collect()));
    }
    if config.listen.is_empty() {
        return Err(ControlError::NoListener);
    }
    Ok(())
}
