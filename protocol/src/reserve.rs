//! How a gateway's reserve is shared among orchestrators (`MReserve`), and what a winning ticket would really be paid.
//! The contract checks a ticket against the whole reserve but pays one share of it, so the two differ; a redeemer computes
//! this before it gives a ticket away.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::amount::Wei;
use crate::math::{Arithmetic, add, div, sub};

/// A gateway's reserve in one round, seen by one orchestrator.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Reserve {
    /// What is left of it.
    pub funds: Wei,
    /// What all orchestrators have taken from it in this round.
    pub claimed: Wei,
    /// What this orchestrator has taken from it in this round.
    pub claimed_by: Wei,
}

impl Reserve {
    /// What an *active* orchestrator may still take in this round, with `pool` orchestrators in the pool of the next one
    /// (`claimableReserve`). An orchestrator that is not active may take nothing.
    ///
    /// # Errors
    /// [`Arithmetic::Overflow`] when the pool grew after this orchestrator took its share: the contract reverts until the
    /// next round.
    pub fn share(&self, pool: U256) -> Result<Wei, Arithmetic> {
        if pool.is_zero() {
            return Ok(Wei::default());
        }
        let whole = add(self.funds.0, self.claimed.0)?;
        sub(div(whole, pool)?, self.claimed_by.0).map(Wei)
    }
}

/// What a winning ticket of `face` would be paid from a deposit and the redeemer's share of the reserve.
#[must_use]
pub fn payable(face: Wei, deposit: Wei, share: Wei) -> Wei {
    let from_deposit = face.0.min(deposit.0);
    Wei(from_deposit + (face.0 - from_deposit).min(share.0))
}
