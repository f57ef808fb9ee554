//! What an endpoint's error means: for a transaction that was sent, and for a call that reverted.

use alloy_primitives::{Bytes, U256, hex};
use protocol::chain::abi::selector;
use serde_json::Value;

use super::RpcError;

/// What an endpoint's answer to a sent transaction means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// It has it, or had it already.
    Taken,
    /// The nonce is used, it says: perhaps by this very transaction. A question to the chain, no answer.
    NonceUsed,
    /// It has another of the same nonce and wants more for this one, or the fee is below the base fee.
    TooCheap,
    /// No other try will change its mind.
    Final(String),
    /// Another try may succeed.
    Passing(String),
}

type Reading = fn(&str) -> Meaning;

/// Words of known servers (geth, Nitro, Erigon, Nethermind, Besu, Reth, anvil) and what they mean, most telling first.
const WORDS: [(&str, Reading); 22] = [
    ("already known", taken),
    ("already imported", taken),
    ("known transaction", taken),
    ("already in the pool", taken),
    ("alreadyknown", taken),
    ("nonce too low", used),
    ("oldnonce", used),
    ("nonce is too low", used),
    ("underpriced", cheap),
    ("less than block base fee", cheap),
    ("fee cap less than", cheap),
    ("feetoolow", cheap),
    ("gas price below", cheap),
    ("max fee per gas less", cheap),
    ("insufficient funds", last),
    ("insufficient balance", last),
    ("chain id", last),
    ("chainid", last),
    ("invalid sender", last),
    ("intrinsic gas too low", last),
    ("exceeds block gas limit", last),
    ("execution reverted", last),
];

fn taken(_: &str) -> Meaning {
    Meaning::Taken
}

fn used(_: &str) -> Meaning {
    Meaning::NonceUsed
}

fn cheap(_: &str) -> Meaning {
    Meaning::TooCheap
}

fn last(words: &str) -> Meaning {
    Meaning::Final(words.to_owned())
}

/// Reads an answer to `eth_sendRawTransaction`.
#[must_use]
pub fn of_sending(answer: &Result<Value, RpcError>) -> Meaning {
    match answer {
        Ok(_) => Meaning::Taken,
        Err(RpcError::Passing(why)) => Meaning::Passing(why.clone()),
        Err(RpcError::Said { message, .. }) => {
            let words = message.to_lowercase();
            let known = WORDS.iter().find(|(known, _)| words.contains(known));
            known.map_or_else(|| Meaning::Passing(message.clone()), |(_, meaning)| meaning(message))
        }
    }
}

/// Why a call reverted, if that is what the error says: the contract's own reason.
#[must_use]
pub fn revert(error: &RpcError) -> Option<String> {
    let RpcError::Said { code, message, data } = error else { return None };
    let bytes = data.as_ref().and_then(revert_bytes).unwrap_or_default();
    let reverted = *code == 3 || message.to_lowercase().contains("revert") || bytes.len() >= 4;
    reverted.then(|| reason(&bytes).unwrap_or_else(|| message.clone()))
}

/// Servers put the bytes into `data` itself, or into an object in it.
fn revert_bytes(data: &Value) -> Option<Bytes> {
    let text = data.as_str().or_else(|| data["data"].as_str()).or_else(|| data["result"].as_str())?;
    let digits = text.strip_prefix("Reverted ").unwrap_or(text);
    hex::decode(digits).ok().map(Into::into)
}

/// What a reverted call returned, in words.
#[must_use]
pub fn reason(data: &[u8]) -> Option<String> {
    let (head, words) = data.split_at_checked(4)?;
    let word = |at: usize| words.get(at * 32..at * 32 + 32).map(U256::from_be_slice);
    let is = |signature: &str| selector(signature) == head;
    if is("Error(string)") {
        let length: usize = word(1)?.try_into().ok()?;
        let text = words.get(64..)?.get(..length.min(words.len() - 64))?;
        return Some(String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(300).collect());
    }
    if is("Panic(uint256)") {
        return Some(format!("panic {:#x}", word(0)?));
    }
    if is("VoteAlreadyCast()") {
        return Some("VoteAlreadyCast()".to_owned());
    }
    if is("InvalidVoteType(uint8)") {
        return Some(format!("InvalidVoteType({})", word(0)?));
    }
    if is("FutureLookup(uint256,uint256)") {
        return Some(format!("FutureLookup({}, {})", word(0)?, word(1)?));
    }
    if is("MissingEarningsPool(address,uint256)") {
        return Some(format!("MissingEarningsPool({:#x}, {})", word(0)?, word(1)?));
    }
    Some(format!("an error of selector {}", hex::encode_prefixed(head)))
}

#[cfg(test)]
mod tests;
