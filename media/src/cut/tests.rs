use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use protocol::Hash;

use super::*;
use crate::avc::{is_idr, nal_type};
use crate::fmp4;
use crate::packet::{AccessUnit, AudioFrame};
use crate::timeline::START;

const SECOND: i64 = Ticks::PER_SECOND;

/// Generated video with sound, as packets in the order of a live publisher.
fn made(size: &str, seconds: u32, x264: &str) -> Vec<Packet> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.mp4");
    let picture = format!("testsrc2=s={size}:r=30:d={seconds}");
    let tone = format!("sine=r=48000:d={seconds}");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-x264-params",
            x264,
            "-c:a",
            "aac",
        ])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    packets(&std::fs::read(&path).unwrap().into())
}

fn packets(file: &Bytes) -> Vec<Packet> {
    let movie = fmp4::parse(file).unwrap();
    let (video_config, video) = movie.video().unwrap();
    let (audio_config, audio) = movie.audio().unwrap();
    let pictures = video.samples.iter().map(|sample| {
        let (pts, dts) = (Some(video.ticks(sample.pts)), Some(video.ticks(sample.dts)));
        (dts, Packet::Video(AccessUnit { pts, dts, idr: is_idr(&sample.data), data: sample.data.clone() }))
    });
    let frames = audio.samples.iter().map(|sample| {
        let pts = Some(audio.ticks(sample.pts));
        (pts, Packet::Audio(AudioFrame { pts, data: sample.data.clone() }))
    });
    let mut timed: Vec<_> = pictures.chain(frames).collect();
    timed.sort_by_key(|(time, _)| *time);
    let configs = [Packet::VideoConfig(video_config.clone()), Packet::AudioConfig(audio_config.clone())];
    configs.into_iter().chain(timed.into_iter().map(|(_, packet)| packet)).collect()
}

/// Ten seconds, one IDR picture a second, two B-frames.
fn clip() -> Vec<Packet> {
    static CLIP: LazyLock<Vec<Packet>> =
        LazyLock::new(|| made("320x180", 10, "keyint=30:min-keyint=30:scenecut=0:bframes=2"));
    CLIP.clone()
}

/// The same in another size.
fn small() -> Vec<Packet> {
    static CLIP: LazyLock<Vec<Packet>> =
        LazyLock::new(|| made("160x90", 4, "keyint=30:min-keyint=30:scenecut=0:bframes=2"));
    CLIP.clone()
}

struct Cuts {
    videos: Vec<CutVideo>,
    audios: Vec<CutAudio>,
    counts: Counts,
}

fn cut_to(target: Ticks, packets: impl IntoIterator<Item = Packet>) -> Cuts {
    let mut cutter = Cutter::new(target);
    let mut out = Vec::new();
    packets.into_iter().for_each(|packet| cutter.push(packet, &mut out));
    cutter.flush(&mut out);
    let (mut videos, mut audios) = (Vec::new(), Vec::new());
    for piece in out {
        match piece {
            Piece::Video(video) => videos.push(video),
            Piece::Audio(audio) => audios.push(audio),
        }
    }
    let cuts = Cuts { videos, audios, counts: cutter.counts() };
    cuts.check();
    cuts
}

fn cut(packets: impl IntoIterator<Item = Packet>) -> Cuts {
    cut_to(TARGET, packets)
}

impl Cuts {
    /// What holds of every stream, however hostile.
    fn check(&self) {
        let mut last_dts = i64::MIN;
        let mut numbers = BTreeSet::new();
        for (n, video) in self.videos.iter().enumerate() {
            assert_eq!(video.index, n as u64);
            assert!(video.duration.0 > 0 && video.duration <= Segment::MAX_DURATION);
            assert!(video.samples[0].key && video.samples[0].pts == video.start.0);
            for sample in &video.samples {
                assert!(sample.dts > last_dts && sample.pts >= sample.dts && sample.duration > 0);
                assert!(sample.pts >= video.start.0);
                last_dts = sample.dts;
            }
            let next = self.videos.get(n + 1).map_or(i64::MAX, |next| next.start.0);
            assert!(video.start.0 + video.duration.0 <= next, "segment {n} overlaps the next");
        }
        assert!(self.audios.iter().map(|audio| audio.index).eq(0..self.videos.len() as u64));
        for sample in
            self.audios.iter().filter_map(|audio| audio.part.as_ref()).flat_map(|part| &part.samples)
        {
            assert!(numbers.last().is_none_or(|&last| last < sample.pts) && numbers.insert(sample.pts));
        }
    }

