//! The checks of one object, cheapest first.

use std::sync::Arc;

use alloy_primitives::B256;

use super::super::bls::Committee;
use super::super::rank::Merit;
use super::super::reject::{Reject, Which};
use super::super::store::Store;
use super::super::types::{Finality, NextCommittee};
use super::{Facts, PartsOf};
use crate::forks::ChainSpec;
use crate::merkle;

/// The checks of one object, each a function, in the order in which they run.
pub(super) struct Check<'a> {
    pub(super) store: &'a Store,
    pub(super) spec: &'a ChainSpec,
    pub(super) parts: PartsOf<'a>,
}

impl Check<'_> {
    pub(super) fn run(self, current_slot: u64) -> Result<Facts, Reject> {
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
