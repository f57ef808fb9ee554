//! What work costs.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

pub mod stated;

/// A price as Livepeer quotes it (`PriceInfo` of its wire): `wei` for every `pixels` encoded pixels. Zero wei is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricePerPixel {
    /// Wei for each unit of `pixels`.
    pub wei: u64,
    /// Pixels in a unit, at least 1.
    pub pixels: u64,
}

impl PricePerPixel {
    /// Work for nothing.
    pub const FREE: Self = Self { wei: 0, pixels: 1 };

    /// The price of `pixels` encoded pixels in wei, rounded up.
    #[must_use]
    pub fn of(self, pixels: u64) -> u128 {
        (u128::from(self.wei) * u128::from(pixels)).div_ceil(u128::from(self.pixels.max(1)))
    }

    /// Wei for one pixel, for weights and people; money is computed by [`Self::of`].
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.wei as f64 / self.pixels.max(1) as f64
    }
}

impl Ord for PricePerPixel {
    fn cmp(&self, other: &Self) -> Ordering {
        let cross = |a: Self, b: Self| u128::from(a.wei) * u128::from(b.pixels.max(1));
        cross(*self, *other).cmp(&cross(*other, *self))
    }
}

impl PartialOrd for PricePerPixel {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PricePerPixel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.wei, self.pixels) {
            (0, _) => f.write_str("free"),
            (wei, 1) => write!(f, "{wei} wei/pixel"),
            (wei, pixels) => write!(f, "{wei} wei per {pixels} pixels"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_of_a_wei_is_rounded_up() {
        assert_eq!(PricePerPixel { wei: 1, pixels: 3 }.of(4), 2);
        assert_eq!(PricePerPixel::FREE.of(u64::MAX), 0);
        assert_eq!(PricePerPixel { wei: u64::MAX, pixels: 1 }.of(u64::MAX), u128::from(u64::MAX).pow(2));
    }

    #[test]
    fn prices_compare_by_value_of_a_pixel() {
        assert!(PricePerPixel { wei: 1, pixels: 2 } < PricePerPixel { wei: 2, pixels: 3 });
    }
}