    fn pictures(&self) -> usize {
        self.videos.iter().map(|video| video.samples.len()).sum()
    }

    fn frames(&self) -> Vec<&Sample> {
        self.audios.iter().filter_map(|audio| audio.part.as_ref()).flat_map(|part| &part.samples).collect()
    }

    fn lengths(&self) -> Vec<i64> {
        self.videos.iter().map(|video| video.duration.0 / 3000).collect()
    }

    fn breaks(&self) -> Vec<bool> {
        self.videos.iter().map(|video| video.discontinuity).collect()
    }
}

/// Changes every picture's times; `n` counts pictures.
fn retimed(packets: Vec<Packet>, change: impl Fn(usize, &mut AccessUnit)) -> Vec<Packet> {
    let mut n = 0;
    let mut packets = packets;
    for packet in &mut packets {
        if let Packet::Video(unit) = packet {
            change(n, unit);
            n += 1;
        }
    }
    packets
}

fn shifted(packets: Vec<Packet>, by: i64) -> Vec<Packet> {
    let mut packets = retimed(packets, |_, unit| {
        unit.pts = unit.pts.map(|pts| pts + Ticks(by));
        unit.dts = unit.dts.map(|dts| dts + Ticks(by));
    });
    for packet in &mut packets {
        if let Packet::Audio(frame) = packet {
            frame.pts = frame.pts.map(|pts| pts + Ticks(by));
        }
    }
    packets
}

fn video_only(packets: Vec<Packet>) -> Vec<Packet> {
    packets.into_iter().filter(|p| !matches!(p, Packet::Audio(_) | Packet::AudioConfig(_))).collect()
}

fn sent_audio(packets: &[Packet]) -> Vec<Hash> {
    let hash = |p: &Packet| if let Packet::Audio(frame) = p { Some(Hash::of(&frame.data)) } else { None };
    packets.iter().filter_map(hash).collect()
}

#[test]
fn a_steady_stream_is_cut_every_two_seconds_and_loses_nothing() {
    let cuts = cut(clip());
    assert_eq!(cuts.lengths(), [60; 5]);
    assert_eq!(cuts.pictures(), 300);
    assert_eq!(cuts.breaks(), [false; 5]);
    // The encoder's priming frame is heard before the first picture is seen.
    assert_eq!(cuts.counts, Counts { segments: 5, misplaced_audio: 1, ..Counts::default() });
    assert!(cuts.videos[0].start >= START);
}

#[test]
fn decoding_times_step_evenly_across_cuts() {
    let cuts = cut(clip());
    let times: Vec<i64> = cuts.videos.iter().flat_map(|v| &v.samples).map(|s| s.dts).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 3000));
    let durations: Vec<u32> = cuts.videos.iter().flat_map(|v| &v.samples).map(|s| s.duration).collect();
    assert!(durations.iter().all(|&duration| duration == 3000));
}

#[test]
fn audio_frames_are_the_publishers_own_and_follow_without_a_gap() {
    let packets = clip();
    let cuts = cut(packets.clone());
    let frames = cuts.frames();
    let hashes: Vec<Hash> = frames.iter().map(|frame| Hash::of(&frame.data)).collect();
    let sent = sent_audio(&packets);
    // The encoder's priming frame is presented before the first picture.
    assert_eq!(hashes, sent[sent.len() - hashes.len()..]);
    assert!(sent.len() - hashes.len() <= 1);
    assert!(frames.windows(2).all(|pair| pair[1].pts - pair[0].pts == 1024));
}

#[test]
fn every_audio_frame_is_in_the_segment_of_its_time() {
    let cuts = cut(clip());
    for (video, audio) in cuts.videos.iter().zip(&cuts.audios).take(4) {
        let part = audio.part.as_ref().unwrap();
        let end = Ticks::from_units(part.samples.last().unwrap().pts, 1, 48_000).unwrap();
        assert!(part.start >= video.start && end < video.start + video.duration);
    }
}

