//! Questions and answers as bytes, for mesh peers: one spelling each, versioned, every length checked before it is believed.
//!
//! In flow [`Ask`] and [`Answer`], out flow bytes, and back. Large answers travel in chunks whose hashes come first
//! ([`parcel`]). What carries the bytes is not known here.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes};
use thiserror::Error;

use super::{Answer, Ask, At, BeaconClaim, Block, Form, Layer, Log};
use crate::state::Keys;

mod letters;
pub mod parcel;
#[cfg(test)]
mod tests;

use letters::{Reader, put_bytes, put_u32, put_u64};

/// The version of everything below; others are refused.
pub const VERSION: u8 = 1;
/// Largest question, bytes: a proof of 1400 slots.
pub const MAX_ASK: usize = 48 * 1024;
/// Largest answer, bytes: a bundle of 4 MiB, and what frames it.
pub const MAX_ANSWER: usize = (4 << 20) + 64 * 1024;
/// Accounts and slots of one question.
const MAX_KEYS: usize = 1400;
/// Assertions of one question.
const MAX_HASHES: usize = 1024;
/// Arguments of a call, bytes.
const MAX_INPUT: usize = 4096;
/// Largest consensus object, bytes: an update of mainnet as JSON has 58 KB.
const MAX_OBJECT: usize = 512 * 1024;
/// Largest document of parameters, bytes.
const MAX_CONFIG: usize = 256 * 1024;
/// Largest header, bytes: extra data is bounded by consensus, and blooms are 256 bytes.
const MAX_HEADER: usize = 8 * 1024;
/// Largest trie node, bytes: a branch of sixteen hashes has 532.
const MAX_NODE: usize = 4096;
/// Trie nodes of one answer.
const MAX_NODES: usize = 65_536;
/// Largest code, bytes.
const MAX_CODE: usize = 512 * 1024;
/// Log entries of one answer.
const MAX_LOGS: usize = 4096;
/// Data of one log entry, bytes: the event has 800.
const MAX_LOG_DATA: usize = 4096;
/// Members of a pool: as many as are ever read.
const MAX_MEMBERS: usize = crate::livepeer::pool::MAX_MEMBERS as usize;
/// Longest name of a fork, bytes.
const MAX_FORK: usize = 16;

/// Bytes that are no question or no answer, or something that is too large to be one.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum WireError {
    /// Another version than [`VERSION`].
    #[error("speaks version {0} of the proof protocol, this program speaks {VERSION}: upgrade the older one")]
    Version(u8),
    /// It ends before it is complete, or goes on behind its end.
    #[error("{0} has the wrong length")]
    Length(&'static str),
    /// A value that has no meaning.
    #[error("{0} means nothing")]
    Meaning(&'static str),
    /// More of something than there may be.
    #[error("{what} is over its limit of {limit}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
}

/// Writes a question.
///
/// # Errors
/// [`WireError::TooMuch`] when it is over a limit: split it.
pub fn encode_ask(ask: &Ask) -> Result<Vec<u8>, WireError> {
    let mut out = vec![VERSION];
    match ask {
        Ask::Bootstrap { root } => {
            out.push(0);
            out.extend_from_slice(&root[..]);
        }
        Ask::Update { period } => {
            out.push(1);
            put_u64(&mut out, *period);
        }
        Ask::Finality => out.push(2),
        Ask::Optimistic => out.push(3),
        Ask::Checkpoint => out.push(4),
        Ask::Config => out.push(5),
        Ask::Header { layer, hash } => {
            out.extend([6, layer_tag(*layer)]);
            out.extend_from_slice(&hash[..]);
        }
        Ask::HeaderAt { layer, at } => {
            out.extend([7, layer_tag(*layer)]);
            match at {
                At::Latest => out.push(0),
                At::Number(number) => {
                    out.push(1);
                    put_u64(&mut out, *number);
                }
            }
        }
        Ask::Proof { layer, block, keys } => {
            out.extend([8, layer_tag(*layer)]);
            put_block(&mut out, *block);
            put_keys(&mut out, keys)?;
        }
        Ask::Code { layer, block, address, hash } => {
            out.extend([9, layer_tag(*layer)]);
            put_block(&mut out, *block);
            out.extend_from_slice(&address[..]);
            out.extend_from_slice(&hash[..]);
        }
        Ask::Assertions { rollup, from_block, to_block, hashes } => {
            out.push(10);
            out.extend_from_slice(&rollup[..]);
            put_u64(&mut out, *from_block);
            put_u64(&mut out, *to_block);
            let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash[..]).collect();
            put_count(&mut out, "assertions", hashes.len(), MAX_HASHES)?;
            hashes.iter().for_each(|hash| out.extend_from_slice(hash));
        }
        Ask::Bundle { assertion } => {
            out.push(11);
            out.extend_from_slice(&assertion[..]);
        }
        Ask::Members { manager, block } => {
            out.push(13);
            out.extend_from_slice(&manager[..]);
            put_block(&mut out, *block);
        }
        Ask::Call { layer, block, to, data } => {
            out.extend([12, layer_tag(*layer)]);
            put_block(&mut out, *block);
            out.extend_from_slice(&to[..]);
            put_limited(&mut out, "call data", data, MAX_INPUT)?;
        }
    }
    bounded(out, "question", MAX_ASK)
}

