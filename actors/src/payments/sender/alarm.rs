//! What a broadcaster should be told before its payments stop.

use alloy_primitives::U256;
use protocol::tickets::terms::Funds;
use protocol::{Round, Wei};
use thiserror::Error;

/// A deposit should pay this many wins: fewer, and the next ones come out of the reserve.
const WINS: u64 = 3;

/// Payments stop soon, or have stopped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Alarm {
    /// The deposit pays few wins.
    #[error("the deposit is {deposit} and a win pays {face}: fund {missing} more")]
    Deposit {
        /// Wei.
        deposit: Wei,
        /// Wei.
        face: Wei,
        /// Wei.
        missing: Wei,
    },
    /// The reserve's share covers less than a win.
    #[error(
        "the reserve of {reserve} is {share} for each of {pool} orchestrators and a win pays {face}: fund {missing} more"
    )]
    Reserve {
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
    let wanted = face.0.saturating_mul(U256::from(WINS));
    if funds.deposit.0 < wanted {
        let missing = Wei(wanted - funds.deposit.0);
        found.push(Alarm::Deposit { deposit: funds.deposit, face, missing });
    }
    let share = funds.reserve.0 / U256::from(pool.max(1));
    if share < face.0 {
        let missing = Wei((face.0 - share).saturating_mul(U256::from(pool.max(1))));
        found.push(Alarm::Reserve { reserve: funds.reserve, share: Wei(share), pool, face, missing });
    }
    if funds.withdraw_round.0 != 0 {
        found.push(Alarm::Unlocking(funds.withdraw_round));
    }
    if !limit.0.is_zero() && spent.0 >= limit.0 - limit.0 / U256::from(5) {
        found.push(Alarm::Budget { spent, limit });
    }
    found
}
