//! One warm connection for each peer that is asked: shared by concurrent requests, redialled with backoff, never dialled for
//! a segment while it lives. One that leads to a process that has died is dropped, and dialled again when its port opens.
//!
//! In flow peers with their addresses; out flow live connections. What is sent on them is not known here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use protocol::PeerKey;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::bell::{self, nobody_at, somebody_at};
use super::fault::{Code, MediaError};
use super::introduce::Introduce;

/// Head start of a peer's first address over its second, and so on (RFC 8305 5 recommends 250 ms).
const STAGGER: Duration = Duration::from_millis(250);
/// A connection that nobody has used for so long, and nobody asked to keep, is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Opens connections: the endpoint, or a test.
pub(crate) trait Dial: Send + Sync + fmt::Debug + 'static {
    /// Connects to `peer`, and nobody else, at one address.
    fn dial(
        &self,
        peer: PeerKey,
        addr: SocketAddr,
    ) -> futures::future::BoxFuture<'static, Result<quinn::Connection, MediaError>>;
}

/// The connections of this node to those it asks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Links {
    ways: Ways,
    table: Arc<Mutex<BTreeMap<PeerKey, Arc<Link>>>>,
}

/// How connections come about.
#[derive(Clone)]
struct Ways {
    dial: Arc<dyn Dial>,
    /// For peers that cannot be dialled, once there is somebody who introduces.
    introduce: Arc<OnceLock<Arc<dyn Introduce>>>,
}

struct Link {
    peer: PeerKey,
    /// Held while dialling, so that concurrent requests wait for one handshake.
    dialling: tokio::sync::Mutex<Backoff>,
    /// The peer says that it is somewhere else.
    moved: Arc<Notify>,
    now: Mutex<Now>,
}

struct Now {
    connection: Option<quinn::Connection>,
    addrs: Vec<SocketAddr>,
    /// Where the peer was met, if its record does not say so.
    met_at: Option<SocketAddr>,
    used: Instant,
    keeper: Option<AbortOnDropHandle<()>>,
    /// Why the keeper's last dial failed, or that the peer's process has gone: requests do not wait for the next dial.
    failing: Option<String>,
    /// The peer's process has gone, and its port has not been open since.
    gone: bool,
}

/// When a peer that could not be reached may be dialled again.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    last: Option<(Instant, String)>,
}

impl Backoff {
    /// Wait after the first failure.
    pub const FIRST: Duration = Duration::from_millis(200);
    /// Longest wait: a peer that comes back is found within this.
    pub const MOST: Duration = Duration::from_secs(10);

    /// A dial failed.
    pub fn failed(&mut self, now: Instant, why: String) {
        self.failures = self.failures.saturating_add(1);
        self.last = Some((now, why));
    }

    /// A dial succeeded, or there is a new address to try.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The time left before the next dial, and why the last one failed.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Option<(Duration, &str)> {
        let (at, why) = self.last.as_ref()?;
        let doublings = self.failures.saturating_sub(1).min(10);
        let pause = Self::FIRST.saturating_mul(1 << doublings).min(Self::MOST);
        let left = (*at + pause).saturating_duration_since(now);
        (!left.is_zero()).then_some((left, why.as_str()))
    }
}

// === impl Links ===

impl Links {
    pub(crate) fn new(dial: Arc<dyn Dial>) -> Self {
        Self { ways: Ways { dial, introduce: Arc::default() }, table: Arc::default() }
    }

    /// From now on, peers that cannot be dialled are met through `introduce`. The first one stays.
    pub(crate) fn introduced_by(&self, introduce: Arc<dyn Introduce>) {
        drop(self.ways.introduce.set(introduce));
    }

    /// A live connection to `peer`, dialled only when there is none or it leads to an address that the peer has left.
    pub(crate) async fn get(
        &self,
        peer: PeerKey,
        addrs: &[SocketAddr],
    ) -> Result<quinn::Connection, MediaError> {
        let link = self.link(peer);
        self.sweep(peer);
        if let Some(live) = link.learn(addrs) {
            return Ok(live);
        }
        if let Some(why) = link.failing() {
            let why = format!("there is no connection to it so far ({why})");
            return Err(MediaError::unreachable(peer, why));
        }
        link.connect(&self.ways).await
    }

    /// Keeps a connection to `peer` until [`Links::forget`]: dialled now and whenever it is lost.
    pub(crate) fn keep(&self, peer: PeerKey, addrs: &[SocketAddr]) {
        let link = self.link(peer);
        link.learn(addrs);
        let mut now = link.now();
        if now.keeper.is_none() {
            let keeper = keep(Arc::downgrade(&link), self.ways.clone());
            now.keeper = Some(AbortOnDropHandle::new(tokio::spawn(keeper)));
        }
    }

    /// Nobody listens any more where `dead` leads: what waits on it need not.
    pub(crate) fn deserted(&self, peer: PeerKey, dead: &quinn::Connection) {
        if let Some(link) = self.table().get(&peer) {
            link.desert(dead);
        }
    }

