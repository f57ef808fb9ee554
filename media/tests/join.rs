//! The boundary test: a stream is cut, neighbouring segments are transcoded by different backends, every rendition passes the
//! T0 check, and what is put together has no seam.

use std::process::Command;

use bytes::Bytes;
use media::check::check;
use media::cut::{Counts, Cutter, Piece, TARGET};
use media::fmp4::{self, Sample};
use media::packet::{AccessUnit, Packet};
use media::transcode::{Backend, CpuBackend, Job, Limits};
use protocol::rendition::{Fps, H264Profile};
use protocol::{Ladder, RenditionSpec, Ticks};

const SECONDS: usize = 20;

fn publisher() -> Vec<Packet> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("in.mp4");
    let picture = format!("testsrc2=s=320x180:r=30000/1001:d={SECONDS}");
    let status = Command::new("ffmpeg")
        .args([
            "-v", "error", "-f", "lavfi", "-i", &picture, "-c:v", "libx264", "-preset", "veryfast", "-bf",
            "2",
        ])
        .args([
            "-pix_fmt",
            "yuv420p",
            "-g",
            "30",
            "-keyint_min",
            "30",
            "-sc_threshold",
            "0",
            "-video_track_timescale",
            "90000",
        ])
        .arg(&path)
        .status()
        .expect("ffmpeg runs");
    assert!(status.success());
    let movie = fmp4::parse(&std::fs::read(&path).expect("ffmpeg wrote").into()).expect("an MP4 file");
    let (config, track) = movie.video().expect("video");
    let unit = |sample: &Sample| {
        let (pts, dts) = (Some(track.ticks(sample.pts)), Some(track.ticks(sample.dts)));
        Packet::Video(AccessUnit { pts, dts, idr: sample.key, data: sample.data.clone() })
    };
    [Packet::VideoConfig(config.clone())].into_iter().chain(track.samples.iter().map(unit)).collect()
}

fn segments() -> Vec<Bytes> {
    let mut cutter = Cutter::new(TARGET);
    let mut out = Vec::new();
    publisher().into_iter().for_each(|packet| cutter.push(packet, &mut out));
    cutter.flush(&mut out);
    assert_eq!(cutter.counts(), Counts { segments: cutter.counts().segments, ..Counts::default() });
    let segment = |piece| match piece {
        Piece::Video(video) => {
            Some(fmp4::video_segment(&video.config, 1, &video.samples).expect("a segment"))
        }
        Piece::Audio(_) => None,
    };
    out.into_iter().filter_map(segment).collect()
}

fn rung(name: &str, fps: Option<Fps>, b_frames: u8) -> RenditionSpec {
    RenditionSpec {
        name: name.into(),
        width: 160,
        height: 90,
        bitrate: 150_000,
        fps,
        profile: H264Profile::High,
        b_frames,
        gop: None,
    }
}

#[test]
fn segments_of_alternating_backends_join_without_a_seam() {
    let ladder = Ladder(vec![
        rung("reordered", None, 3),
        rung("plain", None, 0),
        rung("converted", Some(Fps { num: 25, den: 1 }), 3),
    ]);
    let backends: [Box<dyn Backend>; 2] = [Box::new(CpuBackend::new()), Box::new(CpuBackend::inexact())];
    let segments = segments();
    assert_eq!(segments.len(), SECONDS / 2);
    let mut joined = vec![Vec::new(); ladder.0.len()];
    for (n, segment) in segments.iter().enumerate() {
        let job = Job { segment: segment.clone(), ladder: ladder.clone(), limits: Limits::default() };
        let mut take = |made: protocol::Rendition| {
            let checked = check(&made.bytes, &ladder.0[made.index], segment).expect("honest work passes");
            assert_eq!((checked.frames, checked.pixels), (made.frames, made.pixels));
            let movie = fmp4::parse(&made.bytes).expect("it was checked");
            joined[made.index].extend(movie.tracks.into_iter().flat_map(|track| track.samples));
        };
        backends[n % 2].transcode(&job, &mut take).expect("an honest segment");
    }
    for (samples, (frames, step)) in joined.iter().zip([(600, 3003), (600, 3003), (501, 3600)]) {
        let mut shown: Vec<i64> = samples.iter().map(|sample| sample.pts).collect();
        shown.sort_unstable();
        assert!(shown.len().abs_diff(frames) <= 1, "{} pictures", shown.len());
        assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == step));
        assert!(samples.windows(2).all(|pair| pair[0].dts + i64::from(pair[0].duration) == pair[1].dts));
        assert!(samples[0].pts >= 10 * Ticks::PER_SECOND);
    }
}
