//! Objects to and from SSZ, for a fork and a preset known only at run time.
//!
//! In: bytes of strangers. A length above the format's greatest is refused before anything is allocated; offsets are checked by
//! `ethereum_ssz`; encoding what was decoded gives the same bytes.

use alloy_primitives::{Address, B256, FixedBytes, U256};
use ssz::{Decode, DecodeError, Encode, SszDecoder, SszDecoderBuilder, SszEncoder};
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use ssz_types::typenum::U32;
use thiserror::Error;
use tree_hash_derive::TreeHash;

use super::types::{
    BeaconHeader, Bootstrap, ExecAnchor, ExecHeader, Finality, FinalityUpdate, Header, NextCommittee,
    OptimisticUpdate, PublicKey, SyncAggregate, SyncCommittee, Update, is_absent,
};
use crate::forks::{ChainSpec, Fork, Preset};
use crate::merkle;

/// Why bytes are not the object that they were said to be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SszError {
    /// Light clients start with Altair.
    #[error("{0} has no light-client data")]
    NoLightClient(Fork),
    /// More bytes than the object can have.
    #[error("{length} bytes, but a {what} of {fork} has at most {most}")]
    TooLong {
        /// The object.
        what: &'static str,
        /// The format.
        fork: Fork,
        /// Bytes that came.
        length: usize,
        /// Bytes that it can have.
        most: usize,
    },
    /// A length or an offset that does not fit.
    #[error("not a {what} of {fork}: {why}")]
    Malformed {
        /// The object.
        what: &'static str,
        /// The format.
        fork: Fork,
        /// What the decoder found.
        why: String,
    },
    /// Context bytes of a list's item that no scheduled fork has.
    #[error("fork digest {0} is of no fork on this network's schedule")]
    UnknownDigest(crate::forks::ForkDigest),
}

/// `ExecutionPayloadHeader` as Capella has it.
#[derive(Clone, Debug, Decode, Encode, TreeHash)]
pub(super) struct CapellaExec {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: FixedBytes<256>,
    prev_randao: B256,
    block_number: u64,
    gas_limit: u64,
    gas_used: u64,
    timestamp: u64,
    extra_data: VariableList<u8, U32>,
    base_fee_per_gas: U256,
    block_hash: B256,
    transactions_root: B256,
    withdrawals_root: B256,
}

impl From<&ExecHeader> for CapellaExec {
    fn from(header: &ExecHeader) -> Self {
        Self {
            parent_hash: header.parent_hash,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            prev_randao: header.prev_randao,
            block_number: header.block_number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data.clone(),
            base_fee_per_gas: header.base_fee_per_gas,
            block_hash: header.block_hash,
            transactions_root: header.transactions_root,
            withdrawals_root: header.withdrawals_root,
        }
    }
}

impl From<CapellaExec> for ExecHeader {
    fn from(header: CapellaExec) -> Self {
        Self {
            parent_hash: header.parent_hash,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            prev_randao: header.prev_randao,
            block_number: header.block_number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data,
            base_fee_per_gas: header.base_fee_per_gas,
            block_hash: header.block_hash,
            transactions_root: header.transactions_root,
            withdrawals_root: header.withdrawals_root,
            blob_gas_used: 0,
            excess_blob_gas: 0,
        }
    }
}

/// The lengths of a format.
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// The fork that it is of.
    pub(super) fork: Fork,
    /// Members of a sync committee.
    pub(super) members: usize,
}

impl Format {
    pub(super) const fn new(fork: Fork, preset: &Preset) -> Result<Self, SszError> {
        match fork {
            Fork::Phase0 => Err(SszError::NoLightClient(fork)),
            _ => Ok(Self { fork, members: preset.sync_committee_size }),
        }
    }

    /// Nodes of the branch in a header.
    pub(super) const fn exec_nodes(self) -> usize {
        match self.fork {
            Fork::Phase0 | Fork::Altair | Fork::Bellatrix => 0,
            Fork::Capella | Fork::Deneb | Fork::Electra | Fork::Fulu => 4,
            Fork::Gloas => 11,
        }
    }

    pub(super) const fn finality_nodes(self) -> usize {
        merkle::depth(merkle::finalized_root_gindex(self.fork))
    }

    pub(super) const fn current_nodes(self) -> usize {
        merkle::depth(merkle::current_committee_gindex(self.fork))
    }

