//! Introductions: two nodes of which one cannot be dialled agree over the control plane, relayed or not, to send to each
//! other's media port at the same moment, so that both NATs take what comes for an answer.
//!
//! In flow peers to be met and strangers who want to meet; out flow addresses to dial, packets that open this node's own NAT,
//! and, for its record, where others see its media port. What travels on the media plane is not known here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::IncomingStreams;
use protocol::{NodeRecord, PeerKey};
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout};
use tokio_util::compat::FuturesAsyncReadCompatExt;
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::MediaEndpoint;
use super::fault::MediaError;
use super::frame::{read_frame, write_frame};
use super::opener::Opener;
use super::sight::{decode_meeting, encode_meeting, is_public};
use super::wire::proto;
use crate::identity::{peer_id_of, peer_key_of};
use crate::limits::{Bucket, Quota};
use crate::roster::RosterView;
use crate::swarm::{Control, Reachability};

/// The name and major version of an introduction on a libp2p stream.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/livemesh/punch/1");

/// Public nodes to which a node that cannot be dialled stays connected: they see its media port and keep its NAT's mapping
/// alive. Two, because one alone cannot tell a mapping that is the same for everybody.
const ANCHORS: usize = 2;
/// How often anchors and sightings are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Longest wait for the control plane to reach the peer.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for a stream or an answer; libp2p loses streams without a word, so there is a second try.
const ANSWER: Duration = Duration::from_secs(3);
const TRIES: u32 = 2;
/// Pause before the same peer is asked again; it doubles, since what failed once fails mostly again.
const PAUSE: Duration = Duration::from_secs(4);
/// Longest such pause; after twice as long, everything is forgotten.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Introductions that one neighbour may ask for: a handful of packets each.
const ASKED: Quota = Quota { burst: 6, every_ms: 5000 };
/// Neighbours of whom is remembered how often they asked, and peers that were asked.
const REMEMBERED: usize = 1024;

/// Learns where a peer that could not be dialled can be met.
pub(crate) trait Introduce: Send + Sync + std::fmt::Debug + 'static {
    /// Addresses to dial now: the peer has opened its NAT for this node.
    fn introduce(&self, peer: PeerKey) -> BoxFuture<'static, Result<Vec<SocketAddr>, String>>;
}

/// Makes a node's media plane reachable through NATs for as long as it exists.
#[derive(Debug)]
pub struct Introducer {
    seen: watch::Receiver<Vec<SocketAddr>>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Introducer {
    /// Serves introductions, and lets `media` ask for them. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`MediaError::Protocol`] when somebody else takes these streams already.
    pub fn start(control: &Control, media: &MediaEndpoint) -> Result<Self, MediaError> {
        let inbound = control
            .streams()
            .accept(PROTOCOL)
            .map_err(|_| MediaError::Protocol(format!("{PROTOCOL} is taken already in this node")))?;
        let (see, seen) = watch::channel(Vec::new());
        let asker = Asker { control: control.clone(), seen: seen.clone(), asked: Arc::default() };
        media.introduced_by(Arc::new(asker));
        let tasks = [
            tokio::spawn(tend(control.clone(), media.clone(), see)),
            tokio::spawn(serve(inbound, control.clone(), media.opener(), seen.clone())),
        ];
        Ok(Self { seen, _tasks: tasks.map(AbortOnDropHandle::new) })
    }

    /// Where others agree to see this node's media port.
    #[must_use]
    pub fn seen(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.seen.clone()
    }
}

// === Being seen ===

/// Keeps anchors while this node cannot be dialled, and tells the mesh where its media port is seen.
async fn tend(control: Control, media: MediaEndpoint, see: watch::Sender<Vec<SocketAddr>>) {
    let reachability = control.watch_reachability();
    let mut looks = interval(LOOK);
    let mut told = Vec::new();
    loop {
        looks.tick().await;
        let private = *reachability.borrow() == Reachability::Private;
        if private {
            let roster = control.roster();
            let anchors = anchors(&roster, control.me());
            futures::future::join_all(anchors.iter().map(|at| media.touch(at.peer, &at.media))).await;
        }
        let now = media.seen_at();
        see.send_if_modified(|known| {
            let changed = *known != now;
            known.clone_from(&now);
            changed
        });
        let tell = if private { now } else { Vec::new() };
        if tell != told {
            tracing::info!(at = ?tell, "where others see the media port");
            control.media_seen_at(tell.clone()).await;
            told = tell;
        }
    }
}

/// The public nodes to stay connected to: for each node others, so that none is everybody's.
fn anchors(roster: &RosterView, me: PeerKey) -> Vec<Arc<NodeRecord>> {
    let distance = |key: &PeerKey| std::array::from_fn::<u8, 32, _>(|i| key.0[i] ^ me.0[i]);
    let mut public: Vec<&PeerKey> = roster.relays.iter().filter(|key| **key != me).collect();
    public.sort_by_cached_key(|key| distance(key));
    let known = public.into_iter().filter_map(|key| roster.get(*key)).cloned();
    known.filter(|record| !record.media.is_empty()).take(ANCHORS).collect()
}

/// Where this node can be met: where others see it, else where its record says that it is.
fn own_places(control: &Control, seen: &watch::Receiver<Vec<SocketAddr>>) -> Vec<SocketAddr> {
    let seen = seen.borrow().clone();
    if !seen.is_empty() || *control.watch_reachability().borrow() == Reachability::Private {
        return seen;
    }
    let roster = control.roster();
    let own = roster.get(control.me()).map(|record| record.media.clone()).unwrap_or_default();
    own.into_iter().filter(|addr| is_public(addr.ip())).collect()
}

async fn known(mut seen: watch::Receiver<Vec<SocketAddr>>) -> Vec<SocketAddr> {
    seen.wait_for(|at| !at.is_empty()).await.map(|at| at.clone()).unwrap_or_default()
}

// === Asking ===

/// The asking side.
#[derive(Clone)]
struct Asker {
    control: Control,
    seen: watch::Receiver<Vec<SocketAddr>>,
    asked: Arc<Mutex<BTreeMap<PeerKey, Asked>>>,
}

/// How often in a row a peer was asked: who is asked again was not met.
#[derive(Clone, Copy, Debug)]
struct Asked {
    times: u32,
    last: Instant,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("control", &self.control).finish_non_exhaustive()
    }
}

