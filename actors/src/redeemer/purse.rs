//! A sender's money after everything that is under way: what the next ticket would be paid, exactly, or why it would be paid
//! nothing now.

use alloy_primitives::U256;
use protocol::reserve::Reserve;
use protocol::{Round, Wei};

use crate::ports::payments::SenderFacts;
use crate::ports::redeemer::{Paid, Situation};

/// Deposit and reserve of one sender, as one recipient may take from them in one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purse {
    deposit: U256,
    reserve: Reserve,
    withdraw_round: Round,
    round: Round,
    pool: U256,
    active: bool,
}

/// Why a ticket would be refused, or given away for nothing, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Hold {
    /// The sender's lock is over.
    #[error("its sender may take everything out")]
    Unlocked,
    /// The recipient is not active.
    #[error("its recipient is not active in this round")]
    Inactive,
    /// Deposit and reserve together are below its face value.
    #[error("its sender has less than its face value")]
    Uncovered,
    /// The pool grew after the recipient took its share of the reserve.
    #[error(
        "the pool grew after its recipient took its share of the reserve, so the contract refuses until the next round"
    )]
    PoolGrew,
}

impl Purse {
    pub(super) fn new(situation: &Situation, facts: &SenderFacts) -> Self {
        Self {
            deposit: facts.deposit.0,
            reserve: Reserve {
                funds: facts.reserve,
                claimed: facts.claimed,
                claimed_by: facts.claimed_by_me,
            },
            withdraw_round: facts.withdraw_round,
            round: situation.round,
            pool: U256::from(situation.pool_size),
            active: situation.active,
        }
    }

    /// What a ticket of this face value would be paid now.
    pub(super) fn pays(&self, face: U256) -> Result<Paid, Hold> {
        if self.withdraw_round != Round(0) && self.round >= self.withdraw_round {
            return Err(Hold::Unlocked);
        }
        if !self.active {
            return Err(Hold::Inactive);
        }
        if self.deposit.saturating_add(self.reserve.funds.0) < face {
            return Err(Hold::Uncovered);
        }
        let from_deposit = face.min(self.deposit);
        let rest = face - from_deposit;
        if rest.is_zero() {
            return Ok(Paid { from_deposit: Wei(from_deposit), from_reserve: Wei::default() });
        }
        let share = self.reserve.share(self.pool).map_err(|_| Hold::PoolGrew)?;
        Ok(Paid { from_deposit: Wei(from_deposit), from_reserve: Wei(rest.min(share.0)) })
    }

    /// Takes what a ticket is paid.
    pub(super) fn take(&mut self, paid: Paid) {
        self.deposit = self.deposit.saturating_sub(paid.from_deposit.0);
        let Reserve { funds, claimed, claimed_by } = &mut self.reserve;
        funds.0 = funds.0.saturating_sub(paid.from_reserve.0);
        claimed.0 = claimed.0.saturating_add(paid.from_reserve.0);
        claimed_by.0 = claimed_by.0.saturating_add(paid.from_reserve.0);
    }

    /// The round from which on nothing is paid, where the sender unlocks.
    pub(super) const fn closes(&self) -> Option<Round> {
        if self.withdraw_round.0 == 0 { None } else { Some(self.withdraw_round) }
    }
}

/// All that a ticket brings.
pub(super) fn total(paid: Paid) -> U256 {
    paid.from_deposit.0.saturating_add(paid.from_reserve.0)
}
