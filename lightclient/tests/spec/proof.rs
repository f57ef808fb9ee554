//! `single_merkle_proof`: a leaf, a branch and an index in a beacon state or block body.
//!
//! The roots of those objects are in `tests/vectors/roots.yaml`, as the executable specification hashes them.

use std::fs;
use std::path::Path;

use alloy_primitives::B256;
use lightclient::forks::Fork;
use lightclient::merkle;
use serde_norway::Value;

use super::case::{Case, root};

pub(crate) fn check(case: &Case) {
    let proof = case.yaml("proof.yaml");
    let gindex = proof["leaf_index"].as_u64().unwrap();
    let leaf = root(&proof["leaf"]);
    let branch: Vec<B256> = proof["branch"].as_sequence().unwrap().iter().map(root).collect();
    let object = object_root(case);
    assert_eq!(gindex, expected_gindex(case), "{}", case.label());
    assert!(merkle::verify_branch(leaf, &branch, gindex, object), "{}", case.label());
    assert!(merkle::verify_normalized_branch(leaf, &branch, gindex, object));
    let padded = [&[B256::ZERO; 2], branch.as_slice()].concat();
    assert!(merkle::verify_normalized_branch(leaf, &padded, gindex, object));
    assert!(!merkle::verify_branch(leaf, &padded, gindex, object));
    let dirty = [&[B256::repeat_byte(1)], branch.as_slice()].concat();
    assert!(!merkle::verify_normalized_branch(leaf, &dirty, gindex, object));
    assert!(!merkle::verify_normalized_branch(leaf, &branch[1..], gindex, object));
    assert!(!merkle::verify_branch(!leaf, &branch, gindex, object));
}

fn expected_gindex(case: &Case) -> u64 {
    match case.name.as_str() {
        "current_sync_committee_merkle_proof" => merkle::current_committee_gindex(case.fork),
        "next_sync_committee_merkle_proof" => merkle::next_committee_gindex(case.fork),
        "finality_root_merkle_proof" => merkle::finalized_root_gindex(case.fork),
        "execution_merkle_proof" => merkle::EXECUTION_PAYLOAD_GINDEX,
        "execution_block_hash_merkle_proof" => merkle::block_hash_gindex(Fork::Gloas).unwrap(),
        other => panic!("unknown proof {other}"),
    }
}

fn object_root(case: &Case) -> B256 {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/roots.yaml");
    let roots: Value = serde_norway::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let key = format!("{}/{}/{}/{}", case.preset, case.fork, case.suite, case.name);
    root(&roots[key.as_str()])
}
