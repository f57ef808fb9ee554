//! Execution headers as their bytes. In: raw RLP, or a block as JSON-RPC shows it. Out: the few fields that proofs need,
//! read by their place (yellow paper 4.4.3), under the hash of the very bytes. Forks append fields; what is appended is hashed
//! and otherwise left alone, so a header of a fork to come is read as well as one of today.

use alloy_primitives::{B256, Bytes, keccak256};
use serde::Serialize;
use thiserror::Error;

use super::rlp::{Item, RlpError};

mod json;

/// Longest header that is read, bytes: those in use are below 800.
pub const MAX_HEADER: usize = 4096;
/// Fields of the first headers; every fork since only appends.
const LEAST_FIELDS: usize = 15;
/// Most fields that are read: 23 are known through Amsterdam.
const MOST_FIELDS: usize = 64;

/// What proofs need of an execution header, and its hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExecHeader {
    /// keccak-256 of the raw RLP.
    pub hash: B256,
    /// Hash of the block before (field 0).
    pub parent_hash: B256,
    /// Root of the state after the block (field 3).
    pub state_root: B256,
    /// Root of the block's receipts (field 5).
    pub receipts_root: B256,
    /// Height (field 8).
    pub number: u64,
    /// Seconds since 1970 (field 11).
    pub timestamp: u64,
    /// Free bytes; the send root on Arbitrum (field 12).
    pub extra_data: Bytes,
    /// Randomness of the beacon chain; packed counters on Arbitrum (field 13).
    pub mix_hash: B256,
    /// Price of gas burnt, wei (field 15); none before London.
    pub base_fee: Option<u64>,
    /// Fields in all: 16 on Arbitrum.
    pub fields: usize,
    /// Whether the difficulty (field 7) is one, as on Arbitrum.
    difficulty_is_one: bool,
}

/// What Arbitrum packs into a header (Nitro `HeaderInfo`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Nitro {
    /// Root of the tree of messages to L1.
    pub send_root: B256,
    /// Messages to L1 so far.
    pub send_count: u64,
    /// L1 block number that the EVM sees as its own; Livepeer's rounds count these.
    pub l1_block: u64,
    /// Version of ArbOS.
    pub arbos: u64,
}

