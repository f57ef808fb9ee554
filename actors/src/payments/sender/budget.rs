//! What was spent today, in all and on each stream, against what may be. A day is one of UTC; tickets count when they are
//! signed, at their exact worth, whether they win or not.

use std::collections::BTreeMap;

use alloy_primitives::{U256, U512};
use protocol::{StreamId, Wei};

use super::refusal::Unpayable;

/// Milliseconds of a day.
pub(super) const DAY_MS: u64 = 86_400_000;

/// What may be spent in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// On one stream, wei.
    pub of_a_stream: Wei,
    /// On all, wei.
    pub of_all: Wei,
}

/// What was spent today, in wei times 2^256 - 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    day: u64,
    all: U512,
    streams: BTreeMap<Option<StreamId>, U512>,
}

fn whole(fine: U512) -> Wei {
    Wei(U256::saturating_from(fine.div_ceil(U512::from(U256::MAX))))
}

impl Spent {
    /// Counts it.
    pub fn add(&mut self, at_ms: u64, stream: Option<StreamId>, fine: U512) {
        let day = at_ms / DAY_MS;
        if day > self.day {
            *self = Self { day, ..Self::default() };
        }
        if day == self.day {
            self.all = self.all.saturating_add(fine);
            let spent = self.streams.entry(stream).or_default();
            *spent = spent.saturating_add(fine);
        }
    }

    /// Whether so much more may be spent now.
    ///
    /// # Errors
    /// [`Unpayable::Budget`].
    pub fn allows(
        &self,
        at_ms: u64,
        stream: Option<&StreamId>,
        fine: U512,
        limits: &Limits,
    ) -> Result<(), Unpayable> {
        let today = at_ms / DAY_MS == self.day;
        let spent = |all: U512| if today { all } else { U512::ZERO };
        let on_stream = self.streams.get(&stream.cloned()).copied().unwrap_or_default();
        for (of, spent, limit) in [
            ("for a stream", spent(on_stream), limits.of_a_stream),
            ("in all", spent(self.all), limits.of_all),
        ] {
            if spent.saturating_add(fine) > U512::from(limit.0) * U512::from(U256::MAX) {
                return Err(Unpayable::Budget { of, limit, spent: whole(spent) });
            }
        }
        Ok(())
    }

    /// What was spent on a day, wei rounded up; nothing when it is not the last one on which anything was.
    #[must_use]
    pub fn on_day_of(&self, at_ms: u64) -> Wei {
        if at_ms / DAY_MS == self.day { whole(self.all) } else { Wei::default() }
    }
}
