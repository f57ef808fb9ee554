//! A mesh in one process: real nodes, real QUIC, on loopback.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use p2p::swarm::Neighbours;
use p2p::{Control, ControlConfig, Identity, RecordDraft, RosterView};
use protocol::record::{Roles, Work};
use protocol::{PeerKey, PricePerPixel};
use tokio::task::JoinHandle;

/// Longest that any single thing may take before a test gives up.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    pub(crate) control: Control,
    pub(crate) task: JoinHandle<()>,
    pub(crate) identity: Identity,
}

/// The configuration of a test node that knows `bootstrap`.
pub(crate) fn config(bootstrap: &[SocketAddr]) -> ControlConfig {
    ControlConfig { listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))], ..ControlConfig::new("test") }
        .with_bootstrap(bootstrap.iter().copied())
}

pub(crate) fn identity(n: u16) -> Identity {
    let mut seed = [42; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    Identity::from_seed(seed)
}

pub(crate) fn orchestrator(load: u32) -> RecordDraft {
    RecordDraft {
        media: vec!["0.0.0.0:9".parse().unwrap()],
        roles: Roles { orchestrator: true, ..Roles::default() },
        work: Some(Work {
            price: PricePerPixel { wei: 1, pixels: 1000 },
            capacity: 4,
            load,
            backend: "cpu".into(),
            encoder: "x264-164".into(),
        }),
        certificate: None,
    }
}

pub(crate) async fn start(config: ControlConfig, identity: Identity) -> Node {
    let (control, task) = Control::start(config, identity.clone()).await.unwrap();
    Node { control, task, identity }
}

/// An orchestrator that joins at `bootstrap`.
pub(crate) async fn worker(n: u16, bootstrap: &[&Node]) -> Node {
    let addrs: Vec<SocketAddr> = bootstrap.iter().map(|node| node.addr()).collect();
    start(ControlConfig { draft: orchestrator(0), ..config(&addrs) }, identity(n)).await
}

impl Node {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.control.local_addrs()[0]
    }

    pub(crate) fn key(&self) -> PeerKey {
        self.identity.peer_key()
    }

    /// Waits until the roster is as wanted and says how long it took.
    pub(crate) async fn sees(&self, what: &str, wanted: impl FnMut(&RosterView) -> bool) -> Duration {
        self.sees_within(LIMIT, what, wanted).await
    }

    pub(crate) async fn sees_within(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl FnMut(&RosterView) -> bool,
    ) -> Duration {
        let (from, mut roster, mut wanted) = (Instant::now(), self.control.watch(), wanted);
        let seen = tokio::time::timeout(limit, roster.wait_for(|view| wanted(view))).await.is_ok();
        let known = self.control.roster();
        assert!(seen, "{:?} does not see {what} but {} nodes", self.key(), known.records.len());
        from.elapsed()
    }

    /// Waits until the neighbours are as wanted and says how long it took.
    pub(crate) async fn nears(&self, what: &str, wanted: impl FnMut(&Neighbours) -> bool) -> Duration {
        self.nears_within(LIMIT, what, wanted).await
    }

    pub(crate) async fn nears_within(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl FnMut(&Neighbours) -> bool,
    ) -> Duration {
        let (from, mut near, mut wanted) = (Instant::now(), self.control.watch_neighbours(), wanted);
        let seen = tokio::time::timeout(limit, near.wait_for(|near| wanted(near))).await.is_ok();
        assert!(seen, "{:?} is not near {what}: {:?}", self.key(), self.control.status());
        from.elapsed()
    }

    pub(crate) async fn sees_workers(&self, count: usize) -> Duration {
        self.sees(&format!("{count} orchestrators"), |view| view.orchestrators().count() == count).await
    }

    pub(crate) fn load_of(view: &RosterView, peer: PeerKey) -> Option<u32> {
        view.get(peer)?.work.as_ref().map(|work| work.load)
    }
}

/// The configuration for hundreds of nodes in one process.
pub(crate) fn crowded_config(bootstrap: &[SocketAddr]) -> ControlConfig {
    ControlConfig {
        draft: orchestrator(0),
        // One process plays every node, so silence means a busy machine and not a death.
        liveness: Duration::from_secs(60),
        patience: Duration::from_secs(60),
        // What the rule gives for 300 orchestrators; they are fewer only while the mesh is being built.
        announce: Some(Duration::from_secs(75)),
        ..config(bootstrap)
    }
}
