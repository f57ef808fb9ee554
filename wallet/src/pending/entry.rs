//! What the journal of transactions holds, one JSON object an entry.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{Call, Id};
use crate::fees::Price;
use crate::inclusion::outcome::Outcome;

/// One line of the wallet's history. All of it follows from these, in order.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one at a time, on its way to the disk")]
pub enum Entry {
    /// Whose journal it is. The first entry.
    Account {
        /// Who signs.
        address: Address,
        /// On which chain.
        chain_id: u64,
    },
    /// An intent got its nonce and its first transaction.
    Intended {
        /// Its number.
        id: Id,
        /// The caller's name for it.
        key: String,
        /// What it does, in plain words.
        what: String,
        /// What is called.
        call: Call,
        /// The nonce that is now its own.
        nonce: u64,
        /// Gas limit of its transactions.
        gas: u64,
        /// Most that its gas may cost, wei.
        max_cost: Option<U256>,
        /// The transaction.
        signed: Signed,
    },
    /// Another transaction took the place of the last, under the same nonce.
    Replaced {
        /// Of which intent.
        id: Id,
        /// The transaction.
        signed: Signed,
    },
    /// Nothing can change it any more.
    Final {
        /// Of which intent.
        id: Id,
        /// How it ended.
        end: End,
    },
}

/// A signed transaction.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// What is sent.
    pub raw: Bytes,
    /// What it pays.
    pub price: Price,
    /// Whether it does nothing but use the nonce up.
    pub cancels: bool,
}

/// How an intent ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// One of its transactions is on the chain for good.
    Included {
        /// Where, and how that is known.
        outcome: Outcome,
    },
    /// The nonce was used by a transaction that this wallet did not sign.
    Displaced,
}
