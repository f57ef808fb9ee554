//! Two finalized headers that cannot both be: what a chain looks like whose committee signs two histories.

use super::store::Store;
use super::types::{FinalityUpdate, Header};
use super::verify::{Claim, Verified};

/// Whether two headers exclude each other: one slot and two blocks, or neighbouring slots of which the younger is not on top
/// of the older. Headers further apart say nothing about each other.
#[must_use]
pub fn conflict(a: &Header, b: &Header) -> bool {
    let (older, younger) = if a.slot() <= b.slot() { (a, b) } else { (b, a) };
    if older.slot() == younger.slot() {
        return older.root() != younger.root();
    }
    older.slot().checked_add(1) == Some(younger.slot()) && younger.beacon.parent_root != older.root()
}

/// Two finalized headers that exclude each other, with the signatures of two thirds of a committee under each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// The header that was finalized first, here.
    pub ours: Header,
    /// What finalized it; none if it was the trusted checkpoint.
    pub our_proof: Option<FinalityUpdate>,
    /// What finalized the other one. It verified.
    pub theirs: FinalityUpdate,
}

impl Store {
    /// Whether a verified object finalizes something that excludes what this store holds for finalized. Then one committee
    /// signed two histories: nothing it signs can be believed any more, and whoever finds this must stop.
    #[must_use]
    pub fn contradicted_by<T: Claim>(&self, verified: &Verified<T>) -> Option<Evidence> {
        let theirs = verified.finalized()?;
        conflict(&self.finalized, theirs).then(|| Evidence {
            ours: self.finalized.clone(),
            our_proof: self.proof().cloned(),
            theirs: verified.get().to_update().to_finality_update(),
        })
    }
}
