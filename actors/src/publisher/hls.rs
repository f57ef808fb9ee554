//! Writes HLS playlists (RFC 8216, EXT-X-GAP from its second edition): text out of rows, nothing else.
//!
//! Live playlists and recordings share this writer, so that a recording says exactly what viewers saw. It never decides
//! what is shown, only how it is spelled.

use std::fmt::Write;

use protocol::Ticks;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::shelf::Row;

/// What comes before the segments of a media playlist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// EXT-X-TARGETDURATION, seconds.
    pub(crate) target_secs: u32,
    /// EXT-X-MEDIA-SEQUENCE.
    pub(crate) sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE.
    pub(crate) discontinuities: u64,
    /// How the playlist may change.
    pub(crate) kind: Kind,
}

/// EXT-X-PLAYLIST-TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sliding window: no type.
    Live,
    /// Grows only.
    Event,
    /// Final.
    Vod,
}

/// Ends a playlist that will not change any more.
pub(crate) const END: &str = "#EXT-X-ENDLIST\n";

/// One EXT-X-STREAM-INF.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    /// Name of the rendition, its path element.
    pub(crate) name: String,
    /// RFC 6381 codec of the video.
    pub(crate) codec: String,
    /// Width, pixels.
    pub(crate) width: u32,
    /// Height, pixels.
    pub(crate) height: u32,
    /// Frames a second.
    pub(crate) fps: f64,
    /// Measured peak, bits a second.
    pub(crate) peak: u64,
    /// Measured average, bits a second.
    pub(crate) average: u64,
}

/// The EXT-X-MEDIA audio group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AudioGroup {
    /// RFC 6381 codec.
    pub(crate) codec: String,
    /// Channels, 0 when unknown.
    pub(crate) channels: u8,
}

/// The first lines of a media playlist.
pub(crate) fn header(head: &Header) -> String {
    let mut out = String::with_capacity(256);
    let _ = writeln!(out, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}", head.target_secs);
    let _ = writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", head.sequence);
    if head.discontinuities > 0 {
        let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", head.discontinuities);
    }
    out.push_str(match head.kind {
        Kind::Live => "",
        Kind::Event => "#EXT-X-PLAYLIST-TYPE:EVENT\n",
        Kind::Vod => "#EXT-X-PLAYLIST-TYPE:VOD\n",
    });
    out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    out
}

/// One segment of `track`, as a gap where the row has none. `map` is the initialization segment in force and is updated;
/// `query` is appended to every address.
pub(crate) fn entry(out: &mut String, row: &Row, track: &str, map: &mut Option<u32>, query: &str) {
    if row.discontinuity {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    let piece = row.pieces.get(track);
    if let Some(piece) = piece
        && *map != Some(piece.map)
    {
        let _ = writeln!(out, "#EXT-X-MAP:URI=\"init-{}.mp4{query}\"", piece.map);
        *map = Some(piece.map);
    }
    let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", wall_clock(row.wall));
    if piece.is_none() {
        out.push_str("#EXT-X-GAP\n");
    }
    let _ = writeln!(out, "#EXTINF:{},\n{}.m4s{query}", seconds(row.duration), row.seq);
}

/// A master playlist, lowest bit rate first.
pub(crate) fn master(variants: &[Variant], audio: Option<&AudioGroup>) -> String {
    let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    if let Some(group) = audio {
        out.push_str("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"audio\",DEFAULT=YES,AUTOSELECT=YES");
        if group.channels > 0 {
            let _ = write!(out, ",CHANNELS=\"{}\"", group.channels);
        }
        out.push_str(",URI=\"audio/index.m3u8\"\n");
    }
    let mut order: Vec<&Variant> = variants.iter().collect();
    order.sort_by_key(|v| v.peak);
    for v in order {
        let _ = write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}", v.peak, v.average);
        let _ = write!(out, ",CODECS=\"{}", v.codec);
        if let Some(group) = audio {
            let _ = write!(out, ",{}", group.codec);
        }
        let _ = write!(out, "\",RESOLUTION={}x{}", v.width, v.height);
        if v.fps > 0.0 {
            let _ = write!(out, ",FRAME-RATE={:.3}", v.fps);
        }
        if audio.is_some() {
            out.push_str(",AUDIO=\"audio\"");
        }
        let _ = writeln!(out, "\n{}/index.m3u8", v.name);
    }
    out
}

/// Seconds with six decimals, finer than a tick, so that sums do not drift.
fn seconds(length: Ticks) -> String {
    let micros = (i128::from(length.0) * 1_000_000 + 45_000) / i128::from(Ticks::PER_SECOND);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// ISO 8601 with milliseconds, from ticks since the Unix epoch.
fn wall_clock(wall: Ticks) -> String {
    let nanos = i128::from(wall.as_millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|t| t.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_for_players() {
        assert_eq!(seconds(Ticks(180_180)), "2.002000");
        assert_eq!(seconds(Ticks(1)), "0.000011");
        assert_eq!(wall_clock(Ticks::from_millis(1_763_676_752_125)), "2025-11-20T22:12:32.125Z");
    }
}
