//! State proofs against a real chain's state, against `alloy-trie` on random tries, and against whoever changes them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy_trie::Nibbles;
use alloy_trie::proof::verify_proof;
use lightclient::exec::ExecHeader;
use lightclient::exec::bundle::{BundleError, MAX_BUNDLE, MAX_KEYS, ProofBundle};
use lightclient::exec::header::HeaderError;
use lightclient::exec::mpt::{EMPTY_ROOT, Nodes, TrieError};
use lightclient::exec::proof::{self, AccountProof, ProofError, SlotProof};
use lightclient::state::{Account, Keys, Missing, ProvenState, StateView};
use proptest::prelude::*;
use serde_json::Value;

#[path = "support/tries.rs"]
mod tries;

use tries::World;

/// Livepeer's contracts on a development chain: 9 accounts, 144 slots, canonical tries.
struct Chain {
    root: B256,
    answers: Vec<AccountProof>,
    absent: Address,
    absent_nodes: Vec<Bytes>,
}

fn vector() -> Value {
    serde_json::from_str(include_str!("vectors/protocol/storage_proofs_canonical.json")).unwrap()
}

fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

fn nodes(value: &Value) -> Vec<Bytes> {
    value.as_array().unwrap().iter().map(|n| n.as_str().unwrap().parse().unwrap()).collect()
}

fn chain() -> Chain {
    let vector = vector();
    let (header, _) = ExecHeader::from_rpc_json(&vector["header"], Some(hash(&vector["blockHash"]))).unwrap();
    // The file's own form, put into that of EIP-1186.
    let answer = |entry: &Value| {
        let mut answer = entry.clone();
        let slots = entry["slots"].as_array().unwrap().iter();
        answer["storageProof"] = slots
            .map(|slot| serde_json::json!({ "key": slot["slot"], "value": slot["value"], "proof": slot["proof"] }))
            .collect();
        AccountProof::from_json(&answer).unwrap()
    };
    Chain {
        root: header.state_root,
        answers: vector["accounts"].as_array().unwrap().iter().map(answer).collect(),
        absent: vector["absentAccount"]["address"].as_str().unwrap().parse().unwrap(),
        absent_nodes: nodes(&vector["absentAccount"]["accountProof"]),
    }
}

#[test]
fn every_account_and_slot_of_a_real_chain_verifies() {
    let chain = chain();
    let state = proof::verify(&chain.answers, chain.root).unwrap();
    let slots: usize = chain.answers.iter().map(|answer| answer.slots.len()).sum();
    assert_eq!((chain.answers.len(), slots), (9, 144));
    assert_eq!(state.len(), 153);
    let zeros =
        chain.answers.iter().flat_map(|answer| &answer.slots).filter(|slot| slot.claim.is_zero()).count();
    println!("verified {} accounts and {slots} slots, {zeros} of them absent", chain.answers.len());
}

#[test]
fn an_account_that_is_not_there_is_proven_absent() {
    let chain = chain();
    let keys = Keys::from([(chain.absent, BTreeSet::from([B256::ZERO]))]);
    let bundle = ProofBundle { keys, nodes: chain.absent_nodes.into_iter().collect() };
    let state = bundle.verify(chain.root).unwrap();
    assert_eq!(state.account(chain.absent), Ok(None));
    assert_eq!(state.storage(chain.absent, B256::repeat_byte(9)), Ok(U256::ZERO));
}

#[test]
fn any_changed_node_fails() {
    let chain = chain();
    let honest = ProofBundle::from_answers(&chain.answers);
    let (mut changed, mut dropped) = (0, 0);
    for node in &honest.nodes {
        let mut without = honest.clone();
        without.nodes.remove(node);
        assert!(matches!(
            without.verify(chain.root).unwrap_err(),
            ProofError::Account { why: TrieError::NoNode { .. }, .. }
                | ProofError::Slot { why: TrieError::NoNode { .. }, .. }
        ));
        dropped += 1;
        for at in [0, 1, node.len() / 2, node.len() - 1] {
            let mut bytes = node.to_vec();
            bytes[at] ^= 1 << (at % 8);
            let mut lying = without.clone();
            lying.nodes.insert(bytes.into());
            assert!(lying.verify(chain.root).is_err());
            changed += 1;
        }
    }
    println!("{dropped} nodes dropped and {changed} changed, all refused");
}

