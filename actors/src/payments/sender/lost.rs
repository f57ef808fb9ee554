//! What was lost with each orchestrator today: tickets that it says never came, and work that it was paid for and kept. One segment
//! is all that anybody loses to one node in a day of UTC; then it gets no tickets until the next.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use protocol::Wei;

use super::budget::DAY_MS;

/// What was lost today, by orchestrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    day: u64,
    with: BTreeMap<Address, Lost>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lost {
    /// Wei, each loss rounded up.
    all: Wei,
    /// The dearest segment that it was given, wei.
    segment: Wei,
}

impl Losses {
    /// Counts a loss, while the dearest segment that this orchestrator was given costs `segment`.
    pub fn add(&mut self, at_ms: u64, recipient: Address, lost: Wei, segment: Wei) {
        let day = at_ms / DAY_MS;
        if day > self.day {
            *self = Self { day, ..Self::default() };
        }
        if day == self.day {
            let with = self.with.entry(recipient).or_default();
            with.all.0 = with.all.0.saturating_add(lost.0);
            with.segment = with.segment.max(segment);
        }
    }

    /// What was lost with an orchestrator on this day, wei.
    #[must_use]
    pub fn with(&self, at_ms: u64, recipient: Address) -> Wei {
        self.of(at_ms, recipient).all
    }

    /// The same, if it is as much as one segment.
    #[must_use]
    pub fn too_much(&self, at_ms: u64, recipient: Address) -> Option<Wei> {
        let Lost { all, segment } = self.of(at_ms, recipient);
        (!all.0.is_zero() && all >= segment).then_some(all)
    }

    fn of(&self, at_ms: u64, recipient: Address) -> Lost {
        let lost = self.with.get(&recipient).filter(|_| at_ms / DAY_MS == self.day);
        lost.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    #[test]
    fn a_segment_is_all_that_is_lost_to_one_node_in_a_day() {
        let (one, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let wei = |n: u64| Wei(U256::from(n));
        let mut losses = Losses::default();
        losses.add(5, one, wei(6), wei(10));
        assert_eq!(losses.too_much(5, one), None);
        losses.add(6, one, wei(4), wei(8));
        assert_eq!(losses.too_much(6, one), Some(wei(10)));
        assert_eq!((losses.with(6, other), losses.too_much(6, other)), (wei(0), None));
        assert_eq!(losses.too_much(DAY_MS, one), None, "the next day it may try again");
        losses.add(DAY_MS, other, wei(1), wei(8));
        losses.add(7, one, wei(90), wei(8));
        assert_eq!(losses.with(DAY_MS, one), wei(0), "yesterday's entry, read late");
    }
}
