//! HTTP push of ready-made segments, Livepeer's way: each becomes a segment of the stream, and its renditions can come back in
//! the reply.
//!
//! In: whole segments, MPEG-TS or MP4. Out: their packets, each segment closed by a boundary, to the stream; the segment as it
//! was published. A pushed stream has no connection: it ends when nothing was pushed for a while. Knows no HTTP.

mod containers;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use actors::ingest::{Opened, Refused};
use actors::publisher::{Library, Published};
use bytes::Bytes;
use futures::future::try_join_all;
use media::packet::{NOBODY, Packet};
use protocol::StreamId;
use tokio::sync::{Mutex as AsyncMutex, Semaphore, SemaphorePermit};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

pub(crate) use self::containers::{Container, Containers, Unusable};
use super::gate::{Gate, Turned, Visitor};

/// Largest pushed segment, bytes: as large as a segment may travel.
pub(crate) const MAX_BODY: usize = protocol::Segment::MAX_BYTES;
/// Segments that are received or in work at a time; with the limit above, at most 512 MiB.
const AT_ONCE: usize = 16;

/// What a person may set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A stream ends so long after its last segment.
    pub(crate) idle: Duration,
    /// From a segment's last byte to its publication.
    pub(crate) reply: Duration,
}

impl Default for Limits {
    /// 60 s idle, 30 s to a reply.
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), reply: Duration::from_secs(30) }
    }
}

/// The pushed streams of a node. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    gate: Gate,
    containers: Arc<dyn Containers>,
    library: Library,
    limits: Limits,
    streams: Mutex<BTreeMap<String, Arc<Pusher>>>,
    places: Semaphore,
    tokens: AtomicU64,
}

/// One stream that is pushed; segments take turns in the order in which they came.
type Pusher = AsyncMutex<Option<Pushing>>;

#[derive(Debug)]
struct Pushing {
    opened: Opened,
    key: Option<String>,
    last: Instant,
}

/// A pushed segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// Who pushes what.
    pub(crate) visitor: Visitor,
    /// The container.
    pub(crate) container: Container,
    /// The bytes.
    pub(crate) bytes: Bytes,
}

/// One rendition for the reply.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Of the rendition.
    pub(crate) name: String,
    /// In the container that was pushed.
    pub(crate) bytes: Bytes,
}

/// Why a segment was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// The gate is closed.
    #[error(transparent)]
    Turned(#[from] Turned),
    /// The bytes.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// No video in it.
    #[error("the segment has no video: push video, with or without audio")]
    NoVideo,
    /// Too much at once.
    #[error("{AT_ONCE} segments are in work: push this one again in a second")]
    Busy,
    /// The stream was ended from this side.
    #[error("the stream was ended by this node: push again to start anew")]
    Ended,
    /// Nobody could transcode it, or not in time.
    #[error("No sessions available: no orchestrator has transcoded the segment in time")]
    NoSessions,
}

