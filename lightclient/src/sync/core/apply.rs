//! What a verified object does to the store, and what follows. The one place that notices two histories.

use alloy_primitives::B256;

use super::{Checked, Conflict, Core, Effect, Want};
use crate::consensus::{Applied, Claim, FinalityUpdate, OptimisticUpdate, Store, Update, Verified};
use crate::store::FINALIZED_KEPT;
use crate::sync::checkpoint::CheckpointError;

impl Core {
    /// Takes what was verified.
    pub(in crate::sync) fn accept(
        &mut self,
        now_ms: u64,
        checked: Checked,
    ) -> Result<Vec<Effect>, CheckpointError> {
        match checked {
            Checked::Store(store) => self.begin(now_ms, *store),
            Checked::Update(update) => Ok(self.apply_update(now_ms, *update)),
            Checked::Finality(update) => Ok(self.apply_finality(now_ms, *update)),
            Checked::Optimistic(update) => Ok(self.apply_optimistic(now_ms, *update)),
        }
    }

    fn begin(&mut self, now_ms: u64, store: Store) -> Result<Vec<Effect>, CheckpointError> {
        let header = store.finalized().clone();
        let fresh = self.freshness.check(&self.spec, header.root(), header.slot(), now_ms);
        let mut effects = Vec::new();
        match fresh {
            Err(old @ CheckpointError::TooOld { .. }) if !self.freshness.strict => {
                effects.push(Effect::Old(old))
            }
            judged => judged?,
        }
        self.remember(header.slot(), header.root());
        self.install(now_ms, store);
        self.progress_ms = now_ms;
        effects.push(Effect::Finalized(Box::new(header)));
        Ok(effects)
    }

    pub(super) fn install(&mut self, now_ms: u64, store: Store) {
        self.store = Some(store);
        self.pauses.clear();
        self.finality_at_ms = 0;
        self.optimistic_at_ms = 0;
        self.draw_committee_time(now_ms);
    }

    fn apply_update(&mut self, now_ms: u64, update: Verified<Update>) -> Vec<Effect> {
        let short = update.get().to_finality_update();
        let want = Want::Update { period: self.spec.period_at(short.signature_slot) };
        self.apply(now_ms, want, update, &short)
    }

    fn apply_finality(&mut self, now_ms: u64, update: Verified<FinalityUpdate>) -> Vec<Effect> {
        let short = update.get().clone();
        self.apply(now_ms, Want::Finality, update, &short)
    }

    fn apply<T: Claim>(
        &mut self,
        now_ms: u64,
        want: Want,
        update: Verified<T>,
        short: &FinalityUpdate,
    ) -> Vec<Effect> {
        if let Some(conflict) = self.conflict(&update, short) {
            self.halted = true;
            return vec![Effect::Conflict(Box::new(conflict))];
        }
        let Some(store) = &mut self.store else { return vec![Effect::Nothing] };
        let applied = store.apply(update);
        if applied.stale { vec![Effect::Nothing] } else { self.settle(now_ms, want, applied, short) }
    }

    fn apply_optimistic(&mut self, now_ms: u64, update: Verified<OptimisticUpdate>) -> Vec<Effect> {
        let signed = update.get().attested.slot();
        let Some(store) = &mut self.store else { return vec![Effect::Nothing] };
        let applied = store.apply(update);
        self.newest_signed = self.newest_signed.max(signed);
        self.rest(now_ms, Want::Optimistic);
        if applied.optimistic { self.optimistic_moved() } else { vec![Effect::Nothing] }
    }

    /// Books what an update did.
    fn settle(&mut self, now_ms: u64, want: Want, applied: Applied, update: &FinalityUpdate) -> Vec<Effect> {
        self.newest_signed = self.newest_signed.max(update.attested.slot());
        let mut effects = Vec::new();
        if applied.finalized {
            self.progress_ms = now_ms;
            self.quiet = 0;
            let header = self.finalized().cloned().unwrap_or_default();
            self.remember(header.slot(), header.root());
            self.keep_proof(header.slot(), update.clone());
            effects.push(Effect::Finalized(Box::new(header)));
        } else if applied.committee {
            self.progress_ms = now_ms;
            effects.push(Effect::Save);
        }
        if applied.rotated {
            self.draw_committee_time(now_ms);
        }
        if applied.optimistic {
            effects.extend(self.optimistic_moved());
        }
        if applied.finalized || applied.committee {
            self.pauses.remove(&want);
            self.why.clear();
        }
        if want == Want::Finality {
            self.synced = true;
            self.rest(now_ms, want);
        }
        if effects.is_empty() { vec![Effect::Nothing] } else { effects }
    }

    /// Whether an update finalizes what excludes something finalized before.
    pub(super) fn conflict<T: Claim>(
        &self,
        update: &Verified<T>,
        short: &FinalityUpdate,
    ) -> Option<Conflict> {
        let theirs = update.finalized()?;
        let conflict = |slot, ours, our_proof: Option<&FinalityUpdate>| Conflict {
            slot,
            ours,
            theirs: theirs.root(),
            our_proof: our_proof.cloned(),
            their_proof: short.clone(),
        };
        if let Some(evidence) = self.store.as_ref()?.contradicted_by(update) {
            return Some(conflict(theirs.slot(), evidence.ours.root(), evidence.our_proof.as_ref()));
        }
        let known = self.history.iter().find(|(slot, _)| *slot == theirs.slot());
        let (slot, ours) = known.filter(|(_, ours)| *ours != theirs.root())?;
        Some(conflict(*slot, *ours, self.proofs.get(slot)))
    }

    fn optimistic_moved(&self) -> Vec<Effect> {
        self.optimistic().map(|header| Effect::Optimistic(Box::new(header.clone()))).into_iter().collect()
    }

    fn remember(&mut self, slot: u64, root: B256) {
        if self.history.back().is_none_or(|(last, _)| *last < slot) {
            self.history.push_back((slot, root));
        }
        while self.history.len() > FINALIZED_KEPT {
            self.history.pop_front();
        }
    }

    fn keep_proof(&mut self, slot: u64, update: FinalityUpdate) {
        self.proofs.insert(slot, update);
        while self.proofs.len() > FINALIZED_KEPT {
            self.proofs.pop_first();
        }
    }
}
