//! Real worker processes, driven as a node drives them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "transcode_support/source.rs"]
mod source;

use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use media::avc;
use media::fmp4;
use media::packet::Packet;
use media::transcode::{Backend, CpuBackend, Job, Limits};
use media::worker::{Target, WorkerConfig, WorkerError, Workers};
use protocol::{Hash, Ladder, Rendition, Ticks};
use source::{Recipe, ffmpeg_is_here, rung, small_ladder, times, video};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longer than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(120);

fn config(count: usize) -> WorkerConfig {
    WorkerConfig::new(env!("CARGO_BIN_EXE_media-worker"), Vec::new(), count)
}

async fn workers(count: usize) -> Workers {
    Workers::start(config(count)).await.unwrap()
}

fn job(segment: &Bytes, ladder: Ladder) -> Job {
    Job { segment: segment.clone(), ladder, limits: Limits::default() }
}

fn segment(seconds: u32) -> Bytes {
    let encode = "-c:v libx264 -preset ultrafast -g 600 -sc_threshold 0";
    Recipe { seconds, encode, ..Recipe::default() }.segments().swap_remove(0)
}

async fn all(workers: &Workers, job: Job) -> Result<Vec<Rendition>, WorkerError> {
    let (out, mut made) = mpsc::channel(16);
    timeout(LONG, workers.transcode(job, out)).await.unwrap()?;
    let mut renditions = Vec::new();
    while let Some(rendition) = made.recv().await {
        renditions.push(rendition);
    }
    renditions.sort_by_key(|r| r.index);
    Ok(renditions)
}

/// Kills a process that this test started.
fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn a_worker_makes_the_same_renditions_as_the_backend() {
    if !ffmpeg_is_here() {
        return;
    }
    let (workers, segment) = (workers(1).await, segment(2));
    let made = all(&workers, job(&segment, small_ladder())).await.unwrap();
    let mut expected = Vec::new();
    CpuBackend::new().transcode(&job(&segment, small_ladder()), &mut |r| expected.push(r)).unwrap();
    expected.sort_by_key(|r| r.index);
    assert_eq!(made, expected);
    assert!(made.iter().all(|r| r.hash == Hash::of(&r.bytes)));
}

#[tokio::test]
async fn a_worker_can_reach_nothing() {
    let workers = workers(1).await;
    let protections = workers.protections();
    assert!(protections.limits, "{protections:?}");
    if !protections.seccomp {
        println!("skipped: no seccomp in this kernel");
        return;
    }
    let isolation = workers.self_test().await.unwrap();
    assert!(
        isolation.files_refused && isolation.network_refused && isolation.programs_refused,
        "{isolation:?}"
    );
    println!("{protections:?} {isolation:?}");
}

#[tokio::test]
async fn a_worker_tells_what_it_can_do() {
    let can = workers(1).await.probe().await.unwrap();
    assert_eq!(can, CpuBackend::new().capabilities());
}

#[tokio::test]
async fn a_killed_worker_is_replaced_and_no_rendition_comes_twice() {
    if !ffmpeg_is_here() {
        return;
    }
    let workers = workers(1).await;
    let pid = workers.idle_pids()[0];
    let (out, mut made) = mpsc::channel(16);
    // The small rung has long been made when the large one is in the middle.
    let ladder = Ladder(vec![rung("large", 1920, 1080, 6_000_000), rung("small", 64, 36, 50_000)]);
    let work = workers.transcode(job(&segment(4), ladder), out);
    let watch = async {
        let first = made.recv().await.unwrap();
        kill(pid);
        let second = made.recv().await.unwrap();
        assert!(made.recv().await.is_none());
        (first.index, second.index)
    };
    let (stats, order) = timeout(LONG, async { tokio::join!(work, watch) }).await.unwrap();
    assert_eq!(order, (1, 0));
    assert_eq!(stats.unwrap().frames_in, 120);
    assert_ne!(workers.idle_pids(), [pid]);
}

