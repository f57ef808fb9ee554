//! A chain whose committee's keys we have: any header can be finalized, two for one slot as well. Minimal
//! preset, Electra from the start, the same committee in every period, each of four keys eight times in it.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::collections::BTreeMap;

use alloy_primitives::{B256, FixedBytes, keccak256};
use blst::min_pk::{AggregatePublicKey, AggregateSignature, PublicKey, SecretKey, Signature};
use lightclient::consensus::{
    BeaconHeader, Bootstrap, ExecAnchor, ExecHeader, Finality, FinalityUpdate, Header, NextCommittee,
    OptimisticUpdate, SyncAggregate, SyncCommittee, Update,
};
use lightclient::forks::{ChainSpec, Fork, ForkPoint, ForkVersion, Preset};
use lightclient::merkle::{self, hash_pair};

/// Signature ciphersuite of Ethereum's consensus layer.
const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// Slots between a finalized block and the block that shows it so.
pub(crate) const SHOWN_AFTER: u64 = 16;

pub(crate) struct Forge {
    pub(crate) spec: ChainSpec,
    keys: Vec<SecretKey>,
    committee: SyncCommittee,
    /// Makes another history of the same slots.
    pub(crate) salt: u8,
    /// State roots of execution blocks, by the first slot that has each.
    pub(crate) state_roots: BTreeMap<u64, B256>,
}

/// A tree in which a few nodes are given; all others are filler.
struct Tree(Vec<B256>);

impl Tree {
    fn new(depth: u32, salt: B256, given: &[(u64, B256)]) -> Self {
        let half = 1_usize << depth;
        let mut nodes = vec![salt; 2 * half];
        for at in (1..2 * half).rev() {
            nodes[at] = match given.iter().find(|(gindex, _)| *gindex == at as u64) {
                Some((_, node)) => *node,
                None if at >= half => salt,
                None => hash_pair(&nodes[2 * at], &nodes[2 * at + 1]),
            };
        }
        Self(nodes)
    }

    fn root(&self) -> B256 {
        self.0[1]
    }

    fn branch(&self, gindex: u64) -> Vec<B256> {
        (0..gindex.ilog2()).map(|up| self.0[((gindex >> up) ^ 1) as usize]).collect()
    }
}

impl Forge {
    pub(crate) fn new(slot_ms: u64) -> Self {
        let keys: Vec<SecretKey> = (0..4_u8).map(|n| SecretKey::key_gen(&[n; 32], &[]).unwrap()).collect();
        let publics: Vec<PublicKey> = (0..32).map(|n| keys[n % 4].sk_to_pk()).collect();
        let aggregate = AggregatePublicKey::aggregate(&publics.iter().collect::<Vec<_>>(), false).unwrap();
        let bytes = |key: &PublicKey| FixedBytes::<48>::from(key.compress());
        let committee = SyncCommittee {
            pubkeys: publics.iter().map(bytes).collect(),
            aggregate_pubkey: bytes(&aggregate.to_public_key()),
        };
        let spec = ChainSpec {
            name: "forged".to_owned(),
            preset: Preset::MINIMAL,
            genesis_time: 1_700_000_000,
            genesis_validators_root: B256::repeat_byte(0x77),
            slot_ms,
            schedule: vec![ForkPoint {
                epoch: 0,
                fork: Fork::Electra,
                version: ForkVersion::from([5, 0, 0, 1]),
            }],
            blobs: Vec::new(),
        };
        Self { spec, keys, committee, salt: 1, state_roots: BTreeMap::new() }
    }

    pub(crate) fn time_at(&self, slot: u64) -> u64 {
        self.spec.genesis_time * 1000 + slot * self.spec.slot_ms
    }

    /// The slot whose block is finalized by the block of `slot`.
    pub(crate) fn finalized_by(slot: u64) -> u64 {
        slot.saturating_sub(SHOWN_AFTER) / 8 * 8
    }

    pub(crate) fn exec(&self, slot: u64) -> ExecHeader {
        let state_root =
            self.state_roots.range(..=slot).next_back().map(|(_, root)| *root).unwrap_or_default();
        ExecHeader {
            state_root,
            block_number: slot,
            timestamp: self.spec.time_at(slot),
            block_hash: keccak256([&slot.to_be_bytes()[..], &[self.salt]].concat()),
            ..ExecHeader::default()
        }
    }

    fn state(&self, slot: u64) -> Tree {
        let finalized = Self::finalized_by(slot);
        let root = if finalized == 0 { B256::ZERO } else { self.header(finalized).root() };
        let committee = self.committee.root();
        Tree::new(7, B256::repeat_byte(self.salt), &[(86, committee), (87, committee), (169, root)])
    }

    pub(crate) fn header(&self, slot: u64) -> Header {
        let exec = self.exec(slot);
        let body = Tree::new(4, B256::repeat_byte(self.salt), &[(25, exec.root(Fork::Electra))]);
        let beacon = BeaconHeader {
            slot,
            proposer_index: 3,
            parent_root: B256::repeat_byte(self.salt),
            state_root: self.state(slot).root(),
            body_root: body.root(),
        };
        Header {
            beacon,
            exec: ExecAnchor::Full(Box::new(exec)),
            exec_branch: body.branch(merkle::EXECUTION_PAYLOAD_GINDEX),
        }
    }

    fn sign(&self, attested: &Header) -> SyncAggregate {
        let domain = self.spec.sync_committee_domain(self.spec.epoch_at(attested.slot()));
        let message = hash_pair(&attested.root(), &domain);
        let each: Vec<Signature> =
            self.keys.iter().map(|key| key.sign(message.as_slice(), DST, &[])).collect();
        let all: Vec<&Signature> = (0..32).map(|n| &each[n % 4]).collect();
        let signature = AggregateSignature::aggregate(&all, false).unwrap().to_signature();
        SyncAggregate { bits: vec![0xff; 4], signature: FixedBytes::from(signature.compress()) }
    }

    pub(crate) fn bootstrap(&self, slot: u64) -> Bootstrap {
        Bootstrap {
            fork: Fork::Electra,
            header: self.header(slot),
            committee: self.committee.clone(),
            branch: self.state(slot).branch(86),
        }
    }

    /// What the block of `slot` finalizes, signed in the next one.
    pub(crate) fn finality(&self, slot: u64) -> FinalityUpdate {
        let attested = self.header(slot);
        let finalized = Self::finalized_by(slot);
        let header = self.header(finalized);
        FinalityUpdate {
            fork: Fork::Electra,
            finality: Some(Finality { header, branch: self.state(slot).branch(169) }),
            aggregate: self.sign(&attested),
            attested,
            signature_slot: slot + 1,
        }
    }

    pub(crate) fn optimistic(&self, slot: u64) -> OptimisticUpdate {
        self.finality(slot).to_optimistic_update()
    }

    /// The slot of the first block of a period that finalizes another one in it.
    pub(crate) fn update_slot(period: u64) -> u64 {
        (period * 64).max(8) + SHOWN_AFTER
    }

    /// The update of a period.
    pub(crate) fn update(&self, period: u64) -> Update {
        let slot = Self::update_slot(period);
        let FinalityUpdate { fork, attested, finality, aggregate, signature_slot } = self.finality(slot);
        let committee =
            NextCommittee { committee: self.committee.clone(), branch: self.state(slot).branch(87) };
        Update { fork, attested, next_committee: Some(committee), finality, aggregate, signature_slot }
    }
}
