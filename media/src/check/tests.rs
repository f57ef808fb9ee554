use std::process::Command;
use std::sync::LazyLock;

use bytes::BytesMut;
use proptest::prelude::*;
use protocol::rendition::Fps;

use super::*;
use crate::avc::nal_type;
use crate::fmp4::{parse, video_segment};
use crate::packet::VideoConfig;

/// Two seconds of generated video at 90 kHz from 10 s on, decoding times as the specification wants them.
fn made(options: &str, size: &str, rate: u32, delay: i64) -> (VideoConfig, Vec<Sample>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    let input = format!("testsrc2=s={size}:r={rate}:d=2");
    let status = Command::new("ffmpeg")
        .args([
            "-v", "error", "-f", "lavfi", "-i", &input, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset",
            "veryfast",
        ])
        .args(["-b:v", "400k", "-maxrate", "400k", "-bufsize", "400k", "-x264-params", options])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    let movie = parse(&std::fs::read(&path).unwrap().into()).unwrap();
    let (config, track) = movie.video().unwrap();
    let step = Ticks::PER_SECOND / i64::from(rate);
    let samples = (0..)
        .zip(&track.samples)
        .map(|(n, sample)| Sample {
            dts: 900_000 + n * step - delay,
            pts: 900_000 + track.ticks(sample.pts).0,
            duration: step as u32,
            ..sample.clone()
        })
        .collect();
    (config.clone(), samples)
}

fn honest() -> (VideoConfig, Vec<Sample>) {
    static MADE: LazyLock<(VideoConfig, Vec<Sample>)> =
        LazyLock::new(|| made("bframes=3:keyint=infinite", "320x180", 30, dts_delay(&spec()).0));
    MADE.clone()
}

fn source() -> Bytes {
    static SOURCE: LazyLock<Bytes> = LazyLock::new(|| {
        let (config, samples) = made("bframes=0:keyint=infinite", "640x360", 30, 0);
        video_segment(&config, 1, &samples).unwrap()
    });
    SOURCE.clone()
}

fn spec() -> RenditionSpec {
    RenditionSpec {
        name: "180p".into(),
        width: 320,
        height: 180,
        bitrate: 400_000,
        fps: None,
        profile: H264Profile::High,
        b_frames: 3,
        gop: None,
    }
}

/// The verdict on the honest rendition after `change`.
fn verdict(change: impl FnOnce(&mut Vec<Sample>)) -> Result<Checked, Violation> {
    let (config, mut samples) = honest();
    change(&mut samples);
    check(&video_segment(&config, 1, &samples).unwrap(), &spec(), &source())
}

fn ordered(change: impl FnOnce(&mut RenditionSpec)) -> Result<Checked, Violation> {
    let (config, samples) = honest();
    let mut spec = spec();
    change(&mut spec);
    check(&video_segment(&config, 1, &samples).unwrap(), &spec, &source())
}

fn nal(kind: u8, length: usize) -> Bytes {
    let mut unit = BytesMut::from(&((length + 1) as u32).to_be_bytes()[..]);
    unit.extend_from_slice(&[kind]);
    unit.resize(length + 5, 0xFF);
    unit.freeze()
}

fn with(data: &Bytes, more: &Bytes) -> Bytes {
    [&data[..], more].concat().into()
}

#[test]
fn an_honest_rendition_passes_and_its_pixels_are_counted() {
    let checked = verdict(|_| ()).unwrap();
    assert_eq!((checked.frames, checked.pixels), (60, 60 * 320 * 180));
    assert_eq!((checked.start, checked.dts_delay), (Ticks(900_000), dts_delay(&spec())));
}

#[test]
fn another_size_or_profile_is_found() {
    assert!(matches!(ordered(|s| s.width = 426), Err(Violation::Size { found: (320, 180), .. })));
    assert!(matches!(ordered(|s| s.profile = H264Profile::Main), Err(Violation::Profile { found: 100, .. })));
}

#[test]
fn a_missing_picture_is_found() {
    assert_eq!(verdict(|s| drop(s.remove(20))), Err(Violation::Frames { expected: 60, found: 59 }));
}

#[test]
fn a_shifted_picture_is_found() {
    let found = verdict(|s| {
        s.iter_mut().for_each(|sample| (sample.dts, sample.pts) = (sample.dts + 1, sample.pts + 1))
    });
    assert_eq!(found, Err(Violation::Time { index: 0, expected: 900_000, found: 900_001 }));
}

