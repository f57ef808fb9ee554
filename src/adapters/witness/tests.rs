//! A wallet's transaction on a devnet, proven by a light client from a checkpoint on; and how far one look goes.

use std::time::Duration;

use alloy_primitives::{Bytes, U256};
use alloy_signer_local::PrivateKeySigner;
use fixtures::devnet::{Config as DevnetConfig, Devnet, Pace};
use lightclient::source::beacon::BeaconSource;
use lightclient::source::execution::ExecutionSource;
use lightclient::source::http::Settings as Http;
use lightclient::sync::{Checkpoint, Config, Trust};
use wallet::{Call, How, Intent, Settings, Until, Wallet};

use super::*;

const PATIENCE: Duration = Duration::from_secs(120);

async fn devnet(slot_ms: u64, l2_blocks_per_slot: u64) -> Devnet {
    let mut config = DevnetConfig { pace: Pace::Wall, history: 60, ..DevnetConfig::default() };
    config.settings.slot_ms = slot_ms;
    config.settings.l2_blocks_per_slot = l2_blocks_per_slot;
    Devnet::start(config).await.unwrap()
}

async fn witness(devnet: &Devnet) -> ChainWitness {
    let spec = Some(Arc::new(devnet.spec.clone()));
    let sources: Vec<Arc<dyn Source>> = vec![
        Arc::new(BeaconSource::new(Http::new(&devnet.beacon_url), spec).unwrap()),
        Arc::new(ExecutionSource::new(Http::new(&devnet.l1_url), Layer::L1, None).unwrap()),
        Arc::new(ExecutionSource::new(Http::new(&devnet.l2_url), Layer::L2, None).unwrap()),
    ];
    let trust = Trust::Given(Checkpoint { root: devnet.checkpoint, slot: None });
    let config = Config { rollup: Some(devnet.rollup.clone()), ..Config::new(devnet.spec.clone(), trust) };
    let client = LightClient::start(config, sources.clone()).unwrap();
    tokio::time::timeout(PATIENCE, client.wait_anchored()).await.unwrap().unwrap();
    ChainWitness::new(client, sources)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_followed_from_the_sequencer_to_what_ethereum_confirmed() {
    let (devnet, dir) = (devnet(250, 2).await, tempfile::tempdir().unwrap());
    let witness = Arc::new(witness(&devnet).await);
    let key = devnet.with(|world| world.livepeer.funded[0].secret);
    let signer = PrivateKeySigner::from_bytes(&key).unwrap().into();
    let looks = Duration::from_millis(200);
    let settings = Settings { poll: looks, poll_included: looks, ..Settings::default() };
    let (chain, endpoints) = (devnet.rollup.chain_id, vec![devnet.l2_url.parse().unwrap()]);
    let wallet = Wallet::open(dir.path(), chain, signer, endpoints, Some(witness), settings).unwrap();
    let call = Call { to: Address::repeat_byte(1), value: U256::ONE, data: Bytes::new(), gas_limit: None };
    let intent = Intent { key: "gift".into(), call, what: "one wei".into(), max_cost: None };
    let id = wallet.send(intent).await.unwrap();
    let stages = [
        (Until::Sequenced, wallet::Tier::Sequenced),
        (Until::Proven, wallet::Tier::Pending),
        (Until::Confirmed, wallet::Tier::Confirmed),
    ];
    let mut hash = None;
    for (until, least) in stages {
        let reached = tokio::time::timeout(PATIENCE, wallet.wait(id, until)).await;
        let outcome = reached.unwrap_or_else(|_| panic!("not {until:?}: {:#?}", wallet.pending())).unwrap();
        assert!(outcome.success && outcome.how.tier() >= least, "{outcome:?}");
        assert!(until == Until::Sequenced || matches!(outcome.how, How::Receipts { .. }), "{outcome:?}");
        assert_eq!(*hash.get_or_insert(outcome.block_hash), outcome.block_hash);
    }
    assert!(wallet.pending().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_fetches_so_many_headers_and_the_next_goes_on() {
    // Four blocks of L1 lie between two assertions: some five hundred of L2.
    let devnet = devnet(6000, 130).await;
    let witness = witness(&devnet).await;
    let confirmed = witness.client.l2(Accept::Confirmed).await.unwrap().header;
    let below = devnet.with(|world| {
        let block = world.l2.chain.at(confirmed.number - MAX_WALK - 50).unwrap();
        (block.hash, block.header.receipts_root)
    });
    let first = witness.receipts_root(below.0).await;
    let Err(WitnessError::NotYet(why)) = first else { panic!("{first:?}") };
    assert!(why.starts_with("50 of 450 headers"), "{why}");
    let proven = witness.receipts_root(below.0).await.unwrap();
    assert_eq!((proven.receipts_root, proven.tier), (below.1, wallet::Tier::Confirmed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_was_taken_back_is_elsewhere() {
    let devnet = devnet(6000, 4).await;
    let witness = witness(&devnet).await;
    let (stranger, head) = devnet.with(|world| {
        let head = world.l2.chain.head().unwrap();
        (head.hash, head.header.number)
    });
    assert!(matches!(witness.receipts_root(stranger).await, Ok(block) if block.number == head));
    assert!(devnet.reorg_l2(2) > 0);
    devnet.with(|world| world.steps(1));
    assert_eq!(witness.receipts_root(stranger).await, Err(WitnessError::Elsewhere(stranger)));
}
