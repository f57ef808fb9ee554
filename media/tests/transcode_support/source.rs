//! Generated source video, cut into segments as a broadcaster cuts it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests, each of which uses a part of it"
)]

use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use media::fmp4::{self, Sample};
use media::packet::VideoConfig;
use protocol::rendition::H264Profile;
use protocol::{Ladder, RenditionSpec};

/// What `ffmpeg` generates.
pub(crate) struct Recipe {
    pub(crate) size: (u32, u32),
    pub(crate) rate: &'static str,
    pub(crate) seconds: u32,
    pub(crate) encode: &'static str,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            size: (640, 360),
            rate: "30",
            seconds: 6,
            encode: "-c:v libx264 -preset ultrafast -bf 2 -g 60 -keyint_min 60 -sc_threshold 0",
        }
    }
}

/// Whether `ffmpeg` is there; says so when it is not.
pub(crate) fn ffmpeg_is_here() -> bool {
    let here =
        Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if !here {
        println!("skipped: no ffmpeg");
    }
    here
}

impl Recipe {
    /// Runs `ffmpeg` and returns the file it wrote, with times from 10 s on.
    pub(crate) fn file(&self, dir: &Path, name: &str, muxer: &str) -> std::path::PathBuf {
        let path = dir.join(name);
        let (w, h) = self.size;
        let source = format!("testsrc2=s={w}x{h}:r={}:d={}", self.rate, self.seconds);
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", &source])
            .args(["-pix_fmt", "yuv420p"])
            .args(self.encode.split_whitespace())
            .args(["-output_ts_offset", "10", "-avoid_negative_ts", "disabled"])
            .args(muxer.split_whitespace())
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        path
    }

    /// Segments of about two seconds, each starting at an IDR picture.
    pub(crate) fn segments(&self) -> Vec<Bytes> {
        let dir = tempfile::tempdir().unwrap();
        let muxer = "-movflags empty_moov+default_base_moof+frag_keyframe+frag_discont -use_editlist 0 \
                     -video_track_timescale 90000 -f mp4";
        let bytes = std::fs::read(self.file(dir.path(), "source.mp4", muxer)).unwrap();
        cut(&bytes.into())
    }
}

/// Cuts a fragmented MP4 before each of its key frames.
pub(crate) fn cut(file: &Bytes) -> Vec<Bytes> {
    let movie = fmp4::parse(file).unwrap();
    let (config, track) = movie.video().unwrap();
    assert_eq!(track.timescale, fmp4::VIDEO_TIMESCALE);
    let mut groups: Vec<Vec<Sample>> = Vec::new();
    for sample in &track.samples {
        if sample.key {
            groups.push(Vec::new());
        }
        groups.last_mut().unwrap().push(sample.clone());
    }
    groups.iter().map(|samples| fmp4::video_segment(config, 1, samples).unwrap()).collect()
}

/// The video of a file.
pub(crate) fn video(bytes: &Bytes) -> (VideoConfig, Vec<Sample>) {
    let movie = fmp4::parse(bytes).unwrap();
    let (config, track) = movie.video().unwrap();
    (config.clone(), track.samples.clone())
}

/// Presentation times in order.
pub(crate) fn times(samples: &[Sample]) -> Vec<i64> {
    let mut times: Vec<i64> = samples.iter().map(|s| s.pts).collect();
    times.sort_unstable();
    times
}

/// One rung with three B-frames.
pub(crate) fn rung(name: &str, width: u32, height: u32, bitrate: u32) -> RenditionSpec {
    RenditionSpec {
        name: name.into(),
        width,
        height,
        bitrate,
        fps: None,
        profile: H264Profile::High,
        b_frames: 3,
        gop: None,
    }
}

/// 240p, 360p.
pub(crate) fn small_ladder() -> Ladder {
    Ladder(vec![rung("240p", 426, 240, 250_000), rung("360p", 640, 360, 800_000)])
}
