//! Why an object does not count: one variant a check, in the order of the checks.
//!
//! A lie is what no honest source sends, whatever it knows and whatever we know; the rest is old, too new, or of no use here.

use std::fmt;

use alloy_primitives::B256;
use thiserror::Error;

use crate::forks::Fork;

/// The header of an object that a check was about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// The one that a trusted root names.
    Trusted,
    /// The one that was signed.
    Attested,
    /// The one that the attested state calls finalized.
    Finalized,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trusted => "trusted",
            Self::Attested => "attested",
            Self::Finalized => "finalized",
        })
    }
}

/// Why a light-client object was refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Reject {
    /// A bootstrap of another block than the one asked for.
    #[error("the bootstrap is of block {got}, not of the trusted block {expected}")]
    WrongRoot {
        /// The trusted root.
        expected: B256,
        /// The root that came.
        got: B256,
    },
    /// The bootstrap's committee is not the one in its header's state.
    #[error("the current committee's branch does not lead to the state of slot {slot}")]
    CurrentCommitteeBranch {
        /// Slot of the header.
        slot: u64,
    },
    /// A committee or participation bits of another size than the network's.
    #[error("{got} members, but a committee of this network has {expected}")]
    CommitteeSize {
        /// By the preset.
        expected: usize,
        /// That came.
        got: usize,
    },
    /// Nobody signed.
    #[error("no member of the committee signed the header of slot {slot}")]
    NoParticipants {
        /// Slot of the attested header.
        slot: u64,
    },
    /// The signature's slot has not come yet: its source or this machine's clock is ahead.
    #[error("signed in slot {signature_slot}, but it is slot {current_slot}: check this machine's clock")]
    FromTheFuture {
        /// When it says it was signed.
        signature_slot: u64,
        /// By this machine's clock.
        current_slot: u64,
    },
    /// A header signed before or in its own slot.
    #[error("the header of slot {attested_slot} cannot be signed in slot {signature_slot}")]
    SignedTooEarly {
        /// Slot of the attested header.
        attested_slot: u64,
        /// When it says it was signed.
        signature_slot: u64,
    },
    /// A finalized header younger than the one that finalizes it.
    #[error("the header of slot {attested_slot} cannot finalize slot {finalized_slot}")]
    FinalizedTooLate {
        /// Slot of the attested header.
        attested_slot: u64,
        /// Slot of the finalized header.
        finalized_slot: u64,
    },
    /// What a header says of the execution chain is not in its block's body.
    #[error("the {which} header of slot {slot} says what its block does not hold of the execution chain")]
    Execution {
        /// The header.
        which: Which,
        /// Its slot.
        slot: u64,
    },
    /// Signed by a committee that the store does not know.
    #[error("signed in period {signature_period}; the store is in period {store_period} and knows {}",
        if *knows_next { "one more" } else { "no committee after it" })]
    OtherPeriod {
        /// Period of the signature.
        signature_period: u64,
        /// Period of the store's finalized header.
        store_period: u64,
        /// Whether the store knows the committee after its own.
        knows_next: bool,
    },
    /// Not newer than what is finalized, and no missing committee in it.
    #[error("nothing new: attests slot {attested_slot}, and slot {finalized_slot} is finalized")]
    NothingNew {
        /// Slot of the attested header.
        attested_slot: u64,
        /// Slot that the store has finalized.
        finalized_slot: u64,
    },
    /// A finalized header without a branch to prove it.
    #[error("a finalized header of slot {slot} without its branch")]
    FinalityWithoutBranch {
        /// Slot of the finalized header.
        slot: u64,
    },
    /// A finalized header of slot 0 is written as zeros.
    #[error("a finalized header of slot 0 that is not the default header")]
    GenesisFinality,
    /// The finalized header is not the one that the attested state names.
    #[error(
        "the finality branch does not lead from slot {finalized_slot} to the state of slot {attested_slot}"
    )]
    FinalityBranch {
        /// Slot of the finalized header.
        finalized_slot: u64,
        /// Slot of the attested header.
        attested_slot: u64,
    },
    /// A next committee without a branch to prove it.
    #[error("a next committee without its branch, beside the header of slot {attested_slot}")]
    CommitteeWithoutBranch {
        /// Slot of the attested header.
        attested_slot: u64,
    },
    /// Another committee for a period whose committee is known.
    #[error("the next committee {got} is not the committee {known} that is known for period {period}")]
    OtherCommittee {
        /// The period that it would sign in.
        period: u64,
        /// Root of the one that is known.
        known: B256,
        /// Root of the one that came.
        got: B256,
    },
    /// The next committee is not the one in the attested state.
    #[error("the next committee's branch does not lead to the state of slot {attested_slot}")]
    NextCommitteeBranch {
        /// Slot of the attested header.
        attested_slot: u64,
    },
    /// A key of the committee is no point of the curve. The committee is proven, so the checkpoint led astray.
    #[error("{0}: the committee comes from a state that no honest chain has; choose another checkpoint")]
    BadKey(#[from] super::bls::BadKey),
    /// Something failed, and the object says that it is of a fork which the schedule here does not have at its slot.
    #[error(
        "slot {slot} is of {ours} by the schedule here, its source says {theirs}: update this program or the \
        network's configuration ({failed})"
    )]
    LaterFork {
        /// Slot of the attested header.
        slot: u64,
        /// The fork by the schedule here.
        ours: Fork,
        /// The fork that the source says.
        theirs: Fork,
        /// The check that failed.
        failed: Box<Self>,
    },
    /// The signature is not one by the members whose bits are set.
    #[error(
        "the signature of {participants} members of period {period} over slot {attested_slot} does not verify"
    )]
    Signature {
        /// Slot of the attested header.
        attested_slot: u64,
        /// Period of the committee.
        period: u64,
        /// Members that are said to have signed.
        participants: usize,
    },
}

impl Reject {
    /// Whether no honest source sends this. What is old, too new or from a period that cannot be checked yet is no lie.
    #[must_use]
    pub const fn is_lie(&self) -> bool {
        !matches!(
            self,
            Self::FromTheFuture { .. }
                | Self::OtherPeriod { .. }
                | Self::NothingNew { .. }
                | Self::BadKey(_)
                | Self::LaterFork { .. }
        )
    }
}
