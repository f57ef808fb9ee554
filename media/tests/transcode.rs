//! Segments transcoded one by one, by backends that know nothing of each other, must join as if they had been one.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "transcode_support/source.rs"]
mod source;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use media::avc;
use media::fmp4::{self, Sample};
use media::transcode::{Backend, CpuBackend, InputError, Job, Limits, TranscodeError, dts_delay};
use protocol::rendition::{Fps, H264Profile};
use protocol::{Hash, Ladder, Rendition, RenditionSpec};
use source::{Recipe, cut, ffmpeg_is_here, rung, small_ladder, times, video};

fn transcode(segment: &Bytes, ladder: &Ladder) -> Result<Vec<Rendition>, TranscodeError> {
    limited(segment, ladder, Limits::default())
}

fn limited(segment: &Bytes, ladder: &Ladder, limits: Limits) -> Result<Vec<Rendition>, TranscodeError> {
    let mut made = Vec::new();
    let job = Job { segment: segment.clone(), ladder: ladder.clone(), limits };
    CpuBackend::new().transcode(&job, &mut |rendition| made.push(rendition))?;
    made.sort_by_key(|r| r.index);
    assert!(made.iter().map(|r| r.index).eq(0..ladder.0.len()));
    assert!(made.iter().all(|r| r.hash == Hash::of(&r.bytes)));
    Ok(made)
}

/// Joins all renditions of one rung: the header of the first, the fragments of all.
fn joined(renditions: &[Rendition]) -> (Vec<Sample>, Vec<u8>) {
    let mut file = fmp4::split(&renditions[0].bytes).unwrap().0.to_vec();
    let mut samples = Vec::new();
    for rendition in renditions {
        let (init, fragments) = fmp4::split(&rendition.bytes).unwrap();
        assert_eq!(init, file[..init.len()], "parameter sets stay the same");
        file.extend_from_slice(&fragments);
        samples.extend(video(&rendition.bytes).1);
    }
    (samples, file)
}

fn decodes_in_silence(file: &[u8]) {
    decodes_without(file, "warning");
}