    /// Whether the process of `peer` is known to have gone.
    pub(crate) fn is_gone(&self, peer: PeerKey) -> bool {
        self.table().get(&peer).is_some_and(|link| link.now().gone)
    }

    /// Closes the connection to `peer`.
    pub(crate) fn forget(&self, peer: PeerKey) {
        if let Some(link) = self.table().remove(&peer) {
            link.close(Code::Done);
        }
    }

    /// The smoothed round trip to `peer`, where there is a connection.
    pub(crate) fn rtt(&self, peer: PeerKey) -> Option<Duration> {
        self.live(peer).map(|live| live.rtt())
    }

    /// The connection to `peer`, if it lives.
    pub(crate) fn live(&self, peer: PeerKey) -> Option<quinn::Connection> {
        let link = self.table().get(&peer).cloned()?;
        link.live()
    }

    fn link(&self, peer: PeerKey) -> Arc<Link> {
        let fresh = || {
            let now = Now {
                connection: None,
                addrs: Vec::new(),
                met_at: None,
                used: Instant::now(),
                keeper: None,
                failing: None,
                gone: false,
            };
            let (dialling, moved) = (tokio::sync::Mutex::default(), Arc::default());
            Arc::new(Link { peer, dialling, moved, now: Mutex::new(now) })
        };
        self.table().entry(peer).or_insert_with(fresh).clone()
    }

    /// Closes what nobody uses, so that the table is as long as the list of those asked lately.
    fn sweep(&self, except: PeerKey) {
        let now = Instant::now();
        let unused = |link: &Link| {
            let state = link.now();
            state.keeper.is_none() && now.saturating_duration_since(state.used) > IDLE
        };
        self.table().retain(|peer, link| {
            let keep = *peer == except || !unused(link);
            if !keep {
                link.close(Code::Idle);
            }
            keep
        });
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<PeerKey, Arc<Link>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.table().keys()).finish()
    }
}

/// Connects whenever there is no connection, for as long as the link exists.
async fn keep(link: Weak<Link>, ways: Ways) {
    while let Some(now) = link.upgrade() {
        let (connected, moved) = (now.connect(&ways).await, Arc::clone(&now.moved));
        let pause = now.dialling.lock().await.wait(Instant::now()).map(|(left, _)| left);
        drop(now);
        match connected {
            Ok(live) => attend(&link, &live, &moved).await,
            Err(_) => drop(timeout(pause.unwrap_or(Backoff::FIRST), moved.notified()).await),
        }
    }
}

/// Resolves when it is time to dial again: the connection has ended, and if that is because the peer's process has gone, its
/// port is open again or it says that it is somewhere else.
async fn attend(link: &Weak<Link>, live: &quinn::Connection, moved: &Notify) {
    let at = live.remote_address();
    tokio::select! {
        _ = live.closed() => {}
        () = nobody_at(at, bell::IDLE, || live.stats().udp_rx.datagrams) => {
            link.upgrade().iter().for_each(|link| link.desert(live));
        }
    }
    if link.upgrade().is_some_and(|link| link.now().gone) {
        tokio::select! {
            () = somebody_at(at) => tracing::debug!(%at, "a port that was closed is open again"),
            () = moves_from(at, link, moved) => {}
        }
    }
}

/// Resolves when the peer's record does not name `at` any more.
async fn moves_from(at: SocketAddr, link: &Weak<Link>, moved: &Notify) {
    while link.upgrade().is_some_and(|link| link.now().addrs.contains(&at)) {
        moved.notified().await;
    }
}

// === impl Link ===

impl Link {
    /// Takes note of the peer's addresses; the live connection, unless it leads elsewhere.
    fn learn(&self, addrs: &[SocketAddr]) -> Option<quinn::Connection> {
        let mut now = self.now();
        now.used = Instant::now();
        if !addrs.is_empty() && now.addrs != addrs {
            now.addrs = addrs.to_vec();
            (now.failing, now.gone) = (None, false);
            self.moved.notify_one();
        }
        usable(&now)
    }

    /// Why there is no connection, where somebody else sees to it that there will be one. A peer behind a NAT would otherwise
    /// cost every segment a handshake's patience before the other way is tried.
    fn failing(&self) -> Option<String> {
        let now = self.now();
        now.failing.clone().filter(|_| now.keeper.is_some())
    }

