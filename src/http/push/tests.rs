//! Pushes over loopback through the real gate, segmenter and publisher. Containers are read and written by the ffmpeg program,
//! and the mesh is one that gives the source back for every rung, or nothing.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Recipient};
use actors::dispatcher::messages::Dispatch;
use actors::dispatcher::trace::SegmentTrace;
use actors::ingest::{Config, Died, Ingest, Keys, Open, RunningStream, StreamFactory, StreamHandle, Via};
use actors::publisher::messages::Made;
use actors::publisher::{Library, Publisher, PublisherConfig};
use actors::segmenter::messages::{Attach, Finish};
use actors::segmenter::{Segmenter, SegmenterConfig};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use media::packet::Packet;
use protocol::ladder::LadderPlan;
use protocol::{Rendition, StreamId, Ticks};
use reqwest::{Client, Method, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::{broadcast, mpsc};

use crate::http::state::State;
use crate::http::{NodeView, Site, serve};
use crate::ingest::gate::Gate;
use crate::ingest::push::{Container, Containers, Limits, Push, Unusable};
use crate::ingest::rtmp::flv_packets;

const SOON: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct NoView;

impl NodeView for NoView {
    fn state(&self) -> State {
        State::default()
    }
    fn traces(&self, _: &StreamId) -> Vec<SegmentTrace> {
        vec![]
    }
    fn subscribe_traces(&self) -> broadcast::Receiver<Arc<SegmentTrace>> {
        broadcast::channel(1).1
    }
    fn metrics(&self) -> String {
        String::new()
    }
}

/// Containers by the ffmpeg program.
#[derive(Debug)]
struct Ffmpeg;

async fn ffmpeg(args: &str, input: Bytes) -> Result<Bytes, Unusable> {
    let mut command = Command::new("ffmpeg");
    command.args("-hide_banner -loglevel error".split(' ')).args(args.split(' ')).kill_on_drop(true);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = async move {
        // A program that gives up early says why.
        let _ = stdin.write_all(&input).await;
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(output.stdout.into()) } else { Err(Unusable::Input(said)) }
}

#[async_trait]
impl Containers for Ffmpeg {
    async fn demux(&self, bytes: Bytes, container: Container) -> Result<Vec<Packet>, Unusable> {
        // MP4 wants to be read from a file: its index may be at the end.
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("pushed");
        std::fs::write(&path, &bytes).unwrap();
        let format = if container == Container::Ts { "mpegts" } else { "mp4" };
        let args = format!("-f {format} -i {} -c copy -copyts -f flv pipe:1", path.display());
        let flv = ffmpeg(&args, Bytes::new()).await?;
        Ok(flv_packets(flv))
    }

    async fn remux(
        &self,
        video: Bytes,
        audio: Option<Bytes>,
        container: Container,
    ) -> Result<Bytes, Unusable> {
        let dir = TempDir::new().unwrap();
        let path = |name| dir.path().join(name).display().to_string();
        std::fs::write(path("v.mp4"), &video).unwrap();
        let mut inputs = format!("-i {}", path("v.mp4"));
        if let Some(audio) = audio {
            std::fs::write(path("a.mp4"), &audio).unwrap();
            inputs = format!("{inputs} -i {}", path("a.mp4"));
        }
        let target =
            if container == Container::Ts { "mpegts" } else { "mp4 -movflags frag_keyframe+empty_moov" };
        ffmpeg(&format!("{inputs} -c copy -copyts -f {target} pipe:1"), Bytes::new()).await
    }
}

/// Streams of real segmenters and publishers.
#[derive(Clone, Debug)]
struct Streams {
    library: Library,
    works: bool,
}

/// Gives the source back for every rung.
struct Mirror {
    works: bool,
    publisher: Recipient<Made>,
}

impl Actor for Mirror {
    type Context = Context<Self>;
}

impl Handler<Dispatch> for Mirror {
    type Result = ();
    fn handle(&mut self, Dispatch { segment, ladder }: Dispatch, _: &mut Context<Self>) {
        let made = |index| Rendition {
            index,
            frames: segment.source.frames,
            pixels: 1,
            bytes: segment.bytes.clone(),
            hash: segment.hash,
        };
        let renditions = (0..ladder.0.len()).map(|index| self.works.then(|| made(index))).collect();
        self.publisher.try_send(Made { seq: segment.id.seq, renditions }).unwrap();
    }
}

impl StreamFactory for Streams {
    fn start(&self, stream: &StreamId, first_seq: u64, ladder: Option<LadderPlan>) -> StreamHandle {
        let publisher = Publisher::new(PublisherConfig::new(stream.clone()), self.library.clone()).start();
        let mirror = Mirror { works: self.works, publisher: publisher.clone().recipient() }.start();
        let config = SegmenterConfig {
            stream: stream.clone(),
            plan: ladder.unwrap_or_default(),
            first_seq,
            target: Ticks(2 * Ticks::PER_SECOND),
        };
        let (cut, audio, end) =
            (publisher.clone().recipient(), publisher.clone().recipient(), publisher.recipient());
        let segmenter = Segmenter::new(config, cut, audio, end, mirror.recipient()).start();
        Box::new(Running { attach: segmenter.clone().recipient(), finish: segmenter.recipient() })
    }
}

#[derive(Debug)]
struct Running {
    attach: Recipient<Attach>,
    finish: Recipient<Finish>,
}

impl RunningStream for Running {
    fn attach(&self, packets: mpsc::Receiver<Packet>) -> BoxFuture<'static, Result<(), Died>> {
        let sent = self.attach.send(Attach { packets });
        Box::pin(async { sent.await.map_err(|_| Died) })
    }
    fn finish(&self) -> BoxFuture<'static, u64> {
        let sent = self.finish.send(Finish);
        Box::pin(async { sent.await.unwrap_or(0) })
    }
}

