use std::process::Command as Program;
use std::sync::LazyLock;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use actix::prelude::*;
use media::fmp4;
use media::packet::{AccessUnit, AudioFrame, Packet};
use protocol::ladder::LadderPlan;
use protocol::{Hash, Segment, Ticks};
use tokio::sync::mpsc;

use super::messages::{Attach, Finish, Status};
use super::{Segmenter, SegmenterConfig};
use crate::dispatcher::messages::Dispatch;
use crate::publisher::messages::{Audio, Cut, End};

const SECOND: i64 = Ticks::PER_SECOND;

/// Six seconds of generated video with sound, an IDR picture each second.
fn clip() -> Vec<Packet> {
    static CLIP: LazyLock<Vec<Packet>> = LazyLock::new(|| {
        let path = std::env::temp_dir().join(format!("segmenter-{}.mp4", std::process::id()));
        let status = Program::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-y",
                "-f",
                "lavfi",
                "-i",
                "testsrc2=s=640x360:r=30:d=6",
                "-f",
                "lavfi",
                "-i",
                "sine=d=6",
            ])
            .args([
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-pix_fmt",
                "yuv420p",
                "-g",
                "30",
                "-c:a",
                "aac",
            ])
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        let file = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        packets(&file.into())
    });
    CLIP.clone()
}

fn packets(file: &bytes::Bytes) -> Vec<Packet> {
    let movie = fmp4::parse(file).unwrap();
    let (config, video) = movie.video().unwrap();
    let mut timed: Vec<_> = video
        .samples
        .iter()
        .map(|sample| {
            let (pts, dts) = (Some(video.ticks(sample.pts)), Some(video.ticks(sample.dts)));
            (dts, Packet::Video(AccessUnit { pts, dts, idr: sample.key, data: sample.data.clone() }))
        })
        .collect();
    let (asc, audio) = movie.audio().unwrap();
    timed.extend(audio.samples.iter().map(|sample| {
        let pts = Some(audio.ticks(sample.pts));
        (pts, Packet::Audio(AudioFrame { pts, data: sample.data.clone() }))
    }));
    timed.sort_by_key(|(time, _)| *time);
    let configs = [Packet::VideoConfig(config.clone()), Packet::AudioConfig(asc.clone())];
    configs.into_iter().chain(timed.into_iter().map(|(_, packet)| packet)).collect()
}

/// What a neighbour was told.
#[derive(Debug)]
enum Told {
    Cut(Cut),
    Dispatch(Dispatch),
    Audio(Audio),
    End,
}

/// All neighbours in one.
struct World {
    told: std_mpsc::Sender<Told>,
}

impl Actor for World {
    type Context = Context<Self>;
}

macro_rules! hears {
    ($($message:ty => $told:expr;)*) => {$(
        impl Handler<$message> for World {
            type Result = ();
            fn handle(&mut self, message: $message, _: &mut Self::Context) {
                let told: fn($message) -> Told = $told;
                self.told.send(told(message)).unwrap();
            }
        }
    )*};
}
hears! {
    Cut => Told::Cut;
    Dispatch => Told::Dispatch;
    Audio => Told::Audio;
    End => |_| Told::End;
}

fn segmenter(first_seq: u64) -> (Addr<Segmenter>, std_mpsc::Receiver<Told>, Addr<World>) {
    let (told, heard) = std_mpsc::channel();
    let world = World { told }.start();
    let config = SegmenterConfig {
        stream: "me".parse().unwrap(),
        plan: LadderPlan::default(),
        first_seq,
        target: Ticks(2 * SECOND),
    };
    let neighbour = world.clone();
    let actor = Segmenter::new(
        config,
        neighbour.clone().recipient(),
        neighbour.clone().recipient(),
        neighbour.clone().recipient(),
        neighbour.recipient(),
    );
    (actor.start(), heard, world)
}

/// Publishes packets on a small channel and waits until they are taken.
async fn publish(segmenter: &Addr<Segmenter>, packets: Vec<Packet>) {
    let (send, taken) = mpsc::channel(8);
    let attached = segmenter.send(Attach { packets: taken });
    let feed = async move {
        for packet in packets {
            send.send(packet).await.unwrap();
        }
    };
    let (answer, ()) = futures::join!(attached, feed);
    answer.unwrap();
}

fn segments(told: &[Told]) -> Vec<Segment> {
    told.iter()
        .filter_map(|t| if let Told::Cut(cut) = t { Some(cut.segment.clone()) } else { None })
        .collect()
}

fn words(told: &[Told]) -> Vec<String> {
    let word = |told: &Told| match told {
        Told::Cut(cut) => format!("cut {}", cut.segment.id.seq),
        Told::Dispatch(dispatch) => format!("dispatch {}", dispatch.segment.id.seq),
        Told::Audio(audio) => format!("audio {}", audio.seq),
        Told::End => "end".into(),
    };
    told.iter().map(word).collect()
}