#[test]
fn video_is_out_at_the_moment_of_the_cut() {
    let mut cutter = Cutter::new(TARGET);
    let mut out = Vec::new();
    for packet in clip() {
        let idr_at_two =
            matches!(&packet, Packet::Video(unit) if unit.idr && unit.pts.unwrap().0 == 2 * SECOND);
        cutter.push(packet, &mut out);
        assert_eq!(idr_at_two, out.iter().any(|piece| matches!(piece, Piece::Video(_))));
        if idr_at_two {
            return;
        }
    }
    panic!("no IDR picture at two seconds");
}

#[test]
fn pictures_before_the_first_idr_are_dropped_and_counted() {
    let mut packets = clip();
    let first = packets.iter().position(|packet| matches!(packet, Packet::Video(_))).unwrap();
    packets.remove(first);
    let cuts = cut(packets);
    assert_eq!(cuts.counts.pictures_before_idr, 29);
    assert_eq!(cuts.pictures(), 270);
}

#[test]
fn missing_timestamps_lose_no_picture() {
    let cuts = cut(retimed(clip(), |n, unit| {
        if n % 3 == 1 {
            (unit.pts, unit.dts) = (None, None);
        }
    }));
    assert_eq!(cuts.pictures(), 300);
    let cuts = cut(video_only(retimed(clip(), |_, unit| (unit.pts, unit.dts) = (None, None))));
    assert_eq!((cuts.pictures(), cuts.lengths()), (300, vec![60; 5]));
}

#[test]
fn missing_decoding_times_lose_no_picture() {
    let cuts = cut(retimed(clip(), |_, unit| unit.dts = None));
    assert_eq!((cuts.pictures(), &cuts.lengths()[..4]), (300, &[60; 4][..]));
}

#[test]
fn duplicate_timestamps_lose_no_picture() {
    let cuts = cut(retimed(clip(), |n, unit| {
        if n % 7 == 3 {
            unit.pts = unit.pts.map(|pts| pts - Ticks(3000));
            unit.dts = unit.dts.map(|dts| dts - Ticks(3000));
        }
    }));
    assert_eq!(cuts.pictures(), 300);
}

#[test]
fn all_timestamps_zero_lose_no_picture() {
    let cuts =
        cut(video_only(retimed(clip(), |_, unit| (unit.pts, unit.dts) = (Some(Ticks(0)), Some(Ticks(0))))));
    assert!(cuts.pictures() >= 290, "{}", cuts.pictures());
}

#[test]
fn a_backward_step_loses_no_picture() {
    let cuts = cut(retimed(clip(), |n, unit| {
        if n >= 100 {
            unit.pts = unit.pts.map(|pts| pts - Ticks(45_000));
            unit.dts = unit.dts.map(|dts| dts - Ticks(45_000));
        }
    }));
    assert_eq!(cuts.pictures(), 300);
}

#[test]
fn a_jump_of_the_publishers_clock_is_a_discontinuity_and_no_hole() {
    for far in [-3600 * SECOND, 3600 * SECOND] {
        let mut packets = clip();
        let half = packets.len() / 2;
        let later = shifted(packets.split_off(half), far);
        let cuts = cut(packets.into_iter().chain(later));
        assert_eq!(cuts.pictures(), 300);
        assert_eq!(cuts.breaks().iter().filter(|broken| **broken).count(), 1);
        let total: i64 = cuts.lengths().iter().sum();
        assert!((299..=301).contains(&total), "{total}");
    }
}

#[test]
fn a_wrapped_counter_is_no_event() {
    for period in [1_i64 << 33, (1 << 32) * 90] {
        let wrap = |time: Option<Ticks>| time.map(|t| Ticks((t.0 + period - 5 * SECOND).rem_euclid(period)));
        let mut packets = retimed(clip(), |_, unit| (unit.pts, unit.dts) = (wrap(unit.pts), wrap(unit.dts)));
        for packet in &mut packets {
            if let Packet::Audio(frame) = packet {
                frame.pts = wrap(frame.pts);
            }
        }
        let cuts = cut(packets);
        assert_eq!((cuts.lengths(), cuts.breaks()), (vec![60; 5], vec![false; 5]));
        assert_eq!(cuts.counts.clock_jumps, 0);
    }
}

