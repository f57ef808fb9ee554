//! Ten kinds of hostile peers at the media port: each is told what is wrong, and nobody else notices.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use p2p::media::raw::Raw;
use p2p::media::{Bounds, Floor, MediaConfig, MediaEndpoint, MediaError};
use quinn::crypto::rustls::QuicClientConfig;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::world::*;

/// A victim that answers offers and a bystander that asks it all the while.
struct World {
    victim: MediaEndpoint,
    at: SocketAddr,
    bystander: MediaEndpoint,
    attacker: Raw,
}

const VICTIM: u8 = 2;
const ATTACKER: u8 = 66;

impl World {
    async fn new() -> Self {
        let config = MediaConfig {
            floor: Floor { stall: Duration::from_millis(500), bytes_per_second: 64 * 1024 },
            bounds: Bounds { streams_per_peer: 4, ..Bounds::default() },
            ..MediaConfig::default()
        };
        let victim = endpoint_with(VICTIM, config);
        orchestrate(&victim);
        let at = victim.local_addr().unwrap();
        let bystander = endpoint(3);
        exchange(&bystander, &victim, VICTIM, 0, 1000).await;
        let attacker = Raw::bind(&identity(ATTACKER), LOOPBACK, &MediaConfig::default()).unwrap();
        Self { victim, at, bystander, attacker }
    }

    async fn stream(&self) -> (quinn::SendStream, quinn::RecvStream, quinn::Connection) {
        let connection = self.attacker.connect(identity(VICTIM).peer_key(), self.at).await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        (send, recv, connection)
    }

    /// Sends `bytes` and, with `end`, nothing more: what comes back must say `why`.
    async fn told(&self, bytes: &[u8], end: bool, why: &str) {
        let (mut send, recv, _connection) = self.stream().await;
        // The victim may have heard enough before everything is sent.
        drop(send.write_all(bytes).await);
        if end {
            drop(send.finish());
        }
        assert_says(recv, why).await;
        self.undisturbed().await;
    }

    async fn undisturbed(&self) {
        exchange(&self.bystander, &self.victim, VICTIM, 1, 100_000).await;
    }
}

/// The rest of the stream holds the words `why`.
async fn assert_says(mut recv: quinn::RecvStream, why: &str) {
    let mut said = Vec::new();
    let read =
        timeout(SOON, AsyncReadExt::read_to_end(&mut recv, &mut said)).await.expect("an answer in time");
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(read.is_ok() && said.contains(why), "{read:?}: {said:?} does not say {why:?}");
}

/// A frame of any bytes.
fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

/// A valid offer of `body` in the form of `proto/media.proto`, with another hash if `lie`.
fn offer_frame(len: u8, hash: [u8; 32]) -> Vec<u8> {
    // stream "s", duration 90000, width, height, frames 2, bytes, hash, price unit 1, deadline 5000 ms
    let mut body =
        vec![0x0a, 1, b's', 0x20, 0x90, 0xbf, 0x05, 0x28, 2, 0x30, 2, 0x38, 2, 0x40, len, 0x4a, 32];
    body.extend(hash);
    body.extend([0x60, 1, 0x68, 0x88, 0x27]);
    frame(&body)
}

fn hash(body: &[u8]) -> [u8; 32] {
    protocol::Hash::of(body).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handmade_offer_is_taken() {
    let world = World::new().await;
    let good = [&offer_frame(7, hash(b"segment"))[..], b"segment"].concat();
    let (mut send, mut recv, _connection) = world.stream().await;
    send.write_all(&good).await.unwrap();
    send.finish().unwrap();
    let mut said = Vec::new();
    timeout(SOON, AsyncReadExt::read_to_end(&mut recv, &mut said)).await.unwrap().unwrap();
    // Beat, accepted, receipt.
    assert_eq!(said[..12], [0, 0, 0, 2, 0x12, 0, 0, 0, 0, 2, 0x0a, 0]);
    assert_eq!(said[16], 0x22);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_random_datagrams() {
    let world = World::new().await;
    let socket = UdpSocket::bind(LOOPBACK).unwrap();
    for i in 0..2000_usize {
        let noise: Vec<u8> = segment(i % 1400).iter().map(|b| b.wrapping_add(i as u8)).collect();
        socket.send_to(&noise, world.at).unwrap();
    }
    world.undisturbed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_a_truncated_header() {
    World::new().await.told(&[0, 0, 0], true, "the stream ended after 3 of 4 bytes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_a_huge_length() {
    World::new().await.told(&[0xff; 64], false, "a frame of 4294967295 bytes is announced").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_a_slow_sender() {
    let world = World::new().await;
    let (mut send, recv, _connection) = world.stream().await;
    send.write_all(&offer_frame(100, [0; 32])).await.unwrap();
    let trickle = async move {
        for _ in 0..100 {
            if send.write_all(&[0]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::join!(assert_says(recv, "too slow"), trickle, world.undisturbed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_silence() {
    let world = World::new().await;
    let (mut send, recv, _connection) = world.stream().await;
    // A QUIC stream is not seen before its first byte.
    send.write_all(&[0]).await.unwrap();
    tokio::join!(assert_says(recv, "too slow"), world.undisturbed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_another_segment_than_offered() {
    let bytes = [&offer_frame(7, hash(b"another"))[..], b"segment"].concat();
    World::new().await.told(&bytes, true, "the segment's hash is").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_another_protocol() {
    let world = World::new().await;
    let keys = identity(ATTACKER).keypair();
    let mut tls = libp2p_tls::make_client_config(&keys, None).unwrap();
    tls.alpn_protocols = vec![b"livemesh-media/9".to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let connecting = world.attacker.quic().connect_with(config, world.at, "livemesh").unwrap();
    let refused = timeout(SOON, connecting).await.unwrap().unwrap_err();
    let told = MediaError::from(refused).to_string();
    assert!(told.contains("one of the two nodes must be updated"), "{told}");
    world.undisturbed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_too_many_streams() {
    let world = World::new().await;
    let (mut first, _answer, connection) = world.stream().await;
    let mut held = Vec::new();
    first.write_all(&offer_frame(100, [0; 32])).await.unwrap();
    let mut more = Vec::new();
    for _ in 0..20 {
        let (mut send, recv) = connection.open_bi().await.unwrap();
        send.write_all(&[0]).await.unwrap();
        held.push(send);
        more.push(recv);
    }
    let read = |mut recv: quinn::RecvStream| async move {
        timeout(SOON, recv.read_to_end(4096))
            .await
            .unwrap()
            .map(|said| String::from_utf8_lossy(&said).into_owned())
    };
    let said = join_all(more.into_iter().map(read)).await;
    let refused =
        said.iter().filter(|said| matches!(said, Ok(why) if why.contains("4 segments at a time"))).count();
    assert_eq!(refused, 17, "{said:?}");
    world.undisturbed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_more_than_was_offered() {
    let bytes = [&offer_frame(7, hash(b"segment"))[..], b"segment and more"].concat();
    World::new().await.told(&bytes, true, "more bytes came than the 7 announced").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_garbage_in_a_frame() {
    let world = World::new().await;
    world.told(&frame(&[0xff; 40]), true, "a frame is not what it should be").await;
    world.told(&frame(&[0x0a, 2, b'.', b'.']), true, "stream is refused").await;
}
