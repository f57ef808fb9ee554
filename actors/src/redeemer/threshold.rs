//! When gas is cheap enough for a ticket: a part of what it pays that grows from a sixteenth to all of it as its end nears. And
//! what a redemption's gas comes to, alone and in a batch.

use alloy_primitives::U256;

/// Thousandths of a ticket's worth that gas may cost when it is young: cheaper gas than this is not worth waiting for.
const FIRST: u64 = 1_000 / 16;
const WHOLE: u64 = 1_000;

/// What redemptions were measured to use on the genuine contracts, gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gas {
    /// A transaction with one ticket.
    pub single: u64,
    /// A batch without its tickets.
    pub batch: u64,
    /// Each ticket of a batch.
    pub each: u64,
}

impl Default for Gas {
    fn default() -> Self {
        Self { single: 224_000, batch: 61_000, each: 205_000 }
    }
}

impl Gas {
    /// Gas of a transaction with so many tickets.
    #[must_use]
    pub const fn of(&self, tickets: u64) -> u64 {
        if tickets == 1 { self.single } else { self.batch.saturating_add(self.each.saturating_mul(tickets)) }
    }

    /// Whether one transaction is cheaper than one for each.
    pub(super) const fn saves(&self, tickets: u64) -> bool {
        tickets > 1 && self.of(tickets) < self.single.saturating_mul(tickets)
    }
}

/// Most that gas may cost now for a ticket that pays `worth`, after `elapsed` of `life` blocks.
pub(super) fn willing(worth: U256, elapsed: u64, life: u64) -> U256 {
    let life = life.max(1);
    let elapsed = elapsed.min(life);
    // Squared: it stays low through most of the life and is all of it at the end.
    let gone = u128::from(elapsed) * u128::from(WHOLE) / u128::from(life);
    let part = gone * gone * u128::from(WHOLE - FIRST) / u128::from(WHOLE * WHOLE);
    let part = U256::from(part.saturating_add(u128::from(FIRST)));
    worth / U256::from(WHOLE) * part + worth % U256::from(WHOLE) * part / U256::from(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_rises_from_a_sixteenth_to_all_and_never_above() {
        let worth = U256::from(1_000_000);
        assert_eq!(willing(worth, 0, 100), U256::from(62_000));
        assert_eq!(willing(worth, 100, 100), worth);
        assert_eq!(willing(worth, 500, 100), worth);
        assert!((1..=100).all(|at| willing(worth, at, 100) >= willing(worth, at - 1, 100)));
        assert_eq!(willing(U256::MAX, u64::MAX, u64::MAX), U256::MAX);
    }

    #[test]
    fn a_batch_saves_from_four_tickets_on() {
        let gas = Gas::default();
        assert!(!gas.saves(1) && !gas.saves(2) && !gas.saves(3) && gas.saves(4));
    }
}
