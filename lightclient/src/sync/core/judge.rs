//! Whether a claim is true and of use. True is what the store's committees signed. Of use is what brings the
//! store forward: else a source that is fast with old, validly signed answers would win every race and stop
//! the sync without telling a single lie.

use super::{Checked, Core, Item};
use crate::consensus::{Applied, Claim, FinalityUpdate, Reject, Store, Verified};
use crate::sync::clock::signable;

/// Why a claim is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::sync) enum Unfit {
    /// It does not verify, or nothing can be said of it yet.
    Rejected(Reject),
    /// It is true, and the store would be no wiser.
    Idle,
}

impl From<Reject> for Unfit {
    fn from(reject: Reject) -> Self {
        Self::Rejected(reject)
    }
}

impl Core {
    /// Checks a claim against the store. Changes nothing: whoever asked several sources may check several
    /// answers.
    pub(in crate::sync) fn judge(&self, now_ms: u64, item: &Item) -> Result<Checked, Unfit> {
        let (spec, slot) = (&self.spec, signable(&self.spec, now_ms));
        if let Item::Bootstrap { root, bootstrap } = item {
            return Ok(Checked::Store(Box::new(Store::bootstrap(spec, *root, bootstrap)?)));
        }
        // Without a bootstrap nothing can be told of an update, neither good nor bad.
        let store = self.store.as_ref().ok_or(Unfit::Idle)?;
        match item {
            Item::Bootstrap { .. } => Err(Unfit::Idle),
            Item::Update(update) => {
                let verified = store.verify_update(spec, update, slot)?;
                self.of_use(&verified, &update.to_finality_update(), |a| a.finalized || a.committee)?;
                Ok(Checked::Update(Box::new(verified)))
            }
            Item::Finality(update) => {
                let verified = store.verify_finality_update(spec, update, slot)?;
                self.of_use(&verified, update, |applied| applied.finalized)?;
                Ok(Checked::Finality(Box::new(verified)))
            }
            Item::Optimistic(update) => {
                let verified = store.verify_optimistic_update(spec, update, slot)?;
                let applied = store.clone().apply(verified.clone());
                if applied.optimistic {
                    Ok(Checked::Optimistic(Box::new(verified)))
                } else {
                    Err(Unfit::Idle)
                }
            }
        }
    }

    /// Tries it on a copy. What contradicts the store is of the greatest use.
    fn of_use<T: Claim + Clone>(
        &self,
        verified: &Verified<T>,
        short: &FinalityUpdate,
        enough: impl FnOnce(Applied) -> bool,
    ) -> Result<(), Unfit> {
        if self.conflict(verified, short).is_some() {
            return Ok(());
        }
        let applied = self.store.clone().map(|mut store| store.apply(verified.clone()));
        if applied.is_some_and(enough) { Ok(()) } else { Err(Unfit::Idle) }
    }

    /// The slot of a header that is validly signed and lies in the future by this clock: what convicts the
    /// clock. The slot in which it is said to have been signed convicts nobody, because no signature
    /// covers it.
    pub(in crate::sync) fn signed_in_future(&self, item: &Item) -> Option<u64> {
        let (spec, store) = (&self.spec, self.store.as_ref()?);
        let verified = match item {
            Item::Bootstrap { .. } => false,
            Item::Update(update) => store.verify_update(spec, update, u64::MAX).is_ok(),
            Item::Finality(update) => store.verify_finality_update(spec, update, u64::MAX).is_ok(),
            Item::Optimistic(update) => store.verify_optimistic_update(spec, update, u64::MAX).is_ok(),
        };
        verified.then(|| item.slot())
    }
}
