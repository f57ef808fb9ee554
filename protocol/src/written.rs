//! Amounts and shares as people write them: `12.5LPT`, `0.1ETH`, `1000wei`, `max`, `7.5%`. Nothing is rounded and nothing is
//! guessed: a number without its unit is refused, because a factor of 10^18 lies between the two that could be meant.

use alloy_primitives::U256;
use thiserror::Error;

use crate::amount::{Lpt, Wei};
use crate::math::Precision;

/// Longest amount that is read, characters: 256 bits have 78 digits.
const MAX_CHARS: usize = 100;

/// How much is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Amount<T> {
    /// So much.
    Exactly(T),
    /// All that there is.
    Max,
}

impl<T: Copy> Amount<T> {
    /// The amount, where `all` is everything.
    pub const fn of(self, all: T) -> T {
        match self {
            Self::Exactly(amount) => amount,
            Self::Max => all,
        }
    }
}

/// Why an amount is not taken.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadAmount {
    /// No unit.
    #[error("{0:?} has no unit: write {0}{1} or {0}{2}")]
    Unit(String, &'static str, &'static str),
    /// Another token's unit.
    #[error("{0:?} is not in {1}: write the amount in {1} or {2}")]
    Token(String, &'static str, &'static str),
    /// Digits that are none.
    #[error("{0:?} is no amount: write digits with at most one point, such as 12.5")]
    Digits(String),
    /// Finer than the smallest unit.
    #[error("{0:?} has more than {1} decimals: there is nothing smaller")]
    Decimals(String, usize),
    /// More than 256 bits.
    #[error("{0:?} is more than there can be")]
    Large(String),
}

/// LPT: `12.5LPT`, `12500000000000000000wei` (base units), or `max`.
///
/// # Errors
/// [`BadAmount`].
pub fn lpt(text: &str) -> Result<Amount<Lpt>, BadAmount> {
    read(text, ["LPT", "wei"]).map(|amount| amount.map(Lpt))
}

/// Ether: `0.1ETH`, `1000gwei`, `1000wei`, or `max`.
///
/// # Errors
/// [`BadAmount`].
pub fn wei(text: &str) -> Result<Amount<Wei>, BadAmount> {
    read(text, ["ETH", "wei"]).map(|amount| amount.map(Wei))
}

/// LPT, exactly so much.
///
/// # Errors
/// [`BadAmount`], for `max` too.
pub fn exact_lpt(text: &str) -> Result<Lpt, BadAmount> {
    exact(lpt(text)?, text)
}

/// Ether, exactly so much.
///
/// # Errors
/// [`BadAmount`], for `max` too.
pub fn exact_wei(text: &str) -> Result<Wei, BadAmount> {
    exact(wei(text)?, text)
}

fn exact<T>(amount: Amount<T>, text: &str) -> Result<T, BadAmount> {
    match amount {
        Amount::Exactly(amount) => Ok(amount),
        Amount::Max => Err(BadAmount::Digits(text.to_owned())),
    }
}

impl<T> Amount<T> {
    fn map<U>(self, wrap: impl FnOnce(T) -> U) -> Amount<U> {
        match self {
            Self::Exactly(amount) => Amount::Exactly(wrap(amount)),
            Self::Max => Amount::Max,
        }
    }
}

/// A share such as `7.5%`, in points of a precision. The sign is required: 0.5 may be a half or half a percent.
///
/// # Errors
/// [`BadAmount`]; a share may be more than a whole.
pub fn share(text: &str, precision: Precision) -> Result<U256, BadAmount> {
    let number = text.trim().strip_suffix('%').ok_or_else(|| BadAmount::Unit(shown(text), "%", " %"))?;
    let decimals = precision.whole().to_string().len() - 1;
    scaled(number.trim_end(), decimals - 2)
}

fn read(text: &str, [token, base]: [&'static str; 2]) -> Result<Amount<U256>, BadAmount> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("max") {
        return Ok(Amount::Max);
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let decimals = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" => return Err(BadAmount::Unit(shown(text), token, base)),
        unit if unit == token.to_ascii_lowercase() => 18,
        "gwei" if token == "ETH" => 9,
        "wei" => 0,
        _ => return Err(BadAmount::Token(shown(text), token, base)),
    };
    scaled(number, decimals).map(Amount::Exactly)
}

/// A decimal number times a power of ten, exactly.
fn scaled(number: &str, decimals: usize) -> Result<U256, BadAmount> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if number.len() > MAX_CHARS || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadAmount::Digits(shown(number)));
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals {
        return Err(BadAmount::Decimals(shown(number), decimals));
    }
    let digits = format!("{whole}{fraction:0<decimals$}");
    U256::from_str_radix(&digits, 10).map_err(|_| BadAmount::Large(shown(number)))
}

fn shown(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::{PPB, PPM};

    #[test]
    fn an_amount_is_read_to_the_last_unit() {
        let half: U256 = "12500000000000000000".parse().unwrap();
        for text in ["12.5LPT", "12.5 lpt", "12.50LPT", "12500000000000000000wei"] {
            assert_eq!(lpt(text), Ok(Amount::Exactly(Lpt(half))), "{text}");
        }
        assert_eq!(exact_wei("0.000000000000000001ETH"), Ok(Wei(U256::ONE)));
        assert_eq!(exact_wei("3gwei"), Ok(Wei(U256::from(3_000_000_000_u64))));
        assert_eq!(exact_wei(".1ETH"), exact_wei("100000000gwei"));
        assert_eq!(lpt("max").map(|amount| amount.of(Lpt(half))), Ok(Lpt(half)));
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        assert!(matches!(lpt("12.5"), Err(BadAmount::Unit(..))));
        assert!(matches!(lpt("1ETH"), Err(BadAmount::Token(..))));
        assert!(matches!(wei("1LPT"), Err(BadAmount::Token(..))));
        assert!(matches!(lpt("1gwei"), Err(BadAmount::Token(..))));
        assert!(matches!(wei("0.5wei"), Err(BadAmount::Decimals(..))));
        for text in ["LPT", "1.2.3LPT", "-1LPT", "1,5LPT", "1e3LPT", ".LPT", "maxLPT"] {
            assert!(lpt(text).is_err(), "{text}");
        }
        assert!(matches!(lpt(&format!("{}LPT", "9".repeat(78))), Err(BadAmount::Large(_))));
        assert!(lpt(&"9".repeat(100_000)).is_err());
        assert!(exact_lpt("max").is_err());
    }

    #[test]
    fn a_share_has_its_sign() {
        assert_eq!(share("7.5%", PPM), Ok(U256::from(75_000)));
        assert_eq!(share("0.0022 %", PPB), Ok(U256::from(22_000)));
        assert_eq!(share("150%", PPM), Ok(U256::from(1_500_000)));
        assert!(
            share("0.5", PPM).is_err() && share("0.00001%", PPM).is_err() && share("half%", PPM).is_err()
        );
    }
}
