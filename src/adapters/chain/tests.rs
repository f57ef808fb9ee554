//! A node without RPC and beacon endpoint, which knows one peer and a checkpoint, reaches proven Livepeer state.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, keccak256};
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

fn config(devnet: &Devnet) -> Config {
    let trust = Trust::Given(Checkpoint { root: devnet.checkpoint, slot: None });
    Config {
        rollup: Some(devnet.rollup.clone()),
        contracts: Some(devnet.contracts.clone()),
        ..Config::new(devnet.spec.clone(), trust)
    }
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
    let client = LightClient::start(self::config(devnet), sources).unwrap();
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

/// Reads the pool with a client of its own, which keeps its state here. Gives its members and how many questions L2's server
/// answered for that.
async fn counted(devnet: &Devnet, data_dir: Option<&Path>) -> (Vec<Address>, u64) {
    let config = Config { data_dir: data_dir.map(Path::to_owned), ..config(devnet) };
    let client = LightClient::start(config, all_of(devnet)).unwrap();
    client.wait_anchored().await.unwrap();
    drop(client.l2(PENDING).await.unwrap());
    let answers = || {
        let sources = client.status().sources;
        let l2 = sources.iter().filter(|source| devnet.l2_url.contains(&*source.name));
        l2.map(|source| source.health.answers).sum::<u64>()
    };
    let before = answers();
    let read = client.livepeer(PENDING, &livepeer::Ask::Pool, &Hint::default()).await.unwrap();
    let livepeer::Read::Pool(pool) = read.value else { panic!() };
    let asked = answers() - before;
    client.stop().await;
    (pool.members.iter().map(|member| member.address).collect(), asked)
}

async fn crowded() -> Devnet {
    let settings = fixtures::devnet::Settings { orchestrators: 100, ..Default::default() };
    let config = DevnetConfig { settings, pace: Pace::Manual { behind: 40 }, ..DevnetConfig::default() };
    Devnet::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_a_hundred_is_one_hint_and_one_batch_of_proofs() {
    let devnet = crowded().await;
    let (members, without) = counted(&devnet, None).await;
    // Those who came, one who went again, and one who never was there.
    let event = |name: &str, who: Address| fixtures::devnet::chain::Log {
        address: devnet.contracts.bonding_manager,
        topics: vec![keccak256(name), who.into_word()],
        data: vec![0; 32].into(),
    };
    devnet.with(|world| {
        let came = members.iter().copied().chain([Address::repeat_byte(1), Address::repeat_byte(2)]);
        came.for_each(|who| world.l2.chain.log(event("TranscoderActivated(address,uint256)", who)));
        world.l2.chain.log(event("TranscoderDeactivated(address,uint256)", Address::repeat_byte(1)));
    });
    devnet.advance_slots(36);
    let (again, with) = counted(&devnet, None).await;
    println!("a pool of {}: {without} questions without events to go by, {with} with", again.len());
    // The third proves the code of a target that a devnet knows by its hash alone, wherever it lies.
    assert_eq!((again.len(), with), (100, 3));
    assert_eq!(again, members);
    devnet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_was_read_once_is_one_batch_ever_after_even_where_no_server_searches_its_logs() {
    let devnet = crowded().await;
    devnet.set_quirks(fixtures::devnet::Quirks { most_log_blocks: 5, ..Default::default() });
    let folder = tempfile::tempdir().unwrap();
    let (members, first) = counted(&devnet, Some(folder.path())).await;
    let (again, after) = counted(&devnet, Some(folder.path())).await;
    println!("a pool of {}: {first} questions the first time, {after} after a restart", members.len());
    assert!(members.len() == 100 && first > 40);
    assert_eq!((again, after), (members, 2));
    devnet.stop().await;
}