/// Reads a question.
///
/// # Errors
/// [`WireError`] when the bytes are not the one spelling of a question within the limits.
pub fn decode_ask(bytes: &[u8]) -> Result<Ask, WireError> {
    let mut from = opened(bytes, "question", MAX_ASK)?;
    let ask = match from.u8()? {
        0 => Ask::Bootstrap { root: from.array()?.into() },
        1 => Ask::Update { period: from.u64()? },
        2 => Ask::Finality,
        3 => Ask::Optimistic,
        4 => Ask::Checkpoint,
        5 => Ask::Config,
        6 => Ask::Header { layer: layer(&mut from)?, hash: from.array()?.into() },
        7 => {
            let layer = layer(&mut from)?;
            let at = match from.u8()? {
                0 => At::Latest,
                1 => At::Number(from.u64()?),
                _ => return Err(WireError::Meaning("height")),
            };
            Ask::HeaderAt { layer, at }
        }
        8 => Ask::Proof { layer: layer(&mut from)?, block: block(&mut from)?, keys: keys(&mut from)? },
        9 => Ask::Code {
            layer: layer(&mut from)?,
            block: block(&mut from)?,
            address: from.array()?.into(),
            hash: from.array()?.into(),
        },
        10 => Ask::Assertions {
            rollup: from.array()?.into(),
            from_block: from.u64()?,
            to_block: from.u64()?,
            hashes: {
                let count = from.count("assertions", MAX_HASHES, 32)?;
                (0..count).map(|_| from.array().map(B256::from)).collect::<Result<_, _>>()?
            },
        },
        11 => Ask::Bundle { assertion: from.array()?.into() },
        12 => Ask::Call {
            layer: layer(&mut from)?,
            block: block(&mut from)?,
            to: from.array()?.into(),
            data: from.bytes("call data", MAX_INPUT)?,
        },
        13 => Ask::Members { manager: from.array()?.into(), block: block(&mut from)? },
        _ => return Err(WireError::Meaning("kind of question")),
    };
    from.end()?;
    Ok(ask)
}

