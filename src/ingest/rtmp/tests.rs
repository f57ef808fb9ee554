//! The server on loopback: published to by the ffmpeg program, and by strangers.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use actix::Addr;
use actors::ingest::{Config, Drain, Ingest, Keys};
use media::packet::Packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Limits, serve};
use crate::ingest::testing::Taken;
use crate::ingest::webhook::Webhook;

const SOON: Duration = Duration::from_secs(20);

struct World {
    addr: SocketAddr,
    taken: Taken,
    ingest: Addr<Ingest>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl World {
    async fn new() -> Self {
        Self::with(Config::default(), Limits::default(), None).await
    }

    async fn with(config: Config, limits: Limits, webhook: Option<Webhook>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, taken, stop) = (listener.local_addr().unwrap(), Taken::new(), CancellationToken::new());
        let (gate, ingest) = taken.gate(config, webhook);
        let serving = tokio::spawn(serve(listener, gate, limits, stop.clone()));
        Self { addr, taken, ingest, stop, serving }
    }

    /// Publishes test pictures and a tone with the ffmpeg program.
    fn ffmpeg(&self, path: &str, seconds: u32, extra: &str) -> Child {
        let codecs = if extra.contains("-c:v") { "" } else { "-c:v libx264 -preset veryfast -g 30 -c:a aac" };
        let (pace, extra) =
            if extra.contains("-re") { ("-re", extra.replace("-re", "")) } else { ("", extra.into()) };
        let args = format!(
            "-hide_banner -loglevel error {pace} -f lavfi -i testsrc2=size=320x240:rate=30 -f lavfi -i sine=sample_rate=44100 \
             -t {seconds} -pix_fmt yuv420p {codecs} {extra} -f flv rtmp://{}/{path}",
            self.addr
        );
        let mut command = Command::new("ffmpeg");
        command.args(args.split_whitespace()).stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// A stream that has to go on, whatever happens beside it.
    async fn witness(&self) -> Child {
        let child = self.ffmpeg("live/witness", 60, "-c:v libx264 -preset ultrafast -g 30 -c:a aac -re");
        self.taken.until("witness", |took| took.videos() > 5).await;
        child
    }

    async fn witness_goes_on(&self, mut child: Child) {
        let before = self.taken.of("witness").videos();
        self.taken.until("witness", |took| took.videos() > before + 5).await;
        assert!(child.try_wait().unwrap().is_none(), "the witness's publisher ended");
        assert!(!self.taken.of("witness").packets.iter().any(|p| matches!(p, Packet::Discontinuity)));
    }

    async fn stranger(&self) -> Stranger {
        Stranger(TcpStream::connect(self.addr).await.unwrap())
    }

    /// A stranger who has shaken hands and connected.
    async fn connected(&self) -> Stranger {
        let mut stranger = self.stranger().await;
        stranger.shake_hands().await;
        stranger.command("connect", &[&[3, 0, 3][..], b"app", &text("live"), &[0, 0, 9]].concat()).await;
        stranger.command("createStream", &[5]).await;
        stranger
    }

    async fn publishing(&self, name: &str) -> Stranger {
        let mut stranger = self.connected().await;
        stranger.command("publish", &[&[5][..], &text(name), &text("live")].concat()).await;
        stranger.reads_until("NetStream.Publish.Start").await;
        stranger
    }
}

/// A peer that writes what it likes.
struct Stranger(TcpStream);

impl Stranger {
    async fn send(&mut self, bytes: &[u8]) {
        // The server may have closed already; what it said is read later.
        let _ = self.0.write_all(bytes).await;
    }

    async fn shake_hands(&mut self) {
        self.send(&[&[3][..], &[0; 2 * 1536]].concat()).await;
        self.0.read_exact(&mut [0; 1 + 2 * 1536]).await.unwrap();
    }

    async fn message(&mut self, kind: u8, body: &[u8]) {
        let mut bytes = vec![];
        for (i, part) in body.chunks(128).enumerate() {
            match i {
                0 => {
                    bytes.extend([3, 0, 0, 0]);
                    bytes.extend(&(body.len() as u32).to_be_bytes()[1..]);
                    bytes.extend([kind, 1, 0, 0, 0]);
                }
                _ => bytes.push(0xC3),
            }
            bytes.extend(part);
        }
        self.send(&bytes).await;
    }

    async fn command(&mut self, name: &str, rest: &[u8]) {
        self.message(20, &[&text(name)[..], &[0], &1.0_f64.to_be_bytes(), rest].concat()).await;
    }

