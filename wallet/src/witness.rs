//! The wallet's port to proven chain state. What stands behind it verifies proofs; the wallet itself believes no endpoint.

use std::fmt::Debug;

use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How strongly a piece of chain state is known, weakest first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Only the sequencer and agreeing endpoints stand behind it.
    Sequenced,
    /// An assertion on Ethereum names it, and nobody challenged that yet.
    Pending,
    /// Ethereum confirmed it.
    Confirmed,
}

/// An account as it was proven.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProvenAccount {
    /// Transactions that it has made.
    pub nonce: u64,
    /// What it holds, wei.
    pub balance: U256,
    /// How this is known.
    pub tier: Tier,
    /// L2 block in whose state it was proven.
    pub l2_block: u64,
}

/// What is proven of a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProvenBlock {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Root over its transactions.
    pub transactions_root: B256,
    /// Root over its receipts.
    pub receipts_root: B256,
    /// Price of gas in it, wei; none before London.
    pub base_fee: Option<u64>,
    /// How it is known to be on the chain.
    pub tier: Tier,
}

/// Why nothing is proven.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum WitnessError {
    /// Later it may be.
    #[error("not proven yet: {0}")]
    NotYet(String),
    /// Another block is proven at its height: this one is not on the chain.
    #[error("block {0} is not on the proven chain")]
    Elsewhere(B256),
    /// Nothing can be proven now.
    #[error("nothing can be proven: {0}")]
    Unavailable(String),
}

/// Whoever can prove.
#[async_trait]
pub trait Witness: Send + Sync + Debug {
    /// The account's nonce and balance, and how they are known.
    ///
    /// # Errors
    /// [`WitnessError`].
    async fn account(&self, address: Address) -> Result<ProvenAccount, WitnessError>;

    /// A block's roots, if that block is proven at some tier.
    ///
    /// # Errors
    /// [`WitnessError`].
    async fn receipts_root(&self, block_hash: B256) -> Result<ProvenBlock, WitnessError>;

    /// Price of gas in the newest proven block, wei; none where that is not known.
    async fn base_fee(&self) -> Option<u64> {
        None
    }
}
