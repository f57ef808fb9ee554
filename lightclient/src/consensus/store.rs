//! What a light client holds: two headers, one or two committees (consensus-specs Altair `LightClientStore`).
//!
//! Only [`Verified`] objects change it, and never backwards: the finalized slot only grows.

use std::sync::Arc;

use alloy_primitives::B256;

use super::bls::Committee;
use super::rank::Merit;
use super::types::{FinalityUpdate, Header, SyncCommittee, Update};
use super::verify::{Claim, Facts, Verified};
use crate::forks::ChainSpec;

/// The state of a light client.
#[derive(Clone, Debug)]
pub struct Store {
    /// Genesis validators root: which network this is of.
    pub(super) network: B256,
    pub(super) finalized: Header,
    pub(super) finalized_root: B256,
    /// Period of the finalized header.
    pub(super) period: u64,
    pub(super) optimistic: Header,
    pub(super) current: Arc<Committee>,
    pub(super) next: Option<Arc<Committee>>,
    /// Most members that signed one header in the period before.
    pub(super) previous_max: u64,
    /// Most members that signed one header in this period.
    pub(super) current_max: u64,
    /// What finalized `finalized`; none after a bootstrap.
    pub(super) proof: Option<Box<FinalityUpdate>>,
    /// The best update since the last finalized header.
    pub(super) best: Option<Box<Best>>,
}

/// An update and what it is judged by.
#[derive(Clone, Debug)]
pub(super) struct Best {
    merit: Merit,
    #[cfg_attr(
        not(feature = "force-update"),
        allow(dead_code, reason = "kept to be read by force updates only")
    )]
    facts: Facts,
    update: Update,
}

/// Identifies what a verification depends on: the finalized header and the committees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Generation {
    finalized: B256,
    next: Option<B256>,
}

/// What an object changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// There is a newer finalized header.
    pub finalized: bool,
    /// There is a newer optimistic header.
    pub optimistic: bool,
    /// The next committee has become known.
    pub committee: bool,
    /// The next committee has become the current one.
    pub rotated: bool,
    /// Nothing was done: the store has moved on since the object was verified. Verify it again.
    pub stale: bool,
}

impl Applied {
    /// Whether anything changed.
    #[must_use]
    pub const fn anything(self) -> bool {
        self.finalized || self.optimistic || self.committee || self.rotated
    }
}

impl Store {
    pub(super) fn starting_at(spec: &ChainSpec, header: Header, committee: Committee) -> Self {
        Self {
            network: spec.genesis_validators_root,
            finalized_root: header.root(),
            period: spec.period_at(header.slot()),
            optimistic: header.clone(),
            finalized: header,
            current: Arc::new(committee),
            next: None,
            previous_max: 0,
            current_max: 0,
            proof: None,
            best: None,
        }
    }

    /// The newest finalized header.
    #[must_use]
    pub const fn finalized(&self) -> &Header {
        &self.finalized
    }

    /// The newest finalized header's block root.
    #[must_use]
    pub const fn finalized_root(&self) -> B256 {
        self.finalized_root
    }

    /// The newest header that enough members signed; at least as new as the finalized one.
    #[must_use]
    pub const fn optimistic(&self) -> &Header {
        &self.optimistic
    }

    /// The sync-committee period of the finalized header.
    #[must_use]
    pub const fn current_period(&self) -> u64 {
        self.period
    }

    /// The committee of the current period.
    #[must_use]
    pub const fn current_committee(&self) -> &Arc<Committee> {
        &self.current
    }

    /// The committee of the period after, once it is known.
    #[must_use]
    pub const fn next_committee(&self) -> Option<&Arc<Committee>> {
        self.next.as_ref()
    }

    /// Whether the committee of the period after the current one is known (consensus-specs `is_next_sync_committee_known`).
    #[must_use]
    pub const fn knows_next_committee(&self) -> bool {
        self.next.is_some()
    }

    /// What finalized the newest finalized header; none right after a bootstrap.
    #[must_use]
    pub fn proof(&self) -> Option<&FinalityUpdate> {
        self.proof.as_deref()
    }

    /// The best valid update since the finalized header, which finalized nothing: what there is to see while a chain stalls.
    #[must_use]
    pub fn best_update(&self) -> Option<&Update> {
        self.best.as_ref().map(|best| &best.update)
    }

    /// The period whose update is to be fetched next so that newer headers can be checked; none when finality and optimistic
    /// updates are enough (consensus-specs Altair `light-client/light-client.md`, sync process).
    #[must_use]
    pub fn needs_update(&self, spec: &ChainSpec, current_slot: u64) -> Option<u64> {
        if !self.knows_next_committee() {
            return Some(self.period);
        }
        let next = self.period.saturating_add(1);
        (spec.period_at(current_slot) > next).then_some(next)
    }