    /// Everything that the server says until it closes.
    async fn hears(mut self) -> String {
        let mut said = vec![];
        // A reset is an end too.
        let _ = timeout(SOON, self.0.read_to_end(&mut said)).await.expect("the server keeps the connection");
        String::from_utf8_lossy(&said).into_owned()
    }

    async fn reads_until(&mut self, wanted: &str) {
        let (mut said, wanted) = (vec![], wanted.as_bytes());
        while !said.windows(wanted.len()).any(|w| w == wanted) {
            assert!(timeout(SOON, self.0.read_buf(&mut said)).await.unwrap().unwrap() > 0, "closed");
        }
    }
}

fn text(s: &str) -> Vec<u8> {
    [&[2][..], &(s.len() as u16).to_be_bytes(), s.as_bytes()].concat()
}

async fn ends(child: Child) -> (bool, String) {
    let output = timeout(SOON, child.wait_with_output()).await.expect("ffmpeg does not end").unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[actix::test]
async fn ffmpegs_stream_arrives_whole_with_its_reordering() {
    let world = World::new().await;
    assert_eq!(ends(world.ffmpeg("live/me", 2, "-bf 2")).await, (true, String::new()));
    let took = world.taken.until("me", |took| took.videos() == 60).await;
    assert!((85..=90).contains(&took.audios()), "{}", took.audios());
    assert!(
        matches!(took.packets[0], Packet::VideoConfig(_))
            || matches!(took.packets[0], Packet::AudioConfig(_))
    );
    let units: Vec<_> =
        took.packets.iter().filter_map(|p| if let Packet::Video(u) = p { Some(u) } else { None }).collect();
    assert!(units.windows(2).all(|w| w[0].dts < w[1].dts));
    assert!(units.iter().any(|u| u.pts > u.dts));
    assert_eq!(units.iter().filter(|u| u.idr).count(), 2);
}

#[actix::test]
async fn equal_silent_frames_keep_their_times() {
    let world = World::new().await;
    let silence = "-af volume=0 -c:v libx264 -preset ultrafast -c:a aac -b:a 32k";
    assert!(ends(world.ffmpeg("live/me", 2, silence)).await.0);
    let took = world.taken.until("me", |took| took.videos() == 60).await;
    let times: Vec<_> =
        took.packets.iter().filter_map(|p| if let Packet::Audio(a) = p { a.pts } else { None }).collect();
    let steps: Vec<_> = times.windows(2).map(|w| (w[1] - w[0]).as_millis()).collect();
    assert!(steps.iter().all(|step| (22..=24).contains(step)), "{steps:?}");
}

#[actix::test]
async fn a_publisher_that_reconnects_continues_with_a_discontinuity() {
    let world = World::new().await;
    assert!(ends(world.ffmpeg("live/me", 1, "")).await.0);
    world.taken.until("me", |took| took.videos() == 30).await;
    assert!(ends(world.ffmpeg("live/me", 1, "")).await.0);
    let took = world.taken.until("me", |took| took.videos() == 60).await;
    assert_eq!(took.packets.iter().filter(|p| matches!(p, Packet::Discontinuity)).count(), 1);
    assert!(!took.finished);
}

#[actix::test]
async fn draining_ends_streams_then_connections_then_the_server() {
    let world = World::new().await;
    let mut publisher = world.witness().await;
    world.stop.cancel();
    world.ingest.send(Drain).await.unwrap();
    timeout(SOON, world.serving).await.expect("the server does not end").unwrap();
    timeout(SOON, publisher.wait()).await.expect("the publisher does not end").unwrap();
    assert!(world.taken.of("witness").finished);
}

#[actix::test]
async fn mp3_audio_is_dropped_and_video_goes_on() {
    let world = World::new().await;
    assert!(ends(world.ffmpeg("live/me", 1, "-c:v libx264 -preset ultrafast -c:a libmp3lame")).await.0);
    let took = world.taken.until("me", |took| took.videos() == 30).await;
    assert_eq!(took.audios(), 0);
}

#[actix::test]
async fn ten_strangers_are_told_what_is_wrong_and_the_witness_goes_on() {
    let limits = Limits { handshake: Duration::from_secs(1), idle: Duration::from_secs(3), connections: 64 };
    let world = World::with(Config::default(), limits, None).await;
    let witness = world.witness().await;

    let mut garbage = world.stranger().await;
    garbage.send(&[0x47; 5000]).await;
    assert_eq!(garbage.hears().await, "");

    let mut truncated = world.stranger().await;
    truncated.send(&[3; 700]).await;
    truncated.0.shutdown().await.unwrap();
    assert_eq!(truncated.hears().await, "");

    let mut slow = world.stranger().await;
    slow.send(&[3]).await;
    assert_eq!(slow.hears().await, "");

    let silent = world.connected().await;
    assert!(silent.hears().await.contains("no publish command within"));

    let mut random = world.stranger().await;
    random.shake_hands().await;
    random
        .send(&(0..4000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x40).collect::<Vec<_>>())
        .await;
    assert!(random.hears().await.contains("NetStream.Publish.BadName"));

    let mut huge = world.connected().await;
    huge.send(&[4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0]).await;
    assert!(huge.hears().await.contains("exceeds the limit"));

    let mut nested = world.stranger().await;
    nested.shake_hands().await;
    nested.command("connect", &[3, 0, 1, b'a'].repeat(2000)).await;
    assert!(nested.hears().await.contains("nested more than"));

    let mut array = world.stranger().await;
    array.shake_hands().await;
    array.command("connect", &[10, 0xFF, 0xFF, 0xFF, 0xFF]).await;
    assert!(array.hears().await.contains("cut short"));

    let mut watcher = world.connected().await;
    watcher.command("play", &[&[5][..], &text("witness")].concat()).await;
    assert!(watcher.hears().await.contains("playing over RTMP is not supported"));

    let mut chatter = world.connected().await;
    for _ in 0..20 {
        chatter.message(18, &[0; 8000]).await;
    }
    assert!(chatter.hears().await.contains("before the publish command"));

    let mut bad_name = world.connected().await;
    bad_name.command("publish", &[&[5][..], &text("..%2f..")].concat()).await;
    assert!(bad_name.hears().await.contains("cannot name a stream"));

    let mut second = world.connected().await;
    second.command("publish", &[&[5][..], &text("witness")].concat()).await;
    assert!(second.hears().await.contains("is being published already"));

    let mut hevc = world.publishing("hevc").await;
    hevc.message(9, &[&[0x90][..], b"hvc1", &[0; 30]].concat()).await;
    assert!(hevc.hears().await.contains("set the encoder to H.264"));

    let mut rubbish = world.publishing("rubbish").await;
    for _ in 0..100 {
        rubbish.message(9, &[0x27, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1]).await;
    }
    assert!(rubbish.hears().await.contains("unusable messages in a row"));

    let idle = world.publishing("idle").await;
    assert!(idle.hears().await.contains("no video and no audio"));

    world.witness_goes_on(witness).await;
}

#[actix::test]
async fn ffmpeg_is_told_that_a_codec_is_not_supported() {
    let world = World::new().await;
    let (success, _) = ends(world.ffmpeg("live/old", 3, "-re -c:v flv1 -an")).await;
    assert!(!success);
    assert_eq!(world.taken.of("old").videos(), 0);
}

#[actix::test]
async fn keys_are_required_where_they_are_configured() {
    let keys = Keys::PerStream([("me".parse().unwrap(), "s3cret".into())].into());
    let world = World::with(Config { keys, ..Config::default() }, Limits::default(), None).await;
    assert!(!ends(world.ffmpeg("live/me", 1, "")).await.0);
    assert!(!ends(world.ffmpeg("live/me/wrong", 1, "")).await.0);
    assert!(!ends(world.ffmpeg("live/you/s3cret", 1, "")).await.0);
    assert!(world.taken.names().is_empty());
    assert!(ends(world.ffmpeg("live/me/s3cret", 1, "")).await.0);
    world.taken.until("me", |took| took.videos() == 30).await;
    assert!(ends(world.ffmpeg("live/s3cret", 1, "")).await.0);
    world.taken.until("me", |took| took.videos() == 60).await;
    assert_eq!(world.taken.names(), ["me"]);
}

#[actix::test]
async fn connections_beyond_the_limit_are_closed_and_slots_come_back() {
    let world = World::with(Config::default(), Limits { connections: 1, ..Limits::default() }, None).await;
    let first = world.publishing("me").await;
    assert_eq!(world.stranger().await.hears().await, "");
    drop(first);
    let freed = async {
        loop {
            let mut next = world.stranger().await;
            next.send(&[&[3][..], &[0; 1536]].concat()).await;
            if next.0.read_exact(&mut [0; 1 + 1536]).await.is_ok() {
                return;
            }
        }
    };
    timeout(SOON, freed).await.expect("the slot does not come back");
}
