//! What the publisher's tests are made of: small real segments, and a core with its library.

use std::sync::Arc;

use bytes::Bytes;
use m3u8_rs::{MasterPlaylist, MediaPlaylist};
use media::fmp4::{self, Sample};
use media::packet::{AudioConfig, VideoConfig};
use protocol::ladder::LadderPlan;
use protocol::{Hash, Ladder, Rendition, Segment, SegmentId, SourceInfo, StreamId, Ticks};

use super::core::{Appeared, Core};
use super::library::Library;
use super::messages::{Audio, AudioTrack, Cut, Made};
use super::shelf::Shelf;

pub(super) const SECOND: i64 = Ticks::PER_SECOND;
/// An arbitrary day of 2025, Unix milliseconds.
pub(super) const NOW: u64 = 1_760_000_000_000;

/// Parameter sets of x264 at three sizes (level 3.0, High), made once and kept as text.
fn avcc(height: u32) -> Bytes {
    let sps = sps(height);
    let pps = [0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0];
    let mut out = vec![1, sps[1], sps[2], sps[3], 0xFF, 0xE1];
    out.extend_from_slice(&(sps.len() as u16).to_be_bytes());
    out.extend_from_slice(&sps);
    out.extend_from_slice(&[1, 0, pps.len() as u8]);
    out.extend_from_slice(&pps);
    out.extend_from_slice(&[0xFD, 0xF8, 0xF8, 0]);
    out.into()
}

/// A sequence parameter set of profile High for 16 x (height / 16) macroblocks by `height` (ITU-T H.264 7.3.2.1.1).
fn sps(height: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    [0_u32, 1, 0, 0].iter().for_each(|v| bits.ue(*v));
    bits.put(0, 2);
    bits.ue(0);
    bits.ue(2);
    bits.ue(1);
    bits.put(0, 1);
    bits.ue(15);
    bits.ue(height / 16 - 1);
    bits.put(0b1100, 4);
    bits.put(1, 1);
    let mut out = vec![0x67, 100, 0, 30];
    out.extend(bits.bytes());
    out
}

#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, width: u32) {
        self.0.extend((0..width).rev().map(|i| value >> i & 1 == 1));
    }

    fn ue(&mut self, value: u32) {
        let width = 32 - (value + 1).leading_zeros();
        self.put(0, width - 1);
        self.put(value + 1, width);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0
            .chunks(8)
            .map(|c| c.iter().enumerate().fold(0, |b, (i, bit)| b | u8::from(*bit) << (7 - i)))
            .collect()
    }
}

/// One video segment of a single picture of `size` bytes.
pub(super) fn video(height: u32, start: Ticks, duration: Ticks, size: usize) -> Bytes {
    let sample = Sample {
        dts: start.0,
        pts: start.0,
        duration: duration.0 as u32,
        key: true,
        data: vec![0x65; size].into(),
    };
    fmp4::video_segment(&VideoConfig { avcc: avcc(height) }, 1, &[sample]).unwrap()
}

/// One audio segment of 48 kHz stereo AAC-LC.
pub(super) fn audio(start: Ticks, size: usize) -> AudioTrack {
    let config = AudioConfig { asc: Bytes::from_static(&[0x11, 0x90]) };
    let sample = Sample {
        dts: start.0 * 48 / 90,
        pts: start.0 * 48 / 90,
        duration: 1024,
        key: true,
        data: vec![7; size].into(),
    };
    let bytes = fmp4::audio_segment(&config, 1, &[sample]).unwrap();
    AudioTrack { config, start, frames: 1, bytes }
}

/// Segment `seq` of a stream of 2 s segments, 720 lines high.
pub(super) fn cut(seq: u64) -> Cut {
    let start = Ticks(SECOND * (10 + 2 * seq as i64));
    cut_at(seq, start, Ticks(2 * SECOND), 720)
}

pub(super) fn cut_at(seq: u64, start: Ticks, duration: Ticks, height: u32) -> Cut {
    let bytes = video(height, start, duration, 4000);
    let segment = Segment {
        id: SegmentId { stream: stream(), seq },
        start,
        duration,
        discontinuity: false,
        source: SourceInfo { width: 256, height, frames: 60 },
        hash: Hash::of(&bytes),
        bytes,
    };
    Cut { segment, ladder: ladder(), token: Some(1000 + seq) }
}

