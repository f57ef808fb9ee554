//! The whole orchestrator pool, complete: from head to tail over proven links, with the proven size. A list of addresses from
//! anybody only decides what is fetched in the first round trip; what it hides is found by the links, what it invents is not
//! linked. The pool is the active set of the *next* round; who was evicted in this round is no longer in it but still active.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256};
use protocol::{Lpt, Round as Number};
use serde::Serialize;
use thiserror::Error;

use super::contracts::{Contracts, Part};
use super::guard;
use super::layout::bonding_manager as slots;
use super::words::{Words, require, want};
use super::{Hint, Unreadable};
use crate::state::{Keys, StateView};

/// Most members that are read. The contract's own limit is 100 and can only be raised.
pub const MAX_MEMBERS: u64 = 1000;

/// The orchestrator pool at one block.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Pool {
    /// Members, most stake first.
    pub members: Vec<Member>,
    /// Most members that it may have.
    pub max_size: u64,
    /// Stake of all members.
    pub stake: Lpt,
}

/// A member of the pool.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Member {
    /// Orchestrator.
    pub address: Address,
    /// Stake delegated to it, its own included.
    pub stake: Lpt,
    /// First round in which it is active.
    pub active_from: Number,
}

/// A proven list that is not one: the contract's layout is not the one that we know.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum BadPool {
    /// More members, or room for more, than anybody reads.
    #[error(
        "the pool says that it has {size} of at most {max_size} members: more than {MAX_MEMBERS} are not read"
    )]
    TooLarge {
        /// Its size.
        size: u64,
        /// Its limit.
        max_size: u64,
    },
    /// The list ends before its size is reached.
    #[error("the pool has {size} members and its list ends after {found}: a member is hidden")]
    Hidden {
        /// Its size.
        size: u64,
        /// Members found.
        found: u64,
    },
    /// The list goes on after its size is reached.
    #[error("the pool has {size} members and its list goes on to {next}: a member is invented")]
    Invented {
        /// Its size.
        size: u64,
        /// One too many.
        next: Address,
    },
    /// The list comes back to a member.
    #[error("the pool's list comes back to {0}")]
    Cycle(Address),
    /// A member names another one before it than the one that the list came from.
    #[error("{member} in the pool says that {says} is before it, but the list came from {came_from}")]
    Unlinked {
        /// The member.
        member: Address,
        /// Its link; zero is none.
        says: Address,
        /// Where the list came from; zero is the head.
        came_from: Address,
    },
    /// The list ends elsewhere than it says.
    #[error("the pool's list ends at {found}, and the pool says that {tail} is last")]
    Tail {
        /// What the pool says.
        tail: Address,
        /// Where the list ends.
        found: Address,
    },
    /// A member has more stake than the one before it.
    #[error("{0} in the pool has more stake than the member before it")]
    Unsorted(Address),
}

/// How a list of addresses differs from the proven pool: its source did not know, or lied.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// Members that it did not name.
    pub hidden: Vec<Address>,
    /// Addresses that it named and that are no members.
    pub invented: Vec<Address>,
}

const GUARDED: &[Part] = &[Part::BondingManager];

/// What to fetch: with a complete list of members, all in one round trip. At most [`MAX_MEMBERS`] of it are used.
#[must_use]
pub fn keys(contracts: &Contracts, hint: &Hint) -> Keys {
    let mut keys = first_keys(contracts);
    let members = hint.members.iter().take(MAX_MEMBERS as usize);
    want(&mut keys, contracts.bonding_manager, members.flat_map(|&address| member_slots(address)));
    keys
}

fn first_keys(contracts: &Contracts) -> Keys {
    let mut keys = guard::keys(contracts, GUARDED);
    let frame = [
        slots::POOL_HEAD,
        slots::POOL_TAIL,
        slots::POOL_SIZE,
        slots::POOL_MAX_SIZE,
        slots::NEXT_ROUND_ACTIVE_STAKE,
    ];
    want(&mut keys, contracts.bonding_manager, frame);
    keys
}

fn member_slots(address: Address) -> [B256; 4] {
    let node = slots::node(address);
    [node.key(), node.next(), node.prev(), slots::transcoder(address).activation_round()]
}

