//! A header's RLP made again from a block in JSON-RPC's form, so that a plain `eth_getBlockByHash` of any server suffices.
//! Field names through Amsterdam (EIP-1559, 4895, 4844, 4788, 7685, 7928, 7843); the hash decides how many of them the block's
//! fork hashes, because servers also show fields that belong to no header.

use alloy_primitives::{B256, Bytes, hex, keccak256};
use alloy_rlp::Header;
use serde_json::Value;

use super::{HeaderError, LEAST_FIELDS, MAX_HEADER};

/// How a field is written in JSON.
#[derive(Clone, Copy)]
enum Form {
    /// Bytes of exactly this many.
    Fixed(usize),
    /// Bytes of any number.
    Bytes,
    /// An integer without leading zeros.
    Quantity,
}

/// Every header field in the order in which it is hashed: names that servers use, and its form.
const FIELDS: [(&[&str], Form); 23] = [
    (&["parentHash"], Form::Fixed(32)),
    (&["sha3Uncles"], Form::Fixed(32)),
    (&["miner"], Form::Fixed(20)),
    (&["stateRoot"], Form::Fixed(32)),
    (&["transactionsRoot"], Form::Fixed(32)),
    (&["receiptsRoot"], Form::Fixed(32)),
    (&["logsBloom"], Form::Fixed(256)),
    (&["difficulty"], Form::Quantity),
    (&["number"], Form::Quantity),
    (&["gasLimit"], Form::Quantity),
    (&["gasUsed"], Form::Quantity),
    (&["timestamp"], Form::Quantity),
    (&["extraData"], Form::Bytes),
    (&["mixHash"], Form::Fixed(32)),
    (&["nonce"], Form::Fixed(8)),
    (&["baseFeePerGas"], Form::Quantity),
    (&["withdrawalsRoot"], Form::Fixed(32)),
    (&["blobGasUsed"], Form::Quantity),
    (&["excessBlobGas"], Form::Quantity),
    (&["parentBeaconBlockRoot"], Form::Fixed(32)),
    (&["requestsHash"], Form::Fixed(32)),
    (&["blockAccessListHash", "balHash"], Form::Fixed(32)),
    (&["slotNumber"], Form::Quantity),
];

/// The RLP that hashes to `expected`, or to the block's own claim.
pub(super) fn rlp(block: &Value, expected: Option<B256>) -> Result<Bytes, HeaderError> {
    let expected = match expected {
        Some(hash) => hash,
        None => {
            B256::from_slice(&bytes(block, &["hash"], Form::Fixed(32))?.ok_or(HeaderError::Json("hash"))?)
        }
    };
    let fields = encoded_fields(block)?;
    let mut found = B256::ZERO;
    for count in (LEAST_FIELDS..=fields.len()).rev() {
        let raw = list(&fields[..count]);
        let hash = keccak256(&raw);
        if hash == expected {
            return if raw.len() > MAX_HEADER { Err(HeaderError::Size(raw.len())) } else { Ok(raw.into()) };
        }
        if count == fields.len() {
            found = hash;
        }
    }
    Err(HeaderError::Hash { expected, found })
}

/// Each field's RLP, up to the first that the block does not have.
fn encoded_fields(block: &Value) -> Result<Vec<Vec<u8>>, HeaderError> {
    let mut fields = Vec::with_capacity(FIELDS.len());
    for (place, (names, form)) in FIELDS.into_iter().enumerate() {
        match bytes(block, names, form)? {
            Some(value) => fields.push(alloy_rlp::encode(&value[..])),
            None if place < LEAST_FIELDS => return Err(HeaderError::Json(names[0])),
            None => break,
        }
    }
    Ok(fields)
}

fn list(fields: &[Vec<u8>]) -> Vec<u8> {
    let payload_length = fields.iter().map(Vec::len).sum();
    let mut raw = Vec::with_capacity(payload_length + 4);
    Header { list: true, payload_length }.encode(&mut raw);
    fields.iter().for_each(|field| raw.extend_from_slice(field));
    raw
}

/// The bytes of a field as they are hashed; none where the block does not have it.
fn bytes(block: &Value, names: &[&'static str], form: Form) -> Result<Option<Vec<u8>>, HeaderError> {
    let Some(value) = names.iter().find_map(|name| block.get(name)).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let malformed = HeaderError::Json(names[0]);
    let digits = match value.as_str().and_then(|text| text.strip_prefix("0x")) {
        Some(digits) if digits.len() <= 2 * MAX_HEADER => digits,
        _ => return Err(malformed),
    };
    match form {
        Form::Bytes => hex::decode(digits).map(Some).map_err(|_| malformed),
        Form::Fixed(length) => match hex::decode(digits) {
            Ok(value) if value.len() == length => Ok(Some(value)),
            _ => Err(malformed),
        },
        Form::Quantity => {
            let shortest = digits.trim_start_matches('0');
            let even = if shortest.len().is_multiple_of(2) { "" } else { "0" };
            hex::decode(format!("{even}{shortest}")).map(Some).map_err(|_| malformed)
        }
    }
}
