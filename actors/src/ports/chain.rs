//! What the chain watcher needs from outside: proven readings of the chain, and somebody who sends transactions.
//! `src/adapters` joins them to the light client and to the wallet. Plain values; nothing here knows a proof or a key.

use std::fmt;
use std::sync::Arc;

use alloy_primitives::Address;
use futures::future::BoxFuture;
use protocol::{Round, Wei};

use crate::chain_watcher::alarm::{Cause, Leaving};
use crate::chain_watcher::view::{L1Head, Member, RoundFacts, SourceHealth, Tier};

/// The chain as the watcher sees it.
pub trait Chain: Send + Sync + fmt::Debug + 'static {
    /// How what follows the chain stands, at this instant.
    fn health(&self) -> Health;

    /// Resolves when the health is worth another look.
    fn changed(&self) -> BoxFuture<'static, ()>;

    /// Reads everything that the watcher wants, all of it at one block.
    fn read(&self, ask: Ask) -> BoxFuture<'static, Result<Reading, ChainFault>>;
}

/// How what follows the chain stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The newest L2 block that could be read now; its number.
    pub anchor: Option<u64>,
    /// The newest L1 block that is known.
    pub l1: Option<L1Head>,
    /// What it wants people to know.
    pub alarms: Vec<Cause>,
    /// Its sources.
    pub sources: Vec<SourceHealth>,
}

/// What is wanted of a reading beside round, inflation and pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Orchestrators that are probably members: a hint that saves round trips, and whose evicted ones are looked at too.
    pub members: Vec<Address>,
    /// This node's own orchestrator.
    pub own: Option<Address>,
    /// Whose balance is wanted.
    pub caller: Option<Address>,
    /// Who is watched for taking money out.
    pub watched: Vec<Address>,
}

/// What was proven at one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How strongly.
    pub tier: Tier,
    /// Slot of the beacon header that the proofs start from.
    pub l1_slot: u64,
    /// The L2 block.
    pub l2_block: u64,
    /// Its time, Unix milliseconds.
    pub at_ms: u64,
    /// The round.
    pub round: RoundFacts,
    /// The whole pool, and of the asked ones those that were evicted and are still active.
    pub members: Vec<(Address, Member)>,
    /// Most members that the pool may have.
    pub pool_limit: u64,
    /// The own orchestrator, and whether it is registered.
    pub own: Option<(bool, Member)>,
    /// The caller's balance.
    pub balance: Option<Wei>,
    /// Who of the watched takes money out.
    pub leaving: Vec<(Address, Leaving)>,
}

/// Why there is no reading, by what the watcher does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// Too early, or nobody answered: try again.
    #[error("{0}")]
    NotNow(String),
    /// A contract is not the known one: alarm, and try again slowly.
    #[error("{0}")]
    UnknownTarget(String),
    /// What is proven contradicts the contracts' own rules: alarm, and try again slowly.
    #[error("{0}")]
    Unreadable(String),
}

/// What an orchestrator owes the protocol in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// `initializeRound()`.
    Initialize {
        /// The round.
        round: Round,
    },
    /// `reward()`, or `rewardForTranscoder()` where another key calls for it.
    Reward {
        /// The round.
        round: Round,
        /// The orchestrator.
        own: Address,
    },
}

impl Duty {
    /// Names it for ever, so that it is done once, whoever asks how often.
    #[must_use]
    pub fn key(&self, by: Address) -> String {
        match self {
            Self::Initialize { round } => format!("initialize/{}/{by}", round.0),
            Self::Reward { round, own } => format!("reward/{}/{own}", round.0),
        }
    }

    /// Its round.
    #[must_use]
    pub const fn round(&self) -> Round {
        match self {
            Self::Initialize { round } | Self::Reward { round, .. } => *round,
        }
    }

    /// One word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Initialize { .. } => "initialize",
            Self::Reward { .. } => "reward",
        }
    }
}

/// Somebody who sends transactions. Asking twice for the same duty and attempt sends once.
pub trait Duties: Send + Sync + fmt::Debug + 'static {
    /// Whose key signs.
    fn caller(&self) -> Address;

    /// Does a duty and says what became of it. `attempt` grows only when the one before was included and reverted.
    fn call(&self, duty: Duty, attempt: u32) -> BoxFuture<'static, Result<Called, DutyFault>>;
}

/// A duty that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// It is in a block; words say in which and how that is known.
    Done(String),
    /// The contract would refuse it, because it is done or too early.
    NotNeeded(String),
}

/// A duty that was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DutyFault {
    /// Nothing was sent: there is not enough for gas.
    #[error("not enough for gas: {balance} of about {needed}")]
    NoGas {
        /// What there is.
        balance: Wei,
        /// What is needed.
        needed: Wei,
    },
    /// It was included and reverted: it needs another transaction.
    #[error("reverted: {0}")]
    Reverted(String),
    /// It may still come, or nothing was sent: ask again.
    #[error("{0}")]
    Passing(String),
}

/// A shared [`Chain`].
pub type SharedChain = Arc<dyn Chain>;
/// A shared [`Duties`].
pub type SharedDuties = Arc<dyn Duties>;
