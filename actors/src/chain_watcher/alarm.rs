//! What a person must know of the chain, with since when. An alarm stays until its cause is gone.

use alloy_primitives::Address;
use protocol::{Lpt, Round, Wei};
use thiserror::Error;

/// Alarms that are kept at a time; beyond that the newest are left out.
pub const MOST: usize = 64;

/// An alarm that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Why.
    pub cause: Cause,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
}

/// Why a person must look. The words say what happened, to what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// A contract runs code whose layout is not known, or one of its guarded places changed.
    #[error(
        "a contract is not the known one: {0}. What was proven before is kept; nothing new is read from it"
    )]
    UnknownTarget(String),
    /// Two finalized chains are validly signed.
    #[error("{0}")]
    Conflict(String),
    /// The wall clock cannot be right.
    #[error("{0}")]
    Clock(String),
    /// Nothing new has come for long; the last proven state is served on.
    #[error(
        "the newest proven state is {} old and no source gives anything newer: it is served on; check the sources",
        span(*.age_ms)
    )]
    Stale {
        /// Milliseconds since the L2 block that the facts lie in.
        age_ms: u64,
    },
    /// What else the light client wants to be known.
    #[error("{message}")]
    Client {
        /// One word for it.
        kind: String,
        /// Its words.
        message: String,
    },
    /// A source sent what does not verify. Nothing of it was taken.
    #[error(
        "source {name} lied: {what}. Nothing of it was believed, and it is asked last for a day or longer"
    )]
    SourceLied {
        /// Its name as configured, without keys.
        name: String,
        /// What it sent.
        what: String,
    },
    /// What is proven contradicts the rules: the reading is refused.
    #[error("the chain's state was not read: {0}")]
    Unreadable(String),
    /// Own stake is little more than the pool's last.
    #[error(
        "orchestrator {own} has {stake}, within {percent} % of the pool's last ({last}), and the pool is full: more stake keeps it in"
    )]
    NearEviction {
        /// The orchestrator.
        own: Address,
        /// Its stake.
        stake: Lpt,
        /// The least stake in the pool.
        last: Lpt,
        /// How near counts.
        percent: u64,
    },
    /// Own orchestrator is registered and not active in this round.
    #[error("orchestrator {own} is not active in round {round}: {}", if *.in_pool { "it is in the pool and will be in the next one" } else { "it is not in the pool; bond more, or rebond" })]
    Inactive {
        /// The orchestrator.
        own: Address,
        /// The round.
        round: Round,
        /// Whether it is in the pool.
        in_pool: bool,
    },
    /// Somebody on the watch list takes money out.
    #[error("{who} on the watch list {}", .how)]
    Leaving {
        /// Who.
        who: Address,
        /// How.
        how: Leaving,
    },
    /// Most of the round is over and nobody has called `reward()`.
    #[error(
        "no reward was called for {own} in round {round}, {percent} % of which are over: its inflation is lost at the end"
    )]
    RewardMissing {
        /// The orchestrator.
        own: Address,
        /// The round.
        round: Round,
        /// How much of it is over.
        percent: u64,
    },
    /// A duty waits for gas.
    #[error("{caller} has {balance} for gas{}: send it some on the L2, duties wait for it", needed.map_or_else(String::new, |n| format!(" and needs about {n}")))]
    NoGas {
        /// Who calls.
        caller: Address,
        /// What it has.
        balance: Wei,
        /// What it needs, where that is known.
        needed: Option<Wei>,
    },
    /// The contracts are paused by their owner.
    #[error(
        "Livepeer's contracts are paused by their owner: nobody can bond, reward or redeem until that ends"
    )]
    Paused,
}

/// How somebody takes money out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Leaving {
    /// An orchestrator or delegator unbonds.
    #[error("unbonds {amount}, withdrawable from round {withdraw_round} on")]
    Unbonds {
        /// How much, in all.
        amount: Lpt,
        /// When the first of it can go.
        withdraw_round: Round,
    },
    /// A sender of tickets unlocks deposit and reserve.
    #[error(
        "unlocks its deposit and reserve, withdrawable from round {withdraw_round} on; take no more tickets"
    )]
    Unlocks {
        /// When.
        withdraw_round: Round,
    },
}

impl Cause {
    /// One word for it, stable for programs.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::UnknownTarget(_) => "unknown_target",
            Self::Conflict(_) => "conflict",
            Self::Clock(_) => "clock",
            Self::Stale { .. } => "stale",
            Self::Client { kind, .. } => kind,
            Self::SourceLied { .. } => "source_lied",
            Self::Unreadable(_) => "unreadable",
            Self::NearEviction { .. } => "near_eviction",
            Self::Inactive { .. } => "inactive",
            Self::Leaving { .. } => "leaving",
            Self::RewardMissing { .. } => "reward_missing",
            Self::NoGas { .. } => "no_gas",
            Self::Paused => "paused",
        }
    }

    /// Whether it is the same cause, though its figures may have changed.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::SourceLied { name: a, .. }, Self::SourceLied { name: b, .. }) => a == b,
            (Self::Leaving { who: a, .. }, Self::Leaving { who: b, .. }) => a == b,
            _ => self.kind() == other.kind(),
        }
    }
}

/// A duration for people.
fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} days", s / 86_400),
    }
}
