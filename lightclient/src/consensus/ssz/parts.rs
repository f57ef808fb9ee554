//! The parts that objects are made of, each read from bytes that were cut to its length, and written.

use alloy_primitives::B256;
use ssz::{Decode, DecodeError, Encode, SszDecoder, SszDecoderBuilder, SszEncoder};

use super::super::types::{
    BeaconHeader, ExecAnchor, ExecHeader, Finality, Header, NextCommittee, PublicKey, SyncAggregate,
    SyncCommittee, is_absent,
};
use super::SszError;
use super::format::Format;
use super::payload::CapellaExec;

/// What an object's fixed part holds at one place: so many bytes, or (none) an offset.
pub(super) type Slot = Option<usize>;

/// Reads one object and names it in errors.
pub(super) struct Reader {
    pub(super) format: Format,
    pub(super) what: &'static str,
}

impl Reader {
    pub(super) fn bounded(&self, bytes: &[u8], most: usize) -> Result<(), SszError> {
        let Self { what, format: Format { fork, .. } } = *self;
        if bytes.len() > most {
            return Err(SszError::TooLong { what, fork, length: bytes.len(), most });
        }
        Ok(())
    }

    pub(super) const fn header(&self) -> Slot {
        if self.format.has_payload() { None } else { Some(self.format.header_slot()) }
    }

    pub(super) const fn fixed(&self, length: usize) -> Slot {
        Some(length)
    }

    pub(super) const fn nodes(&self, nodes: usize) -> Slot {
        Some(32 * nodes)
    }

    pub(super) fn items<'b>(&self, bytes: &'b [u8], slots: &[Slot]) -> Result<SszDecoder<'b>, SszError> {
        items(bytes, slots).map_err(|error| self.malformed(&error))
    }

    pub(super) fn take<T>(
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
pub(in crate::consensus) fn header(format: Format, bytes: &[u8]) -> Result<Header, DecodeError> {
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

pub(super) fn branch(bytes: &[u8]) -> Result<Vec<B256>, DecodeError> {
    Ok(bytes.chunks_exact(32).map(B256::from_slice).collect())
}

/// Reads keys and their sum; the length was checked by whoever cut the bytes.
pub(in crate::consensus) fn committee(bytes: &[u8]) -> Result<SyncCommittee, DecodeError> {
    let mut pubkeys: Vec<PublicKey> = bytes.chunks_exact(48).map(PublicKey::from_slice).collect();
    let aggregate_pubkey =
        pubkeys.pop().ok_or(DecodeError::InvalidByteLength { len: bytes.len(), expected: 48 })?;
    Ok(SyncCommittee { pubkeys, aggregate_pubkey })
}

pub(super) fn aggregate(format: Format, bytes: &[u8]) -> Result<SyncAggregate, DecodeError> {
    let mut items = items(bytes, &[Some(format.bits()), Some(96)])?;
    Ok(SyncAggregate {
        bits: items.decode_next_with(|part| Ok(part.to_vec()))?,
        signature: items.decode_next()?,
    })
}

/// All zeros say that there is none.
pub(in crate::consensus) fn next_committee(
    committee: SyncCommittee,
    branch: Vec<B256>,
) -> Option<NextCommittee> {
    let zero = committee.aggregate_pubkey.is_zero() && committee.pubkeys.iter().all(PublicKey::is_zero);
    (!zero || !is_absent(&branch)).then_some(NextCommittee { committee, branch })
}

/// All zeros say that there is none.
pub(in crate::consensus) fn finality(header: Header, branch: Vec<B256>) -> Option<Finality> {
    (!header.is_default() || !is_absent(&branch)).then_some(Finality { header, branch })
}

/// The next item of a list whose items stand after their length.
pub(super) fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    if length < 4 { None } else { rest.split_at_checked(length) }
}

pub(super) fn append_header(encoder: &mut SszEncoder<'_>, format: Format, header: &Header) {
    encoder.append_parameterized(!format.has_payload(), |buf| put_header(buf, format, header));
}

pub(super) fn append_finality(encoder: &mut SszEncoder<'_>, format: Format, finality: Option<&Finality>) {
    let none = Header::default();
    append_header(encoder, format, finality.map_or(&none, |finality| &finality.header));
    encoder.append_parameterized(true, |buf| match finality {
        Some(finality) => put_branch(buf, &finality.branch),
        None => buf.resize(buf.len() + 32 * format.finality_nodes(), 0),
    });
}

/// Writes a header in a format; what it does not have is written as zeros.
pub(in crate::consensus) fn put_header(buf: &mut Vec<u8>, format: Format, header: &Header) {
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

pub(super) fn put_branch(buf: &mut Vec<u8>, branch: &[B256]) {
    branch.iter().for_each(|node| buf.extend_from_slice(node.as_slice()));
}

/// Writes keys and their sum.
pub(in crate::consensus) fn put_committee(buf: &mut Vec<u8>, committee: &SyncCommittee) {
    committee.pubkeys.iter().for_each(|key| buf.extend_from_slice(key.as_slice()));
    buf.extend_from_slice(committee.aggregate_pubkey.as_slice());
}

pub(super) fn put_aggregate(buf: &mut Vec<u8>, aggregate: &SyncAggregate) {
    buf.extend_from_slice(&aggregate.bits);
    buf.extend_from_slice(aggregate.signature.as_slice());
}
