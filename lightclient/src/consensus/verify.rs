//! Whether an object is what the store's committees signed (consensus-specs Altair `validate_light_client_update`).
//!
//! In: a store, an object of a stranger, the current slot. Out: [`Verified`], which only this module makes and which
//! [`Store::apply`] takes; or the first check that failed, cheapest first. One path for all three kinds of update.

use std::sync::Arc;

use alloy_primitives::B256;

use super::bls::Committee;
use super::rank::Merit;
use super::reject::{Reject, Which};
use super::store::{Generation, Store};
use super::types::{
    Bootstrap, Finality, FinalityUpdate, Header, NextCommittee, OptimisticUpdate, SyncAggregate, Update,
    is_absent,
};
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
    pub(super) attested_period: u64,
    /// Period of the finalized header, slot 0 if there is none.
    pub(super) finalized_period: u64,
    /// The next committee, proven.
    pub(super) next: Option<Arc<Committee>>,
}

/// One of the three kinds of update.
pub trait Claim: sealed::Parts {}

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
        let facts = Check { store: self, spec, parts: object.parts() }.run(current_slot)?;
        Ok(Verified { object: object.clone(), facts })
    }
}

/// What the three kinds have in common.
#[derive(Clone, Copy, Debug)]
pub struct PartsOf<'a> {
    pub(super) attested: &'a Header,
    pub(super) next: Option<&'a NextCommittee>,
    pub(super) finality: Option<&'a Finality>,
    pub(super) aggregate: &'a SyncAggregate,
    pub(super) signature_slot: u64,
}

impl<'a> PartsOf<'a> {
    /// The finalized header, where there is one younger than genesis.
    pub(super) fn finalized(&self) -> Option<&'a Header> {
        self.finality.map(|finality| &finality.header).filter(|header| header.slot() > 0)
    }

    fn finalized_slot(&self) -> u64 {
        self.finalized().map_or(0, Header::slot)
    }

    /// Whether it says which committee is next (consensus-specs `is_sync_committee_update`).
    pub(super) fn proves_committee(&self) -> bool {
        self.next.is_some_and(|next| !is_absent(&next.branch))
    }

    /// Whether it says what is finalized (consensus-specs `is_finality_update`).
    pub(super) fn proves_finality(&self) -> bool {
        self.finality.is_some_and(|finality| !is_absent(&finality.branch))
    }
}

mod sealed {
    use super::super::types::Update;
    use super::PartsOf;

    pub trait Parts {
        /// The object's parts.
        fn parts(&self) -> PartsOf<'_>;

        /// The object as an update, absent parts absent.
        fn to_update(&self) -> Update;
    }
}

pub(super) use sealed::Parts;

impl Parts for Update {
    fn parts(&self) -> PartsOf<'_> {
        PartsOf {
            attested: &self.attested,
            next: self.next_committee.as_ref(),
            finality: self.finality.as_ref(),
            aggregate: &self.aggregate,
            signature_slot: self.signature_slot,
        }
    }

    fn to_update(&self) -> Update {
        self.clone()
    }
}

impl Parts for FinalityUpdate {
    fn parts(&self) -> PartsOf<'_> {
        PartsOf {
            attested: &self.attested,
            next: None,
            finality: self.finality.as_ref(),
            aggregate: &self.aggregate,
            signature_slot: self.signature_slot,
        }
    }

    fn to_update(&self) -> Update {
        Update {
            fork: self.fork,
            attested: self.attested.clone(),
            next_committee: None,
            finality: self.finality.clone(),
            aggregate: self.aggregate.clone(),
            signature_slot: self.signature_slot,
        }
    }
}

impl Parts for OptimisticUpdate {
    fn parts(&self) -> PartsOf<'_> {
        PartsOf {
            attested: &self.attested,
            next: None,
            finality: None,
            aggregate: &self.aggregate,
            signature_slot: self.signature_slot,
        }
    }

    fn to_update(&self) -> Update {
        Update {
            fork: self.fork,
            attested: self.attested.clone(),
            next_committee: None,
            finality: None,
            aggregate: self.aggregate.clone(),
            signature_slot: self.signature_slot,
        }
    }
}

/// The checks of one object, each a function, in the order in which they run.
struct Check<'a> {
    store: &'a Store,
    spec: &'a ChainSpec,
    parts: PartsOf<'a>,
}

