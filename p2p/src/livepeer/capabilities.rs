//! What a job needs and what a node can, as bits.

use super::{Malformed, bad, net};

/// Most words of 64 bits: sixteen times as many as are named today.
const MAX_WORDS: usize = 16;

/// A set of capabilities, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<u64>);

impl Capabilities {
    /// Highest number that there may be.
    pub const MAX: u32 = (MAX_WORDS * 64 - 1) as u32;
    /// H.264 in and out.
    pub const H264: u32 = 0;
    /// Output in MPEG-TS.
    pub const MPEG_TS: u32 = 1;
    /// Output in MP4.
    pub const MP4: u32 = 2;
    /// Sessions have tokens.
    pub const AUTH_TOKEN: u32 = 12;
    /// A part of a segment can be asked for.
    pub const SLICING: u32 = 26;

    /// The set of these; numbers above [`Self::MAX`] are left out.
    #[must_use]
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut words = Vec::new();
        for number in numbers.into_iter().filter(|number| *number <= Self::MAX) {
            let word = number as usize / 64;
            words.resize(words.len().max(word + 1), 0);
            words[word] |= 1 << (number % 64);
        }
        Self(words)
    }

    /// Its words, lowest first.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    /// Whether a number is in it.
    #[must_use]
    pub fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Whether all of it is in another set.
    #[must_use]
    pub fn are_in(&self, other: &Self) -> bool {
        self.0.iter().enumerate().all(|(at, word)| word & !other.0.get(at).copied().unwrap_or(0) == 0)
    }

    pub(super) fn encode(&self) -> net::Capabilities {
        net::Capabilities { bitstring: self.0.clone() }
    }

    pub(super) fn decode(from: net::Capabilities) -> Result<Self, Malformed> {
        if from.bitstring.len() > MAX_WORDS {
            return Err(bad("capabilities", "more words than there are capabilities"));
        }
        Ok(Self(from.bitstring))
    }
}