#[test]
fn any_changed_claim_fails() {
    let chain = chain();
    let mut changed = 0;
    for at in 0..chain.answers.len() {
        let mut lies: Vec<AccountProof> = Vec::new();
        let answer = &chain.answers[at];
        let claim = answer.claim;
        for claim in [
            Account { nonce: claim.nonce + 1, ..claim },
            Account { balance: claim.balance + U256::ONE, ..claim },
            Account { storage_root: B256::repeat_byte(1), ..claim },
            Account { code_hash: B256::ZERO, ..claim },
        ] {
            lies.push(AccountProof { claim, ..answer.clone() });
        }
        for slot in 0..answer.slots.len() {
            let mut lie = answer.clone();
            lie.slots[slot].claim += U256::ONE;
            lies.push(lie);
        }
        for lie in lies {
            let refused = proof::verify(&[lie], chain.root).unwrap_err();
            assert!(matches!(refused, ProofError::Claim { .. }), "{refused}");
            changed += 1;
        }
    }
    println!("{changed} changed claims, all refused");
}

#[test]
fn servers_write_zeros_in_many_ways() {
    let mut answer = serde_json::json!({
        "address": "0x0101010101010101010101010101010101010101", "accountProof": [], "balance": "0x", "nonce": "0x00",
        "storageHash": "0x0", "codeHash": "0x0", "storageProof": [
            { "key": "0x9", "value": "0x09", "proof": [] }, { "key": "0x09", "value": "0x0009", "proof": [] },
            { "key": "0x0000000000000000000000000000000000000000000000000000000000000009", "value": "0x9", "proof": [] },
        ]
    });
    let read = AccountProof::from_json(&answer).unwrap();
    let nine = SlotProof { slot: B256::with_last_byte(9), claim: U256::from(9), nodes: Vec::new() };
    assert_eq!(read.slots, vec![nine; 3]);
    let state = proof::verify(&[AccountProof { slots: Vec::new(), ..read }], EMPTY_ROOT).unwrap();
    assert_eq!(state.account(Address::repeat_byte(1)), Ok(None));
    for broken in [Value::Null, "9".into(), "0xg".into(), format!("0x{}", "0".repeat(65)).into(), 9.into()] {
        answer["storageProof"][0]["value"] = broken;
        assert!(matches!(AccountProof::from_json(&answer), Err(ProofError::Json(_))));
    }
}

#[test]
fn a_leaf_of_zero_reads_as_zero_and_stays_bound_to_the_root() {
    let slot = B256::ZERO;
    let other = B256::with_last_byte(1);
    let leaves =
        BTreeMap::from([(keccak256(slot), vec![0x80]), (keccak256(other), alloy_rlp::encode(U256::from(5)))]);
    let (root, paths) = tries::prove(&leaves, &[keccak256(slot)]);
    let nodes = Nodes::new(paths[0].iter().map(|node| &node[..]));
    assert_eq!(nodes.lookup(root, keccak256(slot).as_slice()), Ok(Some(&[0x80][..])));
    let strict = verify_proof(root, Nibbles::unpack(keccak256(slot)), None, &paths[0]);
    assert!(strict.is_err(), "the other verifier calls it present");
}

