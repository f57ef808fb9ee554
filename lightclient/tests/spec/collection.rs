//! `data_collection`: what a full node has to offer after each new head.
//!
//! Making these objects takes a whole beacon state machine, which a light client has not. Checked is what a light client can:
//! every object decodes, encodes to the same bytes, is what the blocks say of it, and verifies from a bootstrap of its period.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use lightclient::consensus::{
    Bootstrap, Claim, FinalityUpdate, OptimisticUpdate, Reject, Store, SyncAggregate, Update,
};
use lightclient::forks::{ChainSpec, Fork};
use serde_norway::Value;

use super::case::{Case, root};

/// Where a block's body starts in a signed block, and what stands before the sync aggregate in a body (randao, eth1 data,
/// graffiti, five offsets).
const MESSAGE: usize = 100;
const BODY: usize = 84;
const AGGREGATE: usize = 96 + 72 + 32 + 20;

pub(crate) fn check(case: &Case) {
    let world = World::open(case);
    let steps = case.yaml("steps.yaml");
    let heads: Vec<&Value> =
        steps.as_sequence().unwrap().iter().filter_map(|step| step.get("new_head")).collect();
    assert!(heads.len() > 20, "{}", case.label());
    let mut seen = [0; 4];
    for checks in heads.iter().map(|head| &head["checks"]) {
        for entry in checks["bootstraps"].as_sequence().unwrap() {
            seen[0] += world.bootstrap(entry);
        }
        for entry in checks["best_updates"].as_sequence().unwrap() {
            seen[1] += world.best_update(entry);
        }
        seen[2] += world.latest("finality", checks.get("latest_finality_update"));
        seen[3] += world.latest("optimistic", checks.get("latest_optimistic_update"));
    }
    assert!(seen.iter().all(|count| *count > 0), "{} {seen:?}", case.label());
}

struct World<'a> {
    case: &'a Case,
    chain: ChainSpec,
    store: Store,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl<'a> World<'a> {
    fn open(case: &'a Case) -> Self {
        let state = case.ssz("initial_state");
        let chain = case.chain(B256::from_slice(&state[8..40]));
        let blocks = case
            .names("block_")
            .iter()
            .map(|name| case.ssz(name))
            .map(|block| (slot(&block), block))
            .collect();
        let name = case.names("bootstrap_0_").remove(0);
        let bootstrap = Bootstrap::decode_ssz(&chain, case.fork, &case.ssz(&name)).unwrap();
        let store = Store::bootstrap(&chain, bootstrap.header.root(), &bootstrap).unwrap();
        Self { case, chain, store, blocks }
    }

    fn data(&self, entry: &Value) -> Option<(Fork, Vec<u8>)> {
        let digest = entry.get("fork_digest")?.as_str().unwrap().parse().unwrap();
        Some((self.chain.fork_of_digest(digest).unwrap(), self.case.ssz(entry["data"].as_str().unwrap())))
    }

    fn bootstrap(&self, entry: &Value) -> usize {
        let Some((fork, bytes)) = entry.get("bootstrap").and_then(|entry| self.data(entry)) else { return 0 };
        let bootstrap = Bootstrap::decode_ssz(&self.chain, fork, &bytes).unwrap();
        assert_eq!(bootstrap.encode_ssz(), bytes);
        Store::bootstrap(&self.chain, root(&entry["block_root"]), &bootstrap).unwrap();
        1
    }

    fn best_update(&self, entry: &Value) -> usize {
        let Some((fork, bytes)) = entry.get("update").and_then(|entry| self.data(entry)) else { return 0 };
        let update = Update::decode_ssz(&self.chain, fork, &bytes).unwrap();
        assert_eq!(update.encode_ssz(), bytes);
        assert_eq!(self.chain.period_at(update.attested.slot()), entry["period"].as_u64().unwrap());
        self.is_what_its_block_says(update.attested.root(), &update.aggregate, update.signature_slot);
        self.verifies(&update, update.signature_slot);
        1
    }

    fn latest(&self, kind: &str, entry: Option<&Value>) -> usize {
        let Some((fork, bytes)) = entry.and_then(|entry| self.data(entry)) else { return 0 };
        if kind == "finality" {
            let update = FinalityUpdate::decode_ssz(&self.chain, fork, &bytes).unwrap();
            assert_eq!(update.encode_ssz(), bytes);
            self.is_what_its_block_says(update.attested.root(), &update.aggregate, update.signature_slot);
            self.verifies(&update, update.signature_slot);
        } else {
            let update = OptimisticUpdate::decode_ssz(&self.chain, fork, &bytes).unwrap();
            assert_eq!(update.encode_ssz(), bytes);
            self.is_what_its_block_says(update.attested.root(), &update.aggregate, update.signature_slot);
            self.verifies(&update, update.signature_slot);
        }
        1
    }

    /// The block that carries the signature is on top of the signed one.
    fn is_what_its_block_says(&self, attested: B256, aggregate: &SyncAggregate, signature_slot: u64) {
        let block = &self.blocks[&signature_slot];
        assert_eq!(B256::from_slice(&block[MESSAGE + 16..MESSAGE + 48]), attested, "{}", self.case.label());
        let at = MESSAGE + BODY + AGGREGATE;
        let carried = [aggregate.bits.as_slice(), aggregate.signature.as_slice()].concat();
        assert_eq!(block[at..at + carried.len()], carried, "{}", self.case.label());
    }

    fn verifies<T: Claim + Clone>(&self, object: &T, slot: u64) {
        match self.store.verify(&self.chain, object, slot) {
            Ok(_) | Err(Reject::NothingNew { .. }) => {}
            Err(why) => panic!("{}: {why}", self.case.label()),
        }
    }
}

fn slot(block: &[u8]) -> u64 {
    u64::from_le_bytes(block[MESSAGE..MESSAGE + 8].try_into().unwrap())
}