impl Introduce for Asker {
    fn introduce(&self, peer: PeerKey) -> BoxFuture<'static, Result<Vec<SocketAddr>, String>> {
        let this = self.clone();
        async move { this.ask(peer).await }.boxed()
    }
}

impl Asker {
    async fn ask(&self, peer: PeerKey) -> Result<Vec<SocketAddr>, String> {
        let mut own = own_places(&self.control, &self.seen);
        if own.is_empty() {
            // A node that has just started is about to be told.
            let told = self.seen.clone();
            own = timeout(ANSWER, known(told)).await.unwrap_or_default();
        }
        if own.is_empty() {
            return Err(
                "no introduction: nobody sees this node's media port, or everybody another one".into()
            );
        }
        self.may_ask(peer, Instant::now())?;
        self.control.connect(peer, CONNECT).await.map_err(|e| e.to_string())?;
        let mut why = String::new();
        for _ in 0..TRIES {
            match timeout(ANSWER, self.once(peer, &own)).await {
                Ok(Ok(places)) if places.is_empty() => {
                    return Err("no introduction: everybody sees another port of its media plane".into());
                }
                Ok(Ok(places)) => return Ok(places),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => why = "no answer".into(),
            }
        }
        Err(format!("no introduction: {why}"))
    }

    async fn once(&self, peer: PeerKey, own: &[SocketAddr]) -> Result<Vec<SocketAddr>, MediaError> {
        let opened = self.control.streams().open_stream(peer_id_of(peer), PROTOCOL).await;
        let mut stream = opened.map_err(|e| MediaError::Unreachable(e.to_string()))?.compat();
        write_frame(&mut stream, &encode_meeting(own)).await?;
        let Some(frame) = read_frame::<_, proto::Meeting>(&mut stream, ANSWER).await? else {
            return Err(MediaError::Unreachable("the introduction was refused".into()));
        };
        decode_meeting(&frame)
    }

    fn may_ask(&self, peer: PeerKey, now: Instant) -> Result<(), String> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, before| now.saturating_duration_since(before.last) < LONGEST_PAUSE * 2);
        if asked.len() >= REMEMBERED && !asked.contains_key(&peer) {
            return Err("no introduction: too many are under way".into());
        }
        let before = asked.entry(peer).or_insert(Asked { times: 0, last: now });
        let pause = PAUSE.saturating_mul(1 << before.times.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
        if before.times > 0 && now < before.last + pause {
            return Err("no introduction: asked a moment ago".into());
        }
        *before = Asked { times: before.times + 1, last: now };
        Ok(())
    }
}

// === Being asked ===

async fn serve(
    mut inbound: IncomingStreams,
    control: Control,
    opener: Opener,
    seen: watch::Receiver<Vec<SocketAddr>>,
) {
    let mut quotas: BTreeMap<PeerId, Bucket> = BTreeMap::new();
    let began = Instant::now();
    while let Some((peer, stream)) = inbound.next().await {
        if quotas.len() >= REMEMBERED {
            quotas.clear();
        }
        let now_ms = began.elapsed().as_millis() as u64 + 1;
        if !quotas.entry(peer).or_default().take(now_ms, ASKED) {
            tracing::debug!(%peer, "asks for introductions too often");
            continue;
        }
        let (opener, own) = (opener.clone(), own_places(&control, &seen));
        tokio::spawn(async move {
            if let Err(error) = meet(stream, &opener, &own).await {
                tracing::debug!(peer = ?peer_key_of(&peer), %error, "an introduction came to nothing");
            }
        });
    }
}

async fn meet(stream: Stream, opener: &Opener, own: &[SocketAddr]) -> Result<(), MediaError> {
    let mut stream = stream.compat();
    let Some(frame) = read_frame::<_, proto::Meeting>(&mut stream, ANSWER).await? else { return Ok(()) };
    let theirs = decode_meeting(&frame)?;
    if !own.is_empty() && !theirs.is_empty() {
        opener.open(theirs);
    }
    Ok(timeout(ANSWER, write_frame(&mut stream, &encode_meeting(own)))
        .await
        .map_err(|_| MediaError::Unreachable("the answer is not taken".into()))??)
}
