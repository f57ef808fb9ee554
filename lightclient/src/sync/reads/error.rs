//! Why a read gives nothing, by what the caller does next.

use std::convert::Infallible;

use thiserror::Error;

use super::MAX_ROUNDS;
use crate::arbitrum::l2::L2Error;
use crate::arbitrum::path::PathError;
use crate::arbitrum::sequenced::SequencedError;
use crate::guard::GuardError;
use crate::livepeer::Unreadable;
use crate::proven::{Accept, Tier};
use crate::source::crowd::AskError;
use crate::state::{Keys, Missing};

/// Why nothing proven can be given.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ReadError<E: std::error::Error = Infallible> {
    /// Too early: what is missing comes by itself.
    #[error("not yet: {0}; wait until the light client is synced (its status says how far it is)")]
    NotYet(&'static str),
    /// Nothing is believed any more.
    #[error(
        "two validly signed finalized histories were seen: nothing is read any more; see the alarm in the status"
    )]
    Halted,
    /// L1 alone is followed.
    #[error("no rollup, or no Livepeer contracts, are configured: L1 state alone can be read")]
    NoRollup,
    /// The best there is is not good enough.
    #[error("the best proof there is is {best:?}, {wanted:?} is wanted: accept less, or wait")]
    Tier {
        /// What the caller accepts.
        wanted: Accept,
        /// What there is.
        best: Tier,
    },
    /// No source gave what verifies.
    #[error(transparent)]
    Nobody(#[from] AskError),
    /// A guarded place changed.
    #[error(transparent)]
    Guard(GuardError),
    /// What names the contracts' code cannot be read, so nothing says what their slots mean.
    #[error("what names the contracts' code cannot be read: {0}")]
    Unguarded(Unreadable),
    /// The rollup's assertions make no sense.
    #[error("rollup: {0}")]
    Path(PathError),
    /// An L2 header is not what its assertion says.
    #[error(transparent)]
    L2(L2Error),
    /// Sources do not agree on the newest L2 header.
    #[error(transparent)]
    Sequenced(SequencedError),
    /// The read asked for more again and again.
    #[error("the read wanted more state {MAX_ROUNDS} times: its layout is not the contract's")]
    Endless,
    /// The read itself.
    #[error(transparent)]
    Read(E),
}

impl ReadError {
    /// The same error where a read could also have failed by itself.
    #[must_use]
    pub fn widen<E: std::error::Error>(self) -> ReadError<E> {
        match self {
            Self::NotYet(what) => ReadError::NotYet(what),
            Self::Halted => ReadError::Halted,
            Self::NoRollup => ReadError::NoRollup,
            Self::Tier { wanted, best } => ReadError::Tier { wanted, best },
            Self::Nobody(error) => ReadError::Nobody(error),
            Self::Guard(error) => ReadError::Guard(error),
            Self::Unguarded(why) => ReadError::Unguarded(why),
            Self::Path(error) => ReadError::Path(error),
            Self::L2(error) => ReadError::L2(error),
            Self::Sequenced(error) => ReadError::Sequenced(error),
            Self::Endless => ReadError::Endless,
            Self::Read(never) => match never {},
        }
    }
}

/// An error of a read that may only mean that more state is needed.
pub trait Lacking: std::error::Error {
    /// What to fetch before the read is tried again; none when fetching does not help.
    fn lacking(&self) -> Option<Keys>;
}

impl Lacking for Missing {
    fn lacking(&self) -> Option<Keys> {
        let mut keys = Keys::new();
        self.ask(&mut keys);
        Some(keys)
    }
}

impl Lacking for Unreadable {
    fn lacking(&self) -> Option<Keys> {
        self.wanted().cloned()
    }
}
