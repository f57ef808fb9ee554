//! What a transaction pays for gas: twice the base fee at first, more by steps while it is not included, never above the
//! caller's ceiling. On Arbitrum the sequencer orders by arrival, so there is no tip. Pure.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How far an endpoint's base fee may be from the proven one before it is left out, as a factor either way.
const PLAUSIBLE: u128 = 16;
/// Least base fee that is reckoned with, wei: 0.01 gwei is Arbitrum One's floor, and a devnet may say zero.
const LEAST: u128 = 1;

/// What a transaction offers for gas.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Price {
    /// Most for one unit of gas, wei.
    pub max_fee: u64,
    /// Of it for whoever orders transactions, wei.
    pub tip: u64,
    /// Whether the chain knows no base fee, so that the transaction names one price.
    pub legacy: bool,
}

/// The ceiling does not cover what gas costs now.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "gas costs {base} wei a unit now, so {gas} of it would exceed the limit of {ceiling} wei: wait for cheaper gas or allow more"
)]
pub struct TooDear {
    /// Base fee, wei.
    pub base: u128,
    /// Gas limit.
    pub gas: u64,
    /// The caller's limit for the whole transaction, wei.
    pub ceiling: U256,
}

/// The base fee to reckon with, from what endpoints say: the median, without those that are far from the proven one as long
/// as others remain.
#[must_use]
pub fn base_fee(said: &[u128], proven: Option<u64>) -> Option<u128> {
    let near = |fee: &u128| {
        proven.is_none_or(|proven| {
            let proven = u128::from(proven).max(LEAST);
            (*fee).max(LEAST) <= proven.saturating_mul(PLAUSIBLE)
                && (*fee).max(LEAST).saturating_mul(PLAUSIBLE) >= proven
        })
    };
    let mut kept: Vec<u128> = said.iter().copied().filter(near).collect();
    if kept.is_empty() {
        kept = said.to_vec();
    }
    kept.sort_unstable();
    kept.get(kept.len() / 2).map(|fee| (*fee).max(LEAST))
}

/// The first price of a transaction.
///
/// # Errors
/// [`TooDear`] when the ceiling does not even cover the base fee.
pub fn first(base: u128, legacy: bool, gas: u64, ceiling: Option<U256>) -> Result<Price, TooDear> {
    let most = most(gas, ceiling);
    if u128::from(most) < base {
        return Err(TooDear { base, gas, ceiling: ceiling.unwrap_or(U256::MAX) });
    }
    Ok(Price { max_fee: twice(base).min(most), tip: 0, legacy })
}

/// The price of a replacement: an eighth more at least, which is what pools want, and twice the base fee. None when the
/// ceiling does not allow that.
#[must_use]
pub fn raised(last: Price, base: u128, gas: u64, ceiling: Option<U256>) -> Option<Price> {
    let least = last.max_fee.saturating_add(last.max_fee.div_ceil(8)).max(last.max_fee.saturating_add(1));
    let most = most(gas, ceiling);
    let tip = if last.tip == 0 { 0 } else { last.tip.saturating_add(last.tip.div_ceil(8)) };
    (least <= most).then(|| Price { max_fee: least.max(twice(base)).min(most), tip, ..last })
}

/// Gas limit from what endpoints estimated: a fifth more than the highest.
#[must_use]
pub fn gas_limit(estimates: &[u64]) -> Option<u64> {
    estimates.iter().max().map(|most| most.saturating_add(most / 5))
}

/// Most wei a unit of gas may cost under a ceiling for the whole; no chain's gas costs eighteen ether.
fn most(gas: u64, ceiling: Option<U256>) -> u64 {
    ceiling.map_or(u64::MAX, |ceiling| (ceiling / U256::from(gas.max(1))).saturating_to())
}

fn twice(base: u128) -> u64 {
    u64::try_from(base.saturating_mul(2)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
