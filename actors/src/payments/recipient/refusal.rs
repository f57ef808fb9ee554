//! Why an orchestrator does not quote, credit or admit, by what the other side does next.

use protocol::payments::SessionId;
use protocol::payments::unpaid::{Cause, Unpaid};
use protocol::tickets::check::{Invalid, Severity};
use protocol::tickets::credit::Credit;
use protocol::tickets::params;
use thiserror::Error;

use super::cover::Uncovered;
use super::messages::Denied;

/// What is refused and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The tickets are not good.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A win would not be paid.
    #[error(transparent)]
    Uncovered(#[from] Uncovered),
    /// No ticket can be asked for that is worth its redemption.
    #[error(transparent)]
    Params(#[from] params::Refused),
    /// This node does not know yet where the chain stands.
    #[error("this orchestrator does not know the current round yet, try again soon")]
    NoHead,
    /// Too many accounts.
    #[error("{open} sessions are open for this sender: close one, or go on with one")]
    TooManySessions {
        /// How many.
        open: usize,
    },
    /// The account does not cover the work.
    #[error("credit too low by {missing} units for segment {seq}: send tickets, or compare statements")]
    Credit {
        /// The segment.
        seq: u64,
        /// What is missing.
        missing: Credit,
    },
    /// The account's last segment is not done yet.
    #[error("segment {seq} is in work: the next one is taken after its receipt")]
    InWork {
        /// The segment in work.
        seq: u64,
    },
    /// The segment was done and paid already, or one after it.
    #[error("segment {done} was done already: segments come in order")]
    Done {
        /// The last that was done.
        done: u64,
    },
    /// Work that nobody ordered.
    #[error("segment {seq} of session {session} was not admitted")]
    NotAdmitted {
        /// The account.
        session: SessionId,
        /// The segment.
        seq: u64,
    },
}

/// How much a refusal says of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blame {
    /// Nothing: it happens to everybody.
    None,
    /// Something that happens, but should not often.
    Slight,
    /// No honest node does this.
    Grave,
}

impl Refusal {
    /// How much it says of the other side.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Invalid(Invalid::ForeignSignature | Invalid::BadSignature(_)) => Blame::Grave,
            Self::Invalid(Invalid::NonceSeen { .. } | Invalid::NonceRange { .. }) => Blame::Slight,
            Self::Invalid(Invalid::Session(_)) | Self::TooManySessions { .. } => Blame::Slight,
            Self::Invalid(reason) => match reason.severity() {
                Severity::Final => Blame::Grave,
                Severity::Passing => Blame::None,
            },
            Self::Uncovered(Uncovered::Unlocking(_) | Uncovered::TooLittle { .. }) => Blame::Slight,
            Self::Credit { .. } | Self::InWork { .. } | Self::Done { .. } => Blame::Slight,
            Self::Uncovered(_) | Self::Params(_) | Self::NoHead | Self::NotAdmitted { .. } => Blame::None,
        }
    }
}

impl Refusal {
    /// What is told of it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Invalid(Invalid::Session(_)) => Cause::Session,
            Self::Invalid(Invalid::Price { .. }) => Cause::Price,
            Self::Invalid(Invalid::WrongRound { .. }) => Cause::WrongRound,
            // A hash has so many nonces: after them other parameters are needed.
            Self::Invalid(Invalid::Expired { .. } | Invalid::NonceRange { .. }) => Cause::Expired,
            Self::Invalid(Invalid::NonceSeen { .. }) => Cause::Replay,
            Self::Invalid(_) => Cause::Invalid,
            Self::Uncovered(Uncovered::Unproven | Uncovered::Stale { .. }) => Cause::Unproven,
            Self::Uncovered(Uncovered::Unlocking(_)) => Cause::Unlocking,
            Self::Uncovered(Uncovered::Inactive(_)) => Cause::Inactive,
            Self::Uncovered(Uncovered::TooLittle { .. }) => Cause::Unfunded,
            Self::Params(params::Refused::InsufficientReserve) => Cause::Unfunded,
            Self::Params(params::Refused::Unreachable) => Cause::Terms,
            Self::NoHead => Cause::NotReady,
            Self::TooManySessions { .. } => Cause::TooManySessions,
            Self::Credit { .. } => Cause::Credit,
            Self::InWork { .. } => Cause::InWork,
            Self::Done { .. } => Cause::Done,
            Self::NotAdmitted { .. } => Cause::Session,
        }
    }
}

impl From<&Denied> for Unpaid {
    fn from(denied: &Denied) -> Self {
        let cause = match denied {
            Denied::Refused(refusal) => refusal.cause(),
            Denied::Unready(_) => Cause::NotReady,
        };
        Self::new(cause, denied)
    }
}
