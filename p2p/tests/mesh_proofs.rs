//! Proofs and news between real nodes: opaque bytes, bounded and rated, and no news goes on that was not found to be true.

#![allow(clippy::unwrap_used, clippy::print_stdout, dead_code, reason = "a test may")]

#[path = "mesh/world.rs"]
mod world;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use p2p::ControlConfig;
use p2p::limits::{NEWS_BYTES, PROOF_REQUEST_BYTES, PROOFS};
use p2p::proofs::{News, NoAnswer, Verdict, Visitors, door};
use tokio::time::timeout;
use world::{Node, config, identity, start};

const SOON: Duration = Duration::from_secs(20);

async fn node(n: u16, near: &[SocketAddr]) -> (Node, Visitors) {
    let (door, visitors) = door();
    (start(ControlConfig { proofs: Some(door), ..config(near) }, identity(n)).await, visitors)
}

/// Two nodes that are connected and hear each other's news.
async fn pair() -> ((Node, Visitors), (Node, Visitors)) {
    let a = node(1, &[]).await;
    let b = node(2, &[a.0.addr()]).await;
    a.0.nears("b", |near| near.contains_key(&b.0.key())).await;
    b.0.nears("a", |near| near.contains_key(&a.0.key())).await;
    (a, b)
}

#[tokio::test]
async fn a_request_is_answered_by_the_application_of_the_peer() {
    let ((a, mut asked), (b, _)) = pair().await;
    let serve = tokio::spawn(async move {
        while let Some(ask) = asked.asked.recv().await {
            let answer = if &ask.request[..] == b"large" { vec![7; 1 << 20] } else { ask.request.to_vec() };
            let _ = ask.reply.send(answer.into());
        }
    });
    let ask = |request: &'static [u8]| b.control.ask_proof(a.key(), Bytes::from_static(request));
    assert_eq!(ask(b"echo").await.unwrap(), Bytes::from_static(b"echo"));
    assert_eq!(ask(b"large").await.unwrap().len(), 1 << 20);
    serve.abort();
}

#[tokio::test]
async fn what_is_too_large_or_for_nobody_is_refused_at_once() {
    let ((a, _asked), (b, _)) = pair().await;
    let large = Bytes::from(vec![0; PROOF_REQUEST_BYTES + 1]);
    assert_eq!(b.control.ask_proof(a.key(), large).await, Err(NoAnswer::TooLarge));
    let nobody = identity(9).peer_key();
    assert_eq!(b.control.ask_proof(nobody, Bytes::new()).await, Err(NoAnswer::NotConnected));
}

#[tokio::test]
async fn a_node_without_a_door_gives_and_takes_no_proofs() {
    let (a, _visitors) = node(1, &[]).await;
    let b = start(config(&[a.addr()]), identity(2)).await;
    a.nears("b", |near| near.contains_key(&b.key())).await;
    let asked = timeout(SOON, a.control.ask_proof(b.key(), Bytes::from_static(b"?"))).await.unwrap();
    assert_eq!(asked, Err(NoAnswer::Unsupported));
    assert_eq!(b.control.ask_proof(a.key(), Bytes::new()).await, Err(NoAnswer::Gone));
}

#[tokio::test]
async fn who_asks_without_end_is_not_answered_without_end() {
    let ((a, mut asked), (b, _)) = pair().await;
    let serve = tokio::spawn(async move {
        let mut seen = 0_u32;
        while let Some(ask) = asked.asked.recv().await {
            seen += 1;
            let _ = ask.reply.send(Bytes::from_static(b"yes"));
        }
        seen
    });
    let mut answered = 0;
    for _ in 0..PROOFS.burst + 8 {
        answered += u32::from(b.control.ask_proof(a.key(), Bytes::new()).await.is_ok());
    }
    a.control.shutdown().await;
    let seen = timeout(SOON, serve).await.unwrap().unwrap();
    println!("{seen} of {} requests were looked at, {answered} answered", PROOFS.burst + 8);
    assert!((PROOFS.burst..PROOFS.burst + 8).contains(&seen) && seen == answered);
}

/// Tells until it is heard: gossip needs a moment to find out who listens.
async fn hears(from: &Node, to: &mut Visitors, news: News) -> p2p::proofs::Heard {
    let heard = async {
        for n in 0_u64.. {
            from.control.tell(news, Bytes::copy_from_slice(&n.to_be_bytes())).await;
            if let Ok(Some(heard)) = timeout(Duration::from_millis(200), to.heard.recv()).await {
                return heard;
            }
        }
        unreachable!("numbers do not end")
    };
    timeout(SOON, heard).await.unwrap()
}

#[tokio::test]
async fn news_reaches_the_application_with_its_kind_and_its_bringer() {
    let ((a, _va), (b, mut vb)) = pair().await;
    for news in News::ALL {
        let heard = hears(&a, &mut vb, news).await;
        assert_eq!((heard.news, heard.from), (news, a.key()));
        heard.verdict.send(Verdict::Accept).unwrap();
    }
    a.control.tell(News::Finality, Bytes::from(vec![0; NEWS_BYTES + 1])).await;
    let large = timeout(Duration::from_millis(300), async {
        loop {
            if vb.heard.recv().await.is_some_and(|heard| heard.data.len() > 8) {
                return;
            }
        }
    });
    assert!(large.await.is_err(), "what is over the bound is not told");
    drop(b);
}

#[tokio::test]
async fn who_brings_false_news_is_cut_off() {
    let ((a, _va), (b, mut vb)) = pair().await;
    let judge = tokio::spawn(async move {
        while let Some(heard) = vb.heard.recv().await {
            let _ = heard.verdict.send(Verdict::Reject);
        }
    });
    let lies = async {
        for n in 0_u64.. {
            a.control.tell(News::Finality, Bytes::copy_from_slice(&n.to_be_bytes())).await;
            if !b.control.watch_neighbours().borrow().contains_key(&a.key()) {
                return n;
            }
            let mut near = b.control.watch_neighbours();
            let _ =
                timeout(Duration::from_millis(100), near.wait_for(|near| !near.contains_key(&a.key()))).await;
        }
        unreachable!("numbers do not end")
    };
    println!("cut off after {} pieces of false news", timeout(SOON, lies).await.unwrap());
    judge.abort();
}