struct World {
    address: SocketAddr,
    client: Client,
    library: Library,
    ingest: actix::Addr<Ingest>,
}

impl World {
    fn new() -> Self {
        Self::with(Config::default(), Limits::default(), true)
    }

    fn with(config: Config, limits: Limits, works: bool) -> Self {
        let library = Library::new();
        let ingest = Ingest::new(config, Arc::new(Streams { library: library.clone(), works })).start();
        let gate = Gate::new(ingest.clone().recipient(), ingest.clone().recipient(), None);
        let push = Push::new(gate, Arc::new(Ffmpeg), library.clone(), limits);
        let site = Site { library: library.clone(), view: Arc::new(NoView), push: Some(push) };
        let (server, address) = serve(TcpListener::bind("127.0.0.1:0").unwrap(), site).unwrap();
        actix_rt::spawn(server);
        Self { address, client: Client::new(), library, ingest }
    }

    fn push(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.client.request(Method::PUT, format!("http://{}{path}", self.address)).timeout(SOON).body(body)
    }

    async fn refused(&self, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, String) {
        let answer = self.push(path, body).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

/// Three segments of two seconds with audio.
async fn segments(extension: &str, codecs: &str) -> Vec<Bytes> {
    let dir = TempDir::new().unwrap();
    let kind = if extension == "ts" { "mpegts" } else { "mp4" };
    let args = format!(
        "-hide_banner -loglevel error -f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine -t 6 -pix_fmt yuv420p {codecs} \
         -f segment -segment_time 2 -segment_format {kind} {}/%d.{extension}",
        dir.path().display()
    );
    let made = Command::new("ffmpeg").args(args.split_whitespace()).status().await.unwrap();
    assert!(made.success());
    (0..3).map(|i| std::fs::read(dir.path().join(format!("{i}.{extension}"))).unwrap().into()).collect()
}

const H264: &str = "-c:v libx264 -preset ultrafast -g 60 -keyint_min 60 -sc_threshold 0 -c:a aac";

/// Name and bytes of each part.
fn parts(content_type: &str, mut body: Bytes) -> Vec<(String, String, Bytes)> {
    let boundary = format!("--{}", content_type.split_once("boundary=").unwrap().1);
    let mut parts = vec![];
    loop {
        body.advance(boundary.len());
        if body.starts_with(b"--") {
            return parts;
        }
        let end = body.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(body.split_to(end + 4).to_vec()).unwrap();
        let of = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let bytes = body.split_to(of("Content-Length: ").parse().unwrap());
        parts.push((of("Rendition-Name: "), of("Content-Type: "), bytes));
        body.advance(2);
    }
}

#[actix::test]
async fn pushed_segments_come_back_as_renditions_with_the_sources_audio() {
    let world = World::new();
    for (seq, segment) in segments("ts", H264).await.into_iter().enumerate() {
        let request = world.push(&format!("/live/me/{seq}.ts"), segment).header("Accept", "multipart/mixed");
        let answer = request
            .header("Content-Resolution", "640x360")
            .header("Content-Duration", "2000")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("multipart/mixed; boundary="), "{kind}");
        let parts = parts(&kind, answer.bytes().await.unwrap());
        let names: Vec<_> = parts.iter().map(|p| p.0.as_str()).collect();
        assert_eq!(names, ["240p", "360p"]);
        assert_eq!(parts[0].1, format!("video/mp2t; name=\"240p_{seq}.ts\""));
        let packets = Ffmpeg.demux(parts[0].2.clone(), Container::Ts).await.unwrap();
        assert_eq!(packets.iter().filter(|p| matches!(p, Packet::Video(_))).count(), 60);
        assert!(packets.iter().filter(|p| matches!(p, Packet::Audio(_))).count() > 80);
    }
    let info = &world.library.streams()[0];
    assert_eq!((info.next_seq, info.missing, info.audio), (3, 0, true));
    let get = async |path: &str| {
        let answer =
            world.client.get(format!("http://{}/live/me/{path}", world.address)).send().await.unwrap();
        let of = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let head =
            (answer.status(), of("content-type"), of("cache-control"), of("access-control-allow-origin"));
        (head, answer.text().await.unwrap_or_default())
    };
    let ok = |kind: &str, cache: &str| (StatusCode::OK, kind.to_owned(), cache.to_owned(), "*".to_owned());
    let (head, master) = get("master.m3u8").await;
    assert_eq!(head, ok("application/vnd.apple.mpegurl", "no-store"));
    assert!(master.contains("RESOLUTION=640x360"), "{master}");
    assert_eq!(get("source/1.m4s").await.0, ok("video/mp4", "public, max-age=31536000, immutable"));
}

#[actix::test]
async fn mp4_is_taken_and_without_the_accept_header_the_reply_is_empty() {
    let world = World::new();
    let ladder = r#"{"profiles":[{"name":"tiny","width":320,"height":180,"bitrate":200000}]}"#;
    let request = world.push("/live/me/0.mp4", segments("mp4", H264).await.remove(0));
    let answer = request.header("Livepeer-Transcode-Configuration", ladder).send().await.unwrap();
    assert_eq!((answer.status(), answer.bytes().await.unwrap()), (StatusCode::OK, Bytes::new()));
    assert_eq!(world.library.streams()[0].renditions[0].name, "tiny");
}

#[actix::test]
async fn a_stream_that_nobody_pushes_any_more_ends() {
    let limits = Limits { idle: Duration::from_millis(10), ..Limits::default() };
    let world = World::with(Config::default(), limits, true);
    let segment = segments("ts", H264).await.remove(0);
    assert_eq!(world.refused("/live/me/0.ts", segment).await.0, StatusCode::OK);
    let ended = async {
        while world.library.streams()[0].state != actors::publisher::StreamState::Ended {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, ended).await.expect("the stream does not end");
}

#[actix::test]
async fn without_orchestrators_the_pusher_is_told() {
    let world = World::with(Config::default(), Limits::default(), false);
    let (status, why) = world.refused("/live/me/0.ts", segments("ts", H264).await.remove(0)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(why.contains("No sessions available"), "{why}");
}

#[actix::test]
async fn a_dozen_bad_pushes_get_a_reason_each_and_the_other_stream_goes_on() {
    let keys = Keys::Shared(vec!["k".into()]);
    let world = World::with(Config { keys, max_streams: 2, ..Config::default() }, Limits::default(), true);
    let good = segments("ts", H264).await;
    assert_eq!(world.refused("/live/witness/0.ts?key=k", good[0].clone()).await.0, StatusCode::OK);

    let bad = StatusCode::BAD_REQUEST;
    let unusable = StatusCode::UNPROCESSABLE_ENTITY;
    let said = |(status, why): (StatusCode, String), expected: StatusCode, wanted: &str| {
        assert_eq!(status, expected, "{why}");
        assert!(why.contains("\"error\"") && why.contains(wanted), "{why}");
    };
    said(world.refused("/live/x/0.ts?key=k", "").await, bad, "empty");
    said(world.refused("/live/x/0.avi?key=k", "x").await, bad, "push to /live/NAME/SEQ.ts");
    said(world.refused("/live/x/a/b.ts?key=k", "x").await, bad, "push to /live/NAME/SEQ.ts");
    said(world.refused("/live/..x/0.ts?key=k", good[0].clone()).await, bad, "cannot name a stream");
    said(world.refused("/live/x/0.ts?key=k", vec![0x5A; 100_000]).await, unusable, "cannot be transcoded");
    said(world.refused("/live/x/0.ts?key=k", good[0].slice(..100)).await, unusable, "");
    said(world.refused("/live/x/0.ts", good[0].clone()).await, StatusCode::FORBIDDEN, "needs a stream key");
    said(world.refused("/live/x/0.ts?key=wrong", good[0].clone()).await, StatusCode::FORBIDDEN, "is wrong");
    said(world.refused("/live/witness/1.ts", good[1].clone()).await, StatusCode::FORBIDDEN, "is wrong");
    let huge = vec![0; super::MAX_BODY + 1];
    said(world.refused("/live/x/0.ts?key=k", huge).await, StatusCode::PAYLOAD_TOO_LARGE, "exceeds");
    let sound = segments("ts", "-vn -c:a aac").await.remove(0);
    said(world.refused("/live/x/0.ts?key=k", sound).await, unusable, "no video");

    let headers = [
        ("Content-Resolution", "1280"),
        ("Content-Duration", "-1"),
        ("Content-Slice-From", "500"),
        ("Livepeer-Transcode-Configuration", "{"),
    ];
    for (name, value) in headers {
        let answer =
            world.push("/live/x/0.ts?key=k", good[0].clone()).header(name, value).send().await.unwrap();
        said((answer.status(), answer.text().await.unwrap()), bad, name);
    }

    let page = world
        .push("/live/x/0.ts?key=k", good[0].clone())
        .header("Origin", "http://elsewhere")
        .send()
        .await
        .unwrap();
    said((page.status(), page.text().await.unwrap()), StatusCode::FORBIDDEN, "web page");

    let open = |name: &str| Open {
        stream: name.parse().unwrap(),
        key: Some("k".into()),
        via: Via::Rtmp,
        from: "an encoder".into(),
        ladder: None,
    };
    let encoder = world.ingest.send(open("taken")).await.unwrap().unwrap();
    said(world.refused("/live/taken/0.ts?key=k", good[0].clone()).await, StatusCode::FORBIDDEN, "an encoder");
    said(
        world.refused("/live/x/0.ts?key=k", good[0].clone()).await,
        StatusCode::SERVICE_UNAVAILABLE,
        "2 streams",
    );
    drop(encoder);

    let mut slow = TcpStream::connect(world.address).await.unwrap();
    slow.write_all(b"PUT /live/x/0.ts?key=k HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nab")
        .await
        .unwrap();
    let mut answer = vec![];
    tokio::time::timeout(SOON, slow.read_buf(&mut answer)).await.expect("no answer to a slow body").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));

    for (seq, segment) in good.into_iter().enumerate().skip(1) {
        let answer = world.refused(&format!("/live/witness/{seq}.ts?key=k"), segment).await;
        assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    }
    let witness = world.library.streams().into_iter().find(|s| s.id.as_str() == "witness").unwrap();
    assert_eq!((witness.next_seq, witness.missing), (3, 0));
}
