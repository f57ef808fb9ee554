//! Shares of 256-bit amounts as the contracts compute them: floor division at a fixed precision, every product checked.
//! What overflows or divides by zero there is an error here, with Solidity's panic code. Two floors are two floors: a share
//! of a share is never simplified to one division.

use alloy_primitives::U256;
use thiserror::Error;

/// How Solidity's checked arithmetic ends a call: `Panic(uint256)` with [`Self::code`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Arithmetic {
    /// A sum, product or difference outside 0..2^256.
    #[error("arithmetic overflow (panic 0x11): a contract would revert on these numbers")]
    Overflow,
    /// A division by zero.
    #[error("division by zero (panic 0x12): a contract would revert on these numbers")]
    DivisionByZero,
}

impl Arithmetic {
    /// Solidity's panic code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Overflow => 0x11,
            Self::DivisionByZero => 0x12,
        }
    }
}

/// A fixed-point precision: how many points make a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Precision {
    whole: U256,
}

/// `MathUtils`: parts per million. Reward cuts, fee shares, the round lock.
pub const PPM: Precision = Precision { whole: U256::from_limbs([1_000_000, 0, 0, 0]) };

/// `MathUtilsV2`: parts per billion. Inflation, bonding rates, an orchestrator's part of a round's tokens (LIP-40).
pub const PPB: Precision = Precision { whole: U256::from_limbs([1_000_000_000, 0, 0, 0]) };

/// `PreciseMathUtils`: 10^27 points. Cumulative factors (LIP-36), the treasury's cut (LIP-92).
pub const PRECISE: Precision =
    Precision { whole: U256::from_limbs([11_515_845_246_265_065_472, 54_210_108, 0, 0]) };

impl Precision {
    /// Points that make a whole.
    #[must_use]
    pub const fn whole(self) -> U256 {
        self.whole
    }

    /// `floor(part * whole / of)` points.
    ///
    /// # Errors
    /// [`Arithmetic`], where the contract's `percPoints` panics.
    pub fn points(self, part: U256, of: U256) -> Result<U256, Arithmetic> {
        div(mul(part, self.whole)?, of)
    }

    /// `floor(amount * points / whole)`: the contracts' `percOf` with two arguments.
    ///
    /// # Errors
    /// [`Arithmetic::Overflow`].
    pub fn share(self, amount: U256, points: U256) -> Result<U256, Arithmetic> {
        div(mul(amount, points)?, self.whole)
    }

    /// `floor(amount * floor(part * whole / of) / whole)`: the contracts' `percOf` with three arguments.
    ///
    /// # Errors
    /// [`Arithmetic`].
    pub fn part(self, amount: U256, part: U256, of: U256) -> Result<U256, Arithmetic> {
        self.share(amount, self.points(part, of)?)
    }

    /// Whether `points` are at most a whole: the contracts' `validPerc`.
    #[must_use]
    pub fn is_share(self, points: U256) -> bool {
        points <= self.whole
    }
}

/// A sum that does not wrap.
///
/// # Errors
/// [`Arithmetic::Overflow`].
pub fn add(a: U256, b: U256) -> Result<U256, Arithmetic> {
    a.checked_add(b).ok_or(Arithmetic::Overflow)
}

/// A difference that does not wrap.
///
/// # Errors
/// [`Arithmetic::Overflow`].
pub fn sub(a: U256, b: U256) -> Result<U256, Arithmetic> {
    a.checked_sub(b).ok_or(Arithmetic::Overflow)
}

/// A product that does not wrap.
///
/// # Errors
/// [`Arithmetic::Overflow`].
pub fn mul(a: U256, b: U256) -> Result<U256, Arithmetic> {
    a.checked_mul(b).ok_or(Arithmetic::Overflow)
}

/// A quotient, rounded down.
///
/// # Errors
/// [`Arithmetic::DivisionByZero`].
pub fn div(a: U256, b: U256) -> Result<U256, Arithmetic> {
    a.checked_div(b).ok_or(Arithmetic::DivisionByZero)
}
