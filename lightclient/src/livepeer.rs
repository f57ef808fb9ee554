//! Livepeer's contracts as typed reads over proven slots. A [`Read`] names its keys, so that one round trip fetches them, and
//! is then computed from a [`StateView`] alone; what it needs beyond that it asks for by [`Unreadable::Wanted`], until it is
//! whole. Knows no chain, no source and no transport; trusts no list that anybody gave it.

use alloy_primitives::{Address, B256, U256};
use protocol::Round as Number;
use protocol::math::Arithmetic;
use serde::Serialize;
use thiserror::Error;

pub mod contracts;
pub mod delegator;
pub mod guard;
pub mod inflation;
pub mod layout;
pub mod orchestrator;
pub mod pool;
pub mod round;
pub mod sender;
pub mod service;
pub mod situation;
mod words;

pub use contracts::{Contracts, Part, Target};
pub use delegator::Delegator;
pub use inflation::Inflation;
pub use orchestrator::Orchestrator;
pub use pool::{BadPool, Pool};
pub use round::Round;
pub use sender::Sender;
pub use service::{BadText, ServiceUri};

use crate::guard::Unexpected;
use crate::state::{Keys, StateView};

/// What can be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ask {
    /// The current round.
    Round,
    /// The orchestrator pool, complete.
    Pool,
    /// One orchestrator.
    Orchestrator(Address),
    /// One delegator.
    Delegator(Address),
    /// A gateway's deposit and reserve, and what one orchestrator may take from it.
    Sender {
        /// The gateway.
        address: Address,
        /// The orchestrator.
        claimant: Option<Address>,
    },
    /// One service URI.
    ServiceUri(Address),
    /// Inflation.
    Inflation,
}

/// What was read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// The current round.
    Round(Round),
    /// The orchestrator pool.
    Pool(Pool),
    /// An orchestrator.
    Orchestrator(Box<Orchestrator>),
    /// A delegator.
    Delegator(Box<Delegator>),
    /// A gateway's money.
    Sender(Box<Sender>),
    /// A service URI.
    ServiceUri(ServiceUri),
    /// Inflation.
    Inflation(Box<Inflation>),
}

/// What somebody believes, from anywhere: it decides what is fetched first, never what is read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hint {
    /// The current round.
    pub round: Option<Number>,
    /// Members of the pool.
    pub members: Vec<Address>,
    /// Whom a delegator delegates to.
    pub delegate: Option<Address>,
}

/// Why a read gave no value.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Unreadable {
    /// More must be proven: fetch these keys under the same state root and read again.
    #[error("{} of {} contracts are not proven yet: fetch them and read again", slots(.0), .0.len())]
    Wanted(Keys),
    /// A contract is not the one whose layout is known.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
    /// The pool's proven list is none.
    #[error(transparent)]
    Pool(#[from] BadPool),
    /// A string that is not read.
    #[error(transparent)]
    Text(#[from] BadText),
    /// The contract itself would revert on its numbers.
    #[error(transparent)]
    Arithmetic(#[from] Arithmetic),
    /// A number of blocks, parts per million or elements that is none.
    #[error(
        "slot {slot} of {contract} holds {found}, too large for what it counts: its layout is not the known one"
    )]
    TooLarge {
        /// The contract.
        contract: Address,
        /// The slot.
        slot: B256,
        /// The word.
        found: U256,
    },
}

fn slots(keys: &Keys) -> String {
    format!("{} slots", keys.values().map(std::collections::BTreeSet::len).sum::<usize>())
}

impl Unreadable {
    /// What must be fetched before reading again; none when no fetching helps.
    #[must_use]
    pub const fn wanted(&self) -> Option<&Keys> {
        match self {
            Self::Wanted(keys) => Some(keys),
            Self::Unexpected(_)
            | Self::Pool(_)
            | Self::Text(_)
            | Self::Arithmetic(_)
            | Self::TooLarge { .. } => None,
        }
    }

    fn join(&mut self, other: Self) {
        if let (Self::Wanted(keys), Self::Wanted(more)) = (self, other) {
            words::join(keys, more);
        }
    }
}

impl Ask {
    /// What to fetch first.
    #[must_use]
    pub fn keys(&self, contracts: &Contracts, hint: &Hint) -> Keys {
        match *self {
            Self::Round => round::keys(contracts, hint),
            Self::Pool => pool::keys(contracts, hint),
            Self::Orchestrator(address) => orchestrator::keys(contracts, address, hint),
            Self::Delegator(address) => delegator::keys(contracts, address, hint),
            Self::Sender { address, claimant } => sender::keys(contracts, address, claimant, hint),
            Self::ServiceUri(address) => service::keys(contracts, address),
            Self::Inflation => inflation::keys(contracts),
        }
    }

    /// Reads it. `l1_block` is the L1 block number that the L2 header carries; contracts count rounds by it.
    ///
    /// # Errors
    /// [`Unreadable::Wanted`] until everything is proven, else why there is no value.
    pub fn read(
        &self,
        view: &dyn StateView,
        contracts: &Contracts,
        l1_block: u64,
    ) -> Result<Read, Unreadable> {
        Ok(match *self {
            Self::Round => Read::Round(round::read(view, contracts, l1_block)?),
            Self::Pool => Read::Pool(pool::read(view, contracts)?),
            Self::Orchestrator(address) => {
                Read::Orchestrator(Box::new(orchestrator::read(view, contracts, address, l1_block)?))
            }
            Self::Delegator(address) => {
                Read::Delegator(Box::new(delegator::read(view, contracts, address, l1_block)?))
            }
            Self::Sender { address, claimant } => {
                Read::Sender(Box::new(sender::read(view, contracts, address, claimant, l1_block)?))
            }
            Self::ServiceUri(address) => Read::ServiceUri(service::read(view, contracts, address)?),
            Self::Inflation => Read::Inflation(Box::new(inflation::read(view, contracts)?)),
        })
    }
}
