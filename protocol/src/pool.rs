//! The orchestrator pool (`SortedDoublyLL`): a doubly linked list of addresses by stake, largest first. A caller may say
//! between which two neighbours a member belongs; a wrong hint costs a search and changes nothing. Knows no staking.

use alloy_primitives::{Address, U256};
use thiserror::Error;

use crate::journal::{Cell, Map, journaled};

/// A member and its neighbours; zero addresses at the ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Node {
    /// What the list is sorted by: stake, LPT base units. Never zero for a member.
    pub key: U256,
    /// The member with the next smaller key.
    pub next_id: Address,
    /// The member with the next larger key.
    pub prev_id: Address,
}

/// Between which two members somebody thinks that another belongs; zero for "none" or "I do not know".
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hint {
    /// The one with the larger key.
    pub prev: Address,
    /// The one with the smaller key.
    pub next: Address,
}

/// The list, field by field as the contract stores it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pool {
    /// The member with the largest key.
    pub head: Cell<Address>,
    /// The member with the smallest key.
    pub tail: Cell<Address>,
    /// Most members there may be.
    pub max_size: Cell<U256>,
    /// Members.
    pub size: Cell<U256>,
    /// The members by address.
    pub nodes: Map<Address, Node>,
}

journaled!(Pool { head, tail, max_size, size, nodes });

/// Why the list refuses, in the contract's words.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refused {
    /// The size can only be raised.
    #[error("new max size must be greater than old max size")]
    Shrunk,
    /// No room.
    #[error("list is full")]
    Full,
    /// A member already.
    #[error("node already in list")]
    Present,
    /// The zero address cannot be a member.
    #[error("node id is null")]
    Null,
    /// A member without stake.
    #[error("key is zero")]
    ZeroKey,
    /// Not a member.
    #[error("node not in list")]
    Absent,
}

impl Pool {
    /// Allows more members (`setMaxSize`).
    ///
    /// # Errors
    /// [`Refused::Shrunk`].
    pub fn set_max_size(&mut self, size: U256) -> Result<(), Refused> {
        if size <= *self.max_size {
            return Err(Refused::Shrunk);
        }
        self.max_size.set(size);
        Ok(())
    }

    /// Whether an address is a member.
    #[must_use]
    pub fn contains(&self, id: Address) -> bool {
        !self.key(id).is_zero()
    }

    /// Whether there is no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        *self.size == *self.max_size
    }

    /// What a member is sorted by; zero for others.
    #[must_use]
    pub fn key(&self, id: Address) -> U256 {
        self.nodes.at(&id).key
    }

    /// Members from the largest key to the smallest.
    pub fn iter(&self) -> impl Iterator<Item = (Address, U256)> + '_ {
        let member = |id: Address| (!id.is_zero()).then_some(id);
        std::iter::successors(member(*self.head), move |id| member(self.nodes.at(id).next_id))
            .map(|id| (id, self.key(id)))
    }

    /// Adds a member (`insert`).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn insert(&mut self, id: Address, key: U256, hint: Hint) -> Result<(), Refused> {
        self.check_newcomer(id, key)?;
        let place = if self.fits(key, hint) { hint } else { self.find(key, hint) };
        self.link(id, key, place);
        self.size.set(*self.size + U256::ONE);
        Ok(())
    }

    /// Removes a member (`remove`).
    ///
    /// # Errors
    /// [`Refused::Absent`].
    pub fn remove(&mut self, id: Address) -> Result<(), Refused> {
        if !self.contains(id) {
            return Err(Refused::Absent);
        }
        let node = self.nodes.at(&id);
        match node.prev_id {
            Address::ZERO => self.head.set(node.next_id),
            prev => self.nodes.edit(&prev).next_id = node.next_id,
        }
        match node.next_id {
            Address::ZERO => self.tail.set(node.prev_id),
            next => self.nodes.edit(&next).prev_id = node.prev_id,
        }
        self.nodes.remove(&id);
        self.size.set(*self.size - U256::ONE);
        Ok(())
    }

    /// Moves a member to where its new key belongs, or out when that is zero (`updateKey`).
    ///
    /// # Errors
    /// [`Refused::Absent`].
    pub fn update_key(&mut self, id: Address, key: U256, hint: Hint) -> Result<(), Refused> {
        self.remove(id)?;
        if key.is_zero() { Ok(()) } else { self.insert(id, key, hint) }
    }

    fn check_newcomer(&self, id: Address, key: U256) -> Result<(), Refused> {
        match () {
            () if self.is_full() => Err(Refused::Full),
            () if self.contains(id) => Err(Refused::Present),
            () if id.is_zero() => Err(Refused::Null),
            () if key.is_zero() => Err(Refused::ZeroKey),
            () => Ok(()),
        }
    }

    fn link(&mut self, id: Address, key: U256, place: Hint) {
        self.nodes.set(&id, Node { key, next_id: place.next, prev_id: place.prev });
        match place.prev {
            Address::ZERO => self.head.set(id),
            prev => self.nodes.edit(&prev).next_id = id,
        }
        match place.next {
            Address::ZERO => self.tail.set(id),
            next => self.nodes.edit(&next).prev_id = id,
        }
    }

    /// Whether a key may stand there (`validInsertPosition`).
    fn fits(&self, key: U256, place: Hint) -> bool {
        match (place.prev.is_zero(), place.next.is_zero()) {
            (true, true) => self.size.is_zero(),
            (true, false) => *self.head == place.next && key >= self.key(place.next),
            (false, true) => *self.tail == place.prev && key <= self.key(place.prev),
            (false, false) => {
                let prev = self.nodes.at(&place.prev);
                prev.next_id == place.next && prev.key >= key && key >= self.key(place.next)
            }
        }
    }

    /// The place where a search from a hint ends; from the head when the hint is dead.
    fn find(&self, key: U256, hint: Hint) -> Hint {
        let prev = (self.contains(hint.prev) && key <= self.key(hint.prev)).then_some(hint.prev);
        let next = (self.contains(hint.next) && key >= self.key(hint.next)).then_some(hint.next);
        match (prev, next) {
            (None, Some(next)) => self.ascend(key, next),
            (prev, _) => self.descend(key, prev.unwrap_or(*self.head)),
        }
    }

    fn descend(&self, key: U256, start: Address) -> Hint {
        if *self.head == start && key >= self.key(start) {
            return Hint { prev: Address::ZERO, next: start };
        }
        let mut place = Hint { prev: start, next: self.nodes.at(&start).next_id };
        while !place.prev.is_zero() && !self.fits(key, place) {
            place = Hint { prev: place.next, next: self.nodes.at(&place.next).next_id };
        }
        place
    }

    fn ascend(&self, key: U256, start: Address) -> Hint {
        if *self.tail == start && key <= self.key(start) {
            return Hint { prev: start, next: Address::ZERO };
        }
        let mut place = Hint { prev: self.nodes.at(&start).prev_id, next: start };
        while !place.next.is_zero() && !self.fits(key, place) {
            place = Hint { prev: self.nodes.at(&place.prev).prev_id, next: place.prev };
        }
        place
    }
}
