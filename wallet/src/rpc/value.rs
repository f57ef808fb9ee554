//! Values of JSON-RPC: quantities, hashes and bytes as hex.

use alloy_primitives::{Bytes, U256};
use serde_json::Value;

/// A quantity of up to 256 bits.
#[must_use]
pub fn uint(value: &Value) -> Option<U256> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    U256::from_str_radix(digits, 16).ok().filter(|_| (1..=64).contains(&digits.len()))
}

/// A quantity of up to 64 bits.
#[must_use]
pub fn u64(value: &Value) -> Option<u64> {
    uint(value)?.try_into().ok()
}

/// A quantity of up to 128 bits.
#[must_use]
pub fn u128(value: &Value) -> Option<u128> {
    uint(value)?.try_into().ok()
}

/// Something of fixed length, such as a hash or an address.
#[must_use]
pub fn fixed<T: std::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str().filter(|text| text.starts_with("0x"))?.parse().ok()
}

/// Bytes.
#[must_use]
pub fn bytes(value: &Value) -> Option<Bytes> {
    fixed(value)
}