impl Push {
    /// Streams that enter by `gate` and appear in `library`. Must be called within a runtime, where it watches for streams
    /// that nobody pushes any more.
    pub(crate) fn new(gate: Gate, containers: Arc<dyn Containers>, library: Library, limits: Limits) -> Self {
        let (streams, places, tokens) = (Mutex::default(), Semaphore::new(AT_ONCE), AtomicU64::new(1));
        let inner = Arc::new(Inner { gate, containers, library, limits, streams, places, tokens });
        tokio::spawn(end_idle(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// A place for a segment, to be held from its first byte to the reply.
    ///
    /// # Errors
    /// [`PushError::Busy`] when all are taken.
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>, PushError> {
        self.inner.places.try_acquire().map_err(|_| PushError::Busy)
    }

    /// Publishes a segment; resolves when it appears in the playlists. Dropping the future does not tear a segment that is
    /// being taken.
    ///
    /// # Errors
    /// [`PushError`] says why not.
    pub(crate) async fn publish(&self, segment: Segment) -> Result<Arc<Published>, PushError> {
        let published = self.inner.library.subscribe();
        let token = self.inner.tokens.fetch_add(1, Ordering::Relaxed);
        let inner = self.inner.clone();
        let taking = tokio::spawn(async move { inner.take(segment, token).await });
        let stream = taking.await.map_err(|_| PushError::Ended)??;
        match timeout(self.inner.limits.reply, Library::wait_for(published, &stream, token)).await {
            Ok(Some(segment)) if made_something(&segment) => Ok(segment),
            Ok(Some(_) | None) | Err(_) => Err(PushError::NoSessions),
        }
    }

    /// The renditions of a published segment in the container that was pushed, with the source's audio.
    ///
    /// # Errors
    /// [`PushError::Unusable`] when one cannot be written.
    pub(crate) async fn parts(
        &self,
        segment: &Published,
        container: Container,
    ) -> Result<Vec<Part>, PushError> {
        let made = segment
            .ladder
            .0
            .iter()
            .zip(&segment.renditions)
            .filter_map(|(spec, made)| Some((spec, made.as_ref()?)));
        let parts = made.map(|(spec, made)| async {
            let audio = segment.audio.as_ref().map(|track| track.bytes.clone());
            let bytes = self.inner.containers.remux(made.bytes.clone(), audio, container).await?;
            Ok::<_, PushError>(Part { name: spec.name.clone(), bytes })
        });
        try_join_all(parts).await
    }
}

/// Whether at least one rendition was made, or none had to be.
fn made_something(segment: &Published) -> bool {
    segment.ladder.0.is_empty() || segment.renditions.iter().any(Option::is_some)
}

impl Inner {
    /// Hands a segment's packets and its end to the stream, which is opened if need be.
    async fn take(&self, segment: Segment, token: u64) -> Result<StreamId, PushError> {
        let Segment { visitor, container, bytes } = segment;
        let (name, pusher) = (visitor.name.clone(), self.pusher(&visitor.name));
        let mut pushing = pusher.lock().await;
        let packets = match self.containers.demux(bytes, container).await {
            Ok(packets) if packets.iter().any(|packet| matches!(packet, Packet::Video(_))) => packets,
            Ok(_) => return self.leave(&name, &pushing, PushError::NoVideo),
            Err(why) => return self.leave(&name, &pushing, why.into()),
        };
        if let Err(why) = self.open(&mut pushing, visitor).await {
            return self.leave(&name, &pushing, why);
        }
        let Some(stream) = pushing.as_mut() else { return Err(PushError::Ended) };
        for packet in packets.into_iter().chain([Packet::Boundary { token }]) {
            if stream.opened.packets.send(packet).await.is_err() {
                *pushing = None;
                return self.leave(&name, &pushing, PushError::Ended);
            }
        }
        stream.last = Instant::now();
        Ok(stream.opened.stream.clone())
    }

    /// Opens the stream, or checks that this pusher has the key of the one that did.
    async fn open(&self, pushing: &mut Option<Pushing>, visitor: Visitor) -> Result<(), PushError> {
        if pushing.as_ref().is_some_and(|p| p.opened.packets.is_closed()) {
            *pushing = None;
        }
        let key = visitor.key.clone();
        match pushing {
            Some(stream) if stream.key == key => {}
            Some(stream) => return Err(Turned::from(Refused::BadKey(stream.opened.stream.clone())).into()),
            None => {
                let opened = self.gate.open(visitor).await?;
                // Keeps the stream's segments whole from the first one on.
                opened
                    .packets
                    .send(Packet::Boundary { token: NOBODY })
                    .await
                    .map_err(|_| PushError::Ended)?;
                *pushing = Some(Pushing { opened, key, last: Instant::now() });
            }
        }
        Ok(())
    }

    fn pusher(&self, name: &str) -> Arc<Pusher> {
        self.streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.to_owned())
            .or_default()
            .clone()
    }

    /// Ends with an error; a name that never became a stream is forgotten.
    fn leave(&self, name: &str, pushing: &Option<Pushing>, why: PushError) -> Result<StreamId, PushError> {
        if pushing.is_none() {
            self.streams.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
        Err(why)
    }

    /// Streams to which nothing was pushed for too long, taken out.
    fn idle(&self) -> Vec<Pushing> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle = vec![];
        streams.retain(|_, pusher| {
            // A locked one is being pushed to.
            let Ok(mut pushing) = pusher.try_lock() else { return true };
            let over = |p: &mut Pushing| p.last.elapsed() >= self.limits.idle || p.opened.packets.is_closed();
            match pushing.take_if(over) {
                Some(stream) => {
                    idle.push(stream);
                    false
                }
                None => pushing.is_some(),
            }
        });
        idle
    }
}

/// Ends the streams that nobody pushes any more, for as long as there is a [`Push`].
async fn end_idle(inner: Weak<Inner>) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        for Pushing { opened, .. } in inner.idle() {
            tracing::info!(stream = %opened.stream, "nothing is pushed any more");
            drop(opened.packets);
            inner.gate.finish(opened.stream, opened.session).await;
        }
    }
}