#[test]
fn a_bundle_keeps_each_node_once_and_has_one_spelling() {
    let chain = chain();
    let bundle = ProofBundle::from_answers(&chain.answers);
    let sent: usize = chain
        .answers
        .iter()
        .flat_map(|a| a.slots.iter().map(|s| &s.nodes).chain([&a.nodes]))
        .flatten()
        .map(|n| n.len())
        .sum();
    let bytes = bundle.encode().unwrap();
    assert_eq!(bytes.len(), bundle.size());
    assert_eq!(ProofBundle::decode(&bytes), Ok(bundle));
    println!("{} bytes of nodes in the answers, {} in the bundle", sent, bytes.len());
    for end in (0..bytes.len()).step_by(37) {
        assert!(ProofBundle::decode(&bytes[..end]).is_err());
    }
    assert_eq!(ProofBundle::decode(&[&bytes[..], &[0]].concat()), Err(BundleError::Trailing(1)));
    assert_eq!(ProofBundle::decode(&[2]), Err(BundleError::Version(2)));
}

#[test]
fn a_bundle_over_a_limit_is_neither_written_nor_read() {
    let slots = (0..MAX_KEYS as u64).map(|i| B256::from(U256::from(i))).collect();
    let many = ProofBundle { keys: Keys::from([(Address::ZERO, slots)]), ..ProofBundle::default() };
    assert_eq!(many.encode(), Err(BundleError::Keys(MAX_KEYS + 1)));
    assert_eq!(ProofBundle::decode(&vec![1; MAX_BUNDLE + 1]), Err(BundleError::Size(MAX_BUNDLE + 1)));
    let claims_much = [&[1][..], &u32::MAX.to_be_bytes(), &[0; 100]].concat();
    assert_eq!(ProofBundle::decode(&claims_much), Err(BundleError::Truncated));
    let twice = [&[1][..], &0_u32.to_be_bytes(), &2_u32.to_be_bytes(), &[0, 1, 5, 0, 1, 5]].concat();
    assert_eq!(ProofBundle::decode(&twice), Err(BundleError::Order));
}

#[test]
fn what_nobody_proved_is_missing_and_names_itself() {
    let chain = chain();
    let state = proof::verify(&chain.answers[..1], chain.root).unwrap();
    let unasked = B256::repeat_byte(0xee);
    let missing = state.storage(chain.answers[0].address, unasked).unwrap_err();
    let mut keys = Keys::new();
    missing.ask(&mut keys);
    assert_eq!(keys, Keys::from([(chain.answers[0].address, BTreeSet::from([unasked]))]));
    assert_eq!(state.lacks(&keys), keys);
    assert_eq!(state.account(chain.answers[1].address), Err(Missing::Account(chain.answers[1].address)));
}

#[test]
fn proofs_of_one_state_join_and_of_two_do_not() {
    let chain = chain();
    let mut state = ProvenState::default();
    for answer in &chain.answers {
        state.join(proof::verify(std::slice::from_ref(answer), chain.root).unwrap()).unwrap();
    }
    assert_eq!(state, proof::verify(&chain.answers, chain.root).unwrap());
    let mut world = World::crowded(3);
    world.set(Address::repeat_byte(1), B256::ZERO, U256::ONE);
    let other = world.proven(&Keys::from([(Address::repeat_byte(1), BTreeSet::new())]));
    assert_eq!(state.join(other).unwrap_err().expected, chain.root);
}

#[test]
fn code_is_what_its_hash_names() {
    assert_eq!(proof::verify_code(&[], proof::EMPTY_CODE), Ok(()));
    assert!(matches!(proof::verify_code(&[0], proof::EMPTY_CODE), Err(ProofError::Code { .. })));
}

