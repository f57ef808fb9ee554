//! Which of two updates of one period is worth more (consensus-specs Altair `is_better_update`).

use std::cmp::Ordering;

use super::types::Update;
use super::verify::{Parts, PartsOf};
use crate::forks::ChainSpec;

/// Whether `new` is worth more than `old`. Neither needs to be verified; both must be of one network.
#[must_use]
pub fn is_better_update(spec: &ChainSpec, new: &Update, old: &Update) -> bool {
    Merit::of(spec, &new.parts()).compare(&Merit::of(spec, &old.parts())).is_gt()
}

/// What an update is judged by, most important first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merit {
    pub(super) supermajority: bool,
    pub(super) participants: usize,
    /// Brings the next committee, signed by the current one.
    committee: bool,
    finality: bool,
    /// The finalized header is of the attested header's period.
    pub(super) committee_finality: bool,
    attested_slot: u64,
    signature_slot: u64,
}

impl Merit {
    pub(super) fn of(spec: &ChainSpec, parts: &PartsOf<'_>) -> Self {
        let attested_period = spec.period_at(parts.attested.slot());
        let finality = parts.finality.filter(|_| parts.proves_finality());
        Self {
            supermajority: parts.aggregate.is_supermajority(),
            participants: parts.aggregate.participants(),
            committee: parts.proves_committee() && attested_period == spec.period_at(parts.signature_slot),
            finality: finality.is_some(),
            committee_finality: finality
                .is_some_and(|finality| spec.period_at(finality.header.slot()) == attested_period),
            attested_slot: parts.attested.slot(),
            signature_slot: parts.signature_slot,
        }
    }

    /// Greater is better. Numbers count first only below a supermajority; older data wins a tie.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let crowd = |merit: &Self| if merit.supermajority { usize::MAX } else { merit.participants };
        let content =
            |merit: &Self| (merit.committee, merit.finality, merit.committee_finality, merit.participants);
        crowd(self)
            .cmp(&crowd(other))
            .then_with(|| content(self).cmp(&content(other)))
            .then_with(|| other.attested_slot.cmp(&self.attested_slot))
            .then_with(|| other.signature_slot.cmp(&self.signature_slot))
    }
}
