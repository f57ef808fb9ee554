//! The line between nodes that pin each other's keys, over real QUIC: what is asked is answered, and a stranger is told nothing.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use p2p::Identity;
use p2p::limits::PROOF_REQUEST_BYTES;
use p2p::pinned::{NoReply, Pinned, PinnedConfig, PinnedError, address, parse_address};
use p2p::proofs::Asked;
use protocol::PeerKey;
use tokio::sync::mpsc;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

fn identity(n: u8) -> Identity {
    Identity::from_seed([n; 32])
}

fn key(n: u8) -> PeerKey {
    identity(n).peer_key()
}

/// Listens for those of these keys.
async fn door(of: u8, pinned: &[u8], listen: &str) -> (Pinned, mpsc::Receiver<Asked>) {
    let peers = pinned.iter().map(|n| (key(*n), None)).collect();
    let config = PinnedConfig { listen: Some(listen.parse().unwrap()), peers };
    Pinned::start(config, identity(of)).await.unwrap()
}

/// A line of a node to the door of another.
async fn line(of: u8, to: u8, at: SocketAddr) -> Pinned {
    let config = PinnedConfig { listen: None, peers: [(key(to), Some(at))].into() };
    Pinned::start(config, identity(of)).await.unwrap().0
}

fn echo(mut asked: mpsc::Receiver<Asked>) -> tokio::task::JoinHandle<Vec<PeerKey>> {
    tokio::spawn(async move {
        let mut from = Vec::new();
        while let Some(ask) = asked.recv().await {
            from.push(ask.from);
            let _ = ask.reply.send(ask.request);
        }
        from
    })
}

#[tokio::test]
async fn a_pinned_node_is_answered_and_a_stranger_is_not_even_heard() {
    let (redeemer, asked) = door(1, &[2], "127.0.0.1:0").await;
    let (at, heard) = (redeemer.local_addr().unwrap(), echo(asked));
    let node = line(2, 1, at).await;
    assert_eq!(
        node.ask(key(1), Bytes::from_static(b"winners")).await.unwrap(),
        Bytes::from_static(b"winners")
    );
    let stranger = line(3, 1, at).await;
    let told = timeout(SOON, stranger.ask(key(1), Bytes::from_static(b"hello"))).await.unwrap();
    assert!(matches!(told, Err(NoReply::Unreachable | NoReply::Broken(_))), "{told:?}");
    // Who listens there under another key is not asked either.
    let misled = line(2, 9, at).await;
    let told = timeout(SOON, misled.ask(key(9), Bytes::from_static(b"winners"))).await.unwrap();
    assert_eq!(told, Err(NoReply::Unreachable));
    drop(redeemer);
    assert_eq!(timeout(SOON, heard).await.unwrap().unwrap(), [key(2)]);
}

#[tokio::test]
async fn a_line_finds_its_peer_again_after_that_was_restarted() {
    let (first, asked) = door(1, &[2], "127.0.0.1:0").await;
    let at = first.local_addr().unwrap();
    drop(echo(asked));
    let node = line(2, 1, at).await;
    assert!(node.ask(key(1), Bytes::from_static(b"1")).await.is_ok());
    drop(first);
    assert!(timeout(SOON, node.ask(key(1), Bytes::from_static(b"2"))).await.unwrap().is_err());
    let again = async {
        loop {
            let config = PinnedConfig { listen: Some(at), peers: [(key(2), None)].into() };
            if let Ok((second, asked)) = Pinned::start(config, identity(1)).await {
                return (second, echo(asked));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (_second, _heard) = timeout(SOON, again).await.unwrap();
    let answered = async { while node.ask(key(1), Bytes::from_static(b"3")).await.is_err() {} };
    timeout(SOON, answered).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_asked_is_said_at_once() {
    let (redeemer, _asked) = door(1, &[2], "127.0.0.1:0").await;
    let at = redeemer.local_addr().unwrap();
    let node = line(2, 1, at).await;
    let large = Bytes::from(vec![0; PROOF_REQUEST_BYTES + 1]);
    assert_eq!(node.ask(key(1), large).await, Err(NoReply::TooLarge(PROOF_REQUEST_BYTES + 1)));
    assert_eq!(node.ask(key(4), Bytes::new()).await, Err(NoReply::Unknown(key(4))));
    assert_eq!(redeemer.ask(key(2), Bytes::new()).await, Err(NoReply::Unknown(key(2))), "no address of it");
    let nobody = Pinned::start(PinnedConfig::default(), identity(1)).await;
    assert_eq!(nobody.map(drop), Err(PinnedError::Nobody));
    assert_eq!(parse_address(&address(key(1), &at)), Some((key(1), at)));
}
