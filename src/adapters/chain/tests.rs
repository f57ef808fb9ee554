//! A node without RPC and beacon endpoint, which knows one peer and a checkpoint, reaches proven Livepeer state.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fixtures::devnet::{Config as DevnetConfig, Devnet, Pace};
use lightclient::livepeer::{self, Hint};
use lightclient::proven::Accept;
use lightclient::source::Layer;
use lightclient::source::beacon::BeaconSource;
use lightclient::source::execution::ExecutionSource;
use lightclient::source::http::Settings;
use lightclient::sync::{Checkpoint, Config, Trust};
use p2p::proofs::door;
use p2p::{ControlConfig, Identity};

use super::*;

const PENDING: Accept = Accept::Pending { l1_blocks: 0 };
const SOON: Duration = Duration::from_secs(60);

struct World {
    client: LightClient,
    control: Control,
    _tasks: Vec<JoinHandle<()>>,
}

async fn node(devnet: &Devnet, sources: Vec<Arc<dyn Source>>, near: Vec<SocketAddr>) -> World {
    let (door, visitors) = door();
    let config = ControlConfig {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        proofs: Some(door),
        ..ControlConfig::new("proofs").with_bootstrap(near)
    };
    let key = ed25519_dalek::SigningKey::from_bytes(&rand::random());
    let (control, task) = Control::start(config, Identity::from_signing_key(key)).await.unwrap();
    let trust = Trust::Given(Checkpoint { root: devnet.checkpoint, slot: None });
    let config = Config {
        rollup: Some(devnet.rollup.clone()),
        contracts: Some(devnet.contracts.clone()),
        ..Config::new(devnet.spec.clone(), trust)
    };
    let client = LightClient::start(config, sources).unwrap();
    let mut tasks = relay(&client, &control, visitors);
    tasks.push(task);
    World { client, control, _tasks: tasks }
}

fn all_of(devnet: &Devnet) -> Vec<Arc<dyn Source>> {
    let spec = Some(Arc::new(devnet.spec.clone()));
    vec![
        Arc::new(BeaconSource::new(Settings::new(&devnet.beacon_url), spec).unwrap()),
        Arc::new(ExecutionSource::new(Settings::new(&devnet.l1_url), Layer::L1, None).unwrap()),
        Arc::new(ExecutionSource::new(Settings::new(&devnet.l2_url), Layer::L2, None).unwrap()),
    ]
}

async fn pool(world: &World) -> livepeer::Read {
    let read = async {
        loop {
            match world.client.livepeer(PENDING, &livepeer::Ask::Pool, &Hint::default()).await {
                Ok(read) => return read.value,
                Err(error) => tracing::debug!(%error, "not yet"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let read = tokio::time::timeout(SOON, read).await;
    read.unwrap_or_else(|_| panic!("no pool: {:#?}", world.client.status()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_one_peer_and_a_checkpoint_alone_reaches_proven_livepeer_state() {
    let devnet = DevnetConfig { pace: Pace::Manual { behind: 40 }, ..DevnetConfig::default() };
    let devnet = Devnet::start(devnet).await.unwrap();
    let served = node(&devnet, all_of(&devnet), Vec::new()).await;
    let expected = pool(&served).await;
    let alone = node(&devnet, Vec::new(), served.control.local_addrs()).await;
    assert_eq!(pool(&alone).await, expected);
    let sources = alone.client.status().sources;
    assert!(sources.len() == 1 && sources[0].name.starts_with("peer "), "{sources:?}");

    // What is finalized from now on is told and not asked for.
    let mut events = alone.client.events();
    let before = alone.client.status().finalized.unwrap().slot;
    devnet.advance_slots(24);
    let newer = async {
        loop {
            if let Event::Finalized(head) = events.recv().await.unwrap() {
                return head.slot;
            }
        }
    };
    assert!(tokio::time::timeout(SOON, newer).await.unwrap() > before);
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_a_hundred_is_one_hint_and_one_batch_of_proofs() {
    let settings = fixtures::devnet::Settings { orchestrators: 100, ..Default::default() };
    let devnet = DevnetConfig { settings, pace: Pace::Manual { behind: 40 }, ..DevnetConfig::default() };
    let devnet = Devnet::start(devnet).await.unwrap();
    let client = node(&devnet, all_of(&devnet), Vec::new()).await.client;
    client.wait_anchored().await.unwrap();
    let answers = || {
        let sources = client.status().sources;
        sources
            .iter()
            .filter(|source| devnet.l2_url.contains(&*source.name))
            .map(|source| source.health.answers)
            .sum::<u64>()
    };
    let accept = Accept::Pending { l1_blocks: 0 };
    drop(client.l2(accept).await.unwrap());
    let (before, started) = (answers(), std::time::Instant::now());
    let read = client.livepeer(accept, &livepeer::Ask::Pool, &Hint::default()).await.unwrap();
    let (asked, took) = (answers() - before, started.elapsed());
    let livepeer::Read::Pool(pool) = read.value else { panic!() };
    println!("{} members in {asked} questions, {} ms in all", pool.members.len(), took.as_millis());
    assert_eq!((pool.members.len(), asked), (100, 2), "{:#?}", client.status());
    devnet.stop().await;
}
