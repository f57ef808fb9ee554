//! Strangers at the media port: some break the protocol, and some keep it and offer segments that are none, which the worker
//! process gets to see. All are told what is wrong.

use std::net::{SocketAddr, UdpSocket};

use ::media::fmp4;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use p2p::Identity;
use p2p::identity::peer_key_of;
use p2p::media::raw::Raw;
use p2p::media::{Answer, MediaConfig, MediaEndpoint};
use protocol::rendition::H264Profile;
use protocol::{Hash, Ladder, Offer, PeerKey, PricePerPixel, RenditionSpec, SegmentId, SourceInfo, Ticks};
use tokio::time::{Duration, sleep, timeout};

use crate::world::{Node, World, ffmpeg, succeeded};
use crate::{SOON, noise};

/// When an honest segment starts: before it there must be room for decoding times.
const START: Ticks = Ticks(10 * Ticks::PER_SECOND);

/// Where the node is, and who.
#[derive(Clone, Copy)]
pub(crate) struct Door {
    pub(crate) at: SocketAddr,
    pub(crate) key: PeerKey,
}

pub(crate) fn door(node: &Node, plane: &str) -> Door {
    let peer: libp2p::PeerId = node.ready["peer_id"].as_str().unwrap().parse().unwrap();
    Door { at: node.ready[plane].as_str().unwrap().parse().unwrap(), key: peer_key_of(&peer).unwrap() }
}

pub(crate) fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) async fn attack(node: &Node, world: &World) {
    let door = door(node, "media");
    let good = segment(world, "good.mp4", "-c:v libx264 -preset ultrafast");
    let old = segment(world, "old.mp4", "-c:v mpeg4");
    datagrams(door.at);
    tokio::join!(breakers(door), offers(door, good, old));
}

/// What is no QUIC, and what only begins like it.
pub(crate) fn datagrams(to: SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 1..1500 {
        let _ = socket.send_to(&noise(n, n as usize), to);
    }
    for version in [1_u32, 0x0A0A_0A0A, 0xFFFF_FFFF] {
        for length in [7, 40, 1200] {
            // A long header with a connection id of eight bytes, then anything.
            let header = [&[0xC3][..], &version.to_be_bytes(), &[8], &noise(version, length)].concat();
            let _ = socket.send_to(&header, to);
        }
    }
    let _ = socket.send_to(&vec![0xC0; 65_000], to);
}