    pub(super) const fn next_nodes(self) -> usize {
        merkle::depth(merkle::next_committee_gindex(self.fork))
    }

    /// Whether headers carry an execution header, whose length varies.
    pub(super) const fn has_payload(self) -> bool {
        matches!(self.fork, Fork::Capella | Fork::Deneb | Fork::Electra | Fork::Fulu)
    }

    /// Whether the execution header counts blobs.
    pub(super) fn counts_blobs(self) -> bool {
        self.fork >= Fork::Deneb
    }

    const fn bits(self) -> usize {
        self.members / 8
    }

    const fn committee(self) -> usize {
        48 * (self.members + 1)
    }

    const fn aggregate(self) -> usize {
        self.bits() + 96
    }

    /// What a header takes in the fixed part of the object that holds it.
    const fn header_slot(self) -> usize {
        if self.has_payload() { 4 } else { 112 + self.hash_and_branch() }
    }

    const fn hash_and_branch(self) -> usize {
        if matches!(self.fork, Fork::Gloas) { 32 + 32 * self.exec_nodes() } else { 0 }
    }

    /// The most that a header takes beside its slot.
    const fn header_rest(self) -> usize {
        if self.has_payload() { 112 + 4 + 32 * self.exec_nodes() + 584 + 32 } else { 0 }
    }

    const fn bootstrap(self) -> usize {
        self.header_slot() + self.committee() + 32 * self.current_nodes()
    }

    const fn update(self) -> usize {
        self.finality_update() + self.committee() + 32 * self.next_nodes()
    }

    const fn finality_update(self) -> usize {
        self.optimistic_update() + self.header_slot() + 32 * self.finality_nodes()
    }

    const fn optimistic_update(self) -> usize {
        self.header_slot() + self.aggregate() + 8
    }
}

/// Most bytes that any light-client object has in a fork's format.
#[must_use]
pub fn ssz_size_limit(spec: &ChainSpec, fork: Fork) -> usize {
    Format::new(fork, &spec.preset).map_or(0, |format| format.update() + 2 * format.header_rest())
}

impl Bootstrap {
    /// Reads SSZ in a fork's format.
    ///
    /// # Errors
    /// [`SszError`] says what does not fit.
    pub fn decode_ssz(spec: &ChainSpec, fork: Fork, bytes: &[u8]) -> Result<Self, SszError> {
        let format = Format::new(fork, &spec.preset)?;
        let reader = Reader { format, what: "light-client bootstrap" };
        reader.bounded(bytes, format.bootstrap() + format.header_rest())?;
        let slots = [reader.header(), reader.fixed(format.committee()), reader.nodes(format.current_nodes())];
        let mut items = reader.items(bytes, &slots)?;
        Ok(Self {
            fork,
            header: reader.take(&mut items, |part| header(format, part))?,
            committee: reader.take(&mut items, committee)?,
            branch: reader.take(&mut items, branch)?,
        })
    }

    /// Writes SSZ in the object's own format.
    #[must_use]
    pub fn encode_ssz(&self) -> Vec<u8> {
        let format = Format { fork: self.fork, members: self.committee.pubkeys.len() };
        let mut bytes = Vec::new();
        let mut encoder = SszEncoder::container(&mut bytes, format.bootstrap());
        append_header(&mut encoder, format, &self.header);
        encoder.append_parameterized(true, |buf| put_committee(buf, &self.committee));
        encoder.append_parameterized(true, |buf| put_branch(buf, &self.branch));
        encoder.finalize();
        bytes
    }
}

impl Update {
    /// Reads SSZ in a fork's format.
    ///
    /// # Errors
    /// [`SszError`] says what does not fit.
    pub fn decode_ssz(spec: &ChainSpec, fork: Fork, bytes: &[u8]) -> Result<Self, SszError> {
        let format = Format::new(fork, &spec.preset)?;
        let reader = Reader { format, what: "light-client update" };
        reader.bounded(bytes, format.update() + 2 * format.header_rest())?;
        let slots = [
            reader.header(),
            reader.fixed(format.committee()),
            reader.nodes(format.next_nodes()),
            reader.header(),
            reader.nodes(format.finality_nodes()),
            reader.fixed(format.aggregate()),
            reader.fixed(8),
        ];
        let mut items = reader.items(bytes, &slots)?;
        Ok(Self {
            fork,
            attested: reader.take(&mut items, |part| header(format, part))?,
            next_committee: next_committee(
                reader.take(&mut items, committee)?,
                reader.take(&mut items, branch)?,
            ),
            finality: finality(
                reader.take(&mut items, |part| header(format, part))?,
                reader.take(&mut items, branch)?,
            ),
            aggregate: reader.take(&mut items, |part| aggregate(format, part))?,
            signature_slot: reader.take(&mut items, u64::from_ssz_bytes)?,
        })
    }

