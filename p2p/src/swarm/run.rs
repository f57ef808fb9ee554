//! The task that drives the control plane.
//!
//! In flow network events, requests and time; out flow dials, records and what [`super::Control`] shows. It decides by asking
//! the pure parts: [`Roster`], [`Admission`], [`Dialer`], [`Own`], [`Links`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, DialError, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, ping, yamux};
use protocol::PeerKey;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::addr::{behind, quic, udp};
use super::carried::Carried;
use super::dialer::Dialer;
use super::links::{Link, Links};
use super::own::Own;
use super::proofs::Proofs;
use super::pulls::Pulls;
use super::reach::Relays;
use super::{Command, ControlConfig, ControlError, Neighbours, Reachability, RecordDraft, Seen};
use crate::Identity;
use crate::admission::{Admission, Fault};
use crate::behaviour::{Plan, Protocols, ProtocolsEvent, max_inbound, news_topic, record_topic};
use crate::identity::{peer_id_of, peer_key_of};
use crate::limits::{NEGOTIATING_STREAMS, ROSTER_CAPACITY, VISIT_MS};
use crate::proofs::News;
use crate::roster::{Roster, RosterView};

/// Time for a listener to say where it listens.
const LISTEN_WITHIN: Duration = Duration::from_secs(5);
/// What changes is shown together with what changes shortly after it.
const SHOW_AFTER: Duration = Duration::from_millis(20);
/// The loop looks around at least so often.
const LOOK_AROUND: Duration = Duration::from_millis(250);
/// Time for a good-bye to be sent on.
const GOOD_BYE: Duration = Duration::from_millis(300);
/// Idle connections are not closed by libp2p: this node decides by itself whom it keeps.
const KEEP_IDLE: Duration = Duration::from_secs(24 * 3600);
/// Peers whose faults exclude them are not dialed for so long, milliseconds.
const AVOID_MS: u64 = 300_000;

/// The control plane at work.
pub(super) struct Mesh {
    pub(super) swarm: Swarm<Protocols>,
    pub(super) config: ControlConfig,
    pub(super) me: PeerKey,
    pub(super) roster: Roster,
    pub(super) admission: Admission,
    pub(super) dialer: Dialer,
    pub(super) links: Links,
    pub(super) own: Own,
    pub(super) pulls: Pulls,
    pub(super) relays: Relays,
    pub(super) proofs: Proofs,
    pub(super) carried: Carried,
    pub(super) rng: StdRng,
    /// What a dial that is under way was for.
    dials: HashMap<ConnectionId, Target>,
    /// Whether this node does not say yet what it is.
    pub(super) is_silent: bool,
    /// Whether nobody has heard our latest record yet.
    pub(super) unheard: bool,
    pub(super) roster_changed: bool,
    pub(super) links_changed: bool,
    wake: Instant,
    requests: mpsc::Receiver<Command>,
    drafts: watch::Receiver<RecordDraft>,
    shown: Shown,
}

/// What a dial is for.
enum Target {
    Peer(PeerKey),
    Bootstrap(Multiaddr),
}

/// The other ends of [`Seen`].
pub(super) struct Shown {
    roster: watch::Sender<Arc<RosterView>>,
    neighbours: watch::Sender<Arc<Neighbours>>,
    addrs: watch::Sender<Vec<SocketAddr>>,
    pub(super) reachability: watch::Sender<Reachability>,
}

/// Unix time, milliseconds.
pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