impl Check<'_> {
    fn run(self, current_slot: u64) -> Result<Facts, Reject> {
        self.somebody_signed()?;
        self.slots_are_in_order(current_slot)?;
        self.committee_is_known()?;
        self.is_relevant()?;
        self.attested_is_consistent()?;
        self.finality_is_proven()?;
        let next = self.next_committee_is_proven()?;
        self.signature_is_good()?;
        Ok(Facts {
            generation: self.store.generation(),
            merit: Merit::of(self.spec, &self.parts),
            attested_period: self.spec.period_at(self.parts.attested.slot()),
            finalized_period: self.spec.period_at(self.parts.finalized_slot()),
            next,
        })
    }

    fn somebody_signed(&self) -> Result<(), Reject> {
        let (expected, got) = (self.spec.preset.sync_committee_size, self.parts.aggregate.size());
        if got != expected {
            return Err(Reject::CommitteeSize { expected, got });
        }
        if self.parts.aggregate.participants() == 0 {
            return Err(Reject::NoParticipants { slot: self.parts.attested.slot() });
        }
        Ok(())
    }

    fn slots_are_in_order(&self, current_slot: u64) -> Result<(), Reject> {
        let (attested_slot, signature_slot) = (self.parts.attested.slot(), self.parts.signature_slot);
        let finalized_slot = self.parts.finality.map_or(0, |finality| finality.header.slot());
        if signature_slot > current_slot {
            return Err(Reject::FromTheFuture { signature_slot, current_slot });
        }
        if signature_slot <= attested_slot {
            return Err(Reject::SignedTooEarly { attested_slot, signature_slot });
        }
        if attested_slot < finalized_slot {
            return Err(Reject::FinalizedTooLate { attested_slot, finalized_slot });
        }
        Ok(())
    }

    fn committee_is_known(&self) -> Result<(), Reject> {
        let (signature_period, store_period) = (self.signature_period(), self.store.current_period());
        let knows_next = self.store.knows_next_committee();
        let known = signature_period == store_period
            || (knows_next && signature_period.checked_sub(1) == Some(store_period));
        if known { Ok(()) } else { Err(Reject::OtherPeriod { signature_period, store_period, knows_next }) }
    }

    fn is_relevant(&self) -> Result<(), Reject> {
        let (attested_slot, finalized_slot) = (self.parts.attested.slot(), self.store.finalized().slot());
        let brings_committee = !self.store.knows_next_committee()
            && self.parts.proves_committee()
            && self.spec.period_at(attested_slot) == self.store.current_period();
        if attested_slot > finalized_slot || brings_committee {
            return Ok(());
        }
        Err(Reject::NothingNew { attested_slot, finalized_slot })
    }

    fn attested_is_consistent(&self) -> Result<(), Reject> {
        let (which, slot) = (Which::Attested, self.parts.attested.slot());
        if self.parts.attested.is_consistent(self.spec) {
            Ok(())
        } else {
            Err(Reject::Execution { which, slot })
        }
    }

    fn finality_is_proven(&self) -> Result<(), Reject> {
        let Some(Finality { header, branch }) = self.parts.finality else { return Ok(()) };
        let (finalized_slot, attested_slot) = (header.slot(), self.parts.attested.slot());
        if !self.parts.proves_finality() {
            return Err(Reject::FinalityWithoutBranch { slot: finalized_slot });
        }
        let root = if finalized_slot > 0 {
            if !header.is_consistent(self.spec) {
                return Err(Reject::Execution { which: Which::Finalized, slot: finalized_slot });
            }
            header.root()
        } else if header.is_default() {
            B256::ZERO
        } else {
            return Err(Reject::GenesisFinality);
        };
        let gindex = merkle::finalized_root_gindex(self.spec.fork_at_slot(attested_slot));
        let state_root = self.parts.attested.beacon.state_root;
        if !merkle::verify_normalized_branch(root, branch, gindex, state_root) {
            return Err(Reject::FinalityBranch { finalized_slot, attested_slot });
        }
        Ok(())
    }

    /// A committee that equals the known one by its keys needs no tree hash: its root is known too.
    fn next_committee_is_proven(&self) -> Result<Option<Arc<Committee>>, Reject> {
        let Some(NextCommittee { committee, branch }) = self.parts.next else { return Ok(None) };
        let attested_slot = self.parts.attested.slot();
        if !self.parts.proves_committee() {
            return Err(Reject::CommitteeWithoutBranch { attested_slot });
        }
        let (expected, got) = (self.spec.preset.sync_committee_size, committee.pubkeys.len());
        if got != expected {
            return Err(Reject::CommitteeSize { expected, got });
        }
        let known = self.store.next_committee().filter(|known| known.keys() == committee);
        let next = known.cloned().unwrap_or_else(|| Arc::new(Committee::new(committee.clone())));
        let attested_period = self.spec.period_at(attested_slot);
        if attested_period == self.store.current_period() {
            self.is_the_known_one(&next)?;
        }
        let gindex = merkle::next_committee_gindex(self.spec.fork_at_slot(attested_slot));
        let state_root = self.parts.attested.beacon.state_root;
        if !merkle::verify_normalized_branch(next.root(), branch, gindex, state_root) {
            return Err(Reject::NextCommitteeBranch { attested_slot });
        }
        Ok(Some(next))
    }

    fn is_the_known_one(&self, next: &Committee) -> Result<(), Reject> {
        match self.store.next_committee() {
            Some(known) if known.root() != next.root() => Err(Reject::OtherCommittee {
                period: self.store.current_period().saturating_add(1),
                known: known.root(),
                got: next.root(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// The version is that of the slot before the signature's: a block's signature is over its parent.
    fn signature_is_good(&self) -> Result<(), Reject> {
        let period = self.signature_period();
        let unknown = Reject::OtherPeriod {
            signature_period: period,
            store_period: self.store.current_period(),
            knows_next: self.store.knows_next_committee(),
        };
        let committee = self.store.committee_of(period).ok_or(unknown)?;
        let version_slot = self.parts.signature_slot.max(1) - 1;
        let domain = self.spec.sync_committee_domain(self.spec.epoch_at(version_slot));
        let message = merkle::hash_pair(&self.parts.attested.root(), &domain);
        if committee.verify(&message, self.parts.aggregate)? {
            return Ok(());
        }
        let participants = self.parts.aggregate.participants();
        Err(Reject::Signature { attested_slot: self.parts.attested.slot(), period, participants })
    }

    fn signature_period(&self) -> u64 {
        self.spec.period_at(self.parts.signature_slot)
    }
}
