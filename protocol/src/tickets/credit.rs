//! Money finer than a wei, exactly. A ticket is worth `face * win_prob / (2^256 - 1)` wei and a pixel `wei / pixels` of the
//! price, so an account keeps whole units of 1 / ((2^256 - 1) * pixels) wei: then tickets and work are both integers, and
//! adding and comparing are all that is ever done. No fraction is reduced and nothing is rounded until a person looks.

use std::fmt;

use alloy_primitives::{U256, U512};
use serde::{Deserialize, Serialize};

use crate::amount::Wei;
use crate::price::PricePerPixel;

/// An amount in an account whose price is for `n` pixels, in units of 1 / ((2^256 - 1) * n) wei.
///
/// Faces below 2^128 wei (all ether that will ever be is below 2^90) and prices of 64 bits keep one ticket or segment below
/// 2^448, so that 2^64 of them fit; beyond that sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credit(pub U512);

/// Largest face value that an account can hold, wei: 2^128 - 1.
pub const MAX_FACE: U256 = U256::from_limbs([u64::MAX, u64::MAX, 0, 0]);

impl Credit {
    /// Nothing.
    pub const ZERO: Self = Self(U512::ZERO);

    /// What one ticket is worth in an account at `price`. A face above [`MAX_FACE`] counts as that.
    #[must_use]
    pub fn of_ticket(face: Wei, win_prob: U256, price: PricePerPixel) -> Self {
        let value = U512::from(face.0.min(MAX_FACE)) * U512::from(win_prob);
        Self(value * U512::from(price.pixels.max(1)))
    }

    /// What `pixels` encoded pixels cost.
    #[must_use]
    pub fn of_work(pixels: u64, price: PricePerPixel) -> Self {
        let wei = u128::from(pixels) * u128::from(price.wei);
        Self(U512::from(wei) * U512::from(U256::MAX))
    }

    /// What some wei are in an account at `price`.
    #[must_use]
    pub fn of_wei(wei: Wei, price: PricePerPixel) -> Self {
        Self::of_ticket(wei, U256::MAX, price)
    }

    /// This many of it.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(U512::from(count)))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left, nothing when there is less.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// How many of `one` reach this amount; none when `one` is nothing.
    #[must_use]
    pub fn in_units_of(self, one: Self) -> Option<u64> {
        if one.0.is_zero() {
            return None;
        }
        u64::try_from(self.0.div_ceil(one.0)).ok()
    }

    /// Whole wei in it, for people and budgets; rounded up.
    #[must_use]
    pub fn to_wei(self, price: PricePerPixel) -> Wei {
        let unit = U512::from(U256::MAX) * U512::from(price.pixels.max(1));
        Wei(U256::saturating_from(self.0.div_ceil(unit)))
    }
}

impl fmt::Display for Credit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tickets::params::expected_value;

    const THIRD: PricePerPixel = PricePerPixel { wei: 1, pixels: 3 };

    #[test]
    fn three_pixels_at_a_third_of_a_wei_cost_one_wei_and_no_unit_more() {
        assert_eq!(Credit::of_work(1, THIRD).times(3), Credit::of_wei(Wei(U256::from(1)), THIRD));
        assert_eq!(Credit::of_work(1, THIRD).to_wei(THIRD), Wei(U256::from(1)), "people see it rounded up");
    }

    #[test]
    fn a_ticket_is_worth_its_exact_fraction() {
        let (face, prob) = (Wei(U256::from(12_345_678_901_234_567u64)), U256::MAX / U256::from(7));
        let (num, den) = expected_value(face, prob);
        let unit = U512::from(U256::MAX);
        assert_eq!(Credit::of_ticket(face, prob, PricePerPixel { wei: 1, pixels: 1 }).0, num * (unit / den));
    }

    #[test]
    fn the_largest_ticket_and_the_largest_work_fit() {
        let price = PricePerPixel { wei: u64::MAX, pixels: u64::MAX };
        let ticket = Credit::of_ticket(Wei(U256::MAX), U256::MAX, price);
        let work = Credit::of_work(u64::MAX, price);
        assert!(ticket.times(u64::MAX).0 < U512::MAX && work.times(u64::MAX).0 < U512::MAX);
        assert_eq!(work.in_units_of(Credit::ZERO), None);
    }
}
