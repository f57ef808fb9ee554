//! Endpoints, offers and an orchestrator that answers at once: what the other files arrange with.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use futures::StreamExt;
use p2p::Identity;
use p2p::media::{Answer, Answers, IncomingOffer, MediaConfig, MediaEndpoint, MediaError};
use protocol::rendition::H264Profile;
use protocol::{
    Hash, Ladder, Offer, PricePerPixel, Receipt, Rendition, RenditionSpec, SegmentId, SignedReceipt,
    SourceInfo, Ticks,
};
use tokio::time::timeout;

/// Longest wait of a test for something that must happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) fn identity(seed: u8) -> Identity {
    Identity::from_seed([seed; 32])
}

pub(crate) fn endpoint(seed: u8) -> MediaEndpoint {
    MediaEndpoint::bind(&identity(seed), LOOPBACK, MediaConfig::default()).unwrap()
}

pub(crate) fn endpoint_with(seed: u8, config: MediaConfig) -> MediaEndpoint {
    MediaEndpoint::bind(&identity(seed), LOOPBACK, config).unwrap()
}

/// A segment of `len` bytes that do not repeat early.
pub(crate) fn segment(len: usize) -> Bytes {
    (0..len).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

pub(crate) fn offer(seq: u64, segment: &[u8]) -> Offer {
    let rung = |height: u32| RenditionSpec {
        name: format!("{height}p"),
        width: height * 16 / 9 / 2 * 2,
        height,
        bitrate: 800_000,
        fps: None,
        profile: H264Profile::High,
        b_frames: 3,
        gop: None,
    };
    Offer {
        segment: SegmentId { stream: "test".parse().unwrap(), seq },
        start: Ticks(90_000),
        duration: Ticks(180_000),
        source: SourceInfo { width: 1280, height: 720, frames: 60 },
        bytes: segment.len() as u64,
        hash: Hash::of(segment),
        ladder: Ladder(vec![rung(240), rung(360)]),
        price: PricePerPixel::FREE,
        deadline: Duration::from_secs(30),
        payment: None,
    }
}

/// What the test orchestrator makes of rung `index`: the segment's bytes with the rung in front.
pub(crate) fn rendition(index: usize, segment: &Bytes) -> Rendition {
    let bytes: Bytes = [&[index as u8][..], segment].concat().into();
    Rendition { index, frames: 60, pixels: 1000 + index as u64, hash: Hash::of(&bytes), bytes }
}

pub(crate) fn receipt(offer: &Offer, made: &[Rendition]) -> SignedReceipt {
    let receipt = Receipt {
        segment: offer.segment.clone(),
        source: offer.hash,
        renditions: made.iter().map(|r| (r.hash, r.pixels)).collect(),
    };
    receipt.sign(&SigningKey::from_bytes(&[9; 32]))
}

/// Takes an offer and answers it in full.
pub(crate) async fn answer(incoming: IncomingOffer) -> Result<(), MediaError> {
    let offer = incoming.offer.clone();
    let (segment, mut reply) = incoming.accept().await?;
    assert_eq!(Hash::of(&segment), offer.hash);
    let mut made = Vec::new();
    for index in 0..offer.ladder.0.len() {
        made.push(rendition(index, &segment));
        reply.rendition(&made[index]).await?;
    }
    reply.finish(receipt(&offer, &made)).await
}

/// Answers every offer until the endpoint closes.
pub(crate) fn orchestrate(endpoint: &MediaEndpoint) {
    let endpoint = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(answer(incoming));
        }
    });
}

/// All steps of an answer, or how it ended.
pub(crate) async fn all(mut answers: Answers) -> Result<Vec<Answer>, MediaError> {
    let mut steps = Vec::new();
    while let Some(step) = timeout(SOON, answers.next()).await.expect("an answer or an error in time") {
        steps.push(step?);
    }
    Ok(steps)
}

/// One whole exchange that must succeed.
pub(crate) async fn exchange(from: &MediaEndpoint, to: &MediaEndpoint, peer: u8, seq: u64, len: usize) {
    let body = segment(len);
    let addrs = [to.local_addr().unwrap()];
    let answers = from.request(identity(peer).peer_key(), &addrs, offer(seq, &body), body.clone());
    check(&all(answers).await.expect("an exchange"), &body);
}

/// The steps are those of [`answer`].
pub(crate) fn check(steps: &[Answer], body: &Bytes) {
    let steps: Vec<_> = steps.iter().filter(|step| !matches!(step, Answer::Beat)).collect();
    match steps[..] {
        [Answer::Accepted, Answer::Rendition(a), Answer::Rendition(b), Answer::Receipt(receipt)] => {
            assert_eq!((a, b), (&rendition(0, body), &rendition(1, body)));
            assert_eq!(receipt.receipt.renditions[1].0, b.hash);
        }
        ref other => panic!("unexpected steps: {other:?}"),
    }
}
