//! Why work is not done for a payment, as it is told over the wire: a cause, from which the other side knows what to do next, and
//! words for people.

use serde::{Deserialize, Serialize};

/// A payment that is not taken, or that was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("not paid: {words}")]
pub struct Unpaid {
    /// What is wrong.
    pub cause: Cause,
    /// The same for people, at most 512 bytes.
    pub words: String,
}

/// What is wrong with a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// None came, and the work is not free.
    Missing,
    /// Whoever should take or make it is not ready: its books are being read, or it does not know where the chain stands.
    NotReady,
    /// Nothing is proven of the sender's funds, or what is proven is too old.
    Unproven,
    /// Deposit and share of the reserve do not pay a win.
    Unfunded,
    /// The sender takes its funds out.
    Unlocking,
    /// The orchestrator is not active in the rounds that matter.
    Inactive,
    /// The account is not known.
    Session,
    /// Too many accounts are open.
    TooManySessions,
    /// Another price than the account's, or above the maximum.
    Price,
    /// Ticket parameters are missing or have expired.
    Expired,
    /// Ticket parameters are for another round.
    WrongRound,
    /// Tickets that came before.
    Replay,
    /// Tickets that no honest sender makes.
    Invalid,
    /// No ticket can be made that both sides want.
    Terms,
    /// The account does not cover the work.
    Credit,
    /// The account's last segment is not done with.
    InWork,
    /// The segment, or one after it, was done already.
    Done,
    /// The sender's budget is spent.
    Budget,
    /// Too much was lost with this orchestrator, or it said what its signature contradicts.
    Distrust,
}

/// What helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remedy {
    /// Time.
    Wait,
    /// New ticket parameters.
    Renew,
    /// Comparing statements.
    Heal,
    /// Another orchestrator.
    Avoid,
}

impl Cause {
    /// All of them, each at the place by which it is named on the wire, counted from 1.
    pub const ALL: [Self; 19] = [
        Self::Missing,
        Self::NotReady,
        Self::Unproven,
        Self::Unfunded,
        Self::Unlocking,
        Self::Inactive,
        Self::Session,
        Self::TooManySessions,
        Self::Price,
        Self::Expired,
        Self::WrongRound,
        Self::Replay,
        Self::Invalid,
        Self::Terms,
        Self::Credit,
        Self::InWork,
        Self::Done,
        Self::Budget,
        Self::Distrust,
    ];

    /// What the side that pays does next.
    #[must_use]
    pub const fn remedy(self) -> Remedy {
        match self {
            Self::NotReady | Self::Unproven | Self::Inactive => Remedy::Wait,
            Self::Session | Self::Expired | Self::WrongRound => Remedy::Renew,
            Self::Credit | Self::InWork | Self::Done | Self::Replay => Remedy::Heal,
            Self::Missing
            | Self::Unfunded
            | Self::Unlocking
            | Self::TooManySessions
            | Self::Price
            | Self::Invalid
            | Self::Terms
            | Self::Budget
            | Self::Distrust => Remedy::Avoid,
        }
    }
}

impl Unpaid {
    /// With words for people.
    #[must_use]
    pub fn new(cause: Cause, words: impl ToString) -> Self {
        Self { cause, words: words.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_place_of_its_own() {
        let places: std::collections::BTreeSet<Cause> = Cause::ALL.into_iter().collect();
        assert_eq!(places.len(), Cause::ALL.len());
        assert!(Cause::ALL.is_sorted(), "in the order of the enum, so that none is left out by a slip");
        assert_eq!(Cause::ALL.last().map(|last| *last as usize + 1), Some(Cause::ALL.len()));
    }
}
