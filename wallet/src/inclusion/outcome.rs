//! Where a transaction is, and how that is known.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::witness::Tier;

/// How it is known that a transaction is included.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum How {
    /// So many endpoints say so, of so many asked. Nothing is proven.
    Agreed {
        /// Endpoints that say the same.
        agree: usize,
        /// Endpoints asked.
        of: usize,
    },
    /// The block's transactions and receipts hash to the roots of a header that is proven.
    Receipts {
        /// How the header is known.
        tier: Tier,
    },
    /// The account's nonce is proven to be used, and so many endpoints give the same receipt; nobody gave whole blocks.
    NonceAndAgreed {
        /// How the nonce is known.
        tier: Tier,
        /// Endpoints that give the same receipt.
        agree: usize,
        /// Endpoints asked.
        of: usize,
    },
}

impl How {
    /// How strongly.
    #[must_use]
    pub const fn tier(self) -> Tier {
        match self {
            Self::Agreed { .. } => Tier::Sequenced,
            Self::Receipts { tier } | Self::NonceAndAgreed { tier, .. } => tier,
        }
    }
}

/// A transaction that is in a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which of the intent's transactions.
    pub hash: B256,
    /// Height of the block.
    pub block: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// Whether it did what it was to do, rather than revert.
    pub success: bool,
    /// Whether it is the one that only uses the nonce up.
    pub cancelled: bool,
    /// Gas that it used.
    pub gas_used: u64,
    /// How all this is known.
    pub how: How,
}
