//! New tokens (`Minter`, LIP-34, LIP-40): every round's inflation follows participation, and every active orchestrator
//! mints its part of the round's tokens. Pure formulas; rates in parts per billion, amounts in LPT base units.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::amount::Lpt;
use crate::math::{Arithmetic, PPB, PPM, PRECISE, add, sub};

/// What decides a round's inflation.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Inflation {
    /// Tokens that a round mints, parts per billion of the supply. Nothing bounds it.
    pub rate: U256,
    /// By how much it moves a round, parts per billion.
    pub change: U256,
    /// Participation at which it stays as it is, parts per billion.
    pub target: U256,
}

impl Inflation {
    /// The inflation of the next round, with `bonded` of `supply` at work in it (`setInflation`): up below the target, down
    /// above it and never below zero, unchanged on it.
    ///
    /// # Errors
    /// [`Arithmetic::Overflow`].
    pub fn next(self, bonded: Lpt, supply: Lpt) -> Result<Self, Arithmetic> {
        let participation = if supply.0.is_zero() { U256::ZERO } else { PPB.points(bonded.0, supply.0)? };
        let rate = match participation.cmp(&self.target) {
            std::cmp::Ordering::Less => add(self.rate, self.change)?,
            std::cmp::Ordering::Equal => self.rate,
            std::cmp::Ordering::Greater => self.rate.saturating_sub(self.change),
        };
        Ok(Self { rate, ..self })
    }

    /// Tokens that a round may mint (`mintableTokens`).
    ///
    /// # Errors
    /// [`Arithmetic::Overflow`].
    pub fn mintable(self, supply: Lpt) -> Result<Lpt, Arithmetic> {
        PPB.share(supply.0, self.rate).map(Lpt)
    }
}

/// Why no reward is created.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refused {
    /// More than the round may mint.
    #[error("minted tokens cannot exceed mintable tokens")]
    Exceeded,
    /// The contract panics.
    #[error(transparent)]
    Panic(#[from] Arithmetic),
}

/// Tokens for `stake` of `total` active stake (`createReward`), of a round that may mint `mintable` and has minted `minted`.
/// Floored twice: the stake's part to a billionth, then the tokens.
///
/// # Errors
/// [`Refused`]; no active stake divides by zero.
pub fn create_reward(mintable: Lpt, minted: Lpt, stake: Lpt, total: Lpt) -> Result<Lpt, Refused> {
    let amount = PPB.part(mintable.0, stake.0, total.0)?;
    if add(minted.0, amount)? > mintable.0 {
        return Err(Refused::Exceeded);
    }
    Ok(Lpt(amount))
}

/// Where the tokens of one `reward()` go, LPT base units.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// To the treasury (LIP-92).
    pub treasury: Lpt,
    /// To the orchestrator alone, for its work.
    pub commission: Lpt,
    /// To everybody's stake, the orchestrator's own included.
    pub delegators: Lpt,
}

/// Splits what was minted by the treasury's cut (10^27 points) and the orchestrator's (parts per million).
///
/// # Errors
/// [`Arithmetic::Overflow`].
pub fn split(minted: Lpt, treasury_cut: U256, reward_cut: U256) -> Result<Split, Arithmetic> {
    let treasury = PRECISE.share(minted.0, treasury_cut)?;
    let rewards = sub(minted.0, treasury)?;
    let commission = PPM.share(rewards, reward_cut)?;
    let delegators = sub(rewards, commission)?;
    Ok(Split { treasury: Lpt(treasury), commission: Lpt(commission), delegators: Lpt(delegators) })
}