#[test]
fn segments_of_one_picture_are_segments() {
    let intra = made("160x90", 1, "keyint=1");
    let cuts = cut_to(Ticks(3000), intra);
    assert_eq!(cuts.videos.len(), 30);
    assert!(cuts.videos.iter().all(|video| video.samples.len() == 1 && video.duration == Ticks(3000)));
}

#[test]
fn a_new_resolution_starts_a_segment_with_a_discontinuity() {
    let cuts = cut(clip().into_iter().chain(shifted(small(), 10 * SECOND)));
    assert_eq!(cuts.pictures(), 420);
    let sizes: Vec<_> = cuts.videos.iter().map(|video| (video.info.width, video.discontinuity)).collect();
    assert_eq!(sizes[4..6], [(320, false), (160, true)]);
    assert!(sizes[6..].iter().all(|size| *size == (160, false)));
}

#[test]
fn parameters_changed_inside_the_stream_are_noticed() {
    let Packet::VideoConfig(config) = &small()[0] else { panic!("configuration first") };
    let sets = crate::avc::Avcc::parse(&config.avcc).unwrap();
    let prefix: Vec<u8> = [&sets.sps[0], &sets.pps[0]]
        .iter()
        .flat_map(|nal| [&(nal.len() as u32).to_be_bytes(), &nal[..]].concat())
        .collect();
    let hidden = shifted(small(), 10 * SECOND).into_iter().filter(|p| !matches!(p, Packet::VideoConfig(_)));
    let hidden = retimed(hidden.collect(), |n, unit| {
        if n == 0 {
            unit.data = [&prefix[..], &unit.data].concat().into();
        }
    });
    let cuts = cut(clip().into_iter().chain(hidden));
    assert_eq!(cuts.pictures(), 420);
    assert_eq!((cuts.videos[5].info.width, cuts.videos[5].discontinuity), (160, true));
}

#[test]
fn repeated_parameters_are_no_event() {
    let packets = clip();
    let config = packets[0].clone();
    let cuts = cut(packets.into_iter().flat_map(|packet| {
        let again = matches!(&packet, Packet::Video(unit) if unit.idr).then(|| config.clone());
        again.into_iter().chain([packet])
    }));
    assert_eq!((cuts.lengths(), cuts.breaks()), (vec![60; 5], vec![false; 5]));
}

#[test]
fn new_parameters_without_an_idr_picture_wait_for_one() {
    let other = small().remove(0);
    let mut packets = clip();
    packets.insert(200, other);
    let cuts = cut(packets);
    assert!((1..30).contains(&cuts.counts.pictures_before_idr));
    assert_eq!(cuts.pictures() as u64 + cuts.counts.pictures_before_idr, 300);
    assert_eq!(cuts.breaks().iter().filter(|broken| **broken).count(), 1);
}

#[test]
fn audio_that_starts_late_appears_in_its_segment() {
    let packets = clip();
    let late = packets.into_iter().filter(|packet| match packet {
        Packet::Audio(frame) => frame.pts.unwrap().0 >= 5 * SECOND,
        _ => true,
    });
    let cuts = cut(late);
    let has: Vec<bool> = cuts.audios.iter().map(|audio| audio.part.is_some()).collect();
    assert_eq!(has, [false, false, true, true, true]);
}

#[test]
fn audio_that_stops_stalls_nothing() {
    let mut cutter = Cutter::new(TARGET);
    let mut out = Vec::new();
    for packet in clip() {
        if !matches!(&packet, Packet::Audio(frame) if frame.pts.unwrap().0 >= 3 * SECOND) {
            cutter.push(packet, &mut out);
        }
    }
    let audios = out.iter().filter(|piece| matches!(piece, Piece::Audio(_))).count();
    assert_eq!(audios, 4, "the audio of four finished segments, without a flush");
}

