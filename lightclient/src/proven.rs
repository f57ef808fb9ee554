//! How a value is known: every number that leaves this crate carries the tier of its proof, where it was proven and how old
//! that is. A caller states what it accepts and gets a typed error otherwise.

use serde::Serialize;

/// How strongly a piece of Arbitrum state is bound to what Ethereum's sync committee signed, strongest first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "tier", rename_all = "lowercase")]
pub enum Tier {
    /// In an assertion that the rollup contract has confirmed (about 6.4 days old), or in finalized L1 state itself.
    Confirmed,
    /// In an assertion that nobody has challenged for `l1_blocks` L1 blocks (12 s each).
    Pending {
        /// L1 blocks between the assertion's creation and the finalized L1 block that shows it.
        l1_blocks: u64,
    },
    /// In a header that `agree` of `asked` sources name; only the sequencer and the absence of a common lie stand behind it.
    Sequenced {
        /// Sources that gave this very header.
        agree: u16,
        /// Sources that were asked.
        asked: u16,
    },
}

/// What a caller is content with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accept {
    /// Only confirmed state.
    Confirmed,
    /// Confirmed, or pending unchallenged for at least this many L1 blocks.
    Pending {
        /// Least age of the assertion, L1 blocks.
        l1_blocks: u64,
    },
    /// Anything that at least `agree` sources say alike.
    Sequenced {
        /// Least number of agreeing sources.
        agree: u16,
    },
}

impl Accept {
    /// Whether a value of this tier is good enough.
    #[must_use]
    pub const fn takes(self, tier: Tier) -> bool {
        match (self, tier) {
            (_, Tier::Confirmed) => true,
            (Self::Pending { l1_blocks: least }, Tier::Pending { l1_blocks }) => l1_blocks >= least,
            (Self::Sequenced { .. }, Tier::Pending { .. }) => true,
            (Self::Sequenced { agree: least }, Tier::Sequenced { agree, .. }) => agree >= least,
            (Self::Confirmed, _) | (Self::Pending { .. }, Tier::Sequenced { .. }) => false,
        }
    }
}

/// Where and when a value was proven.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Anchor {
    /// How strongly.
    #[serde(flatten)]
    pub tier: Tier,
    /// Slot of the beacon header whose execution state the proof starts from.
    pub l1_slot: u64,
    /// L2 block whose state root the value lies under; the L1 block's own number where the value is L1 state.
    pub l2_block: u64,
    /// Timestamp of that block, seconds since 1970; a value's age is measured from it.
    pub timestamp: u64,
}

impl Anchor {
    /// Seconds between the block that holds the value and `now` (seconds since 1970).
    #[must_use]
    pub const fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.timestamp)
    }
}

/// A value together with how it is known. Only code that verified the proof makes one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Proven<T> {
    /// The value.
    pub value: T,
    /// How it is known.
    pub anchor: Anchor,
}

impl<T> Proven<T> {
    /// Binds a value to the proof it came from.
    pub const fn new(value: T, anchor: Anchor) -> Self {
        Self { value, anchor }
    }

    /// The same proof for something computed from the value alone.
    pub fn map<U>(self, compute: impl FnOnce(T) -> U) -> Proven<U> {
        Proven { value: compute(self.value), anchor: self.anchor }
    }
}
