//! Real tries for tests: states with accounts and storage, whose roots and proofs come from `alloy-trie`.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, Nibbles, TrieAccount};
use lightclient::exec::bundle::ProofBundle;
use lightclient::exec::proof::{AccountProof, SlotProof};
use lightclient::state::{Account, Keys, ProvenState};

/// Root of a trie and the proof of each target, in the order of the targets.
pub(crate) fn prove(leaves: &BTreeMap<B256, Vec<u8>>, targets: &[B256]) -> (B256, Vec<Vec<Bytes>>) {
    let retainer = ProofRetainer::from_iter(targets.iter().map(Nibbles::unpack));
    let mut builder = HashBuilder::default().with_proof_retainer(retainer);
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes();
    let of = |target: &B256| {
        // Nodes shorter than a hash lie in their parents and are not sent on their own.
        let path = nodes.matching_nodes_sorted(&Nibbles::unpack(target)).into_iter();
        path.filter(|(place, node)| place.is_empty() || node.len() >= 32).map(|(_, node)| node).collect()
    };
    (root, targets.iter().map(of).collect())
}

/// A state to write and to prove.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) storage: BTreeMap<Address, BTreeMap<B256, U256>>,
}

impl World {
    /// Empty accounts that fill the state trie.
    pub(crate) fn crowded(others: u32) -> Self {
        let mut world = Self::default();
        for i in 0..others {
            world.storage.insert(Address::from_slice(&keccak256(i.to_be_bytes())[..20]), BTreeMap::new());
        }
        world
    }

    pub(crate) fn set(&mut self, account: Address, slot: B256, word: impl Into<U256>) {
        self.storage.entry(account).or_default().insert(slot, word.into());
    }

    fn storage_proofs(&self, account: Address, slots: &[B256]) -> (B256, Vec<Vec<Bytes>>) {
        let words = self.storage[&account].iter().filter(|(_, word)| !word.is_zero());
        let leaves = words.map(|(slot, word)| (keccak256(slot), alloy_rlp::encode(word))).collect();
        prove(&leaves, &slots.iter().map(keccak256).collect::<Vec<_>>())
    }

    fn account(&self, account: Address) -> Account {
        let (storage_root, _) = self.storage_proofs(account, &[]);
        Account { nonce: 1, balance: U256::from(7), storage_root, code_hash: keccak256(account) }
    }

    /// State root, and what `eth_getProof` would answer for each account.
    pub(crate) fn answers(&self, keys: &Keys) -> (B256, Vec<AccountProof>) {
        let encode = |account: Account| {
            let Account { nonce, balance, storage_root, code_hash } = account;
            alloy_rlp::encode(TrieAccount { nonce, balance, storage_root, code_hash })
        };
        let accounts = self.storage.keys().map(|a| (keccak256(a), encode(self.account(*a)))).collect();
        let targets: Vec<B256> = keys.keys().map(keccak256).collect();
        let (root, paths) = prove(&accounts, &targets);
        let answer =
            |((address, slots), nodes): ((&Address, &std::collections::BTreeSet<B256>), Vec<Bytes>)| {
                let slots: Vec<B256> = slots.iter().copied().collect();
                let known = self.storage.contains_key(address);
                let claim = if known { self.account(*address) } else { absent() };
                let proofs =
                    if known { self.storage_proofs(*address, &slots).1 } else { vec![vec![]; slots.len()] };
                let word = |slot: &B256| self.storage.get(address).and_then(|s| s.get(slot)).copied();
                let slots = slots.iter().zip(proofs).map(|(slot, nodes)| SlotProof {
                    slot: *slot,
                    claim: word(slot).unwrap_or_default(),
                    nodes,
                });
                AccountProof { address: *address, claim, nodes, slots: slots.collect() }
            };
        (root, keys.iter().zip(paths).map(answer).collect())
    }

    /// What a reader gets that asks for `keys` and verifies.
    pub(crate) fn proven(&self, keys: &Keys) -> ProvenState {
        let (root, answers) = self.answers(keys);
        ProofBundle::from_answers(&answers).verify(root).unwrap()
    }
}

fn absent() -> Account {
    Account { nonce: 0, balance: U256::ZERO, storage_root: B256::ZERO, code_hash: B256::ZERO }
}