/// Those who break the protocol, each on a stream of its own.
async fn breakers(door: Door) {
    let frame = |body: &[u8]| [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
    let hostile = [
        (vec![0, 0, 0], true, "the stream ended after 3 of 4 bytes"),
        (vec![0xFF; 64], false, "a frame of 4294967295 bytes is announced"),
        (vec![0, 0, 0x40, 1], false, "a frame of 16385 bytes is announced"),
        (frame(&[0xFF; 40]), true, "a frame is not what it should be"),
        (frame(&noise(3, 500)), true, "a frame is not what it should be"),
        (frame(&[0x0A, 2, b'.', b'.']), true, "stream is refused"),
        (frame(&[]), true, "stream is refused"),
        (frame(&[0x0A, 1, b's']), true, "duration"),
        (vec![0], false, "too slow"),
        (frame(&[0x0A, 1, b's'])[..5].to_vec(), false, "too slow"),
    ];
    let raw = Raw::bind(&Identity::from_seed([66; 32]), any_port(), &MediaConfig::default()).unwrap();
    let connection = raw.connect(door.key, door.at).await.unwrap();
    let told = hostile.iter().map(async |(bytes, end, why)| {
        let (mut to, mut from) = connection.open_bi().await.unwrap();
        // The node may have heard enough before everything is sent.
        drop(to.write_all(bytes).await);
        if *end {
            drop(to.finish());
        }
        let said = timeout(SOON, from.read_to_end(8192)).await.expect("an answer in time").unwrap();
        let said = String::from_utf8_lossy(&said).into_owned();
        // Or it has as many streams of this stranger as it takes.
        assert!(said.contains(why) || said.contains("at a time"), "{said:?} does not say {why:?}");
    });
    join_all(told).await;
}

/// Those who keep the protocol, one after the other: what they offer reaches the worker.
async fn offers(door: Door, good: Bytes, old: Bytes) {
    let stranger =
        MediaEndpoint::bind(&Identity::from_seed([67; 32]), any_port(), MediaConfig::default()).unwrap();
    let mut huge = good.to_vec();
    // The height and width of the picture in the parameter set, as large as they can be told.
    if let Some(at) = huge.windows(4).position(|w| w == b"avcC") {
        huge[at + 12..at + 28].fill(0x07);
    }
    let boxes = |depth: u32| [&(8 * depth).to_be_bytes()[..], b"moov"].concat();
    let boxes: Vec<u8> = (1..=5000).rev().flat_map(boxes).collect();
    let cut = good.slice(..good.len() / 2);
    let hostile: [(&str, Bytes); 10] = [
        ("noise", noise(11, 300_000).into()),
        ("zeroes", vec![0; 100_000].into()),
        ("one byte", vec![7].into()),
        ("half of one", cut),
        ("without its head", good.slice(200..)),
        ("MPEG-4 part 2", old),
        ("parameters of noise", huge.into()),
        ("boxes in boxes", boxes.into()),
        ("a playlist", Bytes::from_static(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")),
        ("a concatenation", Bytes::from_static(b"ffconcat version 1.0\nfile /etc/passwd\n")),
    ];
    for (seq, (what, bytes)) in hostile.into_iter().enumerate() {
        let why = refused(&stranger, door, seq as u64, bytes).await;
        assert!(why.contains("cannot be transcoded") && !why.contains("/etc/passwd"), "{what}: {why}");
    }
    // And an honest one, which is done by the same worker.
    let last = ask(&stranger, door, 100, later(&good)).await;
    assert!(matches!(last, Ok(Answer::Receipt(_))), "{last:?}");
}

async fn refused(stranger: &MediaEndpoint, door: Door, seq: u64, bytes: Bytes) -> String {
    match ask(stranger, door, seq, bytes).await {
        Err(why) => why,
        Ok(step) => panic!("segment {seq} was not refused: {step:?}"),
    }
}

/// Offers a segment until there is room; the last step of the answer, or why there is none.
async fn ask(stranger: &MediaEndpoint, door: Door, seq: u64, bytes: Bytes) -> Result<Answer, String> {
    loop {
        let mut answers = stranger.request(door.key, &[door.at], offer(seq, &bytes), bytes.clone());
        let mut last = Err("no answer".to_owned());
        while let Some(step) = timeout(SOON, answers.next()).await.expect("an answer in time") {
            last = step.map_err(|why| why.to_string());
        }
        match &last {
            Err(why) if why.contains("busy") => sleep(Duration::from_millis(100)).await,
            _ => return last,
        }
    }
}

fn offer(seq: u64, bytes: &Bytes) -> Offer {
    let rung = RenditionSpec {
        name: "240p".into(),
        width: 320,
        height: 240,
        bitrate: 250_000,
        fps: None,
        profile: H264Profile::High,
        b_frames: 3,
        gop: None,
    };
    Offer {
        segment: SegmentId { stream: "stranger".parse().unwrap(), seq },
        start: START,
        duration: Ticks(Ticks::PER_SECOND),
        source: SourceInfo { width: 320, height: 240, frames: 30 },
        bytes: bytes.len() as u64,
        hash: Hash::of(bytes),
        ladder: Ladder(vec![rung]),
        price: PricePerPixel::FREE,
        deadline: Duration::from_secs(20),
        payment: None,
    }
}

/// The same segment at [`START`].
fn later(segment: &Bytes) -> Bytes {
    let movie = fmp4::parse(segment).unwrap();
    let (config, track) = movie.video().unwrap();
    let first = track.samples.iter().map(|sample| sample.pts).min().unwrap();
    let mut samples = track.samples.clone();
    for sample in &mut samples {
        sample.pts += START.0 - first;
        sample.dts += START.0 - first;
    }
    fmp4::video_segment(config, 1, &samples).unwrap()
}

/// A segment as it travels, of a second.
fn segment(world: &World, name: &str, codec: &str) -> Bytes {
    let path = world.path(&format!("offered-{name}"));
    let input = "-f lavfi -i testsrc2=s=320x240:r=30:d=1 -pix_fmt yuv420p -video_track_timescale 90000";
    let form = "-movflags +frag_keyframe+empty_moov+default_base_moof";
    let args: Vec<_> = [input, codec, form].iter().flat_map(|part| part.split(' ')).collect();
    let said = ffmpeg(&args).arg(&path).output().unwrap();
    succeeded("ffmpeg", &said);
    std::fs::read(path).unwrap().into()
}
