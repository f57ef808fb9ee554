//! Proofs to verify: one slot below an account, through tries as deep as mainnet's; and a pool of a hundred orchestrators.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use fixtures::devnet::trie::State;
use lightclient::exec::ProofBundle;
use lightclient::exec::proof::EMPTY_CODE;
use lightclient::state::Keys;

/// Branches above an account: 16 to the 9th is about as many accounts as mainnet has twice over.
const ACCOUNT_DEPTH: usize = 9;
/// Branches above a slot: as under a contract of some ten million slots.
const STORAGE_DEPTH: usize = 6;
/// Slots of a bonding manager with a long history.
const SLOTS: u64 = 20_000;
const ORCHESTRATORS: u64 = 100;
/// The element of the pool's linked list, its stake, and when it is active.
const SLOTS_EACH: u64 = 3;
/// Head, tail and size of the list.
const SLOTS_OF_LIST: u64 = 3;

/// A bundle and the root that it lies under.
pub(super) struct Proof {
    pub(super) root: B256,
    pub(super) bundle: ProofBundle,
}

impl Proof {
    pub(super) fn verify(&self) {
        let state = self.bundle.verify(self.root).expect("an honest proof");
        assert!(!std::hint::black_box(state).is_empty());
    }

    pub(super) fn slots(&self) -> usize {
        self.bundle.keys.values().map(BTreeSet::len).sum()
    }
}

/// One account and one slot of it.
pub(super) fn mainnet_path() -> Proof {
    let (account, slot) = (Address::repeat_byte(0x35), B256::repeat_byte(7));
    let (storage_root, mut nodes) = path(keccak256(slot), &alloy_rlp::encode(U256::MAX), STORAGE_DEPTH);
    let leaf = list(&[vec![1], Vec::new(), storage_root.to_vec(), EMPTY_CODE.to_vec()]);
    let (root, account_nodes) = path(keccak256(account), &leaf, ACCOUNT_DEPTH);
    nodes.extend(account_nodes);
    let keys = Keys::from([(account, BTreeSet::from([slot]))]);
    Proof { root, bundle: ProofBundle { keys, nodes: nodes.into_iter().collect() } }
}

/// Root and nodes of a trie in which full branches stand above the leaf of `key`.
fn path(key: B256, value: &[u8], depth: usize) -> (B256, Vec<Bytes>) {
    let nibble = |index: usize| key[index / 2] >> (4 * ((index + 1) % 2)) & 0x0f;
    let rest: Vec<u8> = (depth..64).map(nibble).collect();
    let mut prefixed = if rest.len() % 2 == 1 { vec![0x30 | rest[0]] } else { vec![0x20] };
    prefixed.extend(rest[rest.len() % 2..].chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    let mut node = list(&[prefixed, value.to_vec()]);
    let mut nodes = Vec::new();
    for level in (0..depth).rev() {
        let child = keccak256(&node);
        nodes.push(node.into());
        let mut items: Vec<Vec<u8>> = (0..16).map(|i| keccak256([level as u8, i]).to_vec()).collect();
        items[usize::from(nibble(level))] = child.to_vec();
        items.push(Vec::new());
        node = list(&items);
    }
    let root = keccak256(&node);
    nodes.push(node.into());
    (root, nodes)
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload: Vec<u8> = items.iter().flat_map(|item| alloy_rlp::encode(&item[..])).collect();
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

/// Every slot that a complete pool needs, out of a big contract.
pub(super) fn pool() -> Proof {
    let contract = Address::repeat_byte(0x35);
    let mut state = State::default();
    let slot = |i: u64| keccak256(i.to_be_bytes());
    for i in 0..SLOTS {
        state.set_storage(contract, slot(i), U256::from_be_bytes(keccak256(i.to_le_bytes()).0));
    }
    let slots: Vec<B256> = (0..ORCHESTRATORS * SLOTS_EACH + SLOTS_OF_LIST).map(slot).collect();
    let proof = state.prove(contract, &slots);
    let nodes = proof.nodes.into_iter().chain(proof.slots.into_iter().flat_map(|slot| slot.nodes));
    let keys = Keys::from([(contract, slots.into_iter().collect())]);
    Proof { root: state.root(), bundle: ProofBundle { keys, nodes: nodes.collect() } }
}
