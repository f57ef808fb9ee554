//! Whether a win would really be paid, in full, whenever it can be redeemed.
//!
//! The contract accepts a ticket that the *whole* reserve covers and pays it from one recipient's *share*, so a ticket can be
//! used up for less than it says. Here a face value counts only when `min(face, deposit) + min(rest, share)` is all of it,
//! after what this recipient holds already, in every round in which it may come to redeem it.

use alloy_primitives::U256;
use protocol::reserve::{Reserve, payable};
use protocol::{Round, Wei};
use thiserror::Error;

use crate::ports::payments::{ChainHead, SenderFacts};

/// L1 blocks of a round that must remain after parameters expire, for a redemption to be in that round: ten minutes.
pub const REDEEM_BLOCKS: u64 = 50;
/// L1 blocks that proven facts may lag behind: two hours, what the newest provable state of the rollup may.
pub const FACTS_AGE: u64 = 600;

/// Why a win would not be paid, or not in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Uncovered {
    /// Nothing is proven of this sender yet.
    #[error("nothing is proven of the sender's funds yet, try again soon")]
    Unproven,
    /// What is proven is too old to rely on.
    #[error("the sender's funds were last proven at block {proven}, now is {now}: try again soon")]
    Stale {
        /// L1 block.
        proven: u64,
        /// L1 block.
        now: u64,
    },
    /// The sender takes its money out.
    #[error("the sender is unlocking its funds in round {0}: it has to cancel that to pay")]
    Unlocking(Round),
    /// This recipient is paid nothing in the rounds in which the ticket could be redeemed.
    #[error("this orchestrator is inactive in round {0}, cannot process payments")]
    Inactive(Round),
    /// The share of the reserve and the deposit are too small.
    #[error(
        "insufficient sender reserve: {covered} is covered, {held} of it is spoken for, a win pays {face}"
    )]
    TooLittle {
        /// A win, wei.
        face: Wei,
        /// Winners of this sender that are not paid yet, wei.
        held: Wei,
        /// What deposit and share pay, wei.
        covered: Wei,
    },
}

/// What stands behind tickets of one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// The deposit, wei.
    pub deposit: Wei,
    /// This recipient's share of the reserve, wei: the smallest that it may be when a ticket is redeemed.
    pub share: Wei,
}

/// A round in which a ticket may come to be redeemed, with what is claimed of the reserve then.
struct Window {
    round: Round,
    active: bool,
    reserve: Reserve,
}

/// What stands behind tickets that are made in a round and may be redeemed after a block.
///
/// # Errors
/// [`Uncovered`], all but too little.
pub fn cover(
    facts: Option<&SenderFacts>,
    head: &ChainHead,
    made: Round,
    expiration_block: u64,
) -> Result<Cover, Uncovered> {
    let facts = facts.ok_or(Uncovered::Unproven)?;
    if facts.l1_block.saturating_add(FACTS_AGE) < head.l1_block {
        return Err(Uncovered::Stale { proven: facts.l1_block, now: head.l1_block });
    }
    let leaves = facts.withdraw_round;
    if leaves.0 != 0 && leaves.0 <= head.round.0.saturating_add(1) {
        return Err(Uncovered::Unlocking(leaves));
    }
    let last = made.next();
    let usable = windows(facts, head, expiration_block)
        .filter(|w| w.active && w.round <= last && (leaves.0 == 0 || w.round < leaves));
    // The pool is the next round's and may grow before the redemption; if it grows past what was claimed, the contract's own
    // subtraction fails and nothing is paid before the next round.
    let pool = U256::from(head.pool_size.max(head.next_pool_size));
    // A pool that shrank may have let others take more than their part: what is left may be less than a share.
    let share = usable.map(|w| w.reserve.share(pool).unwrap_or_default().min(w.reserve.funds)).min();
    let share = share.ok_or(Uncovered::Inactive(head.round))?;
    Ok(Cover { deposit: facts.deposit, share })
}

fn windows(facts: &SenderFacts, head: &ChainHead, expiration_block: u64) -> impl Iterator<Item = Window> {
    let fresh = Reserve { funds: facts.reserve, ..Reserve::default() };
    let now = Reserve { claimed: facts.claimed, claimed_by: facts.claimed_by_me, ..fresh };
    let in_time = expiration_block.saturating_add(REDEEM_BLOCKS) <= head.round_end_block;
    let now = Window {
        round: head.round,
        active: head.active && in_time,
        reserve: if facts.round == head.round { now } else { fresh },
    };
    let next = Window { round: head.round.next(), active: head.active_next, reserve: fresh };
    [now, next].into_iter()
}

impl Cover {
    /// Whether a win of `face` is paid in full after what is `held` already.
    ///
    /// # Errors
    /// [`Uncovered::TooLittle`].
    pub fn pays(&self, face: Wei, held: Wei) -> Result<(), Uncovered> {
        let all = Wei(face.0.saturating_add(held.0));
        if payable(all, self.deposit, self.share) == all {
            return Ok(());
        }
        Err(Uncovered::TooLittle { face, held, covered: Wei(self.deposit.0.saturating_add(self.share.0)) })
    }

    /// The largest win that the share alone pays after what is held: deposits are paid to whoever comes first.
    #[must_use]
    pub fn float(&self, held: Wei) -> Wei {
        Wei(self.share.0.saturating_sub(held.0))
    }
}