#[tokio::test]
async fn an_idle_worker_that_died_costs_nothing() {
    if !ffmpeg_is_here() {
        return;
    }
    let workers = workers(1).await;
    kill(workers.idle_pids()[0]);
    assert_eq!(all(&workers, job(&segment(1), small_ladder())).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_stopped_and_the_next_one_is_done() {
    if !ffmpeg_is_here() {
        return;
    }
    let (workers, segment) = (workers(1).await, segment(4));
    let ladder = Ladder(vec![rung("large", 3840, 2160, 20_000_000)]);
    let limits = Limits { wall: Duration::from_millis(300), ..Limits::default() };
    let late = all(&workers, Job { limits, ..job(&segment, ladder) }).await.unwrap_err();
    assert!(matches!(late, WorkerError::Deadline(_)), "{late}");
    assert_eq!(all(&workers, job(&segment, small_ladder())).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_dropped_job_kills_its_worker() {
    if !ffmpeg_is_here() {
        return;
    }
    let workers = workers(1).await;
    let pid = workers.idle_pids()[0];
    let (out, mut made) = mpsc::channel(16);
    let ladder = Ladder(vec![rung("large", 1920, 1080, 6_000_000), rung("small", 64, 36, 50_000)]);
    let segment = segment(4);
    tokio::select! {
        _ = workers.transcode(job(&segment, ladder), out) => panic!("the job is not dropped"),
        first = made.recv() => assert!(first.is_some()),
    }
    let gone = async {
        while std::fs::metadata(format!("/proc/{pid}/exe")).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, gone).await.unwrap();
    assert_eq!(all(&workers, job(&segment, small_ladder())).await.unwrap().len(), 2);
}

#[tokio::test]
async fn memory_beyond_the_limit_is_the_workers_fault_and_not_the_segments() {
    if !ffmpeg_is_here() {
        return;
    }
    let workers = Workers::start(WorkerConfig { memory: 400 << 20, ..config(1) }).await.unwrap();
    let large = Ladder(vec![rung("large", 3840, 2160, 20_000_000), rung("larger", 4096, 2304, 20_000_000)]);
    let segment = segment(1);
    let failed = all(&workers, job(&segment, large)).await.unwrap_err();
    assert!(matches!(failed, WorkerError::Internal(_) | WorkerError::Crashed { .. }), "{failed}");
    let small = Ladder(vec![rung("small", 160, 90, 50_000)]);
    assert_eq!(all(&workers, job(&segment, small)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn hostile_bytes_get_a_clear_answer_from_a_worker_that_lives_on() {
    let workers = workers(1).await;
    let pid = workers.idle_pids();
    let random: Bytes =
        (0..1_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect::<Vec<_>>().into();
    let transport = Bytes::from([&[0x47u8; 188 * 100][..], &random[..]].concat());
    let boxes =
        Bytes::from([&b"\0\0\0\x18ftypisom\0\0\x02\0isomiso6\xff\xff\xff\xffmoov"[..], &random[..]].concat());
    let matroska = Bytes::from([&[0x1a, 0x45, 0xdf, 0xa3][..], &random[..]].concat());
    let flv = Bytes::from([&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &random[..]].concat());
    for bytes in [Bytes::new(), random, transport, boxes, matroska, flv] {
        let refused = workers.demux(bytes.clone()).await.unwrap_err();
        assert!(matches!(refused, WorkerError::Input(_)), "{refused:?}");
        let refused = all(&workers, job(&bytes, small_ladder())).await.unwrap_err();
        assert!(matches!(refused, WorkerError::Input(_)), "{refused:?}");
        let refused = workers.remux(bytes.clone(), Some(bytes), Target::MpegTs).await.unwrap_err();
        assert!(matches!(refused, WorkerError::Input(_)), "{refused:?}");
    }
    assert_eq!(workers.idle_pids(), pid, "none of this killed the worker");
}

/// A short file with sound.
fn with_sound(dir: &std::path::Path, name: &str, args: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    let status = Command::new("ffmpeg")
        .args("-v error -y -f lavfi -i testsrc2=s=320x180:r=30:d=2 -f lavfi -i sine=r=48000:d=2".split(' '))
        .args(args.split_whitespace())
        .arg(&path)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    path
}

const H264_AAC: &str = "-c:v libx264 -preset ultrafast -bf 2 -g 30 -pix_fmt yuv420p -c:a aac";

struct Counted {
    pictures: usize,
    idr: usize,
    frames: usize,
    configs: (usize, usize),
    first_pts: Option<Ticks>,
}

fn count(packets: &[Packet]) -> Counted {
    let mut counted = Counted { pictures: 0, idr: 0, frames: 0, configs: (0, 0), first_pts: None };
    for packet in packets {
        match packet {
            Packet::VideoConfig(config) => {
                assert_eq!(config.info().unwrap().width, 320);
                counted.configs.0 += 1;
            }
            Packet::Video(unit) => {
                assert!(counted.configs.0 > 0, "parameters come before pictures");
                assert!(avc::nals(&unit.data).all(|nal| nal.is_ok()));
                counted.first_pts = counted.first_pts.or(unit.pts);
                counted.pictures += 1;
                counted.idr += usize::from(unit.idr);
            }
            Packet::AudioConfig(config) => {
                assert_eq!(config.info().unwrap().rate, 48_000);
                counted.configs.1 += 1;
            }
            Packet::Audio(frame) => {
                assert!(counted.configs.1 > 0 && frame.data[..1] != [0xff], "raw frames, no ADTS");
                counted.frames += 1;
            }
            Packet::Discontinuity | Packet::Boundary { .. } => panic!("not from a file"),
        }
    }
    counted
}

#[tokio::test]
async fn every_container_is_taken_apart_to_the_same_packets() {
    if !ffmpeg_is_here() {
        return;
    }
    let (workers, dir) = (workers(1).await, tempfile::tempdir().unwrap());
    let containers = [
        ("a.ts", "-f mpegts"),
        ("a.mp4", "-f mp4"),
        ("b.mp4", "-f mp4 -movflags empty_moov+frag_keyframe+default_base_moof"),
        ("a.mkv", "-f matroska"),
        ("a.flv", "-f flv"),
    ];
    for (name, container) in containers {
        let path = with_sound(dir.path(), name, &format!("{H264_AAC} {container}"));
        let packets = workers.demux(std::fs::read(path).unwrap().into()).await.unwrap();
        let counted = count(&packets);
        assert_eq!((counted.pictures, counted.idr), (60, 2), "{name}");
        assert_eq!(counted.configs, (1, 1), "{name}");
        assert!((94..=96).contains(&counted.frames), "{name}: {}", counted.frames);
        assert!(counted.first_pts.is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_file_on_disk_streams_at_the_readers_pace() {
    if !ffmpeg_is_here() {
        return;
    }
    let (workers, dir) = (workers(1).await, tempfile::tempdir().unwrap());
    let path = with_sound(dir.path(), "a.mp4", &format!("{H264_AAC} -f mp4"));
    let (out, mut packets) = mpsc::channel(1);
    let reading = workers.demux_file(std::fs::File::open(&path).unwrap(), out);
    let counting = async {
        let mut all = Vec::new();
        while let Some(packet) = packets.recv().await {
            all.push(packet);
        }
        count(&all)
    };
    let (read, counted) = timeout(LONG, async { tokio::join!(reading, counting) }).await.unwrap();
    read.unwrap();
    assert_eq!((counted.pictures, counted.idr, counted.configs), (60, 2, (1, 1)));
    let (out, _packets) = mpsc::channel(1);
    let refused = workers.demux_file(std::fs::File::open(dir.path()).unwrap(), out).await.unwrap_err();
    assert!(matches!(refused, WorkerError::Input(_)), "{refused}");
}

#[tokio::test]
async fn a_codec_that_is_not_supported_is_named() {
    if !ffmpeg_is_here() {
        return;
    }
    let (workers, dir) = (workers(1).await, tempfile::tempdir().unwrap());
    let others = [
        ("-c:v libx265 -preset ultrafast -x265-params log-level=none -c:a aac -f mpegts", "hevc"),
        ("-c:v mpeg2video -c:a aac -f mpegts", "mpeg2video"),
        ("-c:v libvpx -b:v 200k -an -f matroska", "vp8"),
        ("-c:v libx264 -preset ultrafast -c:a mp2 -f mpegts", "mp2"),
    ];
    for (i, (args, codec)) in others.into_iter().enumerate() {
        let path = with_sound(dir.path(), &i.to_string(), args);
        let refused = workers.demux(std::fs::read(path).unwrap().into()).await.unwrap_err();
        assert!(
            matches!(&refused, WorkerError::Input(what) if what.contains(codec) && what.contains("publish")),
            "{refused}"
        );
    }
    let sound = with_sound(dir.path(), "sound", "-vn -c:a aac -f mpegts");
    let refused = workers.demux(std::fs::read(sound).unwrap().into()).await.unwrap_err();
    assert!(refused.to_string().contains("H.264"), "{refused}");
}

#[tokio::test]
async fn a_remuxed_rendition_keeps_its_absolute_times() {
    if !ffmpeg_is_here() {
        return;
    }
    let (workers, dir) = (workers(1).await, tempfile::tempdir().unwrap());
    let made = all(&workers, job(&segment(2), small_ladder())).await.unwrap();
    let path = with_sound(dir.path(), "a.mp4", &format!("{H264_AAC} -f mp4"));
    let packets = workers.demux(std::fs::read(path).unwrap().into()).await.unwrap();
    let audio = audio_from(&packets, 10);
    for target in [Target::MpegTs, Target::Mp4] {
        let file = workers.remux(made[0].bytes.clone(), Some(audio.clone()), target).await.unwrap();
        let packets = workers.demux(file).await.unwrap();
        let mut pts: Vec<i64> = Vec::new();
        let mut first_sound = None;
        for packet in &packets {
            match packet {
                Packet::Video(unit) => pts.push(unit.pts.unwrap().0),
                Packet::Audio(frame) => first_sound = first_sound.or(frame.pts),
                _ => {}
            }
        }
        pts.sort_unstable();
        assert_eq!(pts, times(&video(&made[0].bytes).1), "{target:?}");
        assert_eq!(first_sound, Some(Ticks(900_000)), "{target:?}");
    }
    let silent = workers.remux(made[0].bytes.clone(), None, Target::MpegTs).await.unwrap();
    assert_eq!(silent[0], 0x47);
}

/// An audio segment that starts at a whole second.
fn audio_from(packets: &[Packet], second: i64) -> Bytes {
    let mut config = None;
    let mut samples = Vec::new();
    for packet in packets {
        match packet {
            Packet::AudioConfig(found) => config = Some(found.clone()),
            Packet::Audio(frame) => {
                let dts = second * 48_000 + samples.len() as i64 * 1024;
                let data = frame.data.clone();
                samples.push(fmp4::Sample { dts, pts: dts, duration: 1024, key: true, data });
            }
            _ => {}
        }
    }
    fmp4::audio_segment(&config.unwrap(), 1, &samples).unwrap()
}

#[tokio::test]
async fn four_jobs_share_two_workers() {
    if !ffmpeg_is_here() {
        return;
    }
    let (workers, segment) = (workers(2).await, segment(1));
    let one = || all(&workers, job(&segment, small_ladder()));
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    assert!([a, b, c, d].into_iter().all(|made| made.unwrap().len() == 2));
    assert_eq!(workers.idle_pids().len(), 2);
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_found_out_at_once() {
    let missing = Workers::start(WorkerConfig::new("/no/such/program", Vec::new(), 1)).await.unwrap_err();
    assert!(matches!(missing, WorkerError::Start { .. }), "{missing}");
    let other = Workers::start(WorkerConfig::new("/bin/true", Vec::new(), 1)).await.unwrap_err();
    assert!(matches!(other, WorkerError::Crashed { .. }), "{other}");
}
