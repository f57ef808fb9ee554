//! Why a broadcaster does not pay, or does not believe what an orchestrator says, by what it does next.

use protocol::payments::SessionId;
use protocol::payments::unpaid::{Cause, Unpaid};
use protocol::tickets::terms::Unacceptable;
use protocol::{PricePerPixel, Wei};
use thiserror::Error;

use super::messages::Denied;
use crate::payments::recipient::refusal::Blame;

/// Why a segment is not paid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unpayable {
    /// Above the maximum that is configured: ask somebody else.
    #[error("the price {asked} is above the maximum of {max}")]
    PriceTooHigh {
        /// What is asked.
        asked: PricePerPixel,
        /// What is paid at most.
        max: PricePerPixel,
    },
    /// No such account: open one.
    #[error("no session {0} is open")]
    NoSession(SessionId),
    /// An account of this name exists already, with somebody else or at another price.
    #[error("the session {0} is open already on other terms")]
    Taken(SessionId),
    /// The segment before has no receipt yet: wait, or give it up.
    #[error("segment {seq} has no receipt yet: the next one is paid against it")]
    Unreceipted {
        /// That segment.
        seq: u64,
    },
    /// Something got lost: compare statements first.
    #[error("what became of the last segment is not known: compare statements first")]
    Unsure,
    /// There are no parameters, or no nonces are left: ask for a quote.
    #[error("new ticket parameters are needed")]
    NoQuote,
    /// The quote is not good: ask for another one, or somebody else.
    #[error(transparent)]
    Terms(#[from] Unacceptable),
    /// So many tickets are not sent at once: ask somebody whose tickets are worth more.
    #[error("the segment needs {needed} tickets, {max} are sent at most")]
    TooManyTickets {
        /// How many.
        needed: u64,
        /// At most.
        max: u64,
    },
    /// The day's budget is spent.
    #[error("the budget of {limit} a day {of} leaves nothing for this: {spent} are spent")]
    Budget {
        /// For a stream or for all.
        of: &'static str,
        /// Wei.
        limit: Wei,
        /// Wei, rounded up.
        spent: Wei,
    },
    /// This node does not know yet where the chain stands.
    #[error("the current round is not known yet, try again soon")]
    NoHead,
    /// As much as one segment was lost with this recipient today, or would be with these tickets.
    #[error("{lost} were lost with this orchestrator today, and one segment is what may be: ask another one")]
    Distrusted {
        /// What was lost, wei.
        lost: Wei,
    },
}

/// Why an orchestrator's statement or receipt is not believed. Grave: it has signed it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Disputed {
    /// Not about an account of this node with that orchestrator.
    #[error("the statement is about another account")]
    Foreign,
    /// The last segment is still in work.
    #[error("segment {seq} is in work, its receipt is waited for")]
    Open {
        /// That segment.
        seq: u64,
    },
    /// Work that was never ordered.
    #[error("segment {seq} was not ordered, or is paid already")]
    NotOrdered {
        /// That segment.
        seq: u64,
    },
    /// Work without receipts.
    #[error("{claimed} segments are said to be paid, receipts prove {proven}")]
    Unproven {
        /// In the statement.
        claimed: u64,
        /// What these books and the receipts prove.
        proven: u64,
    },
    /// The same work, another sum or other receipts.
    #[error("the receipts do not come to what the statement says")]
    Contradiction,
    /// More would be written off than one segment.
    #[error("tickets worth {missing} are said to have never come, above the {bound} that may be lost")]
    TooMuch {
        /// What is said to be missing, with what was lost before, wei.
        missing: Wei,
        /// One segment, wei.
        bound: Wei,
    },
}

impl Unpayable {
    /// What is told of it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::PriceTooHigh { .. } | Self::Terms(Unacceptable::Price { .. }) => Cause::Price,
            Self::NoSession(_) | Self::Taken(_) => Cause::Session,
            Self::Unreceipted { .. } => Cause::InWork,
            Self::Unsure => Cause::Credit,
            Self::NoQuote | Self::Terms(Unacceptable::Expired { .. }) => Cause::Expired,
            Self::Terms(Unacceptable::WrongRound { .. }) => Cause::WrongRound,
            Self::Terms(Unacceptable::Foreign) => Cause::Invalid,
            Self::Terms(Unacceptable::DepositTooLow { .. } | Unacceptable::Unfunded(_)) => Cause::Unfunded,
            Self::Terms(Unacceptable::Unlocking(_)) => Cause::Unlocking,
            Self::Terms(_) | Self::TooManyTickets { .. } => Cause::Terms,
            Self::Budget { .. } => Cause::Budget,
            Self::NoHead => Cause::NotReady,
            Self::Distrusted { .. } => Cause::Distrust,
        }
    }
}

impl Disputed {
    /// How much it says of the orchestrator, which has signed it.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Open { .. } => Blame::None,
            Self::TooMuch { .. } => Blame::Slight,
            Self::Foreign | Self::NotOrdered { .. } | Self::Unproven { .. } | Self::Contradiction => {
                Blame::Grave
            }
        }
    }
}

impl From<&Denied> for Unpaid {
    fn from(denied: &Denied) -> Self {
        let cause = match denied {
            Denied::Unpayable(why) => why.cause(),
            Denied::Disputed(Disputed::Open { .. }) => Cause::InWork,
            Denied::Disputed(_) | Denied::Foreign => Cause::Distrust,
            Denied::Unready(_) => Cause::NotReady,
        };
        Self::new(cause, denied)
    }
}
