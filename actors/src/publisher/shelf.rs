//! All that can be seen of one stream at one instant: rows of segments, initialization segments, measurements.
//!
//! A shelf is a value. The publisher appends a row to its own and puts a copy into the library, so every playlist that is
//! read comes from one instant; and a publisher that starts anew goes on from the copy. It knows no message and no clock.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use protocol::{StreamId, Ticks};

use super::hls::{self, AudioGroup, Header, Kind, Variant};
use super::rate::Rate;
use crate::budget::{MIN_WINDOW_TARGETS, SERVED_AFTER, WINDOW_MAX};

/// Name of the rendition that is the publisher's own video.
pub(crate) const SOURCE: &str = "source";
/// Name of the audio rendition.
pub(crate) const AUDIO: &str = "audio";
/// Initialization segments remembered for each rendition beyond those that a row still names.
const SPARE_MAPS: usize = 8;

/// One segment in all playlists.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Position in the stream, also the media sequence number.
    pub(crate) seq: u64,
    /// EXTINF.
    pub(crate) duration: Ticks,
    /// Whether EXT-X-DISCONTINUITY precedes it.
    pub(crate) discontinuity: bool,
    /// Wall-clock time of its first picture, ticks since the Unix epoch.
    pub(crate) wall: Ticks,
    /// Names of the video renditions it should have, `source` included.
    pub(crate) ladder: Vec<String>,
    /// What it has, by rendition.
    pub(crate) pieces: BTreeMap<String, Piece>,
}

/// One rendition of one segment.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Number of its initialization segment.
    pub(crate) map: u32,
    /// The media segment.
    pub(crate) media: Bytes,
}

/// An initialization segment and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    /// The bytes.
    pub(crate) bytes: Bytes,
    /// RFC 6381 codec.
    pub(crate) codec: String,
    /// Width and height, pixels; zero for audio.
    pub(crate) size: (u32, u32),
    /// Audio channels; zero for video and when unknown.
    pub(crate) channels: u8,
}

/// What is known of one rendition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    /// Initialization segments by number, the number by content.
    pub(crate) maps: BTreeMap<u32, Map>,
    /// The next number.
    next_map: u32,
    /// The latest one, for the master playlist and to see when a decoder must start anew.
    pub(crate) current: Option<u32>,
    /// Measured since the decoder last started anew.
    pub(crate) rate: Rate,
    /// Segments that appeared.
    pub(crate) segments: u64,
    /// Segments that are missing.
    pub(crate) missing: u64,
}

impl Track {
    /// The number of an initialization segment with these bytes, if there is one.
    pub(crate) fn find(&self, bytes: &Bytes) -> Option<u32> {
        self.maps.iter().find(|(_, map)| map.bytes == bytes).map(|(n, _)| *n)
    }

    /// Adds an initialization segment under a number that was never used before.
    pub(crate) fn add(&mut self, map: Map) -> u32 {
        let n = self.next_map;
        self.next_map += 1;
        self.maps.insert(n, map);
        n
    }

    /// The latest initialization segment.
    pub(crate) fn map(&self) -> Option<&Map> {
        self.maps.get(&self.current?)
    }

    fn prune(&mut self, used: &[u32]) {
        let spare = self.maps.keys().filter(|n| !used.contains(n) && Some(**n) != self.current);
        let spare: Vec<u32> = spare.copied().collect();
        for n in spare.iter().take(spare.len().saturating_sub(SPARE_MAPS)) {
            self.maps.remove(n);
        }
    }
}