#[test]
fn a_header_is_made_again_from_json_and_any_changed_field_is_another_block() {
    let vector = vector();
    let (expected, block) = (hash(&vector["blockHash"]), &vector["header"]);
    let (header, raw) = ExecHeader::from_rpc_json(block, Some(expected)).unwrap();
    assert_eq!((header.hash, header.fields, header.number), (expected, 20, 0x2e0));
    assert_eq!(ExecHeader::verify(&raw, expected), Ok(header));
    for (name, value) in block.as_object().unwrap() {
        let mut lie = block.clone();
        let text = value.as_str().unwrap();
        let last = if text.ends_with('1') { "2" } else { "1" };
        lie[name] =
            if text == "0x" { "0x01".into() } else { format!("{}{last}", &text[..text.len() - 1]).into() };
        assert!(ExecHeader::from_rpc_json(&lie, Some(expected)).is_err(), "{name}");
        lie.as_object_mut().unwrap().remove(name);
        assert!(ExecHeader::from_rpc_json(&lie, Some(expected)).is_err(), "{name} removed");
    }
    for at in 0..raw.len() {
        let mut lie = raw.to_vec();
        lie[at] ^= 1;
        assert!(matches!(ExecHeader::verify(&lie, expected), Err(HeaderError::Hash { .. })));
        let _ = ExecHeader::decode(&lie);
        let _ = ExecHeader::decode(&raw[..at]);
    }
}

#[test]
fn fields_of_forks_to_come_are_hashed_and_otherwise_left_alone() {
    let vector = vector();
    let mut block = vector["header"].clone();
    for (name, value) in [
        ("requestsHash", format!("{:#x}", B256::repeat_byte(1))),
        ("blockAccessListHash", format!("{:#x}", B256::repeat_byte(2))),
        ("slotNumber", "0x07".to_owned()),
    ] {
        block[name] = value.into();
    }
    let unknown = ExecHeader::from_rpc_json(&block, Some(B256::ZERO)).unwrap_err();
    let HeaderError::Hash { found, .. } = unknown else { panic!("{unknown}") };
    let (header, raw) = ExecHeader::from_rpc_json(&block, Some(found)).unwrap();
    assert_eq!((header.fields, header.number, header.base_fee), (23, 0x2e0, Some(7)));
    // A server may show fields that the block's fork does not hash yet.
    let old = ExecHeader::from_rpc_json(&block, Some(hash(&vector["blockHash"]))).unwrap().0;
    assert_eq!(old.fields, 20);
    block["hash"] = format!("{found:#x}").into();
    assert_eq!(ExecHeader::from_rpc_json(&block, None).unwrap().1, raw);
    assert!(matches!(ExecHeader::decode(&vec![0xc0; 5000]), Err(HeaderError::Size(5000))));
    assert!(matches!(ExecHeader::decode(&hex!("c3808080")), Err(HeaderError::Fields(3))));
}

/// A trie to look things up in: some keys share long prefixes, some values are so short that nodes lie in their parents.
fn leaves() -> impl Strategy<Value = BTreeMap<B256, Vec<u8>>> {
    let key = prop_oneof![
        any::<[u8; 32]>(),
        any::<u8>().prop_map(|last| [[0; 31].as_slice(), &[last]].concat().try_into().unwrap()),
        any::<[u8; 2]>().prop_map(|ends| [&ends[..1], &[7; 30], &ends[1..]].concat().try_into().unwrap()),
    ];
    let value =
        prop_oneof![prop::collection::vec(any::<u8>(), 1..3), prop::collection::vec(any::<u8>(), 1..60),];
    let size = prop_oneof![1..4_usize, 1..40_usize, 100..400_usize];
    let leaf = (key.prop_map(B256::new), value);
    size.prop_flat_map(move |size| prop::collection::vec(leaf.clone(), size))
        .prop_map(|leaves| leaves.into_iter().collect())
}

/// Keys to ask for: some that are there, some that are not, some that nearly are.
fn targets(leaves: &BTreeMap<B256, Vec<u8>>, seed: u64) -> Vec<B256> {
    let there: Vec<B256> = leaves.keys().copied().collect();
    let mut targets: Vec<B256> = Vec::new();
    for i in 0..8_u64 {
        let random = keccak256((seed ^ i).to_be_bytes());
        let known = there[usize::from(random[0]) % there.len()];
        let mut near = known;
        near[usize::from(random[1] % 32)] ^= 1 << (random[2] % 8);
        targets.extend([known, near, random]);
    }
    targets.sort_unstable();
    targets.dedup();
    targets
}

