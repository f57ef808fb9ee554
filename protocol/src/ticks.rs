//! Media time.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// A point or span of media time in 90 kHz ticks, the clock of MPEG-TS (ISO/IEC 13818-1). Signed, never wrapped: a 33-bit
/// counter is unwrapped where it enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticks(pub i64);

impl Ticks {
    /// Ticks in one second.
    pub const PER_SECOND: i64 = 90_000;
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Converts from milliseconds, saturating.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(90))
    }

    /// Whole milliseconds, rounded towards zero.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0 / 90
    }

    /// Seconds, for people and playlists.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / Self::PER_SECOND as f64
    }

    /// Rescales a count of `num/den` second units, rounding to nearest; `None` when it does not fit or `den` is not positive.
    #[must_use]
    pub fn from_units(value: i64, num: i64, den: i64) -> Option<Self> {
        if den <= 0 {
            return None;
        }
        let (den, wide) =
            (i128::from(den), i128::from(value) * i128::from(num) * i128::from(Self::PER_SECOND));
        i64::try_from((wide + den / 2).div_euclid(den)).ok().map(Self)
    }
}

impl Add for Ticks {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Ticks {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Ticks {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Ticks {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_30000_over_1001_is_3003_ticks() {
        assert_eq!(Ticks::from_units(1, 1001, 30_000), Some(Ticks(3003)));
    }

    #[test]
    fn rescaling_rounds_to_nearest_on_both_sides_of_zero() {
        assert_eq!(Ticks::from_units(1, 1, 1_000_000), Some(Ticks(0)));
        assert_eq!(Ticks::from_units(-1000, 1, 1000), Some(Ticks(-90_000)));
        assert_eq!(Ticks::from_units(i64::MAX, 1, 1), None);
    }
}
