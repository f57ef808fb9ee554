//! The protocol's clock (`RoundsManager`): rounds of a fixed number of L1 blocks, counted from the last change of their
//! length. Knows no chain: the L1 block number comes in, on Arbitrum the one that an L2 header carries.

use std::fmt;

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::math::{Arithmetic, PPM};

/// A round's number. As JSON a number too, and null for [`Round::NEVER`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(from = "Option<u64>", into = "Option<u64>")]
pub struct Round(pub u64);

impl Round {
    /// No round ever reaches it: the deactivation round of an orchestrator that is not leaving (2^256 - 1 on chain).
    pub const NEVER: Self = Self(u64::MAX);

    /// A round as contracts store it. What is above 64 bits is never reached and reads as [`Self::NEVER`].
    #[must_use]
    pub fn from_word(word: U256) -> Self {
        Self(word.saturating_to())
    }

    /// The word that contracts store for this round.
    #[must_use]
    pub fn to_word(self) -> U256 {
        if self == Self::NEVER { U256::MAX } else { U256::from(self.0) }
    }

    /// The round after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<Option<u64>> for Round {
    fn from(round: Option<u64>) -> Self {
        round.map_or(Self::NEVER, Self)
    }
}

impl From<Round> for Option<u64> {
    fn from(round: Round) -> Self {
        (round != Round::NEVER).then_some(round.0)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER { f.write_str("never") } else { self.0.fmt(f) }
    }
}

/// What decides which round a block lies in: four words of `RoundsManager`'s storage.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Length of a round, L1 blocks (6377 since LIP-83).
    pub length: u64,
    /// Length of the locked phase at a round's end, parts per million of the round.
    pub lock: u64,
    /// Round in which the length last changed.
    pub since_round: Round,
    /// First L1 block of that round.
    pub since_block: u64,
}

impl Clock {
    /// The round that L1 block `block` lies in (`currentRound`).
    ///
    /// # Errors
    /// [`Arithmetic`] for a length of zero, or a block before the last change of the length.
    pub fn round_at(&self, block: u64) -> Result<Round, Arithmetic> {
        let round = self.since_round.0.checked_add(self.rounds_since(block)?);
        round.map(Round).ok_or(Arithmetic::Overflow)
    }

    /// First L1 block of the round that `block` lies in (`currentRoundStartBlock`).
    ///
    /// # Errors
    /// As [`Self::round_at`].
    pub fn start_at(&self, block: u64) -> Result<u64, Arithmetic> {
        let blocks = self.rounds_since(block)?.checked_mul(self.length).ok_or(Arithmetic::Overflow)?;
        self.since_block.checked_add(blocks).ok_or(Arithmetic::Overflow)
    }

    /// Blocks from a round's start to its locked phase, in which no orchestrator may change its cuts.
    ///
    /// # Errors
    /// [`Arithmetic::Overflow`] when the phase is longer than the round.
    pub fn lock_offset(&self) -> Result<u64, Arithmetic> {
        let locked = PPM.share(U256::from(self.length), U256::from(self.lock))?;
        self.length.checked_sub(locked.saturating_to()).ok_or(Arithmetic::Overflow)
    }

    /// Whether `block` lies in its round's locked phase (`currentRoundLocked`).
    ///
    /// # Errors
    /// As [`Self::round_at`] and [`Self::lock_offset`].
    pub fn locked_at(&self, block: u64) -> Result<bool, Arithmetic> {
        Ok(block - self.start_at(block)? >= self.lock_offset()?)
    }

    /// The clock after `setRoundLength(length)` in L1 block `block`: the running round keeps its number and start, and the
    /// length counts from there.
    ///
    /// # Errors
    /// [`Arithmetic::DivisionByZero`] for a length of zero (the contract refuses it), else as [`Self::round_at`].
    pub fn with_length(self, block: u64, length: u64) -> Result<Self, Arithmetic> {
        if length == 0 {
            return Err(Arithmetic::DivisionByZero);
        }
        let counted = if self.length == 0 { Self { length, ..self } } else { self };
        Ok(Self {
            length,
            since_round: counted.round_at(block)?,
            since_block: counted.start_at(block)?,
            ..self
        })
    }

    fn rounds_since(&self, block: u64) -> Result<u64, Arithmetic> {
        let blocks = block.checked_sub(self.since_block).ok_or(Arithmetic::Overflow)?;
        blocks.checked_div(self.length).ok_or(Arithmetic::DivisionByZero)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_no_number_that_a_reader_could_round() {
        for (round, text) in [(Round(4281), "4281"), (Round::NEVER, "null")] {
            assert_eq!(serde_json::to_string(&round).unwrap(), text);
            assert_eq!(serde_json::from_str::<Round>(text).unwrap(), round);
            assert_eq!(Round::from_word(round.to_word()), round);
        }
        assert_eq!(Round::NEVER.to_string(), "never");
        assert_eq!(Round::from_word(U256::from(u64::MAX) + U256::ONE), Round::NEVER);
    }
}
