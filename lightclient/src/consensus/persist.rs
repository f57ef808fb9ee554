//! A store to and from bytes: everything that a restart needs, and the network that it is of.
//!
//! In: bytes from this machine's disk, which may be old, torn or of another network; whoever keeps the file checks a sum. Out:
//! a store, or what is wrong. The best update is not kept: it is worth nothing without a force update.

use std::sync::Arc;

use alloy_primitives::B256;
use ssz::DecodeError;
use thiserror::Error;

use super::bls::Committee;
use super::ssz::{self as wire, Format};
use super::store::Store;
use super::types::{ExecAnchor, FinalityUpdate, Header, SyncCommittee};
use crate::forks::{ChainSpec, Fork};

/// Version of the layout below.
const VERSION: u8 = 1;

/// Why bytes are no store for this network.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum StoreError {
    /// Written by another version.
    #[error("the store has layout {0}, this program reads {VERSION}: start again from a checkpoint")]
    Version(u8),
    /// Of another chain.
    #[error("the store is of the network with genesis validators root {0}: choose another folder")]
    OtherNetwork(B256),
    /// Cut short, too long, or not what it should be.
    #[error("the store's {0} is damaged: start again from a checkpoint")]
    Damaged(&'static str),
}

impl Store {
    /// Writes the whole store: a version byte, the network, then each part after its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.network.as_slice());
        put(&mut bytes, &header_bytes(&self.finalized));
        put(&mut bytes, &header_bytes(&self.optimistic));
        put(&mut bytes, &committee_bytes(&self.current));
        put(&mut bytes, &self.next.as_deref().map(committee_bytes).unwrap_or_default());
        put(&mut bytes, &self.previous_max.to_le_bytes());
        put(&mut bytes, &self.current_max.to_le_bytes());
        put(&mut bytes, &self.proof.as_deref().map(proof_bytes).unwrap_or_default());
        bytes
    }

    /// Reads what [`Self::encode`] wrote. Headers must hang together; committees are believed.
    ///
    /// # Errors
    /// [`StoreError`] says whether the bytes are of another version, of another network, or damaged.
    pub fn decode(spec: &ChainSpec, bytes: &[u8]) -> Result<Self, StoreError> {
        let (&version, rest) = bytes.split_first().ok_or(StoreError::Damaged("version"))?;
        if version != VERSION {
            return Err(StoreError::Version(version));
        }
        let (network, rest) = rest.split_first_chunk::<32>().ok_or(StoreError::Damaged("network"))?;
        let network = B256::from(network);
        if network != spec.genesis_validators_root {
            return Err(StoreError::OtherNetwork(network));
        }
        Sections { spec, rest }.store(network)
    }
}

/// Reads one part after another.
struct Sections<'a> {
    spec: &'a ChainSpec,
    rest: &'a [u8],
}

impl<'a> Sections<'a> {
    fn store(mut self, network: B256) -> Result<Store, StoreError> {
        let finalized = self.header("finalized header")?;
        let optimistic = self.header("optimistic header")?;
        let current = self.committee("current committee")?.ok_or(StoreError::Damaged("current committee"))?;
        let next = self.committee("next committee")?;
        let (previous_max, current_max) = (self.count("participation")?, self.count("participation")?);
        let proof = self.proof()?;
        if !self.rest.is_empty() || optimistic.slot() < finalized.slot() {
            return Err(StoreError::Damaged("end"));
        }
        let mut store = Store::starting_at(self.spec, finalized, current);
        store.network = network;
        store.optimistic = optimistic;
        store.next = next.map(Arc::new);
        (store.previous_max, store.current_max) = (previous_max, current_max);
        store.proof = proof.map(Box::new);
        Ok(store)
    }

    fn section(&mut self, what: &'static str) -> Result<&'a [u8], StoreError> {
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or(StoreError::Damaged(what))?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| StoreError::Damaged(what))?;
        let (section, rest) = rest.split_at_checked(length).ok_or(StoreError::Damaged(what))?;
        self.rest = rest;
        Ok(section)
    }

    fn header(&mut self, what: &'static str) -> Result<Header, StoreError> {
        let damaged = || StoreError::Damaged(what);
        let (&fork, bytes) = self.section(what)?.split_first().ok_or_else(damaged)?;
        let format = self.format(fork, what)?;
        let header = wire::header(format, bytes).map_err(|_: DecodeError| damaged())?;
        if header.is_consistent(self.spec) { Ok(header) } else { Err(damaged()) }
    }

    fn committee(&mut self, what: &'static str) -> Result<Option<Committee>, StoreError> {
        let bytes = self.section(what)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.len() != 48 * (self.spec.preset.sync_committee_size + 1) {
            return Err(StoreError::Damaged(what));
        }
        let keys = wire::committee(bytes).map_err(|_: DecodeError| StoreError::Damaged(what))?;
        Ok(Some(Committee::new(keys)))
    }

    fn count(&mut self, what: &'static str) -> Result<u64, StoreError> {
        let bytes = self.section(what)?.try_into().map_err(|_| StoreError::Damaged(what))?;
        let count = u64::from_le_bytes(bytes);
        if count > self.spec.preset.sync_committee_size as u64 {
            return Err(StoreError::Damaged(what));
        }
        Ok(count)
    }

    fn proof(&mut self) -> Result<Option<FinalityUpdate>, StoreError> {
        let what = "proof of finality";
        let Some((&fork, bytes)) = self.section(what)?.split_first() else { return Ok(None) };
        let fork = self.format(fork, what)?.fork;
        let proof = FinalityUpdate::decode_ssz(self.spec, fork, bytes);
        proof.map(Some).map_err(|_| StoreError::Damaged(what))
    }

    fn format(&self, fork: u8, what: &'static str) -> Result<Format, StoreError> {
        let fork = Fork::ALL.get(usize::from(fork)).ok_or(StoreError::Damaged(what))?;
        Format::new(*fork, &self.spec.preset).map_err(|_| StoreError::Damaged(what))
    }
}

fn put(bytes: &mut Vec<u8>, section: &[u8]) {
    let length = u32::try_from(section.len())
        .expect("a section is a header, a committee or an update, all far below 4 GiB");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(section);
}

/// The oldest format that holds all that the header has, as a byte, and the header in it.
fn header_bytes(header: &Header) -> Vec<u8> {
    let fork = match header.exec {
        ExecAnchor::None => Fork::Altair,
        ExecAnchor::Full(_) => Fork::Deneb,
        ExecAnchor::HashOnly(_) => Fork::Gloas,
    };
    let mut bytes = vec![fork as u8];
    wire::put_header(&mut bytes, Format { fork, members: 0 }, header);
    bytes
}

fn committee_bytes(committee: &Committee) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::put_committee(&mut bytes, &SyncCommittee::from(committee));
    bytes
}

fn proof_bytes(proof: &FinalityUpdate) -> Vec<u8> {
    let mut bytes = vec![proof.fork as u8];
    bytes.extend_from_slice(&proof.encode_ssz());
    bytes
}
