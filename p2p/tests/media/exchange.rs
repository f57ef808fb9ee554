use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use p2p::media::{Answer, Bounds, MediaConfig, MediaEndpoint, MediaError};
use protocol::{Declined, Failed, PricePerPixel};
use tokio::time::timeout;

use super::world::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_goes_out_and_its_renditions_come_back_with_a_receipt() {
    let (ask, serve) = (endpoint(1), endpoint(2));
    orchestrate(&serve);
    exchange(&ask, &serve, 2, 0, 1_000_000).await;
    assert!(ask.rtt(identity(2).peer_key()).unwrap() < Duration::from_secs(1));
    assert!(ask.rtt(identity(3).peer_key()).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_segments_share_one_connection_and_none_is_lost() {
    let config = MediaConfig {
        bounds: Bounds {
            connections_per_peer: 1,
            streams_per_peer: 64,
            bytes_per_peer: 1 << 30,
            ..Bounds::default()
        },
        ..MediaConfig::default()
    };
    let (ask, serve) = (endpoint(1), endpoint_with(2, config));
    orchestrate(&serve);
    for round in 0..4 {
        join_all((0..64).map(|i| exchange(&ask, &serve, 2, round * 64 + i, 50_000))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_carries_its_reason_and_stops_the_upload() {
    let (ask, serve) = (endpoint(1), endpoint(2));
    let addrs = [serve.local_addr().unwrap()];
    let reasons = [
        Declined::Busy { retry_after: Duration::from_millis(1500) },
        Declined::Stopping,
        Declined::Price { asked: PricePerPixel { wei: 7, pixels: 3 } },
        Declined::Limits("no more than 720 lines".into()),
        Declined::NotAdmitted("unknown".into()),
    ];
    for why in reasons {
        let body = segment(20_000_000);
        let asked = ask.request(identity(2).peer_key(), &addrs, offer(0, &body), body);
        let decline = async {
            let incoming = serve.accept().await.unwrap();
            assert_eq!(incoming.peer, identity(1).peer_key());
            incoming.decline(why.clone()).await;
        };
        let (steps, ()) = tokio::join!(all(asked), decline);
        assert!(matches!(steps, Err(MediaError::Declined(got)) if got == why));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_and_a_dropped_job_are_told_apart_from_silence() {
    let (ask, serve) = (endpoint(1), endpoint(2));
    let addrs = [serve.local_addr().unwrap()];
    let body = segment(1000);
    let request = || ask.request(identity(2).peer_key(), &addrs, offer(0, &body), body.clone());

    let fail = async {
        let (_, reply) = serve.accept().await.unwrap().accept().await.unwrap();
        reply.fail(Failed::Input("no picture".into())).await.unwrap();
    };
    let (steps, ()) = tokio::join!(all(request()), fail);
    assert!(matches!(steps, Err(MediaError::Failed(Failed::Input(why))) if why == "no picture"));

    let forget = async { drop(serve.accept().await.unwrap().accept().await.unwrap()) };
    let (steps, ()) = tokio::join!(all(request()), forget);
    assert!(matches!(steps, Err(MediaError::Failed(Failed::Internal(why))) if why.contains("dropped")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asker_that_loses_interest_cancels_the_job() {
    let (ask, serve) = (endpoint(1), endpoint(2));
    let body = segment(1000);
    let addrs = [serve.local_addr().unwrap()];
    let mut answers = ask.request(identity(2).peer_key(), &addrs, offer(0, &body), body);
    let (_, reply) = serve.accept().await.unwrap().accept().await.unwrap();
    assert!(matches!(answers.next().await, Some(Ok(Answer::Beat))));
    let cancelled = reply.cancelled();
    drop(answers);
    timeout(SOON, cancelled).await.expect("the orchestrator hears that nobody waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_for_other_work_is_no_receipt() {
    let (ask, serve) = (endpoint(1), endpoint(2));
    let addrs = [serve.local_addr().unwrap()];
    let body = segment(1000);
    let asked = ask.request(identity(2).peer_key(), &addrs, offer(0, &body), body.clone());
    let cheat = async {
        let incoming = serve.accept().await.unwrap();
        let offer = incoming.offer.clone();
        let (segment, mut reply) = incoming.accept().await.unwrap();
        let made = [rendition(0, &segment), rendition(1, &segment)];
        reply.rendition(&made[0]).await.unwrap();
        drop(reply.finish(receipt(&offer, &made)).await);
    };
    let (steps, ()) = tokio::join!(all(asked), cheat);
    assert!(matches!(steps, Err(MediaError::Protocol(why)) if why.contains("does not name")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_at_the_address_is_not_mistaken_for_the_peer() {
    let (ask, serve) = (endpoint(1), endpoint(2));
    let body = segment(1000);
    let addrs = [serve.local_addr().unwrap()];
    let steps = all(ask.request(identity(3).peer_key(), &addrs, offer(0, &body), body)).await;
    assert!(matches!(steps, Err(MediaError::Unreachable(why)) if why.contains("another node")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_came_back_on_the_same_address_is_asked_again_at_once() {
    let ask = endpoint(1);
    let serve = Mortal::born(2, LOOPBACK).await;
    exchange(&ask, &serve.endpoint, 2, 0, 10_000).await;

    let at = serve.killed();
    let serve = timeout(SOON, Mortal::born(2, at)).await.unwrap();
    let started = Instant::now();
    exchange(&ask, &serve.endpoint, 2, 1, 10_000).await;
    // Not by timeout: the restarted node recognizes a connection that it has forgotten.
    assert!(started.elapsed() < MediaConfig::default().dead_after, "{:?}", started.elapsed());
    serve.killed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_came_back_on_a_new_address_is_asked_there() {
    let ask = endpoint(1);
    let serve = Mortal::born(2, LOOPBACK).await;
    exchange(&ask, &serve.endpoint, 2, 0, 10_000).await;
    let moved = endpoint(2);
    orchestrate(&moved);
    serve.killed();
    exchange(&ask, &moved, 2, 1, 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_is_there_before_it_is_needed_and_comes_back() {
    let ask = endpoint(1);
    let serve = Mortal::born(2, LOOPBACK).await;
    let (peer, at) = (identity(2).peer_key(), serve.endpoint.local_addr().unwrap());
    ask.keep(peer, &[at]);
    let warm = async {
        while ask.rtt(peer).is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, warm).await.expect("a connection without a request");

    serve.killed();
    let serve = timeout(SOON, Mortal::born(2, at)).await.unwrap();
    let gone = async {
        while ask.rtt(peer).is_some() {
            tokio::task::yield_now().await;
        }
    };
    // The gap may be too short to be seen; the old connection is dead by then either way.
    let _ = timeout(Duration::from_secs(5), gone).await;
    let again = async {
        while ask.rtt(peer).is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.expect("a new connection without a request");
    ask.forget(peer);
    assert!(ask.rtt(peer).is_none());
    serve.killed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_peer_that_died_is_known_to_be_gone_before_it_is_asked_and_found_when_it_is_back() {
    // Nothing but its closed port tells that it died.
    let deaf = MediaConfig { dead_after: Duration::from_secs(3600), ..MediaConfig::default() };
    let ask = endpoint_with(1, deaf);
    let serve = Mortal::born(2, LOOPBACK).await;
    let (peer, at) = (identity(2).peer_key(), serve.endpoint.local_addr().unwrap());
    ask.keep(peer, &[at]);
    exchange(&ask, &serve.endpoint, 2, 0, 10_000).await;
    let connected = async |wanted: bool| {
        while ask.rtt(peer).is_some() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Long enough for the bell to have been heard there.
    tokio::time::sleep(Duration::from_secs(2)).await;

    serve.killed();
    timeout(SOON, connected(false)).await.expect("its death is noticed");
    assert!(ask.is_gone(peer));
    let body = segment(100);
    let asked = all(ask.request(peer, &[at], offer(1, &body), body.clone())).await;
    assert!(matches!(asked, Err(MediaError::Unreachable(why)) if why.contains("its process has gone")));

    let serve = timeout(SOON, Mortal::born(2, at)).await.unwrap();
    timeout(SOON, connected(true)).await.expect("its return is noticed");
    assert!(!ask.is_gone(peer));
    exchange(&ask, &serve.endpoint, 2, 2, 10_000).await;
    serve.killed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_gone_is_an_error_and_not_dialled_for_every_segment() {
    let ask = endpoint(1);
    let gone = endpoint(2);
    let addrs = [gone.local_addr().unwrap()];
    gone.close().await;
    drop(gone);
    let body = segment(100);
    let request = || all(ask.request(identity(2).peer_key(), &addrs, offer(0, &body), body.clone()));
    assert!(matches!(request().await, Err(MediaError::Unreachable(_))));
    assert!(matches!(request().await, Err(MediaError::Unreachable(why)) if why.contains("next try in")));
}

/// An orchestrator in a runtime of its own, that can end as by SIGKILL: its socket is gone and nobody is told.
struct Mortal {
    endpoint: MediaEndpoint,
    runtime: tokio::runtime::Runtime,
}

impl Mortal {
    async fn born(seed: u8, at: std::net::SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let endpoint = runtime.spawn(back(seed, at)).await.unwrap();
        let serve = endpoint.clone();
        runtime.spawn(async move {
            orchestrate(&serve);
        });
        Self { endpoint, runtime }
    }

    fn killed(self) -> std::net::SocketAddr {
        let at = self.endpoint.local_addr().unwrap();
        self.runtime.shutdown_background();
        at
    }
}

/// Binds again as soon as the system has the old socket's port back.
async fn back(seed: u8, at: std::net::SocketAddr) -> MediaEndpoint {
    loop {
        match MediaEndpoint::bind(&identity(seed), at, MediaConfig::default()) {
            Ok(endpoint) => return endpoint,
            Err(MediaError::Bind { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}
