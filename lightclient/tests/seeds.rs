//! Where fuzzing starts: every vector in the form that the fuzz targets of this crate read, written to `fuzz/corpus`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it wrote"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes, hex, keccak256};
use lightclient::arbitrum::Assertion;
use lightclient::arbitrum::assertion::CREATED;
use lightclient::consensus::{Bootstrap, Store, Update};
use lightclient::exec::{AccountProof, ExecHeader, ProofBundle};
use lightclient::forks::{ChainSpec, Fork};
use lightclient::source::wire::parcel::{Reply, Request};
use lightclient::source::wire::{encode_answer, encode_ask};
use lightclient::source::{Answer, Ask, Block, Layer, Log};
use lightclient::state::Keys;
use lightclient::store::Saved;
use serde_json::Value;

/// Chains that were captured, each with all that a client needs.
const CHAINS: [&str; 2] = ["minimal-electra", "minimal-deneb-electra-fulu"];
/// Objects of each kind and fork that are taken of the official vectors.
const OF_EACH: usize = 3;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Seeds by target.
#[derive(Default)]
struct Seeds(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, head: &[u8], bytes: &[u8]) {
        self.0.entry(target).or_default().push([head, bytes].concat());
    }

    fn write(&self) -> usize {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (target, seeds) in &self.0 {
            fs::create_dir_all(corpus.join(target)).unwrap();
            for seed in seeds {
                let name = hex::encode(&keccak256(seed)[..10]);
                fs::write(corpus.join(target).join(name), seed).unwrap();
            }
        }
        self.0.values().map(Vec::len).sum()
    }
}

#[test]
#[ignore = "writes fuzz/corpus; `make fuzz` runs it"]
fn every_vector_is_a_seed() {
    let mut seeds = Seeds::default();
    CHAINS.iter().for_each(|chain| captured(&mut seeds, &vectors().join(chain)));
    official(&mut seeds, &vectors().join("spec"));
    proofs(&mut seeds);
    assertion(&mut seeds);
    println!("{} seeds for {} targets", seeds.write(), seeds.0.len());
}

/// Which kind of object a file holds, by its name.
fn kind(name: &str) -> Option<u8> {
    let kinds = ["bootstrap", "update", "finality_update", "optimistic_update"];
    kinds.iter().position(|kind| name.starts_with(kind)).map(|kind| kind as u8)
}

fn captured(seeds: &mut Seeds, folder: &Path) {
    let config = fs::read(folder.join("config.json")).unwrap();
    seeds.add("lc_config", &[0], &config);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let bytes = fs::read(&path).unwrap();
        let Some(kind) = kind(name) else { continue };
        if path.extension().is_some_and(|end| end == "json") {
            seeds.add("lc_json", &[kind], &bytes);
            continue;
        }
        let json: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let fork: Fork = json["version"].as_str().unwrap().parse().unwrap();
        seeds.add("lc_ssz", &[kind, fork as u8], &bytes);
        // Bootstraps come last there, and after the kinds of updates here.
        seeds.add("lc_update", &[kind.wrapping_sub(1).min(3), fork as u8], &bytes);
    }
    let block: Value =
        serde_json::from_slice(&fs::read(folder.join("el_block_finalized.json")).unwrap()).unwrap();
    seeds.add("lc_json", &[5], block.to_string().as_bytes());
    seeds.add("lc_header", &[], &ExecHeader::from_rpc_json(&block, None).unwrap().1);
    for number in 0..4 {
        let proof = fs::read(folder.join(format!("el_proof_{number}.json"))).unwrap();
        let proof: Value = serde_json::from_slice(&proof).unwrap();
        seeds.add("lc_json", &[5], proof["proof"].to_string().as_bytes());
    }
    stores(seeds, folder, &config);
}

fn stores(seeds: &mut Seeds, folder: &Path, config: &[u8]) {
    let spec = ChainSpec::from_config_json(config, None).unwrap();
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let bootstrap = Bootstrap::from_json(&spec, &read("bootstrap_first.json")).unwrap();
    let root = bootstrap.header.root();
    let mut store = Store::bootstrap(&spec, root, &bootstrap).unwrap();
    seeds.add("lc_store", &[0], &store.encode());
    let update = Update::from_json(&spec, &read("update_period_0.json")).unwrap();
    let verified = store.verify_update(&spec, &update, update.signature_slot).unwrap();
    store.apply(verified);
    seeds.add("lc_store", &[0], &store.encode());
    let saved = Saved {
        consensus: store.encode(),
        finalized: vec![(1, root), (9, root)],
        newest_signed: 77,
        assertions: vec![vec![1; 200], vec![2; 200]],
        pins: vec![vec![3; 84]],
    };
    let whole = saved.encode(spec.genesis_validators_root);
    seeds.add("lc_store", &[1], &whole[..whole.len() - 32]);
}

