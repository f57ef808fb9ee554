//! The captured chain of six periods and three forks, as sources would serve it.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{B256, Bytes, U256};
use async_trait::async_trait;
use lightclient::forks::ChainSpec;
use lightclient::source::{Answer, Ask, BeaconClaim, Fault, Form, Layer, Source, SourceError};
use lightclient::state::Keys;
use serde_json::Value;

/// Slot after the last one that the chain has.
pub(crate) const NOW: u64 = 330;
/// What it has finalized.
pub(crate) const FINALIZED: u64 = 312;

/// Everything that was captured.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) spec: ChainSpec,
    pub(crate) first: B256,
    pub(crate) last: B256,
    answers: BTreeMap<String, (Answer, Answer)>,
    proofs: Vec<Value>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/minimal-deneb-electra-fulu")
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder().join(name)).unwrap()).unwrap()
}

fn root(name: &str) -> B256 {
    json(name)["block_root"].as_str().unwrap().parse().unwrap()
}

/// A file's two forms, JSON and SSZ.
fn claims(name: &str) -> (BeaconClaim, BeaconClaim) {
    let fork = json(&format!("{name}.json"))["version"].as_str().unwrap().to_owned();
    let bytes =
        |extension: &str| Bytes::from(fs::read(folder().join(format!("{name}.{extension}"))).unwrap());
    let json = BeaconClaim { form: Form::Json, bytes: bytes("json") };
    (json, BeaconClaim { form: Form::Ssz { fork }, bytes: bytes("ssz") })
}

impl Chain {
    pub(crate) fn captured() -> Arc<Self> {
        let (first, last) = (root("bootstrap_first.json"), root("bootstrap_finalized.json"));
        let mut answers = BTreeMap::new();
        let mut put = |ask: String, name: &str, make: fn(BeaconClaim) -> Answer| {
            let (json, ssz) = claims(name);
            answers.insert(ask, (make(json), make(ssz)));
        };
        put(format!("bootstrap {first}"), "bootstrap_first", Answer::Bootstrap);
        put(format!("bootstrap {last}"), "bootstrap_finalized", Answer::Bootstrap);
        for period in 0..6 {
            put(format!("update {period}"), &format!("update_period_{period}"), Answer::Update);
        }
        put("finality".to_owned(), "finality_update", Answer::Finality);
        put("optimistic".to_owned(), "optimistic_update", Answer::Optimistic);
        let proofs = (0..4).map(|n| json(&format!("el_proof_{n}.json"))["proof"].clone()).collect();
        let config = fs::read(folder().join("config.json")).unwrap();
        Arc::new(Self {
            spec: ChainSpec::from_config_json(&config, None).unwrap(),
            first,
            last,
            answers,
            proofs,
        })
    }

    /// Milliseconds since 1970 at the start of a slot.
    pub(crate) fn time_at(&self, slot: u64) -> u64 {
        self.spec.genesis_time * 1000 + slot * self.spec.slot_ms
    }

    /// Accounts and slots of which proofs were captured.
    pub(crate) fn proven_keys(&self) -> Keys {
        let slot = |entry: &Value| {
            let key: U256 = entry["key"].as_str().unwrap().parse().unwrap();
            B256::from(key)
        };
        let account = |proof: &Value| {
            let slots = proof["storageProof"].as_array().unwrap().iter().map(slot).collect();
            (proof["address"].as_str().unwrap().parse().unwrap(), slots)
        };
        self.proofs.iter().map(account).collect()
    }

    /// What an honest source says.
    pub(crate) fn answer(&self, ask: &Ask, as_json: bool) -> Result<Answer, Fault> {
        let missing = || Fault::NotHere("not captured".to_owned());
        let key = match ask {
            Ask::Bootstrap { root } => format!("bootstrap {root}"),
            Ask::Update { period } => format!("update {period}"),
            Ask::Finality => "finality".to_owned(),
            Ask::Optimistic => "optimistic".to_owned(),
            Ask::Checkpoint => return Ok(Answer::Checkpoint { root: self.last, slot: FINALIZED }),
            Ask::Proof { layer: Layer::L1, keys, .. } => return Ok(Answer::Proof(self.nodes(keys))),
            _ => return Err(missing()),
        };
        let (json, ssz) = self.answers.get(&key).ok_or_else(missing)?;
        Ok(if as_json { json.clone() } else { ssz.clone() })
    }

    fn nodes(&self, keys: &Keys) -> Vec<Bytes> {
        let wanted = |proof: &&Value| {
            keys.contains_key(
                &proof["address"].as_str().unwrap().parse::<alloy_primitives::Address>().unwrap(),
            )
        };
        let list = |value: &Value| -> Vec<Bytes> {
            value.as_array().unwrap().iter().map(|node| node.as_str().unwrap().parse().unwrap()).collect()
        };
        let mut nodes = Vec::new();
        for proof in self.proofs.iter().filter(wanted) {
            nodes.extend(list(&proof["accountProof"]));
            proof["storageProof"]
                .as_array()
                .unwrap()
                .iter()
                .for_each(|slot| nodes.extend(list(&slot["proof"])));
        }
        nodes
    }
}

type Twist = dyn Fn(&Ask, Result<Answer, Fault>) -> Result<Answer, Fault> + Send + Sync;

/// A source that serves what a world of tests lets it serve.
pub(crate) struct Replay {
    name: String,
    chain: Arc<Chain>,
    after: Duration,
    as_json: bool,
    twist: Mutex<Box<Twist>>,
    asked: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Replay {
    fn build(name: &str, chain: &Arc<Chain>, after_ms: u64, as_json: bool, twist: Box<Twist>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            chain: Arc::clone(chain),
            after: Duration::from_millis(after_ms),
            as_json,
            twist: Mutex::new(twist),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn honest(name: &str, chain: &Arc<Chain>) -> Arc<Self> {
        Self::build(name, chain, 20, false, Box::new(|_, answer| answer))
    }

    pub(crate) fn in_json(name: &str, chain: &Arc<Chain>) -> Arc<Self> {
        Self::build(name, chain, 20, true, Box::new(|_, answer| answer))
    }

    /// A source that changes what it says, and says it sooner than any honest one.
    pub(crate) fn twisted(
        name: &str,
        chain: &Arc<Chain>,
        twist: impl Fn(&Ask, Result<Answer, Fault>) -> Result<Answer, Fault> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::build(name, chain, 1, false, Box::new(twist))
    }

    /// A source that is there and never says anything.
    pub(crate) fn silent(name: &str, chain: &Arc<Chain>) -> Arc<Self> {
        Self::build(name, chain, 3_600_000, false, Box::new(|_, answer| answer))
    }

    pub(crate) fn become_honest(&self) {
        *self.twist.lock().unwrap() = Box::new(|_, answer| answer);
    }

    /// Questions so far that begin with these words.
    pub(crate) fn asked(&self, words: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|ask| ask.contains(words)).count()
    }
}

#[async_trait]
impl Source for Replay {
    fn name(&self) -> &str {
        &self.name
    }

    fn can(&self, ask: &Ask) -> bool {
        !matches!(ask, Ask::Bundle { .. })
    }

    async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError> {
        self.asked.lock().unwrap().push(ask.to_string());
        tokio::time::sleep(self.after).await;
        let honest = self.chain.answer(ask, self.as_json);
        (self.twist.lock().unwrap())(ask, honest)
            .map_err(|fault| SourceError { by: self.name.as_str().into(), fault })
    }
}