    /// Takes what a verified object says (consensus-specs `process_light_client_update`, after validation).
    pub fn apply<T: Claim>(&mut self, verified: Verified<T>) -> Applied {
        if verified.facts.generation != self.generation() {
            return Applied { stale: true, ..Applied::default() };
        }
        let (object, facts) = verified.into_parts();
        let mut applied = Applied { optimistic: self.take_optimistic(&object, &facts), ..Applied::default() };
        if self.finalizes(&object, &facts) {
            self.take_finalized(&object.to_update(), &facts, &mut applied);
            self.best = None;
        } else {
            self.keep_if_better(&object, facts);
        }
        applied
    }

    pub(super) fn generation(&self) -> Generation {
        Generation { finalized: self.finalized_root, next: self.next.as_ref().map(|next| next.root()) }
    }

    pub(super) fn committee_of(&self, period: u64) -> Option<&Committee> {
        if period == self.period {
            Some(&self.current)
        } else if period.checked_sub(1) == Some(self.period) {
            self.next.as_deref()
        } else {
            None
        }
    }

    fn take_optimistic<T: Claim>(&mut self, object: &T, facts: &Facts) -> bool {
        let participants = facts.merit.participants as u64;
        self.current_max = self.current_max.max(participants);
        let safe = self.previous_max.max(self.current_max) / 2;
        let attested = object.parts().attested;
        if participants <= safe || attested.slot() <= self.optimistic.slot() {
            return false;
        }
        self.optimistic = attested.clone();
        true
    }

    fn finalizes<T: Claim>(&self, object: &T, facts: &Facts) -> bool {
        let brings_committee =
            !self.knows_next_committee() && facts.next.is_some() && facts.merit.committee_finality;
        let newer = object.parts().finalized().is_some_and(|header| header.slot() > self.finalized.slot());
        facts.merit.supermajority && (newer || brings_committee)
    }

    /// consensus-specs `apply_light_client_update`.
    fn take_finalized(&mut self, update: &Update, facts: &Facts, applied: &mut Applied) {
        if !self.knows_next_committee() {
            self.next.clone_from(&facts.next);
            applied.committee = self.knows_next_committee();
        } else if facts.finalized_period == self.period.saturating_add(1) {
            self.rotate(facts.next.clone());
            applied.rotated = true;
            applied.committee = self.knows_next_committee();
        }
        let Some(header) = update.finality.as_ref().map(|finality| &finality.header) else { return };
        if header.slot() > self.finalized.slot() {
            self.finalized = header.clone();
            self.finalized_root = header.root();
            self.period = facts.finalized_period;
            self.proof = Some(Box::new(update.to_finality_update()));
            applied.finalized = true;
            if header.slot() > self.optimistic.slot() {
                self.optimistic = header.clone();
                applied.optimistic = true;
            }
        }
    }

    fn rotate(&mut self, next: Option<Arc<Committee>>) {
        if let Some(current) = std::mem::replace(&mut self.next, next) {
            self.current = current;
        }
        self.previous_max = std::mem::take(&mut self.current_max);
    }

    fn keep_if_better<T: Claim>(&mut self, object: &T, facts: Facts) {
        let merit = facts.merit;
        if self.best.as_ref().is_none_or(|best| merit.compare(&best.merit).is_gt()) {
            self.best = Some(Box::new(Best { merit, facts, update: object.to_update() }));
        }
    }
}

/// Steps that consensus-specs' vectors contain and a client that guards money must not take.
#[cfg(feature = "force-update")]
impl Store {
    /// Takes the best update's attested header for finalized when nothing was finalized for a whole period (consensus-specs
    /// `process_light_client_store_force_update`). Only for checking against the official vectors.
    pub fn force_update(&mut self, spec: &ChainSpec, current_slot: u64) -> Applied {
        let mut applied = Applied::default();
        if current_slot <= self.finalized.slot().saturating_add(spec.slots_per_period()) {
            return applied;
        }
        let Some(best) = self.best.take() else { return applied };
        let Best { mut facts, mut update, .. } = *best;
        let finalized_slot = update.finality.as_ref().map_or(0, |finality| finality.header.slot());
        if finalized_slot <= self.finalized.slot() {
            let header = update.attested.clone();
            update.finality = Some(super::types::Finality { header, branch: Vec::new() });
            facts.finalized_period = spec.period_at(update.attested.slot());
        }
        self.take_finalized(&update, &facts, &mut applied);
        applied
    }
}

impl From<&Committee> for SyncCommittee {
    fn from(committee: &Committee) -> Self {
        committee.keys().clone()
    }
}