/// The shelf.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    /// The stream.
    pub(crate) stream: StreamId,
    /// When the stream began, Unix time in milliseconds. Also sets addresses of this run apart from those of an earlier one.
    pub(crate) started_unix_ms: u64,
    /// When the last row appeared, Unix time in milliseconds.
    pub(crate) updated_unix_ms: u64,
    /// Segments in a live playlist.
    window: usize,
    /// EXT-X-TARGETDURATION, seconds.
    pub(crate) target_secs: u32,
    /// Rows still served, oldest first; the last ones are in the playlists.
    pub(crate) rows: VecDeque<Arc<Row>>,
    /// Discontinuities before the first row.
    dropped_discontinuities: u64,
    /// No segment before this one may be in a playlist again, even when a longer window would hold it.
    floor: u64,
    /// Whether a row ever appeared.
    pub(crate) begun: bool,
    /// By name, `source` included.
    pub(crate) tracks: BTreeMap<String, Track>,
    /// The audio rendition, once there was audio.
    pub(crate) audio: Option<Track>,
    /// The sequence that appears next; `None` before the first.
    pub(crate) next: Option<u64>,
    /// Where the last row ends on the stream's own timeline.
    pub(crate) end: Ticks,
    /// Where the last row ends on the wall clock.
    pub(crate) wall_end: Ticks,
    /// Whether EXT-X-ENDLIST was written.
    pub(crate) ended: bool,
}

impl Shelf {
    /// An empty one for a stream whose segments aim at `target`.
    pub(crate) fn new(stream: StreamId, window: usize, target: Ticks, started_unix_ms: u64) -> Self {
        Self {
            stream,
            started_unix_ms,
            updated_unix_ms: started_unix_ms,
            window: window.clamp(1, WINDOW_MAX),
            target_secs: u32::try_from((target.0 + Ticks::PER_SECOND - 1) / Ticks::PER_SECOND)
                .unwrap_or(1)
                .max(1),
            rows: VecDeque::new(),
            dropped_discontinuities: 0,
            floor: 0,
            begun: false,
            tracks: BTreeMap::new(),
            audio: None,
            next: None,
            end: Ticks::ZERO,
            wall_end: Ticks::ZERO,
            ended: false,
        }
    }

    /// Puts a row at the end and lets go of what no playlist has named for long enough.
    pub(crate) fn append(&mut self, row: Row, now_unix_ms: u64) -> Arc<Row> {
        let row = Arc::new(row);
        self.next = Some(row.seq.saturating_add(1));
        self.wall_end = row.wall + row.duration;
        self.updated_unix_ms = now_unix_ms;
        self.rows.push_back(Arc::clone(&row));
        self.begun = true;
        self.floor = self.first().unwrap_or(self.floor);
        while self.window_start() > SERVED_AFTER {
            self.drop_first();
        }
        self.prune();
        row
    }

    /// Forgets all rows, as if every viewer had been away: the sequence jumps.
    pub(crate) fn skip_to(&mut self, seq: u64) {
        while !self.rows.is_empty() {
            self.drop_first();
        }
        self.next = Some(seq);
    }

    /// Lets go of all that no playlist names.
    pub(crate) fn finish(&mut self) {
        for _ in 0..self.window_start() {
            self.drop_first();
        }
        self.ended = true;
        self.prune();
    }

    /// Position of the first row that is in the playlists: at least the window, and at least three target durations
    /// (RFC 8216 6.2.2), but never more than a bound.
    fn window_start(&self) -> usize {
        let least = Ticks(i64::from(self.target_secs) * MIN_WINDOW_TARGETS * Ticks::PER_SECOND);
        let (mut start, mut time) = (self.rows.len(), Ticks::ZERO);
        for row in self.rows.iter().rev() {
            let taken = self.rows.len() - start;
            if row.seq < self.floor || taken >= WINDOW_MAX || (taken >= self.window && time >= least) {
                break;
            }
            start -= 1;
            time += row.duration;
        }
        start
    }

    /// The rows in the playlists.
    pub(crate) fn visible(&self) -> impl DoubleEndedIterator<Item = &Arc<Row>> {
        self.rows.range(self.window_start()..)
    }

    fn drop_first(&mut self) {
        if let Some(row) = self.rows.pop_front() {
            self.dropped_discontinuities += u64::from(row.discontinuity);
        }
    }