/// Why a header cannot be read or is another one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum HeaderError {
    /// More bytes than any header has.
    #[error("a header of {0} bytes: at most {MAX_HEADER} are read")]
    Size(usize),
    /// The bytes are not a header's RLP.
    #[error("header field {field}: {why}")]
    Rlp {
        /// Place of the field, from 0.
        field: usize,
        /// What is wrong.
        why: RlpError,
    },
    /// Too few or too many fields.
    #[error("a header of {0} fields: {LEAST_FIELDS} to {MOST_FIELDS} are known")]
    Fields(usize),
    /// It is a header, but not the one that was proven.
    #[error(
        "the header hashes to {found}, proven is {expected}: the source sent another block or changed a field"
    )]
    Hash {
        /// The proven hash.
        expected: B256,
        /// The hash of what came.
        found: B256,
    },
    /// The JSON lacks a field that every header has, or holds something else there.
    #[error("block field {0} is missing or malformed")]
    Json(&'static str),
    /// It is no header of an Arbitrum chain.
    #[error("block {0} is no Arbitrum block: {1}")]
    NotNitro(u64, &'static str),
}

impl ExecHeader {
    /// Reads raw RLP.
    ///
    /// # Errors
    /// [`HeaderError`] when the bytes are not a header.
    pub fn decode(raw: &[u8]) -> Result<Self, HeaderError> {
        let fields = fields(raw)?;
        let at = |field: usize| Reader { field, item: fields[field] };
        Ok(Self {
            hash: keccak256(raw),
            parent_hash: at(0).hash()?,
            state_root: at(3).hash()?,
            receipts_root: at(5).hash()?,
            difficulty_is_one: at(7).integer()? == [1],
            number: at(8).u64()?,
            timestamp: at(11).u64()?,
            extra_data: Bytes::copy_from_slice(at(12).string()?),
            mix_hash: at(13).hash()?,
            base_fee: if fields.len() > 15 { Some(at(15).u64()?) } else { None },
            fields: fields.len(),
        })
    }

    /// Reads raw RLP that must be the block of this hash.
    ///
    /// # Errors
    /// [`HeaderError::Hash`] when it is another one; others as [`Self::decode`].
    pub fn verify(raw: &[u8], expected: B256) -> Result<Self, HeaderError> {
        if raw.len() > MAX_HEADER {
            return Err(HeaderError::Size(raw.len()));
        }
        let found = keccak256(raw);
        if found != expected {
            return Err(HeaderError::Hash { expected, found });
        }
        Self::decode(raw)
    }

    /// Reads a block as `eth_getBlockByHash` gives it: every header field through Amsterdam is put into RLP again, which must
    /// hash to `expected`, or where none is given to the hash that the block itself claims. Gives the raw RLP too.
    ///
    /// # Errors
    /// [`HeaderError::Json`] when a field is missing, [`HeaderError::Hash`] when the bytes are another block's.
    pub fn from_rpc_json(
        block: &serde_json::Value,
        expected: Option<B256>,
    ) -> Result<(Self, Bytes), HeaderError> {
        let raw = json::rlp(block, expected)?;
        Ok((Self::decode(&raw)?, raw))
    }

    /// Reads what Arbitrum packs into its headers.
    ///
    /// # Errors
    /// [`HeaderError::NotNitro`] when the marks of an Arbitrum header are missing.
    pub fn nitro(&self) -> Result<Nitro, HeaderError> {
        let no = |why| Err(HeaderError::NotNitro(self.number, why));
        if self.fields < 16 {
            return no("it has no base fee");
        }
        if !self.difficulty_is_one {
            return no("its difficulty is not 1");
        }
        let Ok(send_root) = B256::try_from(&self.extra_data[..]) else {
            return no("its extra data is not a root");
        };
        let counter = |i: usize| {
            let bytes: [u8; 8] = self.mix_hash[8 * i..8 * i + 8].try_into().expect("eight of 32 bytes");
            u64::from_be_bytes(bytes)
        };
        Ok(Nitro { send_root, send_count: counter(0), l1_block: counter(1), arbos: counter(2) })
    }
}

/// The items of a header, the first fifteen of their known lengths.
fn fields(raw: &[u8]) -> Result<Vec<Item<'_>>, HeaderError> {
    if raw.len() > MAX_HEADER {
        return Err(HeaderError::Size(raw.len()));
    }
    let rlp = |field| move |why| HeaderError::Rlp { field, why };
    let mut rest = Item::only(raw).and_then(Item::list).map_err(rlp(0))?;
    let mut items = Vec::with_capacity(24);
    while !rest.is_empty() {
        let field = items.len();
        let item = Item::take(&mut rest).map_err(rlp(field))?;
        item.string().map_err(rlp(field))?;
        items.push(item);
        if items.len() > MOST_FIELDS {
            return Err(HeaderError::Fields(items.len()));
        }
    }
    if items.len() < LEAST_FIELDS {
        return Err(HeaderError::Fields(items.len()));
    }
    for (field, item) in items.iter().take(LEAST_FIELDS).enumerate() {
        check(field, *item).map_err(rlp(field))?;
    }
    Ok(items)
}

/// Whether one of the first fifteen fields has a length that it can have.
fn check(field: usize, item: Item<'_>) -> Result<(), RlpError> {
    match field {
        2 => item.fixed::<20>().map(drop),
        6 => item.fixed::<256>().map(drop),
        7 => item.integer(32).map(drop),
        8..=11 => item.integer(8).map(drop),
        12 => item.string().map(drop),
        14 => item.fixed::<8>().map(drop),
        _ => item.fixed::<32>().map(drop),
    }
}

/// A field that says its place when it is refused.
struct Reader<'a> {
    field: usize,
    item: Item<'a>,
}

impl<'a> Reader<'a> {
    fn fault(&self) -> impl FnOnce(RlpError) -> HeaderError + use<> {
        let field = self.field;
        move |why| HeaderError::Rlp { field, why }
    }

    fn hash(&self) -> Result<B256, HeaderError> {
        self.item.fixed::<32>().map(B256::new).map_err(self.fault())
    }

    fn u64(&self) -> Result<u64, HeaderError> {
        self.item.u64().map_err(self.fault())
    }

    fn integer(&self) -> Result<&'a [u8], HeaderError> {
        self.item.integer(32).map_err(self.fault())
    }

    fn string(&self) -> Result<&'a [u8], HeaderError> {
        self.item.string().map_err(self.fault())
    }
}