#[test]
fn video_without_audio_waits_for_none() {
    let mut cutter = Cutter::new(TARGET);
    let mut out = Vec::new();
    video_only(clip()).into_iter().for_each(|packet| cutter.push(packet, &mut out));
    assert_eq!(out.len(), 8);
    assert!(
        out.chunks(2)
            .all(|pair| matches!(pair, [Piece::Video(_), Piece::Audio(CutAudio { part: None, .. })]))
    );
}

#[test]
fn audio_parameters_that_come_and_go_never_overlap() {
    let mut packets = clip();
    let other = Packet::AudioConfig(AudioConfig { asc: Bytes::from_static(&[0x12, 0x10]) });
    let config = packets[1].clone();
    packets.insert(201, other);
    packets.insert(211, config);
    for packet in &mut packets[212..260] {
        if let Packet::Audio(frame) = packet {
            frame.pts = frame.pts.map(|pts| pts - Ticks(20_000));
        }
    }
    let cuts = cut(packets);
    assert!(cuts.counts.overlapping_audio > 0);
    for part in cuts.audios.iter().filter_map(|audio| audio.part.as_ref()) {
        assert!(fmp4::audio_segment(&part.config, 1, &part.samples).is_ok());
    }
}

#[test]
fn a_reconnect_continues_with_a_discontinuity() {
    let again = std::iter::once(Packet::Discontinuity).chain(shifted(clip(), -77 * SECOND));
    let cuts = cut(clip().into_iter().chain(again));
    assert_eq!(cuts.pictures(), 600);
    let mut breaks = [false; 10];
    breaks[5] = true;
    assert_eq!(cuts.breaks(), breaks);
}

#[test]
fn a_publisher_gone_in_mid_gop_leaves_a_whole_last_segment() {
    let cuts = cut(video_only(clip()).into_iter().take(1 + 75));
    assert_eq!((cuts.pictures(), cuts.lengths()), (75, vec![60, 16]));
}

#[test]
fn pushed_segments_are_kept_as_pushed() {
    let pushed = clip().into_iter().flat_map(|packet| {
        let end = match &packet {
            Packet::Video(unit) if unit.idr && unit.pts.unwrap().0 == 4 * SECOND => {
                Some(Packet::Boundary { token: 40 })
            }
            Packet::Video(unit) if unit.idr && unit.pts.unwrap().0 == 5 * SECOND => {
                Some(Packet::Boundary { token: 50 })
            }
            _ => None,
        };
        end.into_iter().chain([packet])
    });
    let cuts = cut_to(Segment::MAX_DURATION, pushed);
    assert_eq!(cuts.lengths(), [120, 30, 150]);
    assert_eq!(cuts.videos.iter().map(|video| video.token).collect::<Vec<_>>(), [Some(40), Some(50), None]);
    assert_eq!(cuts.breaks(), [false; 3]);
}

#[test]
fn a_boundary_gives_out_video_and_audio_at_once() {
    let mut cutter = Cutter::new(Segment::MAX_DURATION);
    let mut out = Vec::new();
    clip().into_iter().for_each(|packet| cutter.push(packet, &mut out));
    cutter.push(Packet::Boundary { token: 1 }, &mut out);
    assert!(matches!(
        &out[..],
        [Piece::Video(CutVideo { token: Some(1), .. }), Piece::Audio(CutAudio { part: Some(_), .. })]
    ));
    cutter.push(Packet::Boundary { token: 2 }, &mut out);
    assert_eq!((out.len(), cutter.counts().unanswered_tokens), (2, 1));
}

#[test]
fn a_boundary_for_which_nobody_waits_leaves_nobody_unanswered() {
    let mut cutter = Cutter::new(Segment::MAX_DURATION);
    cutter.push(Packet::Boundary { token: NOBODY }, &mut Vec::new());
    assert_eq!(cutter.counts(), Counts::default());
}

#[test]
fn a_gop_without_end_is_bounded_and_the_next_idr_resumes() {
    let packets = video_only(clip());
    let (config, pictures) = packets.split_first().unwrap();
    let mut n = 0_i64;
    let mut at = || {
        n += 1;
        Some(Ticks(n * 3000))
    };
    let mut endless = vec![config.clone(), pictures[0].clone()];
    endless.extend((0..1200).map(|_| pictures[1].clone()));
    endless.extend(pictures[30..90].iter().cloned());
    for packet in &mut endless {
        if let Packet::Video(unit) = packet {
            unit.dts = at();
            unit.pts = unit.dts;
        }
    }
    let cuts = cut(endless);
    assert_eq!(cuts.counts.limits_reached, 1);
    assert!(cuts.counts.pictures_before_idr > 300);
    assert_eq!(cuts.breaks(), [false, true]);
    assert!(cuts.videos[0].duration <= Segment::MAX_DURATION);
}

