//! The playlists of a recording: like the live ones, but they hold the whole stream and only grow.

use std::collections::BTreeMap;
use std::path::Path;

use crate::publisher::hls::{self, AudioGroup, Header, Kind, Variant};
use crate::publisher::shelf::{Row, Shelf};

/// Rewriting all playlists for every segment would write n^2 bytes: each may grow by this share of its length before it is
/// written again. So for the first 512 segments every one is written at once, and a day-long recording lags by three minutes.
const LAG_SHARE: usize = 512;

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Playlists {
    tracks: BTreeMap<String, Body>,
    /// Every row without its bytes, to fill in tracks that begin later.
    rows: Vec<Row>,
    variants: BTreeMap<String, Variant>,
    audio: Option<AudioGroup>,
    target_secs: u32,
    unwritten: usize,
}

#[derive(Debug, Default)]
struct Body {
    text: String,
    map: Option<u32>,
}

impl Playlists {
    /// Adds a row to every playlist.
    pub(super) fn add(&mut self, shelf: &Shelf, row: &Row) {
        for track in row.pieces.keys() {
            let rows = &self.rows;
            self.tracks.entry(track.clone()).or_insert_with(|| {
                let mut body = Body::default();
                rows.iter().for_each(|row| hls::entry(&mut body.text, row, track, &mut body.map, ""));
                body
            });
        }
        for (track, body) in &mut self.tracks {
            hls::entry(&mut body.text, row, track, &mut body.map, "");
        }
        self.variants.extend(shelf.variants().into_iter().map(|v| (v.name.clone(), v)));
        self.audio = shelf.audio_group().or(self.audio.take());
        self.target_secs = shelf.target_secs;
        self.rows.push(Row { pieces: BTreeMap::new(), ladder: Vec::new(), ..row.clone() });
        self.unwritten += 1;
    }

    /// Whether the playlists should be written now.
    pub(super) fn due(&self) -> bool {
        self.unwritten * LAG_SHARE >= self.rows.len()
    }

    /// Every playlist by path, the master last, so that it names nothing that is not there.
    pub(super) fn write(&mut self, ended: bool) -> Vec<(String, String)> {
        self.unwritten = 0;
        let head = hls::header(&Header {
            target_secs: self.target_secs,
            sequence: self.rows.first().map_or(0, |row| row.seq),
            discontinuities: 0,
            kind: if ended { Kind::Vod } else { Kind::Event },
        });
        let end = if ended { hls::END } else { "" };
        let mut out: Vec<(String, String)> = self
            .tracks
            .iter()
            .map(|(track, body)| (format!("{track}/index.m3u8"), format!("{head}{}{end}", body.text)))
            .collect();
        if !out.is_empty() {
            let variants: Vec<Variant> = self.variants.values().cloned().collect();
            out.push(("master.m3u8".into(), hls::master(&variants, self.audio.as_ref())));
        }
        out
    }
}

/// Puts an end to the playlists of a recording that a crash left open. Best effort: an old recording that cannot be touched
/// stays as it is.
pub(super) fn close_abandoned(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path().join("index.m3u8");
        if let Ok(text) = std::fs::read_to_string(&path)
            && !text.contains(hls::END)
        {
            let text = text.replacen("PLAYLIST-TYPE:EVENT", "PLAYLIST-TYPE:VOD", 1);
            if let Err(e) = super::write(&path, format!("{text}{}", hls::END).as_bytes()) {
                tracing::warn!("an abandoned recording stays open: {e}");
            }
        }
    }
}