impl Mesh {
    pub(super) async fn start(
        config: ControlConfig,
        identity: Identity,
        requests: mpsc::Receiver<Command>,
        drafts: watch::Receiver<RecordDraft>,
    ) -> Result<(Self, Seen, libp2p_stream::Control), ControlError> {
        let mut swarm = build(&config, &identity)?;
        let listening = listen(&mut swarm, &config.listen).await?;
        look_up_nobody_yet(&mut swarm);
        for external in &config.external {
            swarm.add_external_address(quic(external));
        }
        let topic = record_topic(&config.network);
        let news = News::ALL.map(|news| news_topic(&config.network, news));
        let news = news.into_iter().filter(|_| config.proofs.is_some());
        for topic in std::iter::once(topic).chain(news) {
            let gossip = &mut swarm.behaviour_mut().gossip;
            gossip.subscribe(&topic).map_err(|e| ControlError::Protocols(e.to_string()))?;
        }
        let streams = swarm.behaviour().streams.new_control();
        let (shown, seen) = channels(&config, &listening);
        let mut rng = StdRng::from_os_rng();
        let mut salt = [0; 32];
        rng.fill_bytes(&mut salt);
        let me = identity.peer_key();
        let mut own = Own::new(identity, config.network.clone());
        own.change(|facts| {
            facts.listening = listening;
            facts.external = config.external.clone();
            facts.draft = config.draft.clone();
            facts.reach.relay = !config.external.is_empty();
        });
        let mesh = Self {
            dialer: Dialer::new(me, config.degree, config.bootstrap.clone()),
            roster: Roster::new(ROSTER_CAPACITY, salt),
            admission: Admission::default(),
            links: Links::default(),
            pulls: Pulls::new(unix_ms()),
            relays: Relays::default(),
            proofs: Proofs::new(config.proofs.clone()),
            carried: Carried::default(),
            dials: HashMap::new(),
            is_silent: config.wait_for_draft,
            unheard: true,
            roster_changed: false,
            links_changed: false,
            wake: Instant::now(),
            swarm,
            config,
            me,
            own,
            rng,
            requests,
            drafts,
            shown,
        };
        Ok((mesh, seen, streams))
    }

