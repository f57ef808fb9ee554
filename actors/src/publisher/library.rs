//! What HTTP reads: the playlists and segments of every stream of the node, each from one instant.
//!
//! Publishers put whole snapshots in; readers take a handle out and hold no lock while they use it. Also tells subscribers
//! that a segment appeared. It never waits for a reader, and takes paths from strangers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use protocol::{Ladder, Rendition, Segment, StreamId};
use serde::Serialize;
use tokio::sync::broadcast;

use super::messages::AudioTrack;
use super::record::Recorder;
use super::shelf::{AUDIO, SOURCE, Shelf, Track};
use crate::budget::{ENDED_STREAMS, PUBLISHED};

/// Target durations without a new segment after which a stream counts as reconnecting.
const SILENT_TARGETS: u64 = 3;

/// The streams of a node. Clones share it.
#[derive(Clone)]
pub struct Library {
    inner: Arc<Inner>,
}

struct Inner {
    streams: RwLock<BTreeMap<StreamId, Entry>>,
    published: broadcast::Sender<Arc<Published>>,
}

#[derive(Clone)]
struct Entry {
    shelf: Arc<Shelf>,
    playlists: Arc<BTreeMap<String, Bytes>>,
    recorder: Option<Recorder>,
}

/// A segment that has just appeared in all playlists, with everything that it consists of.
#[derive(Clone, Debug)]
pub struct Published {
    /// The stream.
    pub stream: StreamId,
    /// Position in it.
    pub seq: u64,
    /// From the cut, for whoever pushed the segment.
    pub token: Option<u64>,
    /// The source.
    pub source: Segment,
    /// Its audio, if there was any.
    pub audio: Option<AudioTrack>,
    /// What was to be made of it.
    pub ladder: Ladder,
    /// What was made, in ladder order and as long as the ladder.
    pub renditions: Vec<Option<Rendition>>,
}

/// The answer to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// MIME type.
    pub content_type: &'static str,
    /// The bytes.
    pub body: Bytes,
    /// How long it may be kept.
    pub cache: Cache,
}

/// How long a [`Resource`] may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// It changes: `no-store`.
    NoStore,
    /// It never changes: `public, max-age=31536000, immutable`.
    Immutable,
}

/// A stream as people and the API see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamInfo {
    /// Its name.
    pub id: StreamId,
    /// How it is.
    pub state: StreamState,
    /// Its own video, once a segment appeared.
    pub source: Option<SourceStats>,
    /// Whether it has audio now.
    pub audio: bool,
    /// Its ladder as of the newest segment.
    pub renditions: Vec<RenditionInfo>,
    /// Renditions of segments that are missing, since the stream began.
    pub missing: u64,
    /// First segment in the playlists.
    pub first_seq: u64,
    /// The segment that appears next; also how many there were, when the first was 0.
    pub next_seq: u64,
    /// When it began, Unix time in milliseconds.
    pub started_unix_ms: u64,
    /// When the newest segment appeared, Unix time in milliseconds.
    pub updated_unix_ms: u64,
}

/// How a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// Segments appear.
    Live,
    /// None has appeared for three target durations; its publisher may come back.
    Reconnecting,
    /// Over.
    Ended,
}

/// The source of a stream, measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceStats {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: f64,
    /// RFC 6381 codecs, audio included.
    pub codecs: String,
    /// Average, bits a second, audio included.
    pub bitrate: u64,
}

/// One rendition of a stream, measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RenditionInfo {
    /// Its name.
    pub name: String,
    /// Width, pixels; 0 until one was made.
    pub width: u32,
    /// Height, pixels; 0 until one was made.
    pub height: u32,
    /// Peak, bits a second, audio included.
    pub bandwidth: u64,
    /// Segments that appeared.
    pub segments: u64,
    /// Segments that are missing.
    pub missing: u64,
}

impl Default for Library {
    fn default() -> Self {
        Self::new()
    }
}

impl Library {
    /// An empty library.
    #[must_use]
    pub fn new() -> Self {
        let published = broadcast::Sender::new(PUBLISHED);
        Self { inner: Arc::new(Inner { streams: RwLock::default(), published }) }
    }