fn ours(root: B256, key: B256, nodes: &[Bytes]) -> Result<Option<Vec<u8>>, TrieError> {
    let set = Nodes::new(nodes.iter().map(|node| &node[..]));
    set.lookup(root, key.as_slice()).map(|value| value.map(<[u8]>::to_vec))
}

fn theirs(root: B256, key: B256, value: Option<&Vec<u8>>, nodes: &[Bytes]) -> bool {
    verify_proof(root, Nibbles::unpack(key), value.cloned(), nodes).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_tries_read_as_another_implementation_reads_them(leaves in leaves(), seed: u64) {
        let targets = targets(&leaves, seed);
        let (root, paths) = tries::prove(&leaves, &targets);
        for (key, nodes) in targets.iter().zip(&paths) {
            let value = leaves.get(key);
            prop_assert_eq!(ours(root, *key, nodes), Ok(value.cloned()));
            prop_assert!(theirs(root, *key, value, nodes));
        }
    }

    #[test]
    fn changed_proofs_are_refused_as_another_implementation_refuses_them(leaves in leaves(), seed: u64) {
        let targets = targets(&leaves, seed);
        let (root, paths) = tries::prove(&leaves, &targets);
        for (i, (key, nodes)) in targets.iter().zip(&paths).enumerate() {
            let random = keccak256([seed, i as u64].map(u64::to_be_bytes).concat());
            let mut changed = nodes.clone();
            let at = usize::from(random[0]) % changed.len();
            if random[1] % 4 == 0 {
                changed.truncate(at);
            } else {
                let mut node = changed[at].to_vec();
                let place = usize::from(u16::from_be_bytes([random[2], random[3]])) % node.len();
                node[place] ^= 1 << (random[4] % 8);
                changed[at] = node.into();
            }
            let read = ours(root, *key, &changed);
            prop_assert!(matches!(read, Err(TrieError::NoNode { .. })), "{:?}", read);
            prop_assert!(!theirs(root, *key, leaves.get(key), &changed));
            prop_assert!(!theirs(root, *key, None, &changed));
        }
    }

    #[test]
    fn any_bytes_as_a_node_are_read_without_panic(node: Vec<u8>, key: [u8; 32]) {
        let root = keccak256(&node);
        let nodes = [Bytes::from(node)];
        if let Ok(Some(value)) = ours(root, B256::new(key), &nodes) {
            prop_assert!(theirs(root, B256::new(key), Some(&value), &nodes));
        }
    }
}

fn pool(orchestrators: u64) -> (World, Keys, Address) {
    let contract = Address::repeat_byte(0x35);
    let mut world = World::crowded(2000);
    let mut slots = BTreeSet::new();
    for i in 0..20_000_u64 {
        world.set(contract, keccak256(i.to_be_bytes()), U256::from_be_bytes(keccak256(i.to_le_bytes()).0));
    }
    for i in 0..3 * orchestrators + 3 {
        slots.insert(keccak256(i.to_be_bytes()));
    }
    (world, Keys::from([(contract, slots)]), contract)
}

/// Prints times; figures hold for one machine, so nothing is asserted of them.
#[test]
fn a_pool_of_a_hundred_is_proven_at_once() {
    let (world, keys, contract) = pool(100);
    let (root, answers) = world.answers(&keys);
    let bundle = ProofBundle::from_answers(&answers);
    let started = Instant::now();
    let state = bundle.verify(root).unwrap();
    let all = started.elapsed();
    assert_eq!(state.len(), 304);
    let one = BTreeSet::from([*keys[&contract].first().unwrap()]);
    let (_, answers) = world.answers(&Keys::from([(contract, one)]));
    let single = ProofBundle::from_answers(&answers);
    let started = Instant::now();
    for _ in 0..100 {
        single.verify(root).unwrap();
    }
    let one = started.elapsed() / 100;
    println!(
        "303 slots over {} nodes ({} bytes) in {all:?}; one account and slot over {} nodes in {one:?}",
        bundle.nodes.len(),
        bundle.size(),
        single.nodes.len()
    );
}