pub(super) fn stream() -> StreamId {
    "me".parse().unwrap()
}

/// 240p and 360p.
pub(super) fn ladder() -> Ladder {
    let mut ladder = LadderPlan::default().resolve(1280, 720);
    ladder.0.truncate(2);
    ladder
}

pub(super) fn rendition(index: usize, seq: u64) -> Rendition {
    let start = Ticks(SECOND * (10 + 2 * seq as i64));
    let height = [240, 368][index];
    let bytes = video(height, start, Ticks(2 * SECOND), 1000 * (index + 1));
    Rendition { index, frames: 60, pixels: 1, hash: Hash::of(&bytes), bytes }
}

/// All renditions of a segment.
pub(super) fn made(seq: u64) -> Made {
    Made { seq, renditions: vec![Some(rendition(0, seq)), Some(rendition(1, seq))] }
}

pub(super) fn sound(seq: u64) -> Audio {
    Audio { seq, track: Some(audio(Ticks(SECOND * (10 + 2 * seq as i64)), 500)) }
}

pub(super) fn silence(seq: u64) -> Audio {
    Audio { seq, track: None }
}

/// A core and the library that shows what it decides.
pub(super) struct World {
    pub(super) core: Core,
    pub(super) library: Library,
    pub(super) now: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let core = Core::new(Shelf::new(stream(), 6, Ticks(2 * SECOND), NOW));
        Self { core, library: Library::new(), now: NOW }
    }

    /// Feeds whole segments.
    pub(super) fn whole(&mut self, seqs: impl IntoIterator<Item = u64>) {
        for seq in seqs {
            self.now += 2000;
            self.cut(cut(seq));
            self.audio(sound(seq));
            self.made(made(seq));
        }
    }

    pub(super) fn cut(&mut self, cut: Cut) -> Vec<Appeared> {
        let out = self.core.on_cut(self.now, cut);
        self.put(out)
    }

    pub(super) fn audio(&mut self, audio: Audio) -> Vec<Appeared> {
        let out = self.core.on_audio(self.now, audio);
        self.put(out)
    }

    pub(super) fn made(&mut self, made: Made) -> Vec<Appeared> {
        let out = self.core.on_made(self.now, made);
        self.put(out)
    }

    pub(super) fn end(&mut self) -> Vec<Appeared> {
        let out = self.core.on_end(self.now);
        self.put(out)
    }

    pub(super) fn wake(&mut self) -> Vec<Appeared> {
        let out = self.core.on_wake(self.now);
        self.put(out)
    }

    fn put(&self, appeared: Vec<Appeared>) -> Vec<Appeared> {
        self.library.put(Arc::new(self.core.shelf().clone()), None);
        appeared
    }

    pub(super) fn text(&self, path: &str) -> String {
        let resource = self.library.resource(&stream(), path).unwrap_or_else(|| panic!("no {path}"));
        String::from_utf8(resource.body.to_vec()).unwrap()
    }

    /// A media playlist as an independent parser reads it.
    pub(super) fn playlist(&self, track: &str) -> MediaPlaylist {
        m3u8_rs::parse_media_playlist_res(self.text(&format!("{track}/index.m3u8")).as_bytes()).unwrap()
    }

    pub(super) fn master(&self) -> MasterPlaylist {
        m3u8_rs::parse_master_playlist_res(self.text("master.m3u8").as_bytes()).unwrap()
    }

    /// Names of all media playlists there are.
    pub(super) fn tracks(&self) -> Vec<String> {
        let names = ["source", "240p", "360p", "audio"].into_iter();
        let there = |name: &&str| self.library.resource(&stream(), &format!("{name}/index.m3u8")).is_some();
        names.filter(there).map(str::to_owned).collect()
    }
}

/// Sequence numbers of the segments that are gaps.
pub(super) fn gaps(playlist: &MediaPlaylist) -> Vec<u64> {
    let gap = |s: &m3u8_rs::MediaSegment| s.unknown_tags.iter().any(|tag| tag.tag == "X-GAP");
    let numbered = playlist.segments.iter().zip(playlist.media_sequence..);
    numbered.filter(|(segment, _)| gap(segment)).map(|(_, seq)| seq).collect()
}
