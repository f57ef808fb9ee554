//! What a sender checks before it makes tickets of a quote: that one ticket, and a batch of them, is worth no more than it
//! means to risk, and that it can pay a win.

use alloy_primitives::{Address, U512};
use thiserror::Error;

use super::credit::{Credit, MAX_FACE};
use super::quote::Quote;
use crate::amount::Wei;
use crate::price::PricePerPixel;
use crate::rounds::Round;

/// What a sender agrees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most that one ticket may be worth, wei (Livepeer's nodes: 3e12).
    pub max_ticket: Wei,
    /// Most that the tickets of one segment may be worth, wei (Livepeer's nodes: 2e13).
    pub max_batch: Wei,
    /// A win pays at most the deposit divided by this (Livepeer's nodes: 1).
    pub deposit_multiplier: u64,
    /// L1 blocks that a quote must still be good for (Livepeer's nodes: 2).
    pub margin_blocks: u64,
}

/// What a sender knows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funds {
    /// Proven, wei.
    pub deposit: Wei,
    /// Proven, wei.
    pub reserve: Wei,
    /// Zero when not unlocking.
    pub withdraw_round: Round,
}

/// Why a sender makes no tickets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unacceptable {
    /// Not what was asked for.
    #[error("the quote is for another session, sender or recipient")]
    Foreign,
    /// Another price than the session's, or above the maximum.
    #[error("the quoted price {quoted} is not the agreed {agreed}")]
    Price {
        /// In the quote.
        quoted: PricePerPixel,
        /// In the session.
        agreed: PricePerPixel,
    },
    /// It never expires, or too soon.
    #[error("ticket parameters are good to block {expires}, and now is {now}: ask for new ones")]
    Expired {
        /// L1 block.
        expires: u64,
        /// L1 block.
        now: u64,
    },
    /// The round is not the current one or the one before.
    #[error("ticket parameters are for round {made}, and now is {now}")]
    WrongRound {
        /// In the quote.
        made: Round,
        /// Current.
        now: Round,
    },
    /// Every ticket would win, or be worth nothing although work is not free.
    #[error("ticket faceValue too low: a ticket must be worth less than a win, and more than nothing")]
    FaceTooLow,
    /// A win that no account can hold.
    #[error("ticket faceValue {0} is above all ether there is")]
    FaceTooHigh(Wei),
    /// One ticket is worth too much.
    #[error("a ticket is worth {value}, above the limit of {limit}")]
    TicketTooDear {
        /// Wei, rounded up.
        value: Wei,
        /// Wei.
        limit: Wei,
    },
    /// A segment's tickets are worth too much.
    #[error("{tickets} tickets are worth {value}, above the limit of {limit} for a segment")]
    BatchTooDear {
        /// How many.
        tickets: u64,
        /// Wei, rounded up.
        value: Wei,
        /// Wei.
        limit: Wei,
    },
    /// The deposit does not pay a win.
    #[error("a win pays {face}, above the {limit} that the deposit allows: fund the deposit")]
    DepositTooLow {
        /// Wei.
        face: Wei,
        /// Wei.
        limit: Wei,
    },
    /// There is no deposit or no reserve.
    #[error("the sender {0} has no deposit or no reserve: fund both")]
    Unfunded(Address),
    /// Own funds are being taken out.
    #[error("the sender unlocks its funds in round {0}: cancel that to pay again")]
    Unlocking(Round),
}

/// Checks a quote for a sender, at an L1 block and a round. A free quote is good without funds.
///
/// # Errors
/// [`Unacceptable`].
pub fn check(
    quote: &Quote,
    limits: &Limits,
    funds: &Funds,
    l1_block: u64,
    round: Round,
) -> Result<(), Unacceptable> {
    if quote.price.wei == 0 {
        return Ok(());
    }
    if quote.expiration_block < l1_block.saturating_add(limits.margin_blocks) {
        return Err(Unacceptable::Expired { expires: quote.expiration_block, now: l1_block });
    }
    let made = quote.creation_round;
    if made != round && made.next() != round {
        return Err(Unacceptable::WrongRound { made, now: round });
    }
    value(quote, limits)?;
    if funds.withdraw_round.0 != 0 && funds.withdraw_round.0 <= round.0.saturating_add(1) {
        return Err(Unacceptable::Unlocking(funds.withdraw_round));
    }
    if funds.deposit.0.is_zero() || funds.reserve.0.is_zero() {
        return Err(Unacceptable::Unfunded(quote.sender));
    }
    let limit = Wei(funds.deposit.0 / alloy_primitives::U256::from(limits.deposit_multiplier.max(1)));
    if quote.face_value > limit {
        return Err(Unacceptable::DepositTooLow { face: quote.face_value, limit });
    }
    Ok(())
}

fn value(quote: &Quote, limits: &Limits) -> Result<(), Unacceptable> {
    if quote.face_value.0 > MAX_FACE {
        return Err(Unacceptable::FaceTooHigh(quote.face_value));
    }
    let one = quote.ticket_credit();
    if one == Credit::ZERO || one >= Credit::of_wei(quote.face_value, quote.price) {
        return Err(Unacceptable::FaceTooLow);
    }
    if one > Credit::of_wei(limits.max_ticket, quote.price) {
        let value = one.to_wei(quote.price);
        return Err(Unacceptable::TicketTooDear { value, limit: limits.max_ticket });
    }
    Ok(())
}

/// Checks the tickets of one segment.
///
/// # Errors
/// [`Unacceptable::BatchTooDear`].
pub fn check_batch(quote: &Quote, tickets: u64, limits: &Limits) -> Result<(), Unacceptable> {
    let all = quote.ticket_credit().times(tickets);
    if all > Credit::of_wei(limits.max_batch, quote.price) {
        let value = all.to_wei(quote.price);
        return Err(Unacceptable::BatchTooDear { tickets, value, limit: limits.max_batch });
    }
    Ok(())
}

/// What a ticket is worth in wei times 2^256 - 1, whatever the account: for sums over accounts.
#[must_use]
pub fn each(quote: &Quote) -> U512 {
    U512::from(quote.face_value.0.min(MAX_FACE)) * U512::from(quote.win_prob)
}
