//! The three kinds of update seen as one.

use super::super::types::{
    Finality, FinalityUpdate, Header, NextCommittee, OptimisticUpdate, SyncAggregate, Update, is_absent,
};
use crate::forks::Fork;

/// What the three kinds have in common.
#[derive(Clone, Copy, Debug)]
pub struct PartsOf<'a> {
    pub(in crate::consensus) fork: Fork,
    pub(in crate::consensus) attested: &'a Header,
    pub(in crate::consensus) next: Option<&'a NextCommittee>,
    pub(in crate::consensus) finality: Option<&'a Finality>,
    pub(in crate::consensus) aggregate: &'a SyncAggregate,
    pub(in crate::consensus) signature_slot: u64,
}

impl<'a> PartsOf<'a> {
    /// The finalized header, where there is one younger than genesis.
    pub(in crate::consensus) fn finalized(&self) -> Option<&'a Header> {
        self.finality.map(|finality| &finality.header).filter(|header| header.slot() > 0)
    }

    pub(super) fn finalized_slot(&self) -> u64 {
        self.finalized().map_or(0, Header::slot)
    }

    /// Whether it says which committee is next (consensus-specs `is_sync_committee_update`).
    pub(in crate::consensus) fn proves_committee(&self) -> bool {
        self.next.is_some_and(|next| !is_absent(&next.branch))
    }

    /// Whether it says what is finalized (consensus-specs `is_finality_update`).
    pub(in crate::consensus) fn proves_finality(&self) -> bool {
        self.finality.is_some_and(|finality| !is_absent(&finality.branch))
    }
}

/// Seals [`super::Claim`].
pub trait Parts {
    /// The object's parts.
    fn parts(&self) -> PartsOf<'_>;

    /// The object as an update, absent parts absent.
    fn to_update(&self) -> Update;
}

impl Parts for Update {
    fn parts(&self) -> PartsOf<'_> {
        PartsOf {
            fork: self.fork,
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
            fork: self.fork,
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
            fork: self.fork,
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
