//! The JSON of EIP-1186, read as loosely as servers write it: quantities with leading zeros or as empty bytes, keys padded or
//! not. Everything is bounded before it is copied.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::Value;

use super::{AccountProof, MAX_NODE, MAX_PATH, MAX_SLOTS, ProofError, SlotProof};
use crate::state::Account;

pub(super) fn account(answer: &Value) -> Result<AccountProof, ProofError> {
    let claim = Account {
        nonce: word(answer, "nonce")?.try_into().map_err(|_| fault("nonce", "is over 64 bits"))?,
        balance: word(answer, "balance")?,
        storage_root: word(answer, "storageHash")?.into(),
        code_hash: word(answer, "codeHash")?.into(),
    };
    let slots = list(answer, "storageProof", MAX_SLOTS)?;
    Ok(AccountProof {
        address: address(answer)?,
        claim,
        nodes: nodes(answer, "accountProof")?,
        slots: slots.iter().map(slot).collect::<Result<_, _>>()?,
    })
}

fn slot(entry: &Value) -> Result<SlotProof, ProofError> {
    Ok(SlotProof {
        slot: B256::from(word(entry, "key")?),
        claim: word(entry, "value")?,
        nodes: nodes(entry, "proof")?,
    })
}

fn nodes(object: &Value, name: &'static str) -> Result<Vec<Bytes>, ProofError> {
    list(object, name, MAX_PATH)?.iter().map(|node| bytes(node, name)).collect()
}

fn address(answer: &Value) -> Result<Address, ProofError> {
    let bytes = bytes(field(answer, "address")?, "address")?;
    Address::try_from(&bytes[..]).map_err(|_| fault("address", "is not 20 bytes"))
}

fn bytes(value: &Value, name: &'static str) -> Result<Bytes, ProofError> {
    let digits = digits(value, name)?;
    if digits.len() > 2 * MAX_NODE {
        return Err(fault(name, "holds a value longer than any trie node"));
    }
    hex::decode(digits).map(Bytes::from).map_err(|_| fault(name, "is not hexadecimal"))
}

/// A quantity of at most 256 bits, or bytes that spell one.
fn word(object: &Value, name: &'static str) -> Result<U256, ProofError> {
    let digits = digits(field(object, name)?, name)?;
    if digits.len() > 64 {
        return Err(fault(name, "is over 256 bits"));
    }
    if digits.is_empty() {
        return Ok(U256::ZERO);
    }
    U256::from_str_radix(digits, 16).map_err(|_| fault(name, "is not hexadecimal"))
}

fn list<'a>(object: &'a Value, name: &'static str, most: usize) -> Result<&'a [Value], ProofError> {
    let list = field(object, name)?.as_array().ok_or_else(|| fault(name, "is not a list"))?;
    if list.len() > most { Err(fault(name, "is too long")) } else { Ok(list) }
}

fn digits<'a>(value: &'a Value, name: &'static str) -> Result<&'a str, ProofError> {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x"));
    text.ok_or_else(|| fault(name, "is not text that begins with 0x"))
}

fn field<'a>(object: &'a Value, name: &'static str) -> Result<&'a Value, ProofError> {
    object.get(name).ok_or_else(|| fault(name, "is missing"))
}

fn fault(name: &str, why: &str) -> ProofError {
    ProofError::Json(format!("{name} {why}"))
}
