//! What beacon sources send (consensus-specs `light-client/sync-protocol.md`), one shape for all forks and presets.
//!
//! A fork decides how an object is written, not what it is: every object remembers the fork of its format, so that it encodes
//! to the bytes it came from. What a format writes as zeros to say "absent" is `None` here, and only if really all is zero.
//! Nothing in this module is verified.

use alloy_primitives::{Address, B256, FixedBytes, U256};
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use ssz_types::typenum::U32;
use tree_hash_derive::TreeHash;

use crate::forks::Fork;

/// A BLS public key, compressed.
pub type PublicKey = FixedBytes<48>;

/// A BLS signature, compressed.
pub type SignatureBytes = FixedBytes<96>;

/// `BeaconBlockHeader` (consensus-specs phase 0).
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq, TreeHash)]
pub struct BeaconHeader {
    /// Slot of the block.
    pub slot: u64,
    /// Index of the validator that proposed it.
    pub proposer_index: u64,
    /// Root of the block before it.
    pub parent_root: B256,
    /// Root of the beacon state after it.
    pub state_root: B256,
    /// Root of its body.
    pub body_root: B256,
}

/// `ExecutionPayloadHeader` (consensus-specs Deneb; in Capella the last two fields do not exist and are zero here).
#[derive(Clone, Debug, Decode, Default, Encode, Eq, PartialEq, TreeHash)]
pub struct ExecHeader {
    /// Hash of the execution block before it.
    pub parent_hash: B256,
    /// Who gets the fees.
    pub fee_recipient: Address,
    /// Root of the account trie after the block.
    pub state_root: B256,
    /// Root of the receipts.
    pub receipts_root: B256,
    /// Bloom filter over its logs.
    pub logs_bloom: FixedBytes<256>,
    /// Randomness of the beacon chain.
    pub prev_randao: B256,
    /// Height of the block.
    pub block_number: u64,
    /// Gas that it may use.
    pub gas_limit: u64,
    /// Gas that it used.
    pub gas_used: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Free words of its builder, at most 32 bytes.
    pub extra_data: VariableList<u8, U32>,
    /// Wei a gas (EIP-1559).
    pub base_fee_per_gas: U256,
    /// Its hash: keccak-256 of the RLP header.
    pub block_hash: B256,
    /// SSZ root of its transactions.
    pub transactions_root: B256,
    /// SSZ root of its withdrawals.
    pub withdrawals_root: B256,
    /// Gas of its blobs (EIP-4844).
    pub blob_gas_used: u64,
    /// Excess of blob gas (EIP-4844).
    pub excess_blob_gas: u64,
}

/// What a light-client header says of the execution chain.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ExecAnchor {
    /// Nothing: the format is older than Capella.
    #[default]
    None,
    /// The hash of a block, as from Gloas on. For a block of Gloas it is the hash of its **parent's** payload.
    HashOnly(B256),
    /// The block's header, Capella to Fulu.
    Full(Box<ExecHeader>),
}

impl ExecAnchor {
    /// Hash of the execution block.
    #[must_use]
    pub fn block_hash(&self) -> Option<B256> {
        match self {
            Self::None => None,
            Self::HashOnly(hash) => Some(*hash),
            Self::Full(header) => Some(header.block_hash),
        }
    }

    /// The execution header, where the format has it.
    #[must_use]
    pub fn full(&self) -> Option<&ExecHeader> {
        match self {
            Self::None | Self::HashOnly(_) => None,
            Self::Full(header) => Some(header),
        }
    }

    /// Root of the account trie, where the format has it; otherwise the header with [`Self::block_hash`] says it.
    #[must_use]
    pub fn state_root(&self) -> Option<B256> {
        self.full().map(|header| header.state_root)
    }

    /// Height of the execution block, where the format has it.
    #[must_use]
    pub fn block_number(&self) -> Option<u64> {
        self.full().map(|header| header.block_number)
    }

    /// Time of the execution block, seconds since 1970, where the format has it.
    #[must_use]
    pub fn timestamp(&self) -> Option<u64> {
        self.full().map(|header| header.timestamp)
    }
}

