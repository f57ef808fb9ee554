//! Turns what a segment consists of into a row of the playlists: splits fragmented MP4 into initialization and media
//! segments, numbers the former by content, and sees when a decoder must start anew.
//!
//! Two nodes' parameter sets may differ; then a new EXT-X-MAP says so, and only a change of codec or size is a
//! discontinuity. Bytes that are no fragmented MP4 count as missing.

use std::collections::BTreeMap;

use bytes::Bytes;
use media::fmp4::{self, Movie};
use protocol::{Ladder, Rendition, Segment, Ticks};

use super::messages::AudioTrack;
use super::shelf::{AUDIO, Map, Piece, Row, SOURCE, Shelf, Track};

/// What a segment consists of.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) seq: u64,
    pub(crate) duration: Ticks,
    pub(crate) discontinuity: bool,
    pub(crate) wall: Ticks,
    pub(crate) source: &'a Segment,
    pub(crate) ladder: &'a Ladder,
    pub(crate) renditions: &'a [Option<Rendition>],
    pub(crate) audio: Option<&'a AudioTrack>,
}

/// A row without anything in it.
pub(crate) fn gap(shelf: &mut Shelf, seq: u64, duration: Ticks, wall: Ticks, ladder: Vec<String>) -> Row {
    for name in &ladder {
        missing(shelf.tracks.entry(name.clone()).or_default());
    }
    Row { seq, duration, discontinuity: false, wall, ladder, pieces: BTreeMap::new() }
}

/// Packs a segment. The shelf's tracks learn new initialization segments and measurements.
pub(crate) fn pack(shelf: &mut Shelf, parts: &Parts<'_>) -> Row {
    let mut pieces = BTreeMap::new();
    let mut anew = parts.discontinuity;
    let audio_bytes = pack_audio(shelf, parts, &mut pieces, &mut anew);
    let mut ladder = Vec::with_capacity(parts.ladder.0.len() + 1);
    for (name, made) in outputs(parts) {
        let track = shelf.tracks.entry(name.into()).or_default();
        let placed =
            made.and_then(|(bytes, frames)| Some((place(track, bytes, video_map, &mut anew)?, frames)));
        if let Some((piece, frames)) = placed {
            track.rate.add(piece.media.len() + audio_bytes, frames, parts.duration, shelf.target_secs);
            track.segments += 1;
            pieces.insert(name.to_owned(), piece);
        } else {
            missing(track);
        }
        ladder.push(name.to_owned());
    }
    Row {
        seq: parts.seq,
        duration: parts.duration,
        discontinuity: anew && shelf.begun,
        wall: parts.wall,
        ladder,
        pieces,
    }
}

/// The video renditions of a segment, the source first. A rung whose name could leave its directory or hide another track
/// is left out: ladders are checked where they enter, this is the last line.
fn outputs<'a>(parts: &Parts<'a>) -> Vec<(&'a str, Option<(&'a Bytes, u32)>)> {
    let mut out = vec![(SOURCE, Some((&parts.source.bytes, parts.source.source.frames)))];
    for (spec, made) in parts.ladder.0.iter().zip(parts.renditions) {
        if is_safe(&spec.name) && out.iter().all(|(name, _)| *name != spec.name) {
            out.push((&spec.name, made.as_ref().map(|r| (&r.bytes, r.frames))));
        }
    }
    out
}

fn is_safe(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (1..=32).contains(&name.len()) && name.bytes().all(allowed) && name != AUDIO
}

fn pack_audio(
    shelf: &mut Shelf,
    parts: &Parts<'_>,
    pieces: &mut BTreeMap<String, Piece>,
    anew: &mut bool,
) -> usize {
    let Some(audio) = parts.audio else {
        if let Some(track) = &mut shelf.audio {
            missing(track);
        }
        return 0;
    };
    let mut track = shelf.audio.take().unwrap_or_default();
    let piece = place(&mut track, &audio.bytes, audio_map, anew);
    let Some(piece) = piece else {
        if track.current.is_some() {
            missing(&mut track);
            shelf.audio = Some(track);
        }
        return 0;
    };
    track.segments += 1;
    shelf.audio = Some(track);
    let size = piece.media.len();
    pieces.insert(AUDIO.into(), piece);
    size
}

fn missing(track: &mut Track) {
    track.missing += 1;
    track.rate.gap();
}

/// Splits `bytes` and finds or makes the number of their initialization segment.
fn place(
    track: &mut Track,
    bytes: &Bytes,
    describe: impl Fn(&Movie, Bytes) -> Option<Map>,
    anew: &mut bool,
) -> Option<Piece> {
    let (init, media) = fmp4::split(bytes).ok()?;
    if media.is_empty() {
        return None;
    }
    let number = match track.find(&init) {
        Some(number) => number,
        None => track.add(describe(&fmp4::parse(bytes).ok()?, init)?),
    };
    let same = |a: &Map, b: &Map| (&a.codec, a.size, a.channels) == (&b.codec, b.size, b.channels);
    if let (Some(old), Some(new)) = (track.map(), track.maps.get(&number))
        && !same(old, new)
    {
        *anew = true;
        track.rate = Default::default();
    }
    track.current = Some(number);
    Some(Piece { map: number, media })
}

fn video_map(movie: &Movie, bytes: Bytes) -> Option<Map> {
    let info = movie.video()?.0.info().ok()?;
    Some(Map { bytes, codec: info.codec(), size: (info.width, info.height), channels: 0 })
}

fn audio_map(movie: &Movie, bytes: Bytes) -> Option<Map> {
    let info = movie.audio()?.0.info().ok()?;
    Some(Map { bytes, codec: info.codec(), size: (0, 0), channels: info.channels })
}