#[actix::test]
async fn every_segment_is_cut_dispatched_and_given_its_audio_in_order() {
    let (segmenter, heard, _world) = segmenter(5);
    publish(&segmenter, clip()).await;
    assert_eq!(segmenter.send(Finish).await.unwrap(), 8);
    let told: Vec<Told> = heard.try_iter().collect();
    let expected = [
        "cut 5",
        "dispatch 5",
        "audio 5",
        "cut 6",
        "dispatch 6",
        "audio 6",
        "cut 7",
        "dispatch 7",
        "audio 7",
        "end",
    ];
    let (mut spoken, mut wanted) = (words(&told), expected.map(String::from).to_vec());
    assert_eq!(spoken.split_off(9), wanted.split_off(9));
    let place = |word: &str| spoken.iter().position(|w| w == word).unwrap();
    for seq in 5..8 {
        assert!(place(&format!("cut {seq}")) < place(&format!("dispatch {seq}")));
        assert!(place(&format!("cut {seq}")) < place(&format!("audio {seq}")));
    }
    spoken.sort();
    wanted.sort();
    assert_eq!(spoken, wanted);
}

#[actix::test]
async fn a_segment_is_named_by_its_bytes_and_decodes_alone() {
    let (segmenter, heard, _world) = segmenter(0);
    publish(&segmenter, clip()).await;
    let told: Vec<Told> = heard.try_iter().collect();
    for segment in segments(&told) {
        assert_eq!(segment.hash, Hash::of(&segment.bytes));
        let movie = fmp4::parse(&segment.bytes).unwrap();
        let (config, track) = movie.video().unwrap();
        assert_eq!(config.info().unwrap().width, 640);
        assert!(media::avc::is_idr(&track.samples[0].data));
        assert_eq!(track.samples.len() as u32, segment.source.frames);
        assert_eq!(track.samples[0].pts, segment.start.0);
    }
    let ladders: Vec<usize> = told
        .iter()
        .filter_map(|t| if let Told::Dispatch(d) = t { Some(d.ladder.0.len()) } else { None })
        .collect();
    assert_eq!(ladders, [2, 2, 2], "240p and 360p of a 360p source");
}

#[actix::test]
async fn audio_files_join_without_a_gap() {
    let (segmenter, heard, _world) = segmenter(0);
    publish(&segmenter, clip()).await;
    let mut next = None;
    for told in heard.try_iter() {
        let Told::Audio(Audio { track: Some(track), .. }) = told else { continue };
        let movie = fmp4::parse(&track.bytes).unwrap();
        let samples = &movie.audio().unwrap().1.samples;
        assert_eq!(samples.len() as u32, track.frames);
        assert!(next.is_none_or(|next| next == samples[0].dts));
        next = samples.last().map(|last| last.dts + i64::from(last.duration));
    }
    assert!(next.is_some());
}

#[actix::test]
async fn a_second_publisher_continues_the_numbers_behind_a_discontinuity() {
    let (segmenter, heard, _world) = segmenter(0);
    publish(&segmenter, clip()).await;
    publish(&segmenter, clip()).await;
    let told: Vec<Told> = heard.try_iter().collect();
    let seen: Vec<_> = segments(&told).iter().map(|s| (s.id.seq, s.discontinuity)).collect();
    assert_eq!(seen, [(0, false), (1, false), (2, false), (3, true), (4, false), (5, false)]);
    let ends: Vec<_> = segments(&told).iter().map(|s| (s.start.0, s.start.0 + s.duration.0)).collect();
    assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].0));
}

#[actix::test]
async fn finishing_delivers_what_is_open_and_closes_the_publishers_channel() {
    let (segmenter, heard, _world) = segmenter(0);
    let (send, taken) = mpsc::channel(512);
    let attached = tokio::task::spawn_local(segmenter.send(Attach { packets: taken }));
    for packet in clip().into_iter().take(100) {
        send.send(packet).await.unwrap();
    }
    while send.capacity() < 512 {
        tokio::task::yield_now().await;
    }
    assert_eq!(segmenter.send(Finish).await.unwrap(), 1);
    tokio::time::timeout(Duration::from_secs(5), send.closed()).await.unwrap();
    attached.await.unwrap().unwrap();
    let words = words(&heard.try_iter().collect::<Vec<_>>());
    assert_eq!(words, ["cut 0", "dispatch 0", "audio 0", "end"]);
}

#[actix::test]
async fn a_dead_neighbour_does_not_end_the_stream() {
    let (segmenter, heard, world) = segmenter(0);
    struct Stop;
    impl Message for Stop {
        type Result = ();
    }
    impl Handler<Stop> for World {
        type Result = ();
        fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
            ctx.stop();
        }
    }
    world.send(Stop).await.unwrap();
    publish(&segmenter, clip()).await;
    assert_eq!(segmenter.send(Status).await.unwrap().segments, 3);
    assert_eq!(segmenter.send(Finish).await.unwrap(), 3);
    assert_eq!(heard.try_iter().count(), 0);
}