    /// Writes SSZ in the object's own format.
    #[must_use]
    pub fn encode_ssz(&self) -> Vec<u8> {
        let format = Format { fork: self.fork, members: self.aggregate.size() };
        let mut bytes = Vec::new();
        let mut encoder = SszEncoder::container(&mut bytes, format.update());
        append_header(&mut encoder, format, &self.attested);
        encoder.append_parameterized(true, |buf| match &self.next_committee {
            Some(next) => {
                put_committee(buf, &next.committee);
                put_branch(buf, &next.branch);
            }
            None => buf.resize(buf.len() + format.committee() + 32 * format.next_nodes(), 0),
        });
        append_finality(&mut encoder, format, self.finality.as_ref());
        encoder.append_parameterized(true, |buf| put_aggregate(buf, &self.aggregate));
        encoder.append(&self.signature_slot);
        encoder.finalize();
        bytes
    }

    /// Reads a beacon node's SSZ answer to a range of periods: each update after its length (8 bytes) and fork digest (4 bytes).
    ///
    /// # Errors
    /// [`SszError`] says what does not fit.
    pub fn list_from_ssz(spec: &ChainSpec, bytes: &[u8]) -> Result<Vec<Self>, SszError> {
        let mut updates = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let item;
            (item, rest) = chunk(rest).ok_or_else(|| SszError::Malformed {
                what: "list of light-client updates",
                fork: Fork::Altair,
                why: format!("item {} is longer than what is left", updates.len()),
            })?;
            let digest = crate::forks::ForkDigest::from_slice(&item[..4]);
            let fork = spec.fork_of_digest(digest).ok_or(SszError::UnknownDigest(digest))?;
            updates.push(Self::decode_ssz(spec, fork, &item[4..])?);
        }
        Ok(updates)
    }
}

impl FinalityUpdate {
    /// Reads SSZ in a fork's format.
    ///
    /// # Errors
    /// [`SszError`] says what does not fit.
    pub fn decode_ssz(spec: &ChainSpec, fork: Fork, bytes: &[u8]) -> Result<Self, SszError> {
        let format = Format::new(fork, &spec.preset)?;
        let reader = Reader { format, what: "light-client finality update" };
        reader.bounded(bytes, format.finality_update() + 2 * format.header_rest())?;
        let slots = [
            reader.header(),
            reader.header(),
            reader.nodes(format.finality_nodes()),
            reader.fixed(format.aggregate()),
            reader.fixed(8),
        ];
        let mut items = reader.items(bytes, &slots)?;
        Ok(Self {
            fork,
            attested: reader.take(&mut items, |part| header(format, part))?,
            finality: finality(
                reader.take(&mut items, |part| header(format, part))?,
                reader.take(&mut items, branch)?,
            ),
            aggregate: reader.take(&mut items, |part| aggregate(format, part))?,
            signature_slot: reader.take(&mut items, u64::from_ssz_bytes)?,
        })
    }

    /// Writes SSZ in the object's own format.
    #[must_use]
    pub fn encode_ssz(&self) -> Vec<u8> {
        let format = Format { fork: self.fork, members: self.aggregate.size() };
        let mut bytes = Vec::new();
        let mut encoder = SszEncoder::container(&mut bytes, format.finality_update());
        append_header(&mut encoder, format, &self.attested);
        append_finality(&mut encoder, format, self.finality.as_ref());
        encoder.append_parameterized(true, |buf| put_aggregate(buf, &self.aggregate));
        encoder.append(&self.signature_slot);
        encoder.finalize();
        bytes
    }
}