#[test]
fn a_segment_never_grows_beyond_what_may_travel() {
    let packets = video_only(clip());
    let mut huge = vec![0, 0x50, 0, 0, nal_type::SLICE | 0x60];
    huge.resize(4 + 0x50_0000, 7);
    let huge = Bytes::from(huge);
    let cuts = cut(retimed(packets, |n, unit| {
        if n % 30 != 0 {
            unit.data = huge.clone();
        }
    }));
    assert!(cuts.counts.limits_reached > 0);
    for video in &cuts.videos {
        assert!(video.samples.iter().map(|sample| sample.data.len()).sum::<usize>() <= MAX_BYTES);
    }
}

#[test]
fn what_is_no_picture_is_counted_and_skipped() {
    let mut cutter = Cutter::new(TARGET);
    let mut out = Vec::new();
    for data in [&b""[..], b"\0\0\0\x09e", b"\0\0\0\x01\x09", b"abc"] {
        let data = Bytes::from_static(data);
        cutter.push(Packet::Video(AccessUnit { pts: None, dts: None, idr: true, data }), &mut out);
    }
    cutter.push(Packet::VideoConfig(VideoConfig { avcc: Bytes::from_static(b"no") }), &mut out);
    cutter.push(Packet::AudioConfig(AudioConfig { asc: Bytes::new() }), &mut out);
    cutter.push(Packet::Audio(AudioFrame { pts: None, data: Bytes::from_static(b"x") }), &mut out);
    let expected =
        Counts { malformed_pictures: 4, refused_configs: 2, refused_audio: 1, ..Counts::default() };
    assert_eq!((cutter.counts(), out.len()), (expected, 0));
}

#[test]
fn open_gops_are_cut_at_recovery_points_rather_than_never() {
    let open = made("160x90", 20, "keyint=60:min-keyint=60:scenecut=0:bframes=2:b-adapt=0:open-gop=1");
    let idrs = open.iter().filter(|packet| matches!(packet, Packet::Video(unit) if unit.idr)).count();
    assert_eq!(idrs, 1);
    let cuts = cut(open);
    assert!(cuts.videos.len() >= 2, "{:?}", cuts.lengths());
    assert!(cuts.counts.recovery_cuts > 0);
    assert!(cuts.counts.leading_pictures <= 2 * cuts.counts.recovery_cuts);
    assert_eq!(cuts.pictures() as u64 + cuts.counts.leading_pictures, 600);
}

#[test]
fn audio_only_makes_no_segment_and_keeps_no_more_than_its_queue() {
    let frames: Vec<Packet> =
        clip().into_iter().filter(|p| matches!(p, Packet::Audio(_) | Packet::AudioConfig(_))).collect();
    let cuts = cut(frames.iter().cloned().cycle().take(10_000));
    assert!(cuts.videos.is_empty() && cuts.audios.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_mutilation_of_a_stream_keeps_the_rules(
        changes in proptest::collection::vec((0..700_usize, 0..6_u8, any::<i64>()), 0..40),
    ) {
        let mut packets = clip();
        for (at, what, value) in changes {
            let at = at % packets.len();
            match (what, &mut packets[at]) {
                (0, Packet::Video(unit)) => unit.dts = Some(Ticks(value)),
                (1, Packet::Video(unit)) => unit.pts = Some(Ticks(value)),
                (2, Packet::Video(unit)) => (unit.pts, unit.dts) = (None, None),
                (3, Packet::Audio(frame)) => frame.pts = Some(Ticks(value)),
                (4, _) => { packets.remove(at); }
                (5, packet) => *packet = if value % 2 == 0 { Packet::Discontinuity } else { Packet::Boundary { token: 1 } },
                _ => {}
            }
        }
        let _ = cut(packets);
    }
}