/// Writes an answer.
///
/// # Errors
/// [`WireError::TooMuch`] when it is over a limit: it cannot be relayed.
pub fn encode_answer(answer: &Answer) -> Result<Vec<u8>, WireError> {
    let mut out = vec![VERSION];
    match answer {
        Answer::Bootstrap(claim) => put_claim(&mut out, 0, claim)?,
        Answer::Update(claim) => put_claim(&mut out, 1, claim)?,
        Answer::Finality(claim) => put_claim(&mut out, 2, claim)?,
        Answer::Optimistic(claim) => put_claim(&mut out, 3, claim)?,
        Answer::Checkpoint { root, slot } => {
            out.push(4);
            out.extend_from_slice(&root[..]);
            put_u64(&mut out, *slot);
        }
        Answer::Config { spec, genesis } => {
            out.push(5);
            put_limited(&mut out, "parameters", spec, MAX_CONFIG)?;
            put_limited(&mut out, "genesis", genesis, MAX_CONFIG)?;
        }
        Answer::Header(raw) => {
            out.push(6);
            put_limited(&mut out, "header", raw, MAX_HEADER)?;
        }
        Answer::Proof(nodes) => {
            out.push(7);
            put_count(&mut out, "trie nodes", nodes.len(), MAX_NODES)?;
            nodes.iter().try_for_each(|node| put_limited(&mut out, "trie node", node, MAX_NODE))?;
        }
        Answer::Code(code) => {
            out.push(8);
            put_limited(&mut out, "code", code, MAX_CODE)?;
        }
        Answer::Assertions(logs) => {
            out.push(9);
            put_count(&mut out, "log entries", logs.len(), MAX_LOGS)?;
            logs.iter().try_for_each(|log| put_log(&mut out, log))?;
        }
        Answer::Bundle(bundle) => {
            out.push(10);
            put_limited(&mut out, "bundle", bundle, MAX_ANSWER)?;
        }
        Answer::Members(members) => {
            out.push(12);
            put_count(&mut out, "members", members.len(), MAX_MEMBERS)?;
            members.iter().for_each(|member| out.extend_from_slice(&member[..]));
        }
        Answer::Call(output) => {
            out.push(11);
            put_limited(&mut out, "call output", output, MAX_CODE)?;
        }
    }
    bounded(out, "answer", MAX_ANSWER)
}

/// Reads an answer.
///
/// # Errors
/// [`WireError`] when the bytes are not the one spelling of an answer within the limits.
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, WireError> {
    let mut from = opened(bytes, "answer", MAX_ANSWER)?;
    let answer = match from.u8()? {
        0 => Answer::Bootstrap(claim(&mut from)?),
        1 => Answer::Update(claim(&mut from)?),
        2 => Answer::Finality(claim(&mut from)?),
        3 => Answer::Optimistic(claim(&mut from)?),
        4 => Answer::Checkpoint { root: from.array()?.into(), slot: from.u64()? },
        5 => Answer::Config {
            spec: from.bytes("parameters", MAX_CONFIG)?,
            genesis: from.bytes("genesis", MAX_CONFIG)?,
        },
        6 => Answer::Header(from.bytes("header", MAX_HEADER)?),
        7 => {
            let count = from.count("trie nodes", MAX_NODES, 4)?;
            Answer::Proof((0..count).map(|_| from.bytes("trie node", MAX_NODE)).collect::<Result<_, _>>()?)
        }
        8 => Answer::Code(from.bytes("code", MAX_CODE)?),
        9 => {
            let count = from.count("log entries", MAX_LOGS, 33)?;
            Answer::Assertions((0..count).map(|_| log(&mut from)).collect::<Result<_, _>>()?)
        }
        10 => Answer::Bundle(from.bytes("bundle", MAX_ANSWER)?),
        11 => Answer::Call(from.bytes("call output", MAX_CODE)?),
        12 => {
            let count = from.count("members", MAX_MEMBERS, 20)?;
            Answer::Members((0..count).map(|_| from.array().map(Address::from)).collect::<Result<_, _>>()?)
        }
        _ => return Err(WireError::Meaning("kind of answer")),
    };
    from.end()?;
    Ok(answer)
}

const fn layer_tag(layer: Layer) -> u8 {
    match layer {
        Layer::L1 => 1,
        Layer::L2 => 2,
    }
}

fn layer(from: &mut Reader<'_>) -> Result<Layer, WireError> {
    match from.u8()? {
        1 => Ok(Layer::L1),
        2 => Ok(Layer::L2),
        _ => Err(WireError::Meaning("layer")),
    }
}

fn put_block(out: &mut Vec<u8>, block: Block) {
    put_u64(out, block.number);
    out.extend_from_slice(&block.hash[..]);
}

fn block(from: &mut Reader<'_>) -> Result<Block, WireError> {
    Ok(Block { number: from.u64()?, hash: from.array()?.into() })
}

fn put_keys(out: &mut Vec<u8>, keys: &Keys) -> Result<(), WireError> {
    let all = keys.len() + keys.values().map(BTreeSet::len).sum::<usize>();
    if all > MAX_KEYS {
        return Err(WireError::TooMuch { what: "keys", limit: MAX_KEYS });
    }
    put_u32(out, keys.len());
    for (account, slots) in keys {
        out.extend_from_slice(&account[..]);
        put_u32(out, slots.len());
        slots.iter().for_each(|slot| out.extend_from_slice(&slot[..]));
    }
    Ok(())
}