    /// Runs until it is asked to leave or nobody can ask any more.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = self.requests.recv() => match command {
                    Some(Command::Leave(done)) => {
                        self.leave().await;
                        // Whoever asked may have stopped waiting.
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => self.on_command(command),
                    None => return self.leave().await,
                },
                Some(done) = self.proofs.shown.next() => self.on_done(done),
                Ok(()) = self.drafts.changed() => {
                    let draft = self.drafts.borrow_and_update().clone();
                    self.own.change(|facts| facts.draft = draft);
                    self.is_silent = false;
                    self.soon(Duration::ZERO);
                }
                () = tokio::time::sleep_until(self.wake) => {}
            }
            if Instant::now() >= self.wake {
                self.wake = Instant::now() + LOOK_AROUND;
                self.look_around();
            }
        }
    }

    /// Looks around after `delay`, or sooner.
    pub(super) fn soon(&mut self, delay: Duration) {
        self.wake = self.wake.min(Instant::now() + delay);
    }

    /// The roster or the neighbours changed: show it, with whatever else changes in this moment.
    pub(super) fn changed(&mut self) {
        self.soon(SHOW_AFTER);
    }

    fn look_around(&mut self) {
        let now_ms = unix_ms();
        self.announce_if_due(now_ms);
        self.roster_changed |= !self.roster.expire(now_ms).is_empty();
        self.cut_off_the_silent(now_ms);
        self.greet_again(now_ms);
        self.let_go_of_surplus(now_ms);
        self.dial_who_is_missing(now_ms);
        self.ask_for_tables(now_ms);
        self.pull_if_due(now_ms);
        self.ask_relays();
        self.dialer.tidy(now_ms);
        self.show(now_ms);
    }

    fn show(&mut self, now_ms: u64) {
        if std::mem::take(&mut self.roster_changed) {
            self.shown.roster.send_replace(Arc::new(self.roster.view(now_ms)));
        }
        if std::mem::take(&mut self.links_changed) {
            self.shown.neighbours.send_replace(Arc::new(self.links.view()));
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Want(peer) => {
                self.dialer.want(peer);
                self.soon(Duration::ZERO);
            }
            Command::Unwant(peer) => self.dialer.unwant(peer),
            Command::Dial(addr) => self.dial(DialOpts::unknown_peer_id().address(addr).build(), None),
            Command::MediaSeenAt(addrs) => {
                self.own.change(|facts| facts.media_seen = addrs);
                self.soon(Duration::ZERO);
            }
            Command::Prefer(staked) => self.roster.prefer(staked),
            Command::Proof(peer, request, answer) => self.ask_proof(peer, request, answer),
            Command::Tell(news, data) => self.tell(news, data),
            Command::Leave(_) => {}
        }
    }

    pub(super) fn on_event(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_protocol(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "connection closed");
                self.on_closed(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_failed(connection_id, &error);
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => self.on_listening(),
            SwarmEvent::ListenerClosed { listener_id, .. } => self.on_relay_lost(listener_id),
            SwarmEvent::ExternalAddrConfirmed { address } => self.on_reachable_at(&address, true),
            SwarmEvent::ExternalAddrExpired { address } => self.on_reachable_at(&address, false),
            _ => {}
        }
    }

    fn on_protocol(&mut self, event: ProtocolsEvent) {
        match event {
            ProtocolsEvent::Gossip(event) => self.on_gossip(event),
            ProtocolsEvent::Table(event) => self.on_table(event),
            ProtocolsEvent::Proofs(event) => self.on_proofs(event),
            ProtocolsEvent::Identify(event) => self.on_identify(event),
            ProtocolsEvent::Ping(event) => self.on_ping(event),
            ProtocolsEvent::Mdns(event) => self.on_lan(event),
            ProtocolsEvent::Probe(event) => self.on_probe(&event),
            ProtocolsEvent::Relayed(event) => self.on_relay(event),
            ProtocolsEvent::Punch(event) => {
                tracing::debug!(peer = %event.remote_peer_id, direct = event.result.is_ok(), "hole punching ended");
            }
            ProtocolsEvent::Kad(_) | ProtocolsEvent::Prober(_) | ProtocolsEvent::Relay(_) => {}
            ProtocolsEvent::Limits(never) | ProtocolsEvent::Memory(never) => match never {},
            ProtocolsEvent::Streams(()) => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let now_ms = unix_ms();
        let target = self.dials.remove(&id);
        let Some(key) = peer_key_of(&peer).filter(|_| !self.admission.is_banned(now_ms, &peer)) else {
            self.swarm.close_connection(id);
            return;
        };
        let addr = endpoint.get_remote_address();
        // The remote address of who came through a relay does not say so; the local one does.
        let (outbound, relayed) = (endpoint.is_dialer(), endpoint.is_relayed());
        let link = Link { id, outbound, relayed, addr: udp(addr), since_ms: now_ms };
        for superfluous in self.links.add(self.swarm.local_peer_id(), peer, key, link) {
            self.swarm.close_connection(superfluous);
        }
        if let Some(Target::Bootstrap(addr)) = target {
            self.dialer.bootstrap_reached(&addr, key);
        }
        self.dialer.connected(key);
        self.ask_for_tables(now_ms);
    }

    fn on_closed(&mut self, peer: PeerId, id: ConnectionId) {
        if !self.links.remove(&peer, id) {
            return;
        }
        if let Some(key) = peer_key_of(&peer) {
            self.dialer.failed(unix_ms(), key, self.rng.random());
        }
        self.pulls.lost(&peer, self.links.len());
        self.links_changed = true;
        self.changed();
    }

    fn on_dial_failed(&mut self, id: ConnectionId, error: &DialError) {
        let (now_ms, jitter) = (unix_ms(), self.rng.random());
        match self.dials.remove(&id) {
            Some(Target::Peer(key)) => {
                tracing::debug!(peer = ?key, %error, "cannot connect");
                self.dialer.failed(now_ms, key, jitter);
            }
            Some(Target::Bootstrap(addr)) if matches!(error, DialError::LocalPeerId { .. }) => {
                self.dialer.drop_bootstrap(&addr);
            }
            Some(Target::Bootstrap(addr)) => {
                tracing::info!(%addr, %error, "no node at this bootstrap address yet; trying again");
                self.dialer.bootstrap_failed(now_ms, &addr, jitter);
            }
            None => {}
        }
    }

    fn on_ping(&mut self, event: ping::Event) {
        match event.result {
            Ok(rtt) => {
                if let Some(near) = self.links.get_mut(&event.peer) {
                    near.rtt = Some(rtt);
                    self.links_changed = true;
                    self.changed();
                }
            }
            Err(error) => {
                tracing::debug!(peer = %event.peer, %error, "ping unanswered");
                self.swarm.close_connection(event.connection);
            }
        }
    }

    fn on_listening(&mut self) {
        let listening: Vec<SocketAddr> = self.swarm.listeners().filter_map(udp).collect();
        self.shown.addrs.send_replace(listening.clone());
        self.own.change(|facts| facts.listening = listening);
        look_up_nobody_yet(&mut self.swarm);
        self.soon(Duration::ZERO);
    }

    /// Notes a fault of a neighbour, and cuts it off if it is one too many.
    pub(super) fn blame(&mut self, peer: PeerId, fault: Fault, what: &str) {
        let now_ms = unix_ms();
        tracing::debug!(%peer, ?fault, what, "fault");
        if self.admission.fault(now_ms, peer, fault) {
            tracing::info!(%peer, what, "cut off");
            self.cut(now_ms, peer);
        }
    }

    /// Disconnects a peer, which is not dialed for a while.
    pub(super) fn cut(&mut self, now_ms: u64, peer: PeerId) {
        if let Some(key) = peer_key_of(&peer) {
            self.dialer.avoid(now_ms, key, AVOID_MS);
        }
        // An error means that it is not connected.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn cut_off_the_silent(&mut self, now_ms: u64) {
        for peer in self.links.silent(now_ms, self.config.patience) {
            self.blame(peer, Fault::Serious, "said nothing");
            self.cut(now_ms, peer);
        }
    }

    /// A connection made anew, by which each end says again what it listens to.
    fn greet_again(&mut self, now_ms: u64) {
        for peer in self.links.greet_anew(now_ms) {
            tracing::debug!(%peer, "greeted again: it has not said what it listens to");
            // An error means that it is not connected; then it is dialed in any case.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// A full node answers newcomers all the same, and then lets go of who has been here longest: it has the table, and knows
    /// others by now.
    fn let_go_of_surplus(&mut self, now_ms: u64) {
        let keep = max_inbound(self.config.max_connections, self.config.degree) as usize;
        if self.links.inbound() <= keep {
            return;
        }
        let topic = record_topic(&self.config.network).hash();
        let gossip = &self.swarm.behaviour().gossip;
        let mesh: BTreeSet<PeerId> = gossip.mesh_peers(&topic).copied().collect();
        let spare = |key, since_ms: u64| self.dialer.is_wanted(key) || now_ms < since_ms + VISIT_MS;
        for peer in self.links.surplus(keep, spare, |peer| mesh.contains(peer)) {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn dial_who_is_missing(&mut self, now_ms: u64) {
        let connected = self.links.keys();
        for addr in self.dialer.bootstrap_to_dial(now_ms, &connected) {
            let opts = DialOpts::unknown_peer_id().address(addr.clone()).build();
            self.dial(opts, Some(Target::Bootstrap(addr)));
        }
        let outbound = self.links.outbound();
        for key in self.dialer.peers_to_dial(now_ms, &self.roster, &connected, outbound, &mut self.rng) {
            let opts = DialOpts::peer_id(peer_id_of(key)).addresses(self.ways_to(key));
            self.dial(opts.extend_addresses_through_behaviour().build(), Some(Target::Peer(key)));
        }
    }

    /// The addresses of `key`: its own, and those behind its relays.
    fn ways_to(&mut self, key: PeerKey) -> Vec<Multiaddr> {
        let peer = peer_id_of(key);
        let Some(verified) = self.roster.get(key) else {
            self.swarm.behaviour_mut().kad.get_closest_peers(peer);
            return Vec::new();
        };
        let mut ways: Vec<Multiaddr> = verified.record().control.iter().map(quic).collect();
        for relay in &verified.reach().relays {
            let at =
                self.roster.get(*relay).map(|relay| relay.record().control.as_slice()).unwrap_or_default();
            ways.extend(at.iter().map(|addr| behind(peer_id_of(*relay), addr, peer)));
        }
        ways
    }

    fn dial(&mut self, opts: DialOpts, target: Option<Target>) {
        let id = opts.connection_id();
        if let Some(target) = target {
            self.dials.insert(id, target);
        }
        if let Err(error) = self.swarm.dial(opts) {
            self.on_dial_failed(id, &error);
        }
    }

    fn on_lan(&mut self, event: libp2p::mdns::Event) {
        let libp2p::mdns::Event::Discovered(found) = event else { return };
        let now_ms = unix_ms();
        let mut by_peer: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        for (peer, addr) in found.into_iter().take(4 * self.config.degree) {
            by_peer.entry(peer).or_default().push(addr);
        }
        for (peer, addrs) in by_peer {
            let Some(key) = peer_key_of(&peer) else { continue };
            let room = self.links.len() < 2 * self.config.degree;
            if room && self.links.get(&peer).is_none() && !self.admission.is_banned(now_ms, &peer) {
                self.dial(DialOpts::peer_id(peer).addresses(addrs).build(), Some(Target::Peer(key)));
            }
        }
    }

    /// Says good-bye, gives it time to spread, and closes every connection.
    async fn leave(mut self) {
        self.say_good_bye();
        self.drive_for(GOOD_BYE, |_| false).await;
        let peers: Vec<PeerId> = self.links.peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        self.drive_for(GOOD_BYE, |mesh| mesh.swarm.network_info().num_peers() == 0).await;
    }

    async fn drive_for(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + limit;
        while !done(self) {
            match tokio::time::timeout_at(end, self.swarm.select_next_some()).await {
                Ok(SwarmEvent::Behaviour(ProtocolsEvent::Gossip(event))) => self.on_gossip(event),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

fn build(config: &ControlConfig, identity: &Identity) -> Result<Swarm<Protocols>, ControlError> {
    let protocols = |e: &dyn std::fmt::Display| ControlError::Protocols(e.to_string());
    let loopback = config.listen.iter().all(|addr| addr.ip().is_loopback());
    let plan = Plan {
        network: config.network.clone(),
        degree: config.degree.max(1),
        max_connections: config.max_connections,
        public: !config.external.is_empty(),
        open: config.external.is_empty() && !loopback,
        mdns: config.mdns,
        ping: config.liveness,
        proofs: config.proofs.is_some(),
    };
    let swarm = SwarmBuilder::with_existing_identity(identity.keypair())
        .with_tokio()
        .with_quic_config(|mut quic| {
            quic.max_idle_timeout = config.liveness.as_millis().clamp(500, 3_600_000) as u32;
            quic.keep_alive_interval = config.liveness / 3;
            quic
        })
        .with_relay_client(libp2p_tls::Config::new, yamux::Config::default)
        .map_err(|e| protocols(&e))?
        .with_behaviour(|key, relayed| Protocols::new(&plan, key, relayed))
        .map_err(|e| protocols(&e))?
        .with_swarm_config(|swarm| {
            swarm
                .with_idle_connection_timeout(KEEP_IDLE)
                .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS)
        })
        .build();
    Ok(swarm)
}

/// Listens on every address and waits until each is known.
pub(crate) async fn listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    addrs: &[SocketAddr],
) -> Result<Vec<SocketAddr>, ControlError> {
    for addr in addrs {
        let failed = |reason: String| ControlError::Listen { addr: *addr, reason };
        let listener = swarm.listen_on(quic(addr)).map_err(|e| failed(e.to_string()))?;
        let bound = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr { listener_id, .. } if listener_id == listener => return Ok(()),
                    SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == listener => {
                        return Err(reason.err().map_or_else(|| "closed".into(), |e| e.to_string()));
                    }
                    _ => {}
                }
            }
        };
        match tokio::time::timeout(LISTEN_WITHIN, bound).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(failed(reason)),
            Err(_) => return Err(failed("no interface has that address".into())),
        }
    }
    Ok(swarm.listeners().filter_map(udp).collect())
}

/// Kademlia looks around shortly after a node begins to listen, and warns when it knows nobody to ask. Asked here, it finds
/// that out in silence and waits for the first peer that it gets to know.
fn look_up_nobody_yet(swarm: &mut Swarm<Protocols>) {
    if let Err(nobody) = swarm.behaviour_mut().kad.bootstrap() {
        tracing::debug!(%nobody, "no addresses to look up yet");
    }
}

fn channels(config: &ControlConfig, listening: &[SocketAddr]) -> (Shown, Seen) {
    let reach = if config.external.is_empty() { Reachability::Unknown } else { Reachability::Public };
    let (roster, roster_seen) = watch::channel(Arc::default());
    let (neighbours, neighbours_seen) = watch::channel(Arc::default());
    let (addrs, addrs_seen) = watch::channel(listening.to_vec());
    let (reachability, reachability_seen) = watch::channel(reach);
    let seen = Seen {
        roster: roster_seen,
        neighbours: neighbours_seen,
        addrs: addrs_seen,
        reachability: reachability_seen,
    };
    (Shown { roster, neighbours, addrs, reachability }, seen)
}

impl Mesh {
    /// Shows whether others reach this node.
    pub(super) fn show_reachability(&mut self, now: Reachability) {
        self.shown.reachability.send_if_modified(|known| std::mem::replace(known, now) != now);
    }
}
