//! What a broadcaster should be told before its payments stop.

use alloy_primitives::U256;
use protocol::funding::{Short, Shortage, deposit_shortage, reserve_shortage, share};
use protocol::tickets::terms::Funds;
use protocol::{Round, Wei};
use thiserror::Error;

/// Payments stop soon, or have stopped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Alarm {
    /// The deposit pays few wins.
    #[error("the deposit is {deposit} and a win pays {face}: fund {missing} more")]
    Deposit {
        /// Whether tickets are refused already.
        short: Short,
        /// Wei.
        deposit: Wei,
        /// Wei.
        face: Wei,
        /// Wei.
        missing: Wei,
    },
    /// The reserve's share covers no win, or only the next one.
    #[error(
        "the reserve of {reserve} is {share} for each of {pool} orchestrators and a win pays {face}: fund {missing} more"
    )]
    Reserve {
        /// Whether tickets are refused, or for smaller wins only, already.
        short: Short,
        /// Wei.
        reserve: Wei,
        /// Wei.
        share: Wei,
        /// Orchestrators.
        pool: u64,
        /// Wei.
        face: Wei,
        /// Wei.
        missing: Wei,
    },
    /// The funds are being taken out.
    #[error("the funds are being unlocked for round {0}: nobody takes tickets from the round before on")]
    Unlocking(Round),
    /// Most of the day's budget is spent.
    #[error("{spent} of the {limit} a day are spent")]
    Budget {
        /// Wei.
        spent: Wei,
        /// Wei.
        limit: Wei,
    },
}

/// What is worth an alarm, for wins of `face` and a pool of `pool` orchestrators.
#[must_use]
pub fn alarms(funds: &Funds, face: Wei, pool: u64, spent: Wei, limit: Wei) -> Vec<Alarm> {
    let mut found = Vec::new();
    let deposit = funds.deposit;
    if let Some(Shortage { short, missing }) = deposit_shortage(deposit, face) {
        found.push(Alarm::Deposit { short, deposit, face, missing });
    }
    let reserve = funds.reserve;
    if let Some(Shortage { short, missing }) = reserve_shortage(reserve, pool, face) {
        found.push(Alarm::Reserve { short, reserve, share: share(reserve, pool), pool, face, missing });
    }
    if funds.withdraw_round.0 != 0 {
        found.push(Alarm::Unlocking(funds.withdraw_round));
    }
    if !limit.0.is_zero() && spent.0 >= limit.0 - limit.0 / U256::from(5) {
        found.push(Alarm::Budget { spent, limit });
    }
    found
}