#[test]
fn another_reorder_depth_is_found() {
    let found = verdict(|s| s.iter_mut().for_each(|sample| sample.dts -= 3000));
    assert!(matches!(found, Err(Violation::Decoding { index: 0, .. })), "{found:?}");
}

#[test]
fn a_rendition_without_an_idr_picture_first_is_found() {
    let found = verdict(|s| {
        s[0].key = false;
        let mut data = BytesMut::new();
        data.extend_from_slice(&nal(nal_type::SLICE, 100));
        s[0].data = data.freeze();
    });
    assert_eq!(found, Err(Violation::Key { index: 0, why: "a rendition starts with an IDR picture" }));
}

#[test]
fn a_false_key_mark_is_found() {
    assert!(matches!(verdict(|s| s[7].key = true), Err(Violation::Key { index: 7, .. })));
}

#[test]
fn missing_key_frames_on_the_grid_are_found() {
    assert!(matches!(ordered(|s| s.gop = Some(90_000)), Err(Violation::Key { .. })));
    assert!(ordered(|s| s.gop = Some(180_000)).is_ok());
}

#[test]
fn a_sample_without_a_picture_is_found() {
    assert!(matches!(
        verdict(|s| s[5].data = nal(nal_type::SEI, 10)),
        Err(Violation::NoPicture { index: 5, .. })
    ));
    assert!(matches!(
        verdict(|s| s[5].data = Bytes::from_static(b"broken")),
        Err(Violation::NoPicture { index: 5, .. })
    ));
}

#[test]
fn filler_is_found() {
    let found = verdict(|s| s.iter_mut().for_each(|s| s.data = with(&s.data, &nal(nal_type::FILLER, 250))));
    assert!(matches!(found, Err(Violation::Empty { what: "filler", .. })), "{found:?}");
    let found = verdict(|s| s.iter_mut().for_each(|s| s.data = with(&s.data, &nal(nal_type::SEI, 350))));
    assert!(matches!(found, Err(Violation::Empty { what: "metadata", .. })), "{found:?}");
}

#[test]
fn bytes_in_no_picture_are_found() {
    let (config, samples) = honest();
    let file = video_segment(&config, 1, &samples).unwrap();
    let padded = [&file[..], &9008_u32.to_be_bytes(), b"free", &[0; 9000]].concat();
    let found = check(&padded.into(), &spec(), &source());
    assert!(matches!(found, Err(Violation::Empty { what: "in no picture", .. })), "{found:?}");
}

#[test]
fn a_rendition_above_its_bit_rate_is_found() {
    assert!(matches!(ordered(|s| s.bitrate = 100_000), Err(Violation::Bitrate { .. })));
}

#[test]
fn a_converted_frame_rate_is_counted_on_the_absolute_grid() {
    let mut spec = RenditionSpec { fps: Some(Fps { num: 15, den: 1 }), ..spec() };
    let (config, samples) = made("bframes=3:keyint=infinite", "320x180", 15, dts_delay(&spec).0);
    let file = video_segment(&config, 1, &samples).unwrap();
    assert_eq!(check(&file, &spec, &source()).map(|checked| checked.frames), Ok(30));
    spec.fps = Some(Fps { num: 25, den: 1 });
    assert_eq!(check(&file, &spec, &source()), Err(Violation::Frames { expected: 50, found: 30 }));
}

#[test]
fn whose_fault_it_is_is_told_apart() {
    let (config, samples) = honest();
    let file = video_segment(&config, 1, &samples).unwrap();
    assert!(matches!(check(&file, &spec(), &Bytes::new()), Err(Violation::Source(_))));
    assert!(matches!(check(&Bytes::new(), &spec(), &source()), Err(Violation::Unreadable(_))));
}

proptest! {
    #[test]
    fn damaged_renditions_are_never_a_panic(damage in proptest::collection::vec((0..3000_usize, any::<u8>()), 1..6)) {
        let (config, samples) = honest();
        let mut file = video_segment(&config, 1, &samples).unwrap().to_vec();
        for (at, value) in damage {
            file[at] = value;
        }
        let _ = check(&file.into(), &spec(), &source());
    }
}
