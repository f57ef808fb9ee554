//! What FFmpeg makes of a served and of a recorded stream: an independent player, over real HTTP on loopback, reading
//! segments that were made by FFmpeg's own encoder and published by the actor.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use actix::Actor;
use actors::publisher::messages::{Audio, AudioTrack, Cut, End, Made};
use actors::publisher::{Library, Publisher, PublisherConfig};
use bytes::Bytes;
use media::packet::AudioConfig;
use protocol::ladder::LadderPlan;
use protocol::{Hash, Rendition, Segment, SegmentId, SourceInfo, StreamId, Ticks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Segments of the clip, 2 s each, 30 frames a second.
const SEGMENTS: u64 = 6;
const FRAMES: u32 = 60;

/// A clip cut into fragmented MP4 by FFmpeg: one directory a rendition, initialization segment apart.
struct Clip {
    dir: tempfile::TempDir,
}

impl Clip {
    fn make() -> Self {
        let clip = Self { dir: tempfile::tempdir().unwrap() };
        let codec = "-c:v libx264 -preset ultrafast -bf 2 -g 60 -sc_threshold 0";
        for (name, size) in [("source", "640x480"), ("240p", "320x240"), ("360p", "480x360")] {
            clip.cut(name, &format!("testsrc2=size={size}:rate=30:duration=12"), codec);
        }
        clip.cut("audio", "sine=frequency=440:sample_rate=48000:duration=11.9", "-c:a aac -ac 2");
        clip
    }

    fn cut(&self, name: &str, input: &str, codec: &str) {
        let dir = self.dir.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.current_dir(&dir).args(["-v", "error", "-f", "lavfi", "-i", input]).args(codec.split(' '));
        ffmpeg.args("-f hls -hls_time 2 -hls_list_size 0 -hls_segment_type fmp4".split(' '));
        ffmpeg.args(["-hls_segment_filename", "%d.m4s", "index.m3u8"]);
        let out = ffmpeg.output().expect("ffmpeg is installed");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// A segment as it travels: initialization segment and fragments in one.
    fn segment(&self, name: &str, seq: u64) -> Bytes {
        let read = |file: &str| std::fs::read(self.dir.path().join(name).join(file)).unwrap();
        [read("init.mp4"), read(&format!("{seq}.m4s"))].concat().into()
    }

    /// What FFmpeg counts in the clip itself, before it was published.
    async fn packets(&self) -> Vec<String> {
        let mut all = Vec::new();
        for name in ["audio", "240p", "360p", "source"] {
            all.extend(packets(self.dir.path().join(name).join("index.m3u8").to_str().unwrap()).await);
        }
        all
    }
}

/// Publishes the clip, all but what `missing` names by rendition and segment.
async fn publish(clip: &Clip, library: &Library, record: Option<PathBuf>, missing: &[(&str, u64)]) {
    let stream: StreamId = "me".parse().unwrap();
    let config = PublisherConfig { record, ..PublisherConfig::new(stream.clone()) };
    let publisher = Publisher::new(config, library.clone()).start();
    let mut ladder = LadderPlan::default().resolve(640, 480);
    ladder.0.truncate(2);
    for seq in 0..SEGMENTS {
        let start = Ticks(Ticks::PER_SECOND * 2 * seq as i64);
        let bytes = clip.segment("source", seq);
        let segment = Segment {
            id: SegmentId { stream: stream.clone(), seq },
            start,
            duration: Ticks(2 * Ticks::PER_SECOND),
            discontinuity: false,
            source: SourceInfo { width: 640, height: 480, frames: FRAMES },
            hash: Hash::of(&bytes),
            bytes,
        };
        publisher.send(Cut { segment, ladder: ladder.clone(), token: None }).await.unwrap();
        let config = AudioConfig { asc: Bytes::from_static(&[0x11, 0x90]) };
        let track = AudioTrack { config, start, frames: 94, bytes: clip.segment("audio", seq) };
        publisher.send(Audio { seq, track: Some(track) }).await.unwrap();
        let made = ["240p", "360p"].into_iter().enumerate().map(|(index, name)| {
            let bytes = clip.segment(name, seq);
            let there = !missing.contains(&(name, seq));
            there.then(|| Rendition { index, frames: FRAMES, pixels: 1, hash: Hash::of(&bytes), bytes })
        });
        publisher.send(Made { seq, renditions: made.collect() }).await.unwrap();
    }
    publisher.send(End).await.unwrap();
}

/// The least HTTP that a player needs: GET, Content-Length, one request a connection. Gives back the address.
async fn serve(library: Library) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            actix_rt::spawn(answer(socket, library.clone()));
        }
    });
    format!("http://{address}/")
}

async fn answer(mut socket: TcpStream, library: Library) {
    let mut request = [0; 4096];
    let length = socket.read(&mut request).await.unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    let found = library.resource(&"me".parse().unwrap(), path.split('?').next().unwrap_or(path));
    let (status, kind, body) = found.map_or(("404 Not Found", "text/plain", Bytes::new()), |resource| {
        ("200 OK", resource.content_type, resource.body)
    });
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
    let _ = socket.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
    let _ = socket.write_all(&body).await;
}

/// Runs a program to its end: what it said, and what it complained about.
async fn run(program: &str, args: &str, input: &str) -> (String, String) {
    let args: Vec<&str> = args.split(' ').map(|arg| if arg == "INPUT" { input } else { arg }).collect();
    let run = tokio::process::Command::new(program).args(args).output();
    let out = tokio::time::timeout(Duration::from_secs(120), run).await.expect("it ends").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{program}: {}", text(&out.stderr));
    (text(&out.stdout), text(&out.stderr))
}

/// Codec, width and number of packets of every stream, each once, sorted.
async fn packets(input: &str) -> Vec<String> {
    let args =
        "-v quiet -count_packets -show_entries stream=codec_name,width,nb_read_packets -of csv=p=0 INPUT";
    let (said, _) = run("ffprobe", args, input).await;
    let lines =
        said.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|line| !line.is_empty());
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines.dedup();
    lines
}

#[actix::test]
async fn ffmpeg_plays_every_rendition_of_a_served_stream_without_a_complaint() {
    let (clip, library) = (Clip::make(), Library::new());
    publish(&clip, &library, None, &[]).await;
    let url = serve(library).await + "master.m3u8";
    let published = packets(&url).await;
    assert_eq!(published, clip.packets().await);
    assert_eq!(published[1..], ["h264,320,360", "h264,480,360", "h264,640,360"]);
    let (_, complaints) = run("ffmpeg", "-v warning -xerror -i INPUT -map 0 -f null -", &url).await;
    assert_eq!(complaints, "");
}

#[actix::test]
async fn a_gap_costs_its_own_rendition_its_own_segment_only() {
    let (clip, library) = (Clip::make(), Library::new());
    publish(&clip, &library, None, &[("240p", 3)]).await;
    let base = serve(library).await;
    assert_eq!(packets(&format!("{base}360p/index.m3u8")).await, ["h264,480,360"]);
    assert_eq!(packets(&format!("{base}240p/index.m3u8")).await, ["h264,320,300"]);
}

#[actix::test]
async fn ffmpeg_plays_a_recording_from_disk() {
    let (clip, disk) = (Clip::make(), tempfile::tempdir().unwrap());
    publish(&clip, &Library::new(), Some(disk.path().to_owned()), &[]).await;
    let master = disk.path().join("me/master.m3u8");
    assert_eq!(packets(master.to_str().unwrap()).await, clip.packets().await);
}