/// `LightClientHeader`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// The beacon block's header.
    pub beacon: BeaconHeader,
    /// What it says of the execution chain.
    pub exec: ExecAnchor,
    /// Proves `exec` in the body of the block, deepest sibling first; empty before Capella.
    pub exec_branch: Vec<B256>,
}

/// `SyncCommittee`. As many keys as the preset says; the same key may be there more than once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncCommittee {
    /// The members' keys, in the order of the participation bits.
    pub pubkeys: Vec<PublicKey>,
    /// The sum of all of them.
    pub aggregate_pubkey: PublicKey,
}

/// `SyncAggregate`: who of a committee signed, and their common signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncAggregate {
    /// One bit a member, lowest bit of the first byte first.
    pub bits: Vec<u8>,
    /// The sum of the signatures.
    pub signature: SignatureBytes,
}

impl SyncAggregate {
    /// Members that signed.
    #[must_use]
    pub fn participants(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Members that there are bits for.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bits.len() * 8
    }

    /// Whether the member at `index` signed.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// Whether at least two thirds of the members signed: what finality takes.
    #[must_use]
    pub fn is_supermajority(&self) -> bool {
        self.participants() * 3 >= self.size() * 2
    }
}

/// The finalized header that an attested state names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finality {
    /// The finalized header; default while the chain has finalized nothing but its genesis.
    pub header: Header,
    /// Proves its root in the attested state.
    pub branch: Vec<B256>,
}

/// The committee that signs after the current one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NextCommittee {
    /// The committee.
    pub committee: SyncCommittee,
    /// Proves it in the attested state.
    pub branch: Vec<B256>,
}

/// `LightClientBootstrap`: where a light client starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bootstrap {
    /// How it is written.
    pub fork: Fork,
    /// The header of the trusted block.
    pub header: Header,
    /// The committee that signs in the header's period.
    pub committee: SyncCommittee,
    /// Proves the committee in the header's state.
    pub branch: Vec<B256>,
}

/// `LightClientUpdate`: a signed header, with the next committee or the finalized header that its state names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Update {
    /// How it is written.
    pub fork: Fork,
    /// The header that was signed.
    pub attested: Header,
    /// The committee of the period after the attested header's.
    pub next_committee: Option<NextCommittee>,
    /// The finalized header.
    pub finality: Option<Finality>,
    /// Who signed.
    pub aggregate: SyncAggregate,
    /// Slot of the block that carries the signature.
    pub signature_slot: u64,
}

/// `LightClientFinalityUpdate`: an update without committee.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FinalityUpdate {
    /// How it is written.
    pub fork: Fork,
    /// The header that was signed.
    pub attested: Header,
    /// The finalized header.
    pub finality: Option<Finality>,
    /// Who signed.
    pub aggregate: SyncAggregate,
    /// Slot of the block that carries the signature.
    pub signature_slot: u64,
}

/// `LightClientOptimisticUpdate`: a signed header alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OptimisticUpdate {
    /// How it is written.
    pub fork: Fork,
    /// The header that was signed.
    pub attested: Header,
    /// Who signed.
    pub aggregate: SyncAggregate,
    /// Slot of the block that carries the signature.
    pub signature_slot: u64,
}

impl Update {
    /// What remains without the committee.
    #[must_use]
    pub fn to_finality_update(&self) -> FinalityUpdate {
        FinalityUpdate {
            fork: self.fork,
            attested: self.attested.clone(),
            finality: self.finality.clone(),
            aggregate: self.aggregate.clone(),
            signature_slot: self.signature_slot,
        }
    }

    /// What remains without committee and finality.
    #[must_use]
    pub fn to_optimistic_update(&self) -> OptimisticUpdate {
        self.to_finality_update().to_optimistic_update()
    }
}

impl FinalityUpdate {
    /// What remains without finality.
    #[must_use]
    pub fn to_optimistic_update(&self) -> OptimisticUpdate {
        OptimisticUpdate {
            fork: self.fork,
            attested: self.attested.clone(),
            aggregate: self.aggregate.clone(),
            signature_slot: self.signature_slot,
        }
    }
}

/// Whether a branch says "absent": all zeros (consensus-specs `is_sync_committee_update`, `is_finality_update`).
pub(super) fn is_absent(branch: &[B256]) -> bool {
    branch.iter().all(B256::is_zero)
}
