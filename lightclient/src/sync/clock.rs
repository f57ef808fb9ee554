//! What time it is, in milliseconds and in slots, and whether that can be true. The clock is a value: a test
//! or a chain with its own time brings another one. A verified signature is the only witness against a clock
//! that is believed here, because nobody can sign for a slot that has not come.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::time::Instant;

use crate::forks::ChainSpec;

/// How far ahead of us a signature may be and still count: consensus-specs `MAXIMUM_GOSSIP_CLOCK_DISPARITY`.
const DISPARITY_MS: u64 = 500;

/// Where the time comes from.
#[derive(Clone, Copy, Debug, Default)]
pub enum Clock {
    /// The operating system's wall clock.
    #[default]
    System,
    /// A clock that showed `unix_ms` when it was set and runs on with tokio's time, so also stands where that
    /// is paused.
    Set {
        /// Milliseconds since 1970 at `when`.
        unix_ms: u64,
        /// When it was set.
        when: Instant,
    },
}

/// The wall clock is behind what a sync committee has already signed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "the clock says slot {wall_slot}, but a header of slot {signed_slot} is verifiably signed, more than an epoch later: set the clock"
)]
pub struct ClockBehind {
    /// Slot by the wall clock.
    pub wall_slot: u64,
    /// Newest slot whose header is verifiably signed.
    pub signed_slot: u64,
}

impl Clock {
    /// A clock that shows `unix_ms` (milliseconds since 1970) now.
    #[must_use]
    pub fn set_to(unix_ms: u64) -> Self {
        Self::Set { unix_ms, when: Instant::now() }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let since = match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO),
            Self::Set { unix_ms, when } => Duration::from_millis(*unix_ms) + when.elapsed(),
        };
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The slot that runs at a time; slot 0 before genesis.
pub(super) fn slot_at(spec: &ChainSpec, now_ms: u64) -> u64 {
    now_ms.saturating_sub(spec.genesis_time.saturating_mul(1000)) / spec.slot_ms.max(1)
}

/// When a slot begins, milliseconds since 1970.
pub(super) fn start_of(spec: &ChainSpec, slot: u64) -> u64 {
    spec.genesis_time.saturating_mul(1000).saturating_add(slot.saturating_mul(spec.slot_ms))
}

/// The newest slot that something honest may be signed for, clocks being what they are.
pub(super) fn signable(spec: &ChainSpec, now_ms: u64) -> u64 {
    slot_at(spec, now_ms.saturating_add(DISPARITY_MS))
}

/// Refuses a clock that is more than one epoch behind a verified signature.
pub(super) fn check(spec: &ChainSpec, now_ms: u64, signed_slot: u64) -> Result<(), ClockBehind> {
    let wall_slot = slot_at(spec, now_ms);
    if wall_slot.saturating_add(spec.preset.slots_per_epoch) < signed_slot {
        return Err(ClockBehind { wall_slot, signed_slot });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_an_epoch_behind_is_borne_and_one_slot_more_is_refused() {
        let spec = ChainSpec::mainnet();
        let now = start_of(&spec, 10_000);
        assert_eq!(check(&spec, now, 10_032), Ok(()));
        assert_eq!(check(&spec, now, 10_033), Err(ClockBehind { wall_slot: 10_000, signed_slot: 10_033 }));
        assert_eq!(check(&spec, 0, 0), Ok(()), "before genesis nothing is signed");
    }

    #[test]
    fn slots_are_told_to_the_millisecond() {
        let spec = ChainSpec::mainnet();
        let start = start_of(&spec, 77);
        assert_eq!((slot_at(&spec, start - 1), slot_at(&spec, start)), (76, 77));
        assert_eq!((signable(&spec, start - 501), signable(&spec, start - 500)), (76, 77));
    }
}
