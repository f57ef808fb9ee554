//! Makes what a beacon chain would: headers whose roots are made of real branches, committees that really sign.

use std::collections::BTreeMap;

use alloy_primitives::{B256, U256, uint};
use blst::min_pk::{AggregatePublicKey, SecretKey};

use super::super::types::{
    BeaconHeader, Bootstrap, ExecAnchor, ExecHeader, Finality, Header, NextCommittee, PublicKey,
    SignatureBytes, SyncAggregate, SyncCommittee, Update,
};
use super::super::{Applied, Store};
use crate::forks::{BlobLimit, ChainSpec, Fork, ForkPoint, ForkVersion, Preset};
use crate::merkle;

const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// Order of the groups of BLS12-381.
const ORDER: U256 = uint!(0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001_U256);

/// A chain of one fork.
pub(super) struct World {
    pub(super) chain: ChainSpec,
    pub(super) fork: Fork,
}

impl World {
    pub(super) fn of(fork: Fork) -> Self {
        Self::sized(fork, Preset::MINIMAL)
    }

    pub(super) fn sized(fork: Fork, preset: Preset) -> Self {
        let point = |fork: Fork| ForkPoint { epoch: 0, fork, version: ForkVersion::repeat_byte(fork as u8) };
        let chain = ChainSpec {
            name: "world".to_owned(),
            preset,
            genesis_time: 0,
            genesis_validators_root: B256::repeat_byte(7),
            slot_ms: 6000,
            schedule: Fork::ALL.into_iter().filter(|other| *other <= fork).map(point).collect(),
            blobs: vec![BlobLimit { epoch: 0, max_blobs: 9 }],
        };
        Self { chain, fork }
    }

    /// A store that starts at slot 8 of period 0.
    pub(super) fn store(&self) -> Store {
        let bootstrap = self.bootstrap(8);
        Store::bootstrap(&self.chain, bootstrap.header.root(), &bootstrap).unwrap()
    }

    /// The same after the update that `update(24, 16)` is.
    pub(super) fn store_that_knows(&self) -> Store {
        let mut store = self.store();
        assert!(self.apply(&mut store, &self.update(24, 16)).committee);
        store
    }

    pub(super) fn apply(&self, store: &mut Store, update: &Update) -> Applied {
        let verified = store.verify_update(&self.chain, update, update.signature_slot).unwrap();
        store.apply(verified)
    }

    pub(super) fn bootstrap(&self, slot: u64) -> Bootstrap {
        self.bootstrap_with(slot, self.committee(self.chain.period_at(slot)))
    }

    pub(super) fn bootstrap_with(&self, slot: u64, committee: SyncCommittee) -> Bootstrap {
        let gindex = merkle::current_committee_gindex(self.fork);
        let tree = Tree::new([(gindex, committee.root())]);
        Bootstrap {
            fork: self.fork,
            header: self.header(slot, tree.root()),
            committee,
            branch: tree.branch(gindex),
        }
    }

    /// A header at `slot` attested in the next one by everybody, with the header at `finalized` finalized and the next
    /// committee in its state.
    pub(super) fn update(&self, slot: u64, finalized: u64) -> Update {
        self.update_over(slot, self.header(finalized, B256::repeat_byte(1)))
    }

    pub(super) fn update_over(&self, slot: u64, finalized: Header) -> Update {
        let next = self.committee(self.chain.period_at(slot) + 1);
        self.update_with(slot, finalized, next)
    }

    pub(super) fn update_with(&self, slot: u64, finalized: Header, next: SyncCommittee) -> Update {
        let (named, follows) =
            (merkle::finalized_root_gindex(self.fork), merkle::next_committee_gindex(self.fork));
        // A state that has finalized nothing but its genesis names zero.
        let root = if finalized.is_default() { B256::ZERO } else { finalized.root() };
        let tree = Tree::new([(named, root), (follows, next.root())]);
        let mut update = Update {
            fork: self.fork,
            attested: self.header(slot, tree.root()),
            next_committee: Some(NextCommittee { committee: next, branch: tree.branch(follows) }),
            finality: Some(Finality { header: finalized, branch: tree.branch(named) }),
            aggregate: SyncAggregate { bits: Vec::new(), signature: SignatureBytes::ZERO },
            signature_slot: slot + 1,
        };
        self.sign(&mut update, self.members());
        update
    }

    /// Signs the attested header by the first `count` members.
    pub(super) fn sign(&self, update: &mut Update, count: usize) {
        self.sign_by(update, |member| member < count);
    }

    pub(super) fn sign_by(&self, update: &mut Update, who: impl Fn(usize) -> bool) {
        let period = self.chain.period_at(update.signature_slot);
        let domain = self.chain.sync_committee_domain(self.chain.epoch_at(update.signature_slot - 1));
        let message = merkle::hash_pair(&update.attested.root(), &domain);
        update.aggregate = sign_as(self.members(), period, &message, who);
    }