/// Accounts and slots must ascend, so that there is one spelling only.
fn keys(from: &mut Reader<'_>) -> Result<Keys, WireError> {
    let mut keys = Keys::new();
    let mut all = 0;
    for _ in 0..from.count("keys", MAX_KEYS, 24)? {
        let account = Address::from(from.array()?);
        if keys.last_key_value().is_some_and(|(last, _)| *last >= account) {
            return Err(WireError::Meaning("order of accounts"));
        }
        let count = from.count("keys", MAX_KEYS, 32)?;
        all += 1 + count;
        if all > MAX_KEYS {
            return Err(WireError::TooMuch { what: "keys", limit: MAX_KEYS });
        }
        let mut slots = BTreeSet::new();
        for _ in 0..count {
            let slot = B256::from(from.array()?);
            if slots.last().is_some_and(|last| *last >= slot) {
                return Err(WireError::Meaning("order of slots"));
            }
            slots.insert(slot);
        }
        keys.insert(account, slots);
    }
    Ok(keys)
}

fn put_claim(out: &mut Vec<u8>, kind: u8, claim: &BeaconClaim) -> Result<(), WireError> {
    out.push(kind);
    match &claim.form {
        Form::Json => out.push(0),
        Form::Ssz { fork } => {
            out.push(1);
            put_limited(out, "name of a fork", fork.as_bytes(), MAX_FORK)?;
        }
    }
    put_limited(out, "object", &claim.bytes, MAX_OBJECT)
}

fn claim(from: &mut Reader<'_>) -> Result<BeaconClaim, WireError> {
    let form = match from.u8()? {
        0 => Form::Json,
        1 => {
            let name = from.bytes("name of a fork", MAX_FORK)?;
            let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            if name.is_empty() || !name.iter().all(plain) {
                return Err(WireError::Meaning("name of a fork"));
            }
            Form::Ssz { fork: name.iter().map(|byte| char::from(*byte)).collect() }
        }
        _ => return Err(WireError::Meaning("form")),
    };
    Ok(BeaconClaim { form, bytes: from.bytes("object", MAX_OBJECT)? })
}

fn put_log(out: &mut Vec<u8>, log: &Log) -> Result<(), WireError> {
    out.extend_from_slice(&log.address[..]);
    put_u64(out, log.block_number);
    put_count(out, "topics", log.topics.len(), 4)?;
    log.topics.iter().for_each(|topic| out.extend_from_slice(&topic[..]));
    put_limited(out, "log data", &log.data, MAX_LOG_DATA)
}

fn log(from: &mut Reader<'_>) -> Result<Log, WireError> {
    let address = from.array()?.into();
    let block_number = from.u64()?;
    let count = from.count("topics", 4, 32)?;
    let topics = (0..count).map(|_| from.array().map(B256::from)).collect::<Result<_, _>>()?;
    Ok(Log { address, topics, data: from.bytes("log data", MAX_LOG_DATA)?, block_number })
}

fn put_limited(out: &mut Vec<u8>, what: &'static str, bytes: &[u8], limit: usize) -> Result<(), WireError> {
    if bytes.len() > limit {
        return Err(WireError::TooMuch { what, limit });
    }
    put_bytes(out, bytes);
    Ok(())
}

fn put_count(out: &mut Vec<u8>, what: &'static str, count: usize, limit: usize) -> Result<(), WireError> {
    if count > limit {
        return Err(WireError::TooMuch { what, limit });
    }
    put_u32(out, count);
    Ok(())
}

fn bounded(out: Vec<u8>, what: &'static str, limit: usize) -> Result<Vec<u8>, WireError> {
    if out.len() > limit { Err(WireError::TooMuch { what, limit }) } else { Ok(out) }
}

fn opened<'a>(bytes: &'a [u8], what: &'static str, limit: usize) -> Result<Reader<'a>, WireError> {
    if bytes.len() > limit {
        return Err(WireError::TooMuch { what, limit });
    }
    let mut from = Reader::new(bytes, what);
    match from.u8()? {
        VERSION => Ok(from),
        other => Err(WireError::Version(other)),
    }
}

/// Bytes as they are kept everywhere else.
fn owned(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
