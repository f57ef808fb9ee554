//! Numbers, which JSON has as decimal text and some servers write as numbers.

use std::fmt;

use alloy_primitives::U256;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits of the greatest number of 256 bits.
const MAX_DIGITS: usize = 78;

/// 64 bits.
#[derive(Clone, Copy)]
pub(super) struct Decimal(pub(super) u64);

/// 256 bits.
pub(super) struct Decimal256(pub(super) U256);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Decimal256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Decimal256::deserialize(deserializer)?.0;
        u64::try_from(number).map(Self).map_err(|_| D::Error::custom("a number of more than 64 bits"))
    }
}

impl<'de> Deserialize<'de> for Decimal256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber).map(Self)
    }
}

/// Takes no lists and no objects, so that nothing of a stranger's length is kept.
struct TextOrNumber;

impl Visitor<'_> for TextOrNumber {
    type Value = U256;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number, as text or as a number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<U256, E> {
        Ok(U256::from(number))
    }

    /// Digits only: no sign, no separators.
    fn visit_str<E: Error>(self, text: &str) -> Result<U256, E> {
        let digits = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return Err(E::custom("not a decimal number"));
        }
        U256::from_str_radix(text, 10).map_err(|_| E::custom("a number of more than 256 bits"))
    }
}
