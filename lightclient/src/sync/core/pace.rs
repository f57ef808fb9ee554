//! When to ask again: after nothing new, after failures, and at this client's own moment, so that thousands
//! of clients do not come together.

use alloy_primitives::keccak256;

use super::{Core, FIRST_PAUSE_MS, LONGEST_PAUSE_SLOTS, Pause, Want};
use crate::sync::clock::{slot_at, start_of};

/// Slots without news after which a client asks half as often, at last every eighth slot.
const QUIET_SLOTS: u32 = 8;

impl Core {
    /// Sources answered, and truly have no newer header.
    pub(in crate::sync) fn nothing_newer(&mut self, now_ms: u64, want: Want, why: String) {
        if want == Want::Finality {
            self.synced = true;
            self.quiet = self.quiet.saturating_add(1);
            self.why = why;
        }
        self.rest(now_ms, want);
    }

    /// Nobody gave a usable answer.
    pub(in crate::sync) fn failed(&mut self, now_ms: u64, want: Want, why: String) {
        self.why = why;
        match want {
            // Nothing waits for the update of the period that runs: not before the next one is it needed.
            Want::Update { period } if period == self.wall_period(now_ms) => {
                self.draw_committee_retry(now_ms)
            }
            _ => self.pause(now_ms, want),
        }
        if matches!(want, Want::Bootstrap { .. }) && self.roots.len() > 1 {
            self.roots.rotate_left(1);
        }
    }

    /// Something has changed that makes asking again at once sensible, such as a new source.
    pub(in crate::sync) fn nudge(&mut self) {
        self.pauses.clear();
        self.finality_at_ms = 0;
    }

    /// Looks again in the middle of the next slot, each client at its own moment, when that slot's signatures
    /// are in; more seldom while a chain does not finalize.
    pub(super) fn rest(&mut self, now_ms: u64, want: Want) {
        self.pauses.remove(&want);
        let slots = if want == Want::Finality { 1 << (self.quiet / QUIET_SLOTS).min(3) } else { 1 };
        let next = start_of(&self.spec, slot_at(&self.spec, now_ms).saturating_add(slots));
        let at = next + self.spec.slot_ms / 3 + self.draw(self.spec.slot_ms / 3);
        if want == Want::Optimistic {
            self.optimistic_at_ms = at;
        } else {
            self.finality_at_ms = at;
        }
    }

    pub(super) fn pause(&mut self, now_ms: u64, want: Want) {
        let longest = LONGEST_PAUSE_SLOTS.saturating_mul(self.spec.slot_ms).max(1);
        let failures = self.pauses.get(&want).map_or(0, |pause| pause.failures);
        let length = FIRST_PAUSE_MS.min(self.spec.slot_ms).saturating_mul(1 << failures.min(16)).min(longest);
        let until_ms = now_ms.saturating_add(length + self.draw(length / 4));
        self.pauses.insert(want, Pause { until_ms, failures: failures.saturating_add(1) });
    }

    /// Somewhere in the first three quarters of what is left of the period, so that a failure leaves time for
    /// another try.
    pub(super) fn draw_committee_time(&mut self, now_ms: u64) {
        let rest = self.rest_of_period(now_ms);
        self.committee_at_ms = now_ms.saturating_add(self.draw(rest / 4 * 3));
    }

    /// Some fifteenth part of the rest of the period later, so that there are many tries and never a rush.
    fn draw_committee_retry(&mut self, now_ms: u64) {
        let part = self.rest_of_period(now_ms) / 20;
        self.committee_at_ms = now_ms.saturating_add(part.max(1) + self.draw(part));
    }

    fn rest_of_period(&self, now_ms: u64) -> u64 {
        let next = self.spec.period_start(self.wall_period(now_ms).saturating_add(1));
        start_of(&self.spec, next).saturating_sub(now_ms)
    }

    /// A number below `bound`, another one each time, the same for the same seed.
    fn draw(&mut self, bound: u64) -> u64 {
        self.draws = self.draws.wrapping_add(1);
        let mut input = [0; 16];
        input[..8].copy_from_slice(&self.seed.to_be_bytes());
        input[8..].copy_from_slice(&self.draws.to_be_bytes());
        let hash = keccak256(input);
        let word: [u8; 8] = hash[..8].try_into().expect("eight of 32 bytes");
        if bound == 0 { 0 } else { u64::from_be_bytes(word) % bound }
    }
}