    fn members(&self) -> usize {
        self.chain.preset.sync_committee_size
    }

    fn committee(&self, period: u64) -> SyncCommittee {
        committee_of(self.members(), period)
    }

    pub(super) fn header(&self, slot: u64, state_root: B256) -> Header {
        let (exec, leaf) = match self.fork {
            Fork::Phase0 | Fork::Altair | Fork::Bellatrix => (ExecAnchor::None, None),
            Fork::Capella | Fork::Deneb | Fork::Electra | Fork::Fulu => {
                let exec = payload(slot);
                let leaf = (merkle::EXECUTION_PAYLOAD_GINDEX, exec.root(self.fork));
                (ExecAnchor::Full(Box::new(exec)), Some(leaf))
            }
            Fork::Gloas => (ExecAnchor::HashOnly(B256::repeat_byte(5)), Some((2856, B256::repeat_byte(5)))),
        };
        let tree = Tree::new(leaf);
        let beacon = BeaconHeader {
            slot,
            proposer_index: 3,
            parent_root: B256::repeat_byte(9),
            state_root,
            body_root: tree.root(),
        };
        let exec_branch = leaf.map(|(gindex, _)| tree.branch(gindex)).unwrap_or_default();
        Header { beacon, exec, exec_branch }
    }
}

/// Signs a message by members of a period's committee of 32.
pub(super) fn sign(period: u64, message: &B256, who: impl Fn(usize) -> bool) -> SyncAggregate {
    sign_as(32, period, message, who)
}

/// The sum of the members' signatures is the signature of the sum of their keys.
fn sign_as(members: usize, period: u64, message: &B256, who: impl Fn(usize) -> bool) -> SyncAggregate {
    let (mut bits, mut sum) = (vec![0; members / 8], U256::ZERO);
    for member in (0..members).filter(|member| who(*member)) {
        bits[member / 8] |= 1 << (member % 8);
        sum = sum.add_mod(U256::from_be_bytes(secret(members, period, member).to_bytes()), ORDER);
    }
    let signer = SecretKey::from_bytes(&sum.to_be_bytes::<32>());
    let signature = signer.map(|signer| signer.sign(message.as_slice(), DST, &[]).compress());
    SyncAggregate { bits, signature: signature.map_or(SignatureBytes::ZERO, SignatureBytes::from) }
}

/// A period's committee of 32.
pub(super) fn committee(period: u64) -> SyncCommittee {
    committee_of(32, period)
}

fn committee_of(members: usize, period: u64) -> SyncCommittee {
    let keys: Vec<_> = (0..members).map(|member| secret(members, period, member).sk_to_pk()).collect();
    let refs: Vec<_> = keys.iter().collect();
    let sum = AggregatePublicKey::aggregate(&refs, false).unwrap().to_public_key();
    SyncCommittee {
        pubkeys: keys.iter().map(|key| PublicKey::from(key.compress())).collect(),
        aggregate_pubkey: PublicKey::from(sum.compress()),
    }
}

/// Five of eight places have a key of their own (20 of 32); the other keys sit twice, as they do on small chains.
fn secret(members: usize, period: u64, member: usize) -> SecretKey {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&period.to_le_bytes());
    seed[8..10].copy_from_slice(&u16::try_from(member % (members * 5 / 8)).unwrap().to_le_bytes());
    SecretKey::key_gen(&seed, &[]).unwrap()
}

fn payload(slot: u64) -> ExecHeader {
    ExecHeader {
        block_number: slot,
        timestamp: slot * 6,
        base_fee_per_gas: U256::from(7),
        block_hash: B256::repeat_byte(5),
        state_root: B256::repeat_byte(6),
        extra_data: vec![1, 2, 3].try_into().unwrap(),
        ..ExecHeader::default()
    }
}

/// A Merkle tree of which only some leaves are known; the rest is filled with numbers.
struct Tree {
    leaves: BTreeMap<u64, B256>,
}

impl Tree {
    fn new(leaves: impl IntoIterator<Item = (u64, B256)>) -> Self {
        Self { leaves: leaves.into_iter().collect() }
    }

    fn root(&self) -> B256 {
        self.node(1)
    }

    fn branch(&self, gindex: u64) -> Vec<B256> {
        let path = std::iter::successors(Some(gindex), |index| Some(index >> 1));
        path.take_while(|index| *index > 1).map(|index| self.node(index ^ 1)).collect()
    }

    fn node(&self, index: u64) -> B256 {
        if let Some(leaf) = self.leaves.get(&index) {
            return *leaf;
        }
        let below = |leaf: &u64| *leaf > index && leaf >> (leaf.ilog2() - index.ilog2()) == index;
        if self.leaves.keys().any(|leaf| leaf.ilog2() > index.ilog2() && below(leaf)) {
            return merkle::hash_pair(&self.node(2 * index), &self.node(2 * index + 1));
        }
        B256::from(U256::from(index + 1000))
    }
}
