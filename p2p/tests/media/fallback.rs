use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use libp2p::SwarmBuilder;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{Swarm, SwarmEvent};
use p2p::identity::peer_id_of;
use p2p::media::{Bounds, Fallback, MediaConfig, MediaError};
use protocol::Declined;
use tokio::time::timeout;

use super::world::*;

fn swarm(seed: u8) -> (Swarm<libp2p_stream::Behaviour>, Fallback) {
    let swarm = SwarmBuilder::with_existing_identity(identity(seed).keypair())
        .with_tokio()
        .with_quic()
        .with_behaviour(|_| libp2p_stream::Behaviour::new())
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    let config = MediaConfig {
        bounds: Bounds { streams_per_peer: 128, bytes_per_peer: 1 << 30, waiting: 128, ..Bounds::default() },
        ..MediaConfig::default()
    };
    let fallback = Fallback::new(swarm.behaviour().new_control(), &config).unwrap();
    (swarm, fallback)
}

/// Two connected nodes.
async fn pair() -> (Fallback, Fallback) {
    let ((mut ask, asking), (mut serve, serving)) = (swarm(1), swarm(2));
    serve.listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()).unwrap();
    let listening = async {
        loop {
            if let SwarmEvent::NewListenAddr { address, .. } = serve.select_next_some().await {
                return address;
            }
        }
    };
    let at = timeout(SOON, listening).await.unwrap();
    tokio::spawn(async move {
        loop {
            serve.select_next_some().await;
        }
    });
    ask.dial(DialOpts::peer_id(peer_id_of(identity(2).peer_key())).addresses(vec![at]).build()).unwrap();
    while !matches!(ask.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
    tokio::spawn(async move {
        loop {
            ask.select_next_some().await;
        }
    });
    (asking, serving)
}

fn orchestrate_over(serving: &Fallback) {
    let serving = serving.clone();
    tokio::spawn(async move {
        while let Some(incoming) = serving.accept().await {
            tokio::spawn(answer(incoming));
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_exchange_works_over_libp2p() {
    let (ask, serve) = pair().await;
    orchestrate_over(&serve);
    let body = segment(300_000);
    let steps = all(ask.request(identity(2).peer_key(), offer(0, &body), body.clone())).await.unwrap();
    check(&steps, &body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_streams_at_once_none_is_lost_for_good() {
    let (ask, serve) = pair().await;
    orchestrate_over(&serve);
    let exchanges = (0..64).map(|seq| {
        let ask = ask.clone();
        async move {
            let body = segment(20_000);
            let steps =
                all(ask.request(identity(2).peer_key(), offer(seq, &body), body.clone())).await.unwrap();
            check(&steps, &body);
        }
    });
    join_all(exchanges).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_over_libp2p_carries_its_reason() {
    let (ask, serve) = pair().await;
    let body = segment(2_000_000);
    let asked = ask.request(identity(2).peer_key(), offer(0, &body), body);
    let decline = async { serve.accept().await.unwrap().decline(Declined::Stopping).await };
    let (steps, ()) = tokio::join!(all(asked), decline);
    assert!(matches!(steps, Err(MediaError::Declined(Declined::Stopping))), "{steps:?}");
}
