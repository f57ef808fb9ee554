//! Numbers, which JSON has as decimal text and some servers write as numbers.

use std::fmt;

use alloy_primitives::U256;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that JSON has as decimal text, and that some servers write as a number.
#[derive(Clone, Copy)]
pub(super) struct Decimal(pub(super) u64);

/// The same with 256 bits.
pub(super) struct Decimal256(pub(super) U256);

/// Text or number, as JSON has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Number(u64),
    Text(String),
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match TextOrNumber::deserialize(deserializer)? {
            TextOrNumber::Number(number) => Ok(Self(number)),
            TextOrNumber::Text(text) => {
                decimal(&text, u64::from_str_radix).map(Self).map_err(D::Error::custom)
            }
        }
    }
}

impl Serialize for Decimal256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match TextOrNumber::deserialize(deserializer)? {
            TextOrNumber::Number(number) => Ok(Self(U256::from(number))),
            TextOrNumber::Text(text) => {
                let parse = |text: &str, radix| U256::from_str_radix(text, u64::from(radix));
                decimal(&text, parse).map(Self).map_err(D::Error::custom)
            }
        }
    }
}

/// Digits only: no sign, no separators, at most 78 of them (2^256).
fn decimal<T, E: fmt::Display>(text: &str, parse: impl Fn(&str, u32) -> Result<T, E>) -> Result<T, String> {
    let digits = !text.is_empty() && text.len() <= 78 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err("not a decimal number".to_owned());
    }
    parse(text, 10).map_err(|error| error.to_string())
}
