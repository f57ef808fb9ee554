//! The path from the latest confirmed assertion over pending ones. In: proven words of the rollup contract and preimages from
//! anybody's logs. Out: the chain of assertions that nobody has challenged, and why it ends where it does. A link counts only
//! while its parent has no second child: a rival means that one of the two is false, and time will tell which.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use thiserror::Error;

use super::node::{Node, NotANode, Status};
use super::{Assertion, Rollup};
use crate::guard::{self, GuardError};
use crate::proven::{Accept, Tier};
use crate::state::{Missing, StateView};

/// Most pending assertions that are followed: at one every 15 minutes, 42 days.
pub const MAX_PENDING: usize = 4096;

/// One assertion on the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Link {
    /// Its hash.
    pub hash: B256,
    /// What it commits to.
    pub assertion: Assertion,
    /// What the contract knows of it.
    pub node: Node,
}

/// Why the path goes no further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The last assertion has no child yet.
    Tip,
    /// There is a child, and nobody gave its preimage (or its machine did not finish): ask for more logs.
    Unknown {
        /// Hash of the assertion whose child is wanted; a child's log has it as third topic.
        parent: B256,
    },
    /// The last assertion has two children, so neither is followed.
    Challenged {
        /// Hash of the assertion with two children.
        parent: B256,
        /// L1 block in which the rival was made.
        l1_block: u64,
    },
    /// More than [`MAX_PENDING`] assertions are pending.
    TooLong,
}

/// The chain of assertions that L1 state shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    /// L1 block whose state shows it.
    pub l1_block: u64,
    /// The latest confirmed assertion.
    pub confirmed: Link,
    /// Unchallenged assertions after it, oldest first.
    pub pending: Vec<Link>,
    /// Why there are no more.
    pub end: End,
}

/// Why there is no path at all.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PathError {
    /// The state is not proven that far: ask for it.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Nobody gave the preimage of the latest confirmed assertion.
    #[error(
        "the preimage of the latest confirmed assertion {0} is not there: ask for its AssertionCreated log"
    )]
    NoPreimage(B256),
    /// The contract does not look as expected.
    #[error(transparent)]
    Layout(#[from] NotANode),
    /// A node contradicts its place in the chain.
    #[error("assertion {hash} cannot be where it is: {why}; the rollup's storage layout may be another one")]
    Misplaced {
        /// The assertion.
        hash: B256,
        /// What does not fit.
        why: &'static str,
    },
    /// A guard is missing or raises the alarm.
    #[error(transparent)]
    Guard(#[from] GuardError),
}

impl Path {
    /// Follows the assertions in `view`, the proven state of L1 block `l1_block`. [`Rollup::keys`] of all preimages' hashes must
    /// be proven there. Preimages that the contract does not know are passed over.
    ///
    /// # Errors
    /// [`PathError`] when not even the confirmed assertion is proven, or a guard does not hold.
    pub fn prove(
        rollup: &Rollup,
        view: &dyn StateView,
        preimages: &[Assertion],
        l1_block: u64,
    ) -> Result<Self, PathError> {
        guard::check(view, &rollup.guards)?;
        let walk = Walk { rollup, view, l1_block };
        let known = preimages.iter().map(|assertion| (assertion.hash(), *assertion));
        let by_hash: BTreeMap<B256, Assertion> = known.collect();
        let confirmed = walk.confirmed(&by_hash)?;
        let (pending, end) = walk.pending(confirmed, &by_hash)?;
        Ok(Self { l1_block, confirmed, pending, end })
    }

    /// The youngest assertion that is at least `l1_blocks` L1 blocks (12 s each) old, and its tier; the confirmed one where
    /// no pending one is that old.
    #[must_use]
    pub fn youngest(&self, l1_blocks: u64) -> (&Link, Tier) {
        let old = |link: &&Link| self.age(link) >= l1_blocks;
        match self.pending.iter().rev().find(old) {
            Some(link) => (link, Tier::Pending { l1_blocks: self.age(link) }),
            None => (&self.confirmed, Tier::Confirmed),
        }
    }

    /// The youngest assertion that `accept` takes, and its tier.
    #[must_use]
    pub fn choose(&self, accept: Accept) -> (&Link, Tier) {
        match accept {
            Accept::Confirmed => (&self.confirmed, Tier::Confirmed),
            Accept::Pending { l1_blocks } => self.youngest(l1_blocks),
            Accept::Sequenced { .. } => self.youngest(0),
        }
    }

    /// L1 blocks since an assertion was made.
    #[must_use]
    pub const fn age(&self, link: &Link) -> u64 {
        self.l1_block.saturating_sub(link.node.created_at)
    }
}

struct Walk<'a> {
    rollup: &'a Rollup,
    view: &'a dyn StateView,
    l1_block: u64,
}

impl Walk<'_> {
    fn confirmed(&self, by_hash: &BTreeMap<B256, Assertion>) -> Result<Link, PathError> {
        let word = self.view.storage(self.rollup.address, self.rollup.latest_confirmed_slot())?;
        let hash = B256::from(word);
        let node = self.node(hash)?;
        if node.status != Status::Confirmed {
            return Err(PathError::Misplaced {
                hash,
                why: "it is the latest confirmed one, and not confirmed",
            });
        }
        let assertion = *by_hash.get(&hash).ok_or(PathError::NoPreimage(hash))?;
        Ok(Link { hash, assertion, node })
    }

    fn pending(
        &self,
        confirmed: Link,
        by_hash: &BTreeMap<B256, Assertion>,
    ) -> Result<(Vec<Link>, End), PathError> {
        let mut children: BTreeMap<B256, Vec<B256>> = BTreeMap::new();
        for (hash, assertion) in by_hash {
            children.entry(assertion.parent).or_default().push(*hash);
        }
        let mut pending: Vec<Link> = Vec::new();
        loop {
            let last = pending.last().unwrap_or(&confirmed);
            let (parent, node) = (last.hash, last.node);
            if node.first_child == 0 {
                return Ok((pending, End::Tip));
            }
            if node.second_child != 0 {
                return Ok((pending, End::Challenged { parent, l1_block: node.second_child }));
            }
            if pending.len() == MAX_PENDING {
                return Ok((pending, End::TooLong));
            }
            let candidates = children.get(&parent).map_or(&[][..], Vec::as_slice);
            let Some((hash, child)) = self.child_of(last, candidates)? else {
                return Ok((pending, End::Unknown { parent }));
            };
            pending.push(Link { hash, assertion: by_hash[&hash], node: child });
        }
    }

    /// The one child that the contract knows among those that claim this parent.
    fn child_of(&self, parent: &Link, candidates: &[B256]) -> Result<Option<(B256, Node)>, PathError> {
        for hash in candidates {
            let node = self.node(*hash)?;
            let misplaced = |why| Err(PathError::Misplaced { hash: *hash, why });
            return match node.status {
                Status::None => continue,
                Status::Confirmed => misplaced("it is confirmed, and not the latest confirmed one"),
                Status::Pending if !node.is_first_child => {
                    misplaced("it is a rival, and its parent has one child")
                }
                Status::Pending if node.created_at != parent.node.first_child => {
                    misplaced("it was not made when its parent got its first child")
                }
                Status::Pending if node.created_at > self.l1_block => misplaced("it is of the future"),
                Status::Pending => Ok(Some((*hash, node))),
            };
        }
        Ok(None)
    }

    fn node(&self, hash: B256) -> Result<Node, PathError> {
        let word = self.view.storage(self.rollup.address, self.rollup.assertion_slot(hash))?;
        Ok(Node::decode(word)?)
    }
}
