//! An assertion's node as the rollup contract packs it into one word (nitro-contracts `Assertion.sol`).

use alloy_primitives::U256;
use thiserror::Error;

/// How far an assertion is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// The contract knows no such assertion.
    None,
    /// Made, and neither confirmed nor refused.
    Pending,
    /// Confirmed.
    Confirmed,
}

/// What the contract knows of an assertion. Blocks are L1 block numbers; zero means never.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Node {
    /// How far it is.
    pub status: Status,
    /// Whether it was its parent's first child.
    pub is_first_child: bool,
    /// When it was made.
    pub created_at: u64,
    /// When its first child was made.
    pub first_child: u64,
    /// When a rival of its first child was made: from then on its children are in dispute.
    pub second_child: u64,
}

/// The word is not of this layout.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the word {0:#066x} is no assertion node: the rollup's storage layout is another one")]
pub struct NotANode(pub U256);

impl Node {
    /// Unpacks the first word of a node.
    ///
    /// # Errors
    /// [`NotANode`] when bytes are set that this layout leaves empty, or a flag has another value than it can have.
    pub fn decode(word: U256) -> Result<Self, NotANode> {
        let bytes: [u8; 32] = word.to_be_bytes();
        let block = |at: usize| {
            let bytes: [u8; 8] = bytes[at..at + 8].try_into().expect("eight of 32 bytes");
            u64::from_be_bytes(bytes)
        };
        let status = match bytes[6] {
            0 => Status::None,
            1 => Status::Pending,
            2 => Status::Confirmed,
            _ => return Err(NotANode(word)),
        };
        if bytes[..6] != [0; 6] || bytes[7] > 1 {
            return Err(NotANode(word));
        }
        Ok(Self {
            status,
            is_first_child: bytes[7] == 1,
            created_at: block(8),
            second_child: block(16),
            first_child: block(24),
        })
    }
}
