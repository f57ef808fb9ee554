//! How the client stands, for people and programs: a status that can be printed at any time, events for who
//! listens, alarms for who must act. Plain values; nothing here decides anything.

use std::path::PathBuf;

use alloy_primitives::B256;
use serde::Serialize;
use thiserror::Error;

use super::clock::ClockBehind;
use crate::guard::GuardError;
use crate::proven::Anchor;
use crate::source::crowd::SourceStatus;
use crate::source::{Answer, Ask};

/// What the client is doing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Looking for the block that trust begins with.
    Bootstrapping,
    /// Fetching one update for each sync-committee period.
    CatchingUp {
        /// Period whose committee is known.
        period: u64,
        /// Period that runs.
        target: u64,
    },
    /// At the head; finality and heads are followed.
    Following,
    /// Nothing new was finalized for three epochs. What was proven stays proven and grows old.
    Stalled {
        /// Milliseconds since the last progress.
        since_ms: u64,
        /// The last failure, or that nobody has anything newer.
        why: String,
    },
    /// Two finalized histories are validly signed: nothing is followed until a person has looked.
    Halted,
}

/// How trust began.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// A checkpoint that a person gave.
    Given {
        /// Its root.
        root: B256,
    },
    /// The checkpoint that was compiled in.
    BuiltIn {
        /// Its root.
        root: B256,
    },
    /// Sources that agreed.
    Agreed {
        /// Its root.
        root: B256,
        /// Names of the sources.
        by: Vec<String>,
    },
    /// The state on disk, at this finalized slot.
    Disk {
        /// The slot.
        slot: u64,
    },
}

/// A header that was verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Head {
    /// Beacon slot.
    pub slot: u64,
    /// Beacon block root.
    pub root: B256,
    /// Seconds since its slot began.
    pub age_s: u64,
    /// Number of its execution block, where the header tells.
    pub block: Option<u64>,
}

/// What a person must know. An alarm stays in the status until its cause is gone.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Alarm {
    /// Two validly signed finalized headers contradict each other.
    #[error(
        "two finalized blocks of slot {slot} are both validly signed, {ours} and {theirs}: at least a third of a sync committee signed twice. \
         Nothing is followed any more; the evidence is in {}. Find out from people you trust which one is right, then begin with a new \
         checkpoint in an empty data directory", evidence.display()
    )]
    Conflict {
        /// Slot of both.
        slot: u64,
        /// The one that was taken for finalized.
        ours: B256,
        /// The other one.
        theirs: B256,
        /// Where both signed updates are kept.
        evidence: PathBuf,
    },
    /// The wall clock cannot be right.
    #[error(transparent)]
    Clock(#[from] ClockBehind),
    /// A contract is not what it should be.
    #[error(
        "{0}. Reads are refused until a newer program knows the new code, or, where it was only pinned when first seen and you trust \
         the upgrade, until you begin with an empty data directory"
    )]
    Guard(GuardError),
    /// Nothing new is finalized.
    #[error("nothing was finalized since slot {finalized}, for {} s: {why}", since_ms / 1000)]
    Stalled {
        /// Newest finalized slot.
        finalized: u64,
        /// Milliseconds since.
        since_ms: u64,
        /// What is known of the reason.
        why: String,
    },
    /// An old checkpoint was used, as configured.
    #[error(
        "{0} (used all the same, as configured: whoever bought keys of validators that left can have made this chain)"
    )]
    OldCheckpoint(String),
    /// A copy of the state on disk was bad.
    #[error("{0}")]
    Store(String),
    /// The state could not be written.
    #[error("{0}. After a restart the client begins further back")]
    Save(String),
    /// No L2 anchor can be built, and why.
    #[error("L2 state cannot be anchored in L1: {0}")]
    Anchor(String),
}

impl Serialize for Alarm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Alarm", 2)?;
        fields.serialize_field("kind", self.kind())?;
        fields.serialize_field("message", &self.to_string())?;
        fields.end()
    }
}

impl Alarm {
    /// One word for it, stable for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::Clock(_) => "clock",
            Self::Guard(_) => "guard",
            Self::Stalled { .. } => "stalled",
            Self::OldCheckpoint(_) => "old_checkpoint",
            Self::Store(_) => "store",
            Self::Save(_) => "save",
            Self::Anchor(_) => "anchor",
        }
    }
}

/// How the client stands.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Name of the network.
    pub network: String,
    /// What it is doing.
    #[serde(flatten)]
    pub phase: Phase,
    /// Slot by the clock.
    pub wall_slot: u64,
    /// Sync-committee period by the clock.
    pub wall_period: u64,
    /// Period of the finalized header.
    pub period: Option<u64>,
    /// Newest finalized header.
    pub finalized: Option<Head>,
    /// Newest header that most of a committee signed; may yet be replaced.
    pub optimistic: Option<Head>,
    /// Slots between the newest signed header and the clock.
    pub lag_slots: Option<u64>,
    /// How trust began.
    pub origin: Option<Origin>,
    /// L2 blocks that state can be read at, strongest tier first.
    pub anchors: Vec<Anchor>,
    /// Each source's conduct and budget.
    pub sources: Vec<SourceStatus>,
    /// Requests sent to sources since the start.
    pub requests: u64,
    /// What a person must know now.
    pub alarms: Vec<Alarm>,
}

/// What has happened. Told after it is durable.
#[derive(Clone, Debug)]
pub enum Event {
    /// The client does something else now.
    Phase(Phase),
    /// A newer header is finalized, verified and on disk.
    Finalized(Head),
    /// A newer header is signed by most of a committee.
    Optimistic(Head),
    /// L2 state can be read at a newer block.
    Assertion(Anchor),
    /// A person must know.
    Alarm(Alarm),
    /// Something verified that is new to this node, as it can be served to others.
    Verified {
        /// The question.
        ask: Ask,
        /// The true answer.
        answer: Answer,
    },
}