/// Some objects of each fork; of the main preset where the folder is called so.
fn official(seeds: &mut Seeds, folder: &Path) {
    let mut taken: BTreeMap<(u8, Fork), usize> = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap();
            let fork = path.components().find_map(|part| part.as_os_str().to_str()?.parse::<Fork>().ok());
            let (Some(kind), Some(fork)) = (kind(name), fork) else { continue };
            if path.extension().is_none_or(|end| end != "ssz_snappy") {
                continue;
            }
            let count = taken.entry((kind, fork)).or_default();
            *count += 1;
            if *count > OF_EACH {
                continue;
            }
            let bytes = snap::raw::Decoder::new().decompress_vec(&fs::read(&path).unwrap()).unwrap();
            seeds.add("lc_ssz", &[kind, fork as u8], &bytes);
        }
    }
}

fn proofs(seeds: &mut Seeds) {
    let text = fs::read_to_string(vectors().join("protocol/storage_proofs_canonical.json")).unwrap();
    let vector: Value = serde_json::from_str(&text).unwrap();
    let (header, raw) = ExecHeader::from_rpc_json(&vector["header"], None)
        .or_else(|_| {
            let hash: B256 = vector["blockHash"].as_str().unwrap().parse().unwrap();
            ExecHeader::from_rpc_json(&vector["header"], Some(hash))
        })
        .unwrap();
    seeds.add("lc_header", &[], &raw);
    let block = Block { number: header.number, hash: header.hash };
    let mut answers = Vec::new();
    for entry in vector["accounts"].as_array().unwrap() {
        let mut answer = entry.clone();
        let slots = entry["slots"].as_array().unwrap().iter();
        answer["storageProof"] = slots
            .map(|slot| serde_json::json!({ "key": slot["slot"], "value": slot["value"], "proof": slot["proof"] }))
            .collect();
        let proof = AccountProof::from_json(&answer).unwrap();
        seeds.add("lc_bundle", &[], &ProofBundle::from_answers([&proof]).encode().unwrap());
        let path: Vec<u8> = proof
            .nodes
            .iter()
            .flat_map(|node| [&(node.len() as u16).to_le_bytes()[..], node].concat())
            .collect();
        seeds.add("lc_mpt", &[&[0][..], keccak256(proof.address).as_slice()].concat(), &path);
        answers.push(proof);
    }
    seeds.add("lc_mpt", &[1, 0, 1, 2], &(0..64).collect::<Vec<u8>>());
    let bundle = ProofBundle::from_answers(&answers);
    let nodes: Vec<Bytes> = bundle.nodes.iter().take(5).cloned().collect();
    let asks = [
        Ask::Bootstrap { root: block.hash },
        Ask::Update { period: 5 },
        Ask::Finality,
        Ask::Header { layer: Layer::L2, hash: block.hash },
        Ask::Proof { layer: Layer::L1, block, keys: Keys::from([(Address::ZERO, [B256::ZERO].into())]) },
        Ask::Bundle { assertion: block.hash },
    ];
    for ask in asks {
        seeds.add("lc_wire", &[0], &encode_ask(&ask).unwrap());
        seeds.add("lc_wire", &[2], &Request { chunk: 0, ask }.encode().unwrap());
    }
    let answers =
        [Answer::Header(raw), Answer::Proof(nodes), Answer::Bundle(bundle.encode().unwrap().into())];
    for answer in answers {
        let bytes = encode_answer(&answer).unwrap();
        seeds.add("lc_wire", &[1], &bytes);
        seeds.add("lc_wire", &[3], &Reply::cut(&bytes, 0).encode());
    }
}

/// An `AssertionCreated` log that is all zeros but for the machine, which has finished.
fn assertion(seeds: &mut Seeds) {
    let assertion = Assertion {
        parent: B256::ZERO,
        block_hash: B256::ZERO,
        send_root: B256::ZERO,
        inbox_position: 0,
        position_in_message: 0,
        end_history_root: B256::ZERO,
        inbox_acc: B256::ZERO,
    };
    let topics = vec![CREATED, assertion.hash(), assertion.parent];
    let mut data = vec![0; 25 * 32];
    data[17 * 32 + 31] = 1;
    assert_eq!(Assertion::from_log(&topics, &data), Ok(assertion));
    seeds.add("lc_assertion", &[3], &[&topics.concat()[..], &data].concat());
    let json = serde_json::json!({ "topics": topics, "data": hex::encode_prefixed(&data) });
    seeds.add("lc_json", &[5], json.to_string().as_bytes());
    let log = Log { address: Address::ZERO, topics, data: data.into(), block_number: 1 };
    seeds.add("lc_wire", &[1], &encode_answer(&Answer::Assertions(vec![log])).unwrap());
}
