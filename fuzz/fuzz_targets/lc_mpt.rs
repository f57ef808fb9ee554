//! Tries and proofs made from the input, changed by the input, read by us and by `alloy-trie`: both say the same of what is
//! honest, and neither says anything false of what was changed. Then any bytes as nodes: what we read, it reads alike.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::proof::{ProofRetainer, verify_proof};
use alloy_trie::{HashBuilder, Nibbles};
use libfuzzer_sys::fuzz_target;
use lightclient::exec::mpt::Nodes;

/// A key of few different nibbles, so that paths share much and differ late.
fn key(seed: &[u8]) -> B256 {
    match seed {
        [0, rest @ ..] => keccak256(rest),
        [style, a, b, ..] => {
            let mut key = B256::repeat_byte(style & 0x11);
            key[usize::from(*a % 32)] = *b;
            key
        }
        _ => B256::ZERO,
    }
}

fn ours(root: B256, key: B256, nodes: &[Bytes]) -> Option<Option<Vec<u8>>> {
    let set = Nodes::new(nodes.iter().map(|node| &node[..]));
    set.lookup(root, key.as_slice()).ok().map(|value| value.map(<[u8]>::to_vec))
}

fn theirs(root: B256, key: B256, value: Option<Vec<u8>>, nodes: &[Bytes]) -> bool {
    verify_proof(root, Nibbles::unpack(key), value, nodes).is_ok()
}

fn tries(data: &[u8]) {
    let Some((target, rest)) = data.split_at_checked(3) else { return };
    let (leaves, change) = rest.split_at(rest.len() - rest.len() % 8);
    let leaves: BTreeMap<B256, Vec<u8>> = leaves
        .chunks_exact(8)
        .map(|seed| {
            (key(&seed[..3]), seed[4..5 + usize::from(seed[3] % 4)].repeat(1 + usize::from(seed[3] / 16)))
        })
        .collect();
    if leaves.is_empty() {
        return;
    }
    let target = key(target);
    let retainer = ProofRetainer::from_iter([Nibbles::unpack(target)]);
    let mut builder = HashBuilder::default().with_proof_retainer(retainer);
    for (key, value) in &leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let path = builder.take_proof_nodes().into_nodes_sorted().into_iter();
    let mut nodes: Vec<Bytes> =
        path.filter(|(place, node)| place.is_empty() || node.len() >= 32).map(|(_, node)| node).collect();
    let value = leaves.get(&target).cloned();
    assert_eq!(ours(root, target, &nodes), Some(value.clone()));
    assert!(theirs(root, target, value.clone(), &nodes));
    let [which, place, flip, ..] = change else { return };
    let which = usize::from(*which) % nodes.len();
    let mut node = nodes[which].to_vec();
    let place = usize::from(*place) % node.len();
    node[place] ^= flip | 1;
    nodes[which] = node.into();
    if let Some(read) = ours(root, target, &nodes) {
        assert_eq!(read, value, "a changed proof says something false");
    }
    assert!(!theirs(root, target, value, &nodes));
}

fn bytes(data: &[u8]) {
    let Some((key, rest)) = data.split_at_checked(32) else { return };
    let key = B256::from_slice(key);
    let mut nodes: Vec<Bytes> = Vec::new();
    let mut rest = rest;
    while let [low, high, after @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (node, after) = after.split_at(after.len().min(length));
        nodes.push(Bytes::copy_from_slice(node));
        rest = after;
    }
    let Some(root) = nodes.first().map(keccak256) else { return };
    if let Some(Some(value)) = ours(root, key, &nodes[..1]) {
        assert!(theirs(root, key, Some(value), &nodes[..1]));
    }
    let _ = ours(root, key, &nodes);
}

fuzz_target!(|data: &[u8]| match data {
    [0, rest @ ..] => bytes(rest),
    [_, rest @ ..] => tries(rest),
    [] => {}
});
