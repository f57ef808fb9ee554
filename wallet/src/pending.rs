//! What was signed and is not final: intents, their nonces and every transaction signed for them.
//!
//! [`core`] decides and [`entry`] is what the journal holds. An entry is on disk before its transaction is sent, so whatever
//! the network has seen is known again after a restart. Knows no network and no key.

use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub mod core;
pub mod entry;

/// One call of a contract, or a transfer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Call {
    /// Who is called.
    pub to: Address,
    /// Ether sent with it, wei.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
    /// Most gas it may use; estimated where none is given.
    pub gas_limit: Option<u64>,
}

/// Something to be done once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intent {
    /// The caller's name for it: whoever sends it again under the same name gets the same transaction.
    pub key: String,
    /// What is called.
    pub call: Call,
    /// What it does, in plain words.
    pub what: String,
    /// Most that its gas may cost, wei.
    pub max_cost: Option<U256>,
}

/// An intent's number in this wallet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Id(pub u64);

/// Why an entry does not follow from those before it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Refused {
    /// The journal is another account's.
    #[error(
        "these are transactions of {address} on chain {chain_id}: open them with that key, or use another directory"
    )]
    Other {
        /// Whose they are.
        address: Address,
        /// Where.
        chain_id: u64,
    },
    /// The same name for something else.
    #[error("{key:?} names another call already: give the new one another name")]
    Key {
        /// The name.
        key: String,
    },
    /// The nonce belongs to another intent.
    #[error("nonce {0} is taken by another intent")]
    Nonce(u64),
    /// No such intent, or it is over.
    #[error("there is no open transaction {}", .0.0)]
    Unknown(Id),
    /// More than are followed.
    #[error("{0} transactions are under way: wait until some are final")]
    Many(usize),
    /// A text that is too long.
    #[error("{0} has too many bytes")]
    Long(&'static str),
}

/// Most intents that are in no block yet; geth keeps 64 of an account without looking at their price.
pub const MAX_OPEN: usize = 64;
/// Most intents that are followed until they are final: Ethereum confirms after a week.
pub const MAX_FOLLOWED: usize = 1024;
/// Longest name or description of an intent, bytes.
pub const MAX_TEXT: usize = 1024;
/// Longest calldata, bytes: geth takes transactions of up to 128 KiB.
pub const MAX_DATA: usize = 120 << 10;