/// Reads the pool and checks that it is whole.
///
/// # Errors
/// [`Unreadable`]; [`BadPool`] when the proven list is none.
pub fn read(view: &dyn StateView, contracts: &Contracts) -> Result<Pool, Unreadable> {
    require(view, &first_keys(contracts))?;
    guard::check(view, contracts, GUARDED)?;
    let words = Words::of(view, contracts.bonding_manager);
    let (size, max_size) = (words.number(slots::POOL_SIZE)?, words.number(slots::POOL_MAX_SIZE)?);
    if size > max_size || size > MAX_MEMBERS {
        return Err(BadPool::TooLarge { size, max_size }.into());
    }
    let walk = Walk { view, words, contracts, size };
    let members = walk.members()?;
    let stake = members.iter().map(|m| m.stake.0).fold(U256::ZERO, U256::saturating_add);
    Ok(Pool { members, max_size, stake: Lpt(stake) })
}

struct Walk<'a> {
    view: &'a dyn StateView,
    words: Words<'a>,
    contracts: &'a Contracts,
    size: u64,
}

impl Walk<'_> {
    fn members(&self) -> Result<Vec<Member>, Unreadable> {
        let (mut members, mut seen) = (Vec::<Member>::new(), BTreeSet::new());
        let mut next = self.words.address(slots::POOL_HEAD)?;
        while let Some(address) = next {
            self.require(address)?;
            if !seen.insert(address) {
                return Err(BadPool::Cycle(address).into());
            }
            if members.len() as u64 == self.size {
                return Err(BadPool::Invented { size: self.size, next: address }.into());
            }
            members.push(self.member(address, members.last())?);
            next = self.words.address(slots::node(address).next())?;
        }
        self.end(&members)?;
        Ok(members)
    }

    fn member(&self, address: Address, before: Option<&Member>) -> Result<Member, Unreadable> {
        let node = slots::node(address);
        let says = self.words.address(node.prev())?.unwrap_or_default();
        let came_from = before.map(|member| member.address).unwrap_or_default();
        if says != came_from {
            return Err(BadPool::Unlinked { member: address, says, came_from }.into());
        }
        let stake = Lpt(self.words.word(node.key())?);
        if before.is_some_and(|member| member.stake < stake) {
            return Err(BadPool::Unsorted(address).into());
        }
        let active_from = self.words.round(slots::transcoder(address).activation_round())?;
        Ok(Member { address, stake, active_from })
    }

    fn end(&self, members: &[Member]) -> Result<(), Unreadable> {
        let found = members.len() as u64;
        if found < self.size {
            return Err(BadPool::Hidden { size: self.size, found }.into());
        }
        let tail = self.words.address(slots::POOL_TAIL)?.unwrap_or_default();
        let last = members.last().map(|member| member.address).unwrap_or_default();
        if tail == last { Ok(()) } else { Err(BadPool::Tail { tail, found: last }.into()) }
    }

    /// Passes if a member is proven; otherwise asks for it, and for the first unproven one from the other end, so that a
    /// list of addresses that hides much takes half the round trips.
    fn require(&self, address: Address) -> Result<(), Unreadable> {
        let Err(mut error) = self.require_one(address) else { return Ok(()) };
        let mut back = self.words.address(slots::POOL_TAIL)?;
        for _ in 0..self.size {
            let Some(address) = back else { break };
            if let Err(from_behind) = self.require_one(address) {
                error.join(from_behind);
                break;
            }
            back = self.words.address(slots::node(address).prev())?;
        }
        Err(error)
    }

    fn require_one(&self, address: Address) -> Result<(), Unreadable> {
        let mut keys = Keys::new();
        want(&mut keys, self.contracts.bonding_manager, member_slots(address));
        require(self.view, &keys)
    }
}

impl Pool {
    /// A member by its address.
    #[must_use]
    pub fn member(&self, address: Address) -> Option<&Member> {
        self.members.iter().find(|member| member.address == address)
    }

    /// What a list of addresses left out or made up.
    #[must_use]
    pub fn difference(&self, listed: &[Address]) -> Difference {
        let listed: BTreeSet<_> = listed.iter().copied().collect();
        let members: BTreeSet<_> = self.members.iter().map(|member| member.address).collect();
        Difference {
            hidden: members.difference(&listed).copied().collect(),
            invented: listed.difference(&members).copied().collect(),
        }
    }
}
