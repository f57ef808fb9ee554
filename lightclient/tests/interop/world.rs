//! The chain that the driver makes, as this test sees it: where it is served, what is wanted of it, and what its own software
//! says without any proof, to compare with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256, address};
use lightclient::forks::ChainSpec;
use lightclient::source::beacon::BeaconSource;
use lightclient::source::execution::ExecutionSource;
use lightclient::source::http::Settings;
use lightclient::source::{Layer, Source};
use lightclient::state::{Account, Keys, ProvenState, StateView};
use lightclient::sync::{Checkpoint, Clock, Config, Trust};
use serde_json::{Value, json};

/// What `fixtures/interop/genesis.json` says (EIP-155).
const CHAIN_ID: u64 = 32382;
/// Nobody has the key of this one, and nothing was ever sent there.
const ABSENT: Address = address!("0x00000000000000000000000000000000000000ab");
/// Slots of the contract that its transactions write in turn, and one that they never touch.
const SLOTS: [u64; 5] = [1, 2, 3, 15, 99];

pub(crate) struct World {
    pub(crate) beacon: String,
    pub(crate) l1: String,
    pub(crate) spec: ChainSpec,
    pub(crate) genesis_checkpoint: B256,
    pub(crate) account: Address,
    pub(crate) contract: Address,
    http: reqwest::Client,
    roots: Mutex<BTreeMap<u64, B256>>,
}

impl World {
    /// The chain that `INTEROP_CHAIN` names, a file that the driver wrote; none when nobody started one.
    pub(crate) async fn find() -> Option<Self> {
        let Ok(path) = std::env::var("INTEROP_CHAIN") else {
            println!("skipped: INTEROP_CHAIN names no chain; scripts/test-interop.sh starts one");
            return None;
        };
        let known: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let text = |name: &str| known[name].as_str().unwrap().to_owned();
        let (beacon, http) = (text("beacon"), reqwest::Client::new());
        let config = get(&http, &format!("{beacon}/eth/v1/config/spec")).await;
        let genesis = get(&http, &format!("{beacon}/eth/v1/beacon/genesis")).await;
        Some(Self {
            spec: ChainSpec::from_config_json(&config, Some(&genesis)).unwrap(),
            l1: text("l1"),
            genesis_checkpoint: text("checkpoint").parse().unwrap(),
            account: text("account").parse().unwrap(),
            contract: text("contract").parse().unwrap(),
            beacon,
            http,
            roots: Mutex::default(),
        })
    }

    /// A client's configuration that begins at `root`.
    pub(crate) fn config(&self, root: B256, clock: Clock) -> Config {
        let mut config = Config::new(self.spec.clone(), Trust::Given(Checkpoint { root, slot: None }));
        config.clock = clock;
        config
    }

    /// Sources at these addresses, beacon and L1.
    pub(crate) fn sources(&self, name: &str, beacon: &str, l1: &str) -> [Arc<dyn Source>; 2] {
        let settings =
            |url: &str, kind| Settings { name: Some(format!("{name}-{kind}")), ..Settings::new(url) };
        [
            Arc::new(
                BeaconSource::new(settings(beacon, "beacon"), Some(Arc::new(self.spec.clone()))).unwrap(),
            ),
            Arc::new(ExecutionSource::new(settings(l1, "l1"), Layer::L1, Some(CHAIN_ID)).unwrap()),
        ]
    }

    /// What is to be proven: an account, a contract with slots, one of them empty, and an account that is not there.
    pub(crate) fn keys(&self) -> Keys {
        let slots = SLOTS.map(|slot| B256::from(U256::from(slot)));
        Keys::from([(self.account, [].into()), (self.contract, slots.into()), (ABSENT, [].into())])
    }

    /// Compares everything that was proven with what the execution client says of block `number` without proof.
    pub(crate) async fn assert_true(&self, state: &ProvenState, number: u64) {
        let at = format!("{number:#x}");
        for (address, slots) in self.keys() {
            let account = state.account(address).unwrap();
            let balance = self.quantity("eth_getBalance", json!([address, at])).await;
            let nonce = self.quantity("eth_getTransactionCount", json!([address, at])).await;
            let (proven_balance, proven_nonce) =
                account.map_or((U256::ZERO, 0), |Account { balance, nonce, .. }| (balance, nonce));
            assert_eq!((proven_balance, U256::from(proven_nonce)), (balance, nonce), "{address} at {number}");
            for slot in slots {
                let word = self.quantity("eth_getStorageAt", json!([address, slot, at])).await;
                assert_eq!(state.storage(address, slot).unwrap(), word, "{slot} of {address} at {number}");
            }
        }
        assert_eq!(state.account(ABSENT).unwrap(), None);
        assert!(
            state.storage(self.contract, B256::from(U256::from(1))).unwrap() > U256::ZERO,
            "nothing was written"
        );
    }

    /// The root of the canonical block in `slot`, by the chain's own software.
    pub(crate) async fn root_at(&self, slot: u64) -> B256 {
        let known = self.roots.lock().unwrap().get(&slot).copied();
        if let Some(known) = known {
            return known;
        }
        let answer = get(&self.http, &format!("{}/eth/v1/beacon/headers/{slot}", self.beacon)).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let root = answer["data"]["root"].as_str().unwrap().parse().unwrap();
        self.roots.lock().unwrap().insert(slot, root);
        root
    }

    /// The newest block at or before `slot`.
    pub(crate) async fn block_before(&self, slot: u64) -> B256 {
        for slot in (0..=slot).rev() {
            let url = format!("{}/eth/v1/beacon/headers/{slot}", self.beacon);
            if self.http.get(url).send().await.unwrap().status().is_success() {
                return self.root_at(slot).await;
            }
        }
        panic!("no block before slot {slot}");
    }

    async fn quantity(&self, method: &str, params: Value) -> U256 {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer =
            self.http.post(&self.l1).header("Content-Type", "application/json").body(call.to_string());
        let answer: Value =
            serde_json::from_slice(&answer.send().await.unwrap().bytes().await.unwrap()).unwrap();
        let text = answer["result"].as_str().unwrap_or_else(|| panic!("{method}: {answer}"));
        U256::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
    }
}

async fn get(http: &reqwest::Client, url: &str) -> Vec<u8> {
    let answer = http.get(url).timeout(Duration::from_secs(30)).send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {answer:?}");
    answer.bytes().await.unwrap().to_vec()
}