/// Decodes a file and expects no message of this level or above.
fn decodes_without(file: &[u8], level: &str) {
    let mut child = Command::new("ffmpeg")
        .args(["-v", level, "-f", "mp4", "-i", "pipe:0", "-f", "null", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(file).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn assert_joins(renditions: &[Rendition], spec: &RenditionSpec, step: i64) {
    let (samples, file) = joined(renditions);
    let times = times(&samples);
    assert!(times.windows(2).all(|w| w[1] - w[0] == step), "constant step of {step} in {}", spec.name);
    assert!(
        samples.windows(2).all(|w| w[0].dts + i64::from(w[0].duration) == w[1].dts),
        "decoding times without gap"
    );
    assert!(samples.windows(2).all(|w| w[1].dts - w[0].dts == step), "even decoding times");
    assert!(samples.iter().all(|s| s.dts <= s.pts));
    for rendition in renditions {
        let first = &video(&rendition.bytes).1[0];
        assert!(first.key && avc::is_idr(&first.data));
        assert_eq!(first.pts - first.dts, dts_delay(spec).0);
    }
    decodes_in_silence(&file);
}

#[test]
fn segments_of_the_whole_ladder_join_without_a_seam() {
    if !ffmpeg_is_here() {
        return;
    }
    let ladder = small_ladder();
    let segments = Recipe { seconds: 10, ..Recipe::default() }.segments();
    assert_eq!(segments.len(), 5);
    let made: Vec<Vec<Rendition>> = segments.iter().map(|s| transcode(s, &ladder).unwrap()).collect();
    for (i, spec) in ladder.0.iter().enumerate() {
        let rung: Vec<Rendition> = made.iter().map(|renditions| renditions[i].clone()).collect();
        assert_joins(&rung, spec, 3000);
        for (rendition, segment) in rung.iter().zip(&segments) {
            assert_eq!(times(&video(&rendition.bytes).1), times(&video(segment).1));
            assert_eq!(rendition.pixels, u64::from(rendition.frames) * spec.pixels());
        }
    }
}

#[test]
fn without_b_frames_decoding_times_are_presentation_times() {
    if !ffmpeg_is_here() {
        return;
    }
    for profile in [H264Profile::ConstrainedBaseline, H264Profile::ConstrainedHigh] {
        let spec = RenditionSpec { profile, b_frames: 0, ..rung("240p", 426, 240, 250_000) };
        let ladder = Ladder(vec![spec.clone()]);
        let made: Vec<Rendition> =
            Recipe::default().segments().iter().flat_map(|s| transcode(s, &ladder).unwrap()).collect();
        assert_joins(&made, &spec, 3000);
        assert!(joined(&made).0.iter().all(|s| s.dts == s.pts));
    }
}

#[test]
fn converted_frame_rates_join_on_the_absolute_grid() {
    if !ffmpeg_is_here() {
        return;
    }
    let rates =
        [("30000/1001", 30, 3000), ("30", 24, 3750), ("25", 30, 3000), ("60", 30, 3000), ("50", 25, 3600)];
    for (rate, to, step) in rates {
        let spec = RenditionSpec { fps: Some(Fps { num: to, den: 1 }), ..rung("low", 160, 90, 100_000) };
        let ladder = Ladder(vec![spec.clone()]);
        let segments = Recipe { size: (320, 180), rate, ..Recipe::default() }.segments();
        let made: Vec<Rendition> = segments.iter().flat_map(|s| transcode(s, &ladder).unwrap()).collect();
        assert!(made.len() > 2);
        assert_joins(&made, &spec, step);
    }
}

#[test]
fn key_frames_come_on_the_absolute_grid_only() {
    if !ffmpeg_is_here() {
        return;
    }
    let spec = RenditionSpec { gop: Some(45_000), ..rung("240p", 426, 240, 250_000) };
    let ladder = Ladder(vec![spec.clone()]);
    let made: Vec<Rendition> =
        Recipe::default().segments().iter().flat_map(|s| transcode(s, &ladder).unwrap()).collect();
    let keys: Vec<i64> = joined(&made).0.iter().filter(|s| s.key).map(|s| s.pts).collect();
    assert_eq!(keys, (0..12).map(|i| 900_000 + i * 45_000).collect::<Vec<_>>());
    assert_joins(&made, &spec, 3000);
}

#[test]
fn two_runs_make_the_same_bytes() {
    if !ffmpeg_is_here() {
        return;
    }
    let segment = &Recipe::default().segments()[1];
    let hashes = || transcode(segment, &small_ladder()).unwrap().iter().map(|r| r.hash).collect::<Vec<_>>();
    assert_eq!(hashes(), hashes());
}

#[test]
fn portrait_and_odd_sizes_keep_their_shape() {
    if !ffmpeg_is_here() {
        return;
    }
    let sizes = [
        ((360, 640), (240, 426)),
        ((638, 358), (428, 240)),
        ((402, 718), (240, 428)),
        ((640, 360), (640, 360)),
    ];
    for (size, (width, height)) in sizes {
        let segments = Recipe { size, seconds: 2, ..Recipe::default() }.segments();
        let made = transcode(&segments[0], &Ladder(vec![rung("x", width, height, 300_000)])).unwrap();
        let sps = video(&made[0].bytes).0.info().unwrap();
        assert_eq!((sps.width, sps.height), (width, height));
    }
}

#[test]
fn a_full_range_or_10_bit_source_becomes_plain_video() {
    if !ffmpeg_is_here() {
        return;
    }
    let encodes = [
        "-c:v libx264 -preset ultrafast -pix_fmt yuvj420p",
        "-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le",
        "-c:v libx264 -preset ultrafast -pix_fmt yuv422p",
    ];
    for encode in encodes {
        let segments = Recipe { encode, seconds: 1, ..Recipe::default() }.segments();
        let made = transcode(&segments[0], &small_ladder()).unwrap();
        let sps = video(&made[0].bytes).0.info().unwrap();
        assert_eq!((sps.bit_depth_luma, sps.chroma_format), (8, 1));
        assert!(!sps.colour.is_some_and(|c| c.full_range));
    }
}

#[test]
fn one_picture_is_a_segment() {
    if !ffmpeg_is_here() {
        return;
    }
    let (config, samples) = video(&Recipe { seconds: 1, ..Recipe::default() }.segments()[0]);
    let segment = fmp4::video_segment(&config, 1, &samples[..1]).unwrap();
    let made = transcode(&segment, &small_ladder()).unwrap();
    assert!(made.iter().all(|r| r.frames == 1));
}

#[test]
fn a_new_size_inside_a_segment_is_scaled_to_the_same_rendition() {
    if !ffmpeg_is_here() {
        return;
    }
    let encode = "-c:v libx264 -preset ultrafast -bf 0 -g 30";
    let large = Recipe { encode, seconds: 1, ..Recipe::default() };
    let small = Recipe { size: (320, 180), encode, seconds: 1, ..Recipe::default() };
    let (config, mut samples) = video(&large.segments()[0]);
    let (other, more) = video(&small.segments()[0]);
    let parameters = avc::Avcc::parse(&other.avcc).unwrap();
    for (i, mut sample) in more.into_iter().enumerate() {
        let mut data = Vec::new();
        if i == 0 {
            for set in parameters.sps.iter().chain(&parameters.pps) {
                data.extend_from_slice(&(set.len() as u32).to_be_bytes());
                data.extend_from_slice(set);
            }
        }
        data.extend_from_slice(&sample.data);
        sample.data = data.into();
        sample.pts += 90_000;
        sample.dts += 90_000;
        samples.push(sample);
    }
    let segment = fmp4::video_segment(&config, 1, &samples).unwrap();
    let made = transcode(&segment, &small_ladder()).unwrap();
    assert!(made.iter().all(|r| r.frames == 60));
    decodes_in_silence(&made[0].bytes);
}

#[test]
fn a_few_broken_pictures_are_replaced_and_a_broken_segment_is_refused() {
    if !ffmpeg_is_here() {
        return;
    }
    let (config, mut samples) = video(&Recipe { seconds: 2, ..Recipe::default() }.segments()[0]);
    let scrap = Bytes::from_static(&[0, 0, 0, 4, 0x41, 0xff, 0xff, 0xff]);
    for sample in &mut samples[50..55] {
        sample.data = scrap.clone();
    }
    let segment = fmp4::video_segment(&config, 1, &samples).unwrap();
    let made = transcode(&segment, &small_ladder()).unwrap();
    assert_eq!(times(&video(&made[0].bytes).1), times(&samples));
    for sample in &mut samples {
        sample.data = scrap.clone();
    }
    let segment = fmp4::video_segment(&config, 1, &samples).unwrap();
    let refused = transcode(&segment, &small_ladder()).unwrap_err();
    assert!(
        matches!(refused, TranscodeError::Input(InputError::Undecodable { frames: 60, .. })),
        "{refused}"
    );
}

#[test]
fn bytes_that_are_no_segment_are_an_input_error() {
    let random: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bytes in [Bytes::new(), Bytes::from(random), Bytes::from_static(b"\0\0\0\x08ftyp")] {
        let refused = transcode(&bytes, &small_ladder()).unwrap_err();
        assert!(refused.is_input(), "{refused}");
    }
}

#[test]
fn a_segment_cut_short_anywhere_is_refused_or_made_but_never_worse() {
    if !ffmpeg_is_here() {
        return;
    }
    let segment = Recipe { size: (160, 90), seconds: 2, ..Recipe::default() }.segments().swap_remove(0);
    let ladder = Ladder(vec![rung("x", 80, 46, 50_000)]);
    for part in 1..24 {
        let cut = segment.slice(..segment.len() * part / 24);
        if let Err(refused) = transcode(&cut, &ladder) {
            assert!(refused.is_input(), "{refused}");
        }
    }
}

#[test]
fn another_codec_is_named_as_the_reason() {
    if !ffmpeg_is_here() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for encode in ["-c:v libx265 -preset ultrafast -x265-params log-level=none", "-c:v mpeg4"] {
        let recipe = Recipe { encode, seconds: 1, ..Recipe::default() };
        let file = recipe.file(dir.path(), "other.mp4", "-movflags empty_moov+frag_keyframe -f mp4");
        let refused = transcode(&std::fs::read(file).unwrap().into(), &small_ladder()).unwrap_err();
        assert!(refused.is_input() && refused.to_string().contains("H.264"), "{refused}");
    }
}

#[test]
fn every_limit_is_kept() {
    if !ffmpeg_is_here() {
        return;
    }
    let segment = Recipe { seconds: 2, ..Recipe::default() }.segments().swap_remove(0);
    let refused = |ladder: &Ladder, limits| limited(&segment, ladder, limits).unwrap_err();
    let ladder = small_ladder();
    let pixels = refused(&ladder, Limits { max_pixels: 640 * 360 - 1, ..Limits::default() });
    assert!(
        matches!(pixels, TranscodeError::Input(InputError::Pixels { width: 640, height: 360, .. })),
        "{pixels}"
    );
    let frames = refused(&ladder, Limits { max_frames: 59, ..Limits::default() });
    assert!(matches!(frames, TranscodeError::Input(InputError::Frames { frames: 60, max: 59 })), "{frames}");
    let fast =
        Ladder(vec![RenditionSpec { fps: Some(Fps { num: 239, den: 1 }), ..rung("x", 160, 90, 100_000) }]);
    let frames = refused(&fast, Limits { max_frames: 120, ..Limits::default() });
    assert!(
        matches!(frames, TranscodeError::Input(InputError::Frames { frames: 478, max: 120 })),
        "{frames}"
    );
    let wall = refused(&ladder, Limits { wall: Duration::ZERO, ..Limits::default() });
    assert!(matches!(wall, TranscodeError::Deadline(_)) && !wall.is_input(), "{wall}");
}

#[test]
fn a_source_with_uneven_times_keeps_them() {
    if !ffmpeg_is_here() {
        return;
    }
    let (config, samples) =
        video(&Recipe { seconds: 4, encode: "-c:v libx264 -bf 0 -g 60", ..Recipe::default() }.segments()[0]);
    // A phone that skips pictures: between one and nine steps from one to the next.
    let mut at = 900_000;
    let uneven: Vec<Sample> = (samples.into_iter().enumerate())
        .map(|(i, s)| {
            let duration = 3000 * (1 + (i as u32 * 7) % 9);
            let sample = Sample { pts: at, dts: at, duration, ..s };
            at += i64::from(duration);
            sample
        })
        .collect();
    let first = fmp4::video_segment(&config, 1, &uneven).unwrap();
    let second: Vec<Sample> = uneven
        .iter()
        .map(|s| Sample { pts: s.pts + at - 900_000, dts: s.dts + at - 900_000, ..s.clone() })
        .collect();
    let second = fmp4::video_segment(&config, 1, &second).unwrap();
    let made: Vec<Rendition> =
        [first, second].iter().map(|s| transcode(s, &small_ladder()).unwrap().swap_remove(1)).collect();
    let (joined, file) = joined(&made);
    assert_eq!(joined.len(), 120);
    assert!(
        joined.windows(2).all(|w| w[0].dts < w[1].dts && w[0].dts + i64::from(w[0].duration) == w[1].dts)
    );
    assert!(joined.iter().all(|s| s.dts <= s.pts));
    // A warning about uneven steps is due.
    decodes_without(&file, "error");
}

#[test]
fn a_source_too_early_for_decoding_times_is_refused() {
    if !ffmpeg_is_here() {
        return;
    }
    let (config, samples) =
        video(&Recipe { seconds: 1, encode: "-c:v libx264 -bf 0", ..Recipe::default() }.segments()[0]);
    let early: Vec<Sample> =
        samples.iter().map(|s| Sample { pts: s.pts - 900_000, dts: s.dts - 900_000, ..s.clone() }).collect();
    let segment = fmp4::video_segment(&config, 1, &early).unwrap();
    let refused = transcode(&segment, &small_ladder()).unwrap_err();
    assert!(matches!(refused, TranscodeError::Input(InputError::Time(_))), "{refused}");
}

#[test]
fn the_machine_says_what_it_encodes_with() {
    let can = CpuBackend::new().capabilities();
    assert_eq!(can.backend, "cpu");
    if can.encoders.is_empty() {
        println!("skipped: no libx264");
        return;
    }
    let core = can.core.unwrap();
    assert!(core.strip_prefix("x264-").unwrap().parse::<u32>().unwrap() > 100, "{core}");
}

#[test]
fn a_cut_file_is_what_the_tests_think_it_is() {
    if !ffmpeg_is_here() {
        return;
    }
    let segments = Recipe::default().segments();
    assert_eq!(segments.len(), 3);
    assert_eq!(video(&segments[0]).1[0].pts, 900_000);
    assert_eq!(cut(&segments[0]).len(), 1);
}
