//! What delegators earn (LIP-36): an orchestrator keeps two factors that only grow, one for rewards and one for fees; a
//! claim compares them at two rounds. Pure formulas over words that a caller read; `Lpt` and `Wei` in, `Lpt` and `Wei` out.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::amount::{Lpt, Wei};
use crate::math::{Arithmetic, PRECISE, add, sub};
use crate::rounds::Round;

/// An orchestrator's cumulative factors at the end of a round (`EarningsPool`), 10^27 points.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Factors {
    /// What one unit of stake has grown to since the first round. Zero where nothing was written; it then counts as one.
    pub reward: U256,
    /// Fees earned by one unit of first-round stake.
    pub fee: U256,
}

/// Stake and fees of one delegator.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Earnings {
    /// Bonded stake.
    pub stake: Lpt,
    /// Fees not yet withdrawn.
    pub fees: Wei,
}

/// What a delegator holds by its own record, up to its last claim.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Claimed {
    /// Bonded stake and fees at the last claim.
    pub earnings: Earnings,
    /// Round of that claim.
    pub round: Round,
}

/// What an orchestrator's records say about the time since a delegator's last claim.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Accrued {
    /// Factors of the claim's round, as stored.
    pub start: Factors,
    /// Factors of the current round, as stored.
    pub now: Factors,
    /// Round of the last `reward()` and the reward factor of that round.
    pub last_reward: (Round, U256),
    /// Round of the last paid fees and the fee factor of that round.
    pub last_fee: (Round, U256),
    /// The orchestrator's own commission, when it asks for itself.
    pub commission: Option<Earnings>,
}

/// The reward factor after a reward of which `rest` base units go to the `stake` of all delegators
/// (`updateCumulativeRewardFactor`); `previous` is zero before the first one.
///
/// # Errors
/// [`Arithmetic`]; no stake divides by zero.
pub fn reward_factor(previous: U256, rest: Lpt, stake: Lpt) -> Result<U256, Arithmetic> {
    let previous = or_one(previous);
    add(previous, PRECISE.part(previous, rest.0, stake.0)?)
}

/// The fee factor after fees of which `delegators` wei go to the `stake` of all delegators (`updateCumulativeFeeFactor`).
/// `current` is this round's fee factor so far, `previous` the factors before the round.
///
/// # Errors
/// [`Arithmetic`]; no stake divides by zero.
pub fn fee_factor(current: U256, previous: Factors, delegators: Wei, stake: Lpt) -> Result<U256, Arithmetic> {
    let base = if current.is_zero() { previous.fee } else { current };
    add(base, PRECISE.part(or_one(previous.reward), delegators.0, stake.0)?)
}

/// Stake and fees after a claim from `start` to `end` (`delegatorCumulativeStakeAndFees`).
///
/// # Errors
/// [`Arithmetic`]; a fee factor that shrank underflows, as on chain.
pub fn claim(held: Earnings, start: Factors, end: Factors) -> Result<Earnings, Arithmetic> {
    let from = or_one(start.reward);
    let fees = PRECISE.part(held.stake.0, sub(end.fee, start.fee)?, from)?;
    let stake = PRECISE.part(held.stake.0, or_one(end.reward), from)?;
    Ok(Earnings { stake: Lpt(stake), fees: Wei(add(held.fees.0, fees)?) })
}

/// What a claim in round `now` would leave a delegator with (`pendingStake`, `pendingFees`). Only the end falls back to the
/// last round that has a factor; the start never does. An orchestrator's commission is its own at any time, also after it
/// has claimed in this round.
///
/// # Errors
/// [`Arithmetic`], where the contract's views panic.
pub fn pending(claimed: Claimed, accrued: &Accrued, now: Round) -> Result<Earnings, Arithmetic> {
    let earned = if claimed.round < now {
        claim(claimed.earnings, accrued.start, accrued.end(now))?
    } else {
        claimed.earnings
    };
    let own = accrued.commission.unwrap_or_default();
    Ok(Earnings { stake: Lpt(add(earned.stake.0, own.stake.0)?), fees: Wei(add(earned.fees.0, own.fees.0)?) })
}

impl Accrued {
    /// The newest factors that count in round `now` (`latestCumulativeFactorsPool`).
    #[must_use]
    pub fn end(&self, now: Round) -> Factors {
        let newest = |stored: U256, (round, factor): (Round, U256)| {
            if stored.is_zero() && round < now { factor } else { stored }
        };
        Factors {
            reward: newest(self.now.reward, self.last_reward),
            fee: newest(self.now.fee, self.last_fee),
        }
    }
}

fn or_one(factor: U256) -> U256 {
    if factor.is_zero() { PRECISE.whole() } else { factor }
}