    async fn connect(&self, ways: &Ways) -> Result<quinn::Connection, MediaError> {
        let mut backoff = self.dialling.lock().await;
        let (addrs, old) = {
            let now = self.now();
            if let Some(live) = usable(&now) {
                return Ok(live);
            }
            (now.addrs.clone(), now.connection.clone())
        };
        if addrs.is_empty() {
            return Err(MediaError::unreachable(self.peer, "no address for media is known"));
        }
        // A connection to an address that the peer has left says nothing about the new one.
        if old.as_ref().is_some_and(|old| !addrs.contains(&old.remote_address())) {
            backoff.reset();
        }
        if let Some((left, why)) = backoff.wait(Instant::now()) {
            let why = format!("dialled before without success ({why}), next try in {} ms", left.as_millis());
            return Err(MediaError::unreachable(self.peer, why));
        }
        match ways.reach(self.peer, &addrs).await {
            Ok(fresh) => {
                backoff.reset();
                let mut now = self.now();
                (now.connection, now.failing, now.gone) = (Some(fresh.clone()), None, false);
                now.met_at = Some(fresh.remote_address()).filter(|at| !addrs.contains(at));
                drop(now);
                if let Some(old) = old {
                    old.close(Code::Done.var(), b"replaced");
                }
                Ok(fresh)
            }
            Err(error) => {
                backoff.failed(Instant::now(), error.to_string());
                let mut now = self.now();
                (now.failing, now.gone) = (Some(error.to_string()), false);
                drop(now);
                // An old path that still works is better than none.
                self.live().ok_or(error)
            }
        }
    }

    fn live(&self) -> Option<quinn::Connection> {
        self.now().connection.clone().filter(|c| c.close_reason().is_none())
    }

    /// Drops a connection to a process that has gone.
    fn desert(&self, dead: &quinn::Connection) {
        let mut now = self.now();
        if now.connection.as_ref().is_some_and(|current| current.stable_id() == dead.stable_id()) {
            now.failing = Some("its port is closed, its process has gone".to_owned());
            now.gone = true;
        }
        drop(now);
        tracing::debug!(peer = ?self.peer, "its port is closed");
        dead.close(Code::Done.var(), b"nobody listens");
    }

    fn close(&self, code: Code) {
        let mut now = self.now();
        now.keeper = None;
        if let Some(connection) = now.connection.take() {
            connection.close(code.var(), b"");
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn usable(now: &Now) -> Option<quinn::Connection> {
    let live = now.connection.as_ref().filter(|c| c.close_reason().is_none())?;
    let at = live.remote_address();
    (now.addrs.contains(&at) || now.met_at == Some(at)).then(|| live.clone())
}

// === impl Ways ===

impl Ways {
    /// Connects to `peer` at one of `addrs`; where they do not answer at once, at the place where it can be met.
    async fn reach(&self, peer: PeerKey, addrs: &[SocketAddr]) -> Result<quinn::Connection, MediaError> {
        let dialled = race(self.dial.as_ref(), peer, addrs);
        let Some(introduce) = self.introduce.get() else { return dialled.await };
        let met = async {
            sleep(STAGGER * (addrs.len() as u32 + 1)).await;
            let places = introduce.introduce(peer).await.map_err(MediaError::Unreachable)?;
            tracing::debug!(?peer, ?places, "introduced");
            let met = race(self.dial.as_ref(), peer, &places).await?;
            tracing::info!(?peer, at = %met.remote_address(), "met through both NATs");
            Ok(met)
        };
        tokio::pin!(dialled, met);
        tokio::select! {
            dialled = &mut dialled => match dialled {
                Err(MediaError::Unreachable(why)) => met.await.map_err(|e| both(&why, &e)),
                answer => answer,
            },
            met = &mut met => match met {
                Err(MediaError::Unreachable(why)) => dialled.await.map_err(|e| both(&why, &e)),
                answer => answer,
            },
        }
    }
}

/// What kept both ways from leading anywhere.
fn both(one: &str, other: &MediaError) -> MediaError {
    match other {
        MediaError::Unreachable(other) => MediaError::Unreachable(format!("{one}; {other}")),
        says_no => says_no.clone(),
    }
}

/// Dials all addresses, each a little later than the one before it; the first to answer wins.
async fn race(dial: &dyn Dial, peer: PeerKey, addrs: &[SocketAddr]) -> Result<quinn::Connection, MediaError> {
    let mut tries: FuturesUnordered<_> = (0_u32..)
        .zip(addrs)
        .map(|(place, addr)| {
            let dialling = dial.dial(peer, *addr);
            async move {
                sleep(STAGGER * place).await;
                dialling.await.map_err(|error| (*addr, error))
            }
        })
        .collect();
    let mut all = Vec::new();
    while let Some(tried) = tries.next().await {
        match tried {
            Ok(connection) => return Ok(connection),
            // Whatever the network does, a peer that says no or speaks another protocol stays so at every address.
            Err((_, error @ (MediaError::Declined(_) | MediaError::Protocol(_)))) => return Err(error),
            Err((addr, error)) => all.push(format!("{addr}: {error}")),
        }
    }
    Err(MediaError::unreachable(peer, all.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_gone_is_dialled_ever_more_seldom() {
        let mut backoff = Backoff::default();
        let start = Instant::now();
        assert!(backoff.wait(start).is_none());
        let mut waits = Vec::new();
        for _ in 0..9 {
            backoff.failed(start, "gone".into());
            waits.push(backoff.wait(start).unwrap().0.as_millis());
        }
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
        assert!(backoff.wait(start + Backoff::MOST).is_none());
        backoff.reset();
        assert!(backoff.wait(start).is_none());
    }
}
