//! Objects to and from SSZ, for a fork and a preset known only at run time.
//!
//! In: bytes of strangers. A length above the format's greatest is refused before anything is allocated; offsets are checked by
//! `ethereum_ssz`; encoding what was decoded gives the same bytes.

mod format;
mod parts;
mod payload;

use ssz::{Decode, SszEncoder};
use thiserror::Error;

pub(super) use self::format::Format;
use self::parts::{
    Reader, aggregate, append_finality, append_header, branch, chunk, put_aggregate, put_branch,
};
pub(super) use self::parts::{committee, finality, header, next_committee, put_committee, put_header};
pub(super) use self::payload::CapellaExec;
use super::types::{Bootstrap, FinalityUpdate, OptimisticUpdate, Update};
use crate::forks::{ChainSpec, Fork};

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