    fn prune(&mut self) {
        let named = |track: &str| self.rows.iter().any(|row| row.ladder.iter().any(|name| name == track));
        let gone: Vec<String> = self.tracks.keys().filter(|name| !named(name)).cloned().collect();
        for name in gone {
            self.tracks.remove(&name);
        }
        let rows = &self.rows;
        let used = |name: &str| -> Vec<u32> {
            rows.iter().filter_map(|row| row.pieces.get(name)).map(|piece| piece.map).collect()
        };
        for (name, track) in &mut self.tracks {
            track.prune(&used(name));
        }
        if let Some(track) = &mut self.audio {
            track.prune(&used(AUDIO));
        }
    }

    /// The variants of the master playlist: what the newest row should have, of which at least one segment was made.
    pub(crate) fn variants(&self) -> Vec<Variant> {
        let Some(row) = self.rows.back() else { return Vec::new() };
        row.ladder.iter().filter_map(|name| self.variant(name)).collect()
    }

    fn variant(&self, name: &str) -> Option<Variant> {
        let track = self.tracks.get(name)?;
        let map = track.map()?;
        Some(Variant {
            name: name.into(),
            codec: map.codec.clone(),
            width: map.size.0,
            height: map.size.1,
            fps: track.rate.fps(),
            peak: track.rate.peak(),
            average: track.rate.average(),
        })
    }

    /// The audio group, while a segment in the playlists has audio.
    pub(crate) fn audio_group(&self) -> Option<AudioGroup> {
        let map = self.audio.as_ref()?.map()?;
        self.visible()
            .any(|row| row.pieces.contains_key(AUDIO))
            .then(|| AudioGroup { codec: map.codec.clone(), channels: map.channels })
    }

    /// The master playlist.
    pub(crate) fn master(&self) -> String {
        hls::master(&self.variants(), self.audio_group().as_ref())
    }

    /// Every playlist of this instant, by path.
    pub(crate) fn playlists(&self) -> BTreeMap<String, Bytes> {
        let tracks = self.tracks.keys().map(String::as_str).chain(self.audio.as_ref().map(|_| AUDIO));
        let mut pages: BTreeMap<String, Bytes> =
            tracks.map(|name| (format!("{name}/index.m3u8"), self.playlist(name).into())).collect();
        if !self.rows.is_empty() {
            pages.insert("master.m3u8".into(), self.master().into());
        }
        pages
    }

    fn playlist(&self, track: &str) -> String {
        let before = self.rows.range(..self.window_start()).filter(|row| row.discontinuity).count() as u64;
        let mut out = hls::header(&Header {
            target_secs: self.target_secs,
            sequence: self.first().unwrap_or(0),
            discontinuities: self.dropped_discontinuities + before,
            kind: Kind::Live,
        });
        let (mut map, query) = (None, self.query());
        for row in self.visible() {
            hls::entry(&mut out, row, track, &mut map, &query);
        }
        if self.ended {
            out.push_str(hls::END);
        }
        out
    }

    /// Sequence of the first segment in the playlists.
    pub(crate) fn first(&self) -> Option<u64> {
        self.visible().next().map(|row| row.seq)
    }

    /// Sets this run's addresses apart from an earlier run's of the same stream, whose segments a cache may hold for ever.
    fn query(&self) -> String {
        let mut out = String::new();
        let _ = write!(out, "?t={:x}", self.started_unix_ms);
        out
    }

    /// An initialization segment.
    pub(crate) fn init(&self, track: &str, number: u32) -> Option<Bytes> {
        let track = if track == AUDIO { self.audio.as_ref()? } else { self.tracks.get(track)? };
        track.maps.get(&number).map(|map| map.bytes.clone())
    }

    /// A media segment.
    pub(crate) fn media(&self, track: &str, seq: u64) -> Option<Bytes> {
        let at = self.rows.binary_search_by_key(&seq, |row| row.seq).ok()?;
        self.rows[at].pieces.get(track).map(|piece| piece.media.clone())
    }
}