    /// Every stream, by name.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamInfo> {
        self.streams_at(unix_ms())
    }

    /// [`Library::streams`] as of a Unix time in milliseconds.
    #[must_use]
    pub fn streams_at(&self, now_unix_ms: u64) -> Vec<StreamInfo> {
        let shelves: Vec<Arc<Shelf>> = self.read().values().map(|entry| Arc::clone(&entry.shelf)).collect();
        shelves.iter().map(|shelf| info(shelf, now_unix_ms)).collect()
    }

    /// What stands at `path` below a stream: `master.m3u8`, `<rendition>/index.m3u8`, `<rendition>/init-<n>.mp4` or
    /// `<rendition>/<seq>.m4s`. Without leading slash, without query. Anything else is `None`.
    #[must_use]
    pub fn resource(&self, stream: &StreamId, path: &str) -> Option<Resource> {
        let entry = self.read().get(stream)?.clone();
        if let Some(page) = entry.playlists.get(path) {
            let content_type = "application/vnd.apple.mpegurl";
            return Some(Resource { content_type, body: page.clone(), cache: Cache::NoStore });
        }
        let (track, file) = path.split_once('/')?;
        let body = match (file.strip_suffix(".m4s"), file.strip_prefix("init-")) {
            (Some(seq), None) => entry.shelf.media(track, number(seq)?)?,
            (None, Some(init)) => {
                entry.shelf.init(track, number(init.strip_suffix(".mp4")?)?.try_into().ok()?)?
            }
            _ => return None,
        };
        let content_type = if track == AUDIO { "audio/mp4" } else { "video/mp4" };
        Some(Resource { content_type, body, cache: Cache::Immutable })
    }

    /// Every segment of every stream from now on, as it appears. Who lags more than [`PUBLISHED`] behind loses the oldest.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Published>> {
        self.inner.published.subscribe()
    }

    /// Waits for the segment of `stream` that carries `token`. Subscribe before the segment can be cut; give it a timeout.
    /// `None` when the subscriber lagged so far that it may have been missed.
    pub async fn wait_for(
        mut published: broadcast::Receiver<Arc<Published>>,
        stream: &StreamId,
        token: u64,
    ) -> Option<Arc<Published>> {
        loop {
            let segment = published.recv().await.ok()?;
            if segment.stream == *stream && segment.token == Some(token) {
                return Some(segment);
            }
        }
    }

    /// Lets go of a stream and everything that is served of it.
    pub fn forget(&self, stream: &StreamId) {
        self.write().remove(stream);
    }

    /// Where a publisher that starts anew goes on, unless the stream ended or never was.
    pub(crate) fn resume(&self, stream: &StreamId) -> Option<(Shelf, Option<Recorder>)> {
        let entry = self.read().get(stream)?.clone();
        (!entry.shelf.ended).then(|| (Shelf::clone(&entry.shelf), entry.recorder))
    }

    /// Puts a new instant in place of the old one.
    pub(crate) fn put(&self, shelf: Arc<Shelf>, recorder: Option<&Recorder>) {
        let playlists = Arc::new(shelf.playlists());
        let entry = Entry { shelf, playlists, recorder: recorder.cloned() };
        let mut streams = self.write();
        streams.insert(entry.shelf.stream.clone(), entry);
        let mut ended: Vec<_> = streams
            .iter()
            .filter(|(_, e)| e.shelf.ended)
            .map(|(id, e)| (e.shelf.updated_unix_ms, id.clone()))
            .collect();
        ended.sort();
        for (_, id) in ended.iter().take(ended.len().saturating_sub(ENDED_STREAMS)) {
            streams.remove(id);
        }
    }

    /// Tells subscribers. Without any, the segment is let go of.
    pub(crate) fn announce(&self, published: Published) {
        let _ = self.inner.published.send(Arc::new(published));
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<StreamId, Entry>> {
        self.inner.streams.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<StreamId, Entry>> {
        self.inner.streams.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("streams", &self.read().keys()).finish_non_exhaustive()
    }
}

/// Now, Unix time in milliseconds.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A number as the playlists spell it: digits only, no leading zero, so that one thing has one address.
fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn info(shelf: &Shelf, now_unix_ms: u64) -> StreamInfo {
    let ladder = shelf.rows.back().map_or(&[][..], |row| &row.ladder);
    let renditions = ladder.iter().filter(|name| *name != SOURCE);
    let tracks = shelf.tracks.values().chain(&shelf.audio);
    StreamInfo {
        id: shelf.stream.clone(),
        state: state(shelf, now_unix_ms),
        source: source(shelf),
        audio: shelf.audio_group().is_some(),
        renditions: renditions.map(|name| rendition(name, shelf.tracks.get(name))).collect(),
        missing: tracks.map(|track| track.missing).sum(),
        first_seq: shelf.first().unwrap_or(0),
        next_seq: shelf.next.unwrap_or(0),
        started_unix_ms: shelf.started_unix_ms,
        updated_unix_ms: shelf.updated_unix_ms,
    }
}

fn state(shelf: &Shelf, now_unix_ms: u64) -> StreamState {
    let silent = now_unix_ms.saturating_sub(shelf.updated_unix_ms);
    match (shelf.ended, silent > SILENT_TARGETS * 1000 * u64::from(shelf.target_secs)) {
        (true, _) => StreamState::Ended,
        (false, true) => StreamState::Reconnecting,
        (false, false) => StreamState::Live,
    }
}

fn source(shelf: &Shelf) -> Option<SourceStats> {
    let track = shelf.tracks.get(SOURCE)?;
    let map = track.map()?;
    let audio = shelf.audio_group().map(|group| format!(",{}", group.codec)).unwrap_or_default();
    Some(SourceStats {
        width: map.size.0,
        height: map.size.1,
        fps: track.rate.fps(),
        codecs: format!("{}{audio}", map.codec),
        bitrate: track.rate.average(),
    })
}

fn rendition(name: &str, track: Option<&Track>) -> RenditionInfo {
    let size = track.and_then(Track::map).map_or((0, 0), |map| map.size);
    RenditionInfo {
        name: name.into(),
        width: size.0,
        height: size.1,
        bandwidth: track.map_or(0, |track| track.rate.peak()),
        segments: track.map_or(0, |track| track.segments),
        missing: track.map_or(0, |track| track.missing),
    }
}