impl OptimisticUpdate {
    /// Reads SSZ in a fork's format.
    ///
    /// # Errors
    /// [`SszError`] says what does not fit.
    pub fn decode_ssz(spec: &ChainSpec, fork: Fork, bytes: &[u8]) -> Result<Self, SszError> {
        let format = Format::new(fork, &spec.preset)?;
        let reader = Reader { format, what: "light-client optimistic update" };
        reader.bounded(bytes, format.optimistic_update() + format.header_rest())?;
        let slots = [reader.header(), reader.fixed(format.aggregate()), reader.fixed(8)];
        let mut items = reader.items(bytes, &slots)?;
        Ok(Self {
            fork,
            attested: reader.take(&mut items, |part| header(format, part))?,
            aggregate: reader.take(&mut items, |part| aggregate(format, part))?,
            signature_slot: reader.take(&mut items, u64::from_ssz_bytes)?,
        })
    }

    /// Writes SSZ in the object's own format.
    #[must_use]
    pub fn encode_ssz(&self) -> Vec<u8> {
        let format = Format { fork: self.fork, members: self.aggregate.size() };
        let mut bytes = Vec::new();
        let mut encoder = SszEncoder::container(&mut bytes, format.optimistic_update());
        append_header(&mut encoder, format, &self.attested);
        encoder.append_parameterized(true, |buf| put_aggregate(buf, &self.aggregate));
        encoder.append(&self.signature_slot);
        encoder.finalize();
        bytes
    }
}

/// What an object's fixed part holds at one place: so many bytes, or (none) an offset.
type Slot = Option<usize>;

/// Reads one object and names it in errors.
struct Reader {
    format: Format,
    what: &'static str,
}

impl Reader {
    fn bounded(&self, bytes: &[u8], most: usize) -> Result<(), SszError> {
        let Self { what, format: Format { fork, .. } } = *self;
        if bytes.len() > most {
            return Err(SszError::TooLong { what, fork, length: bytes.len(), most });
        }
        Ok(())
    }

    const fn header(&self) -> Slot {
        if self.format.has_payload() { None } else { Some(self.format.header_slot()) }
    }

    const fn fixed(&self, length: usize) -> Slot {
        Some(length)
    }

    const fn nodes(&self, nodes: usize) -> Slot {
        Some(32 * nodes)
    }

    fn items<'b>(&self, bytes: &'b [u8], slots: &[Slot]) -> Result<SszDecoder<'b>, SszError> {
        items(bytes, slots).map_err(|error| self.malformed(&error))
    }

    fn take<T>(
        &self,
        items: &mut SszDecoder<'_>,
        read: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, SszError> {
        items.decode_next_with(read).map_err(|error| self.malformed(&error))
    }

    fn malformed(&self, error: &DecodeError) -> SszError {
        SszError::Malformed { what: self.what, fork: self.format.fork, why: format!("{error:?}") }
    }
}

fn items<'b>(bytes: &'b [u8], slots: &[Slot]) -> Result<SszDecoder<'b>, DecodeError> {
    let mut builder = SszDecoderBuilder::new(bytes);
    for slot in slots {
        builder.register_type_parameterized(slot.is_some(), slot.unwrap_or(ssz::BYTES_PER_LENGTH_OFFSET))?;
    }
    builder.build()
}

/// Reads a header in a format.
pub(super) fn header(format: Format, bytes: &[u8]) -> Result<Header, DecodeError> {
    let nodes = Some(32 * format.exec_nodes());
    if format.has_payload() {
        let mut items = items(bytes, &[Some(112), None, nodes])?;
        return Ok(Header {
            beacon: items.decode_next()?,
            exec: ExecAnchor::Full(Box::new(items.decode_next_with(|part| payload(format, part))?)),
            exec_branch: items.decode_next_with(branch)?,
        });
    }
    if format.exec_nodes() == 0 {
        return Ok(Header { beacon: BeaconHeader::from_ssz_bytes(bytes)?, ..Header::default() });
    }
    let mut items = items(bytes, &[Some(112), Some(32), nodes])?;
    Ok(Header {
        beacon: items.decode_next()?,
        exec: ExecAnchor::HashOnly(items.decode_next()?),
        exec_branch: items.decode_next_with(branch)?,
    })
}

fn payload(format: Format, bytes: &[u8]) -> Result<ExecHeader, DecodeError> {
    if format.counts_blobs() {
        ExecHeader::from_ssz_bytes(bytes)
    } else {
        CapellaExec::from_ssz_bytes(bytes).map(ExecHeader::from)
    }
}

