//! Whether an object is what the store's committees signed (consensus-specs Altair `validate_light_client_update`).
//!
//! In: a store, an object of a stranger, the current slot. Out: [`Verified`], which only this module makes and which
//! [`Store::apply`] takes; or the first check that failed, cheapest first. One path for all three kinds of update.

mod check;
mod parts;

use std::sync::Arc;

use alloy_primitives::B256;

use self::check::Check;
pub(super) use self::parts::{Parts, PartsOf};
use super::bls::Committee;
use super::rank::Merit;
use super::reject::{Reject, Which};
use super::store::{Generation, Store};
use super::types::{Bootstrap, FinalityUpdate, Header, OptimisticUpdate, Update};
use crate::forks::ChainSpec;
use crate::merkle;

/// An object whose every claim follows from the store that it was checked against.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    object: T,
    pub(super) facts: Facts,
}

impl<T> Verified<T> {
    /// The object.
    pub const fn get(&self) -> &T {
        &self.object
    }

    /// The object, no longer bound to its proof.
    pub fn into_inner(self) -> T {
        self.object
    }

    pub(super) fn into_parts(self) -> (T, Facts) {
        (self.object, self.facts)
    }

    /// Members of the committee that signed.
    #[must_use]
    pub const fn participants(&self) -> usize {
        self.facts.merit.participants
    }
}

impl<T: Claim> Verified<T> {
    /// The header that two thirds of the committee hold for finalized by this object.
    #[must_use]
    pub fn finalized(&self) -> Option<&Header> {
        self.object.parts().finalized().filter(|_| self.facts.merit.supermajority)
    }
}

/// What checking found out and applying needs.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// State of the store that this holds for.
    pub(super) generation: Generation,
    pub(super) merit: Merit,
    /// Period of the finalized header, slot 0 if there is none.
    pub(super) finalized_period: u64,
    /// The next committee, proven.
    pub(super) next: Option<Arc<Committee>>,
}

/// One of the three kinds of update.
pub trait Claim: Parts {}

impl Claim for Update {}
impl Claim for FinalityUpdate {}
impl Claim for OptimisticUpdate {}

impl Store {
    /// Starts from a block root that the caller trusts (consensus-specs `initialize_light_client_store`).
    ///
    /// # Errors
    /// [`Reject`]: the bootstrap is of another block, or does not hang together.
    pub fn bootstrap(spec: &ChainSpec, trusted_root: B256, bootstrap: &Bootstrap) -> Result<Self, Reject> {
        let header = &bootstrap.header;
        let (slot, got) = (header.slot(), header.root());
        if got != trusted_root {
            return Err(Reject::WrongRoot { expected: trusted_root, got });
        }
        let (expected, members) = (spec.preset.sync_committee_size, bootstrap.committee.pubkeys.len());
        if members != expected {
            return Err(Reject::CommitteeSize { expected, got: members });
        }
        if !header.is_consistent(spec) {
            return Err(Reject::Execution { which: Which::Trusted, slot });
        }
        let root = bootstrap.committee.root();
        let gindex = merkle::current_committee_gindex(spec.fork_at_slot(slot));
        if !merkle::verify_normalized_branch(root, &bootstrap.branch, gindex, header.beacon.state_root) {
            return Err(Reject::CurrentCommitteeBranch { slot });
        }
        let committee = Committee::with_root(bootstrap.committee.clone(), root);
        Ok(Self::starting_at(spec, header.clone(), committee))
    }

    /// Checks an update. `current_slot` is by the caller's clock.
    ///
    /// # Errors
    /// [`Reject`] names the check that failed; [`Reject::is_lie`] tells whether its source lied.
    pub fn verify_update(
        &self,
        spec: &ChainSpec,
        update: &Update,
        current_slot: u64,
    ) -> Result<Verified<Update>, Reject> {
        self.verify(spec, update, current_slot)
    }

    /// Checks a finality update. `current_slot` is by the caller's clock.
    ///
    /// # Errors
    /// As [`Self::verify_update`].
    pub fn verify_finality_update(
        &self,
        spec: &ChainSpec,
        update: &FinalityUpdate,
        current_slot: u64,
    ) -> Result<Verified<FinalityUpdate>, Reject> {
        self.verify(spec, update, current_slot)
    }

    /// Checks an optimistic update. `current_slot` is by the caller's clock.
    ///
    /// # Errors
    /// As [`Self::verify_update`].
    pub fn verify_optimistic_update(
        &self,
        spec: &ChainSpec,
        update: &OptimisticUpdate,
        current_slot: u64,
    ) -> Result<Verified<OptimisticUpdate>, Reject> {
        self.verify(spec, update, current_slot)
    }

    /// Checks any kind of update.
    ///
    /// # Errors
    /// As [`Self::verify_update`].
    pub fn verify<T: Claim + Clone>(
        &self,
        spec: &ChainSpec,
        object: &T,
        current_slot: u64,
    ) -> Result<Verified<T>, Reject> {
        let parts = object.parts();
        match (Check { store: self, spec, parts }).run(current_slot) {
            Ok(facts) => Ok(Verified { object: object.clone(), facts }),
            Err(failed) => Err(unless_a_later_fork(spec, parts, failed)),
        }
    }
}

/// A schedule that misses a fork makes every honest source look like a liar: rather say what is likely.
fn unless_a_later_fork(spec: &ChainSpec, parts: PartsOf<'_>, failed: Reject) -> Reject {
    let slot = parts.attested.slot();
    let (ours, theirs) = (spec.fork_at_slot(slot), parts.fork);
    if failed.is_lie() && theirs > ours {
        return Reject::LaterFork { slot, ours, theirs, failed: Box::new(failed) };
    }
    failed
}