fn branch(bytes: &[u8]) -> Result<Vec<B256>, DecodeError> {
    Ok(bytes.chunks_exact(32).map(B256::from_slice).collect())
}

/// Reads keys and their sum; the length was checked by whoever cut the bytes.
pub(super) fn committee(bytes: &[u8]) -> Result<SyncCommittee, DecodeError> {
    let mut pubkeys: Vec<PublicKey> = bytes.chunks_exact(48).map(PublicKey::from_slice).collect();
    let aggregate_pubkey =
        pubkeys.pop().ok_or(DecodeError::InvalidByteLength { len: bytes.len(), expected: 48 })?;
    Ok(SyncCommittee { pubkeys, aggregate_pubkey })
}

fn aggregate(format: Format, bytes: &[u8]) -> Result<SyncAggregate, DecodeError> {
    let mut items = items(bytes, &[Some(format.bits()), Some(96)])?;
    Ok(SyncAggregate {
        bits: items.decode_next_with(|part| Ok(part.to_vec()))?,
        signature: items.decode_next()?,
    })
}

/// All zeros say that there is none.
pub(super) fn next_committee(committee: SyncCommittee, branch: Vec<B256>) -> Option<NextCommittee> {
    let zero = committee.aggregate_pubkey.is_zero() && committee.pubkeys.iter().all(PublicKey::is_zero);
    (!zero || !is_absent(&branch)).then_some(NextCommittee { committee, branch })
}

/// All zeros say that there is none.
pub(super) fn finality(header: Header, branch: Vec<B256>) -> Option<Finality> {
    (!header.is_default() || !is_absent(&branch)).then_some(Finality { header, branch })
}

/// The next item of a list whose items stand after their length.
fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    if length < 4 { None } else { rest.split_at_checked(length) }
}

fn append_header(encoder: &mut SszEncoder<'_>, format: Format, header: &Header) {
    encoder.append_parameterized(!format.has_payload(), |buf| put_header(buf, format, header));
}

fn append_finality(encoder: &mut SszEncoder<'_>, format: Format, finality: Option<&Finality>) {
    let none = Header::default();
    append_header(encoder, format, finality.map_or(&none, |finality| &finality.header));
    encoder.append_parameterized(true, |buf| match finality {
        Some(finality) => put_branch(buf, &finality.branch),
        None => buf.resize(buf.len() + 32 * format.finality_nodes(), 0),
    });
}

/// Writes a header in a format; what it does not have is written as zeros.
pub(super) fn put_header(buf: &mut Vec<u8>, format: Format, header: &Header) {
    let zeros = vec![B256::ZERO; format.exec_nodes()];
    let branch = if header.exec_branch.is_empty() { &zeros } else { &header.exec_branch };
    if format.has_payload() {
        let mut encoder = SszEncoder::container(buf, 112 + 4 + 32 * format.exec_nodes());
        encoder.append(&header.beacon);
        encoder.append_parameterized(false, |buf| put_payload(buf, format, &header.exec));
        encoder.append_parameterized(true, |buf| put_branch(buf, branch));
        encoder.finalize();
        return;
    }
    header.beacon.ssz_append(buf);
    if format.exec_nodes() > 0 {
        header.exec.block_hash().unwrap_or_default().ssz_append(buf);
        put_branch(buf, branch);
    }
}

fn put_payload(buf: &mut Vec<u8>, format: Format, exec: &ExecAnchor) {
    let none = ExecHeader::default();
    let header = exec.full().unwrap_or(&none);
    if format.counts_blobs() { header.ssz_append(buf) } else { CapellaExec::from(header).ssz_append(buf) }
}

fn put_branch(buf: &mut Vec<u8>, branch: &[B256]) {
    branch.iter().for_each(|node| buf.extend_from_slice(node.as_slice()));
}

/// Writes keys and their sum.
pub(super) fn put_committee(buf: &mut Vec<u8>, committee: &SyncCommittee) {
    committee.pubkeys.iter().for_each(|key| buf.extend_from_slice(key.as_slice()));
    buf.extend_from_slice(committee.aggregate_pubkey.as_slice());
}

fn put_aggregate(buf: &mut Vec<u8>, aggregate: &SyncAggregate) {
    buf.extend_from_slice(&aggregate.bits);
    buf.extend_from_slice(aggregate.signature.as_slice());
}
