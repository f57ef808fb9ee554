//! How often a source may be asked: a token bucket with counters that people can see, and pauses that grow with refusals.
//!
//! In flow the time and what a source answered; out flow "ask now" or "ask in so many milliseconds". Pure: no clock, no
//! socket, and the randomness of a pause is an argument.

use serde::Serialize;

/// First pause after a refusal without a `Retry-After`, milliseconds; it doubles with every further one.
pub const FIRST_PAUSE_MS: u64 = 500;
/// Longest pause of our own making, milliseconds.
pub const LONGEST_PAUSE_MS: u64 = 120_000;
/// Longest pause that a source may impose by `Retry-After`, milliseconds: one that asks for a week is not banned by its own
/// clock, but asked again in the hour.
pub const LONGEST_IMPOSED_MS: u64 = 3_600_000;

/// What a source is content with: so many requests at once, then so many a minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Allowance {
    /// Requests at once, at least 1.
    pub burst: u32,
    /// Requests a minute in the long run, at least 1.
    pub per_minute: u32,
}

impl Allowance {
    /// What public endpoints without a key tolerate: catching up over 14 days takes some 20 requests, following some 10 a minute.
    pub const PUBLIC: Self = Self { burst: 40, per_minute: 120 };
    /// An own node or a local one.
    pub const OWN: Self = Self { burst: 500, per_minute: 6000 };

    /// Milliseconds in which one token comes back.
    fn every_ms(self) -> u64 {
        (60_000 / u64::from(self.per_minute.max(1))).max(1)
    }

    fn whole_ms(self) -> u64 {
        u64::from(self.burst.max(1)) * self.every_ms()
    }
}

/// What became of the requests to one source, since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counters {
    /// Requests sent.
    pub sent: u64,
    /// Requests not sent because the budget was used up.
    pub held_back: u64,
    /// Answers 429 and 503.
    pub refused: u64,
    /// Bytes received in bodies.
    pub bytes: u64,
}

/// The budget of one source. Times are milliseconds on a clock that does not run backwards.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    allowance: Allowance,
    /// When the bucket will be full again.
    full_at_ms: u64,
    /// Nothing is sent before.
    paused_until_ms: u64,
    /// Refusals in a row.
    refusals: u32,
    counters: Counters,
}

/// What is left, for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct BudgetView {
    /// What the source is content with.
    pub allowance: Allowance,
    /// Requests that may be sent at once now.
    pub left: u32,
    /// Milliseconds until a request may be sent; 0 is now.
    pub wait_ms: u64,
    /// What was sent so far.
    pub counters: Counters,
}

impl Budget {
    /// A full budget.
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, full_at_ms: 0, paused_until_ms: 0, refusals: 0, counters: Counters::default() }
    }

    /// Takes one request out of the budget.
    ///
    /// # Errors
    /// Milliseconds until the next may be sent.
    pub fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        let wait = self.wait_ms(now_ms);
        if wait > 0 {
            self.counters.held_back += 1;
            return Err(wait);
        }
        self.full_at_ms = self.full_at_ms.max(now_ms) + self.allowance.every_ms();
        self.counters.sent += 1;
        Ok(())
    }

    /// Milliseconds until a request may be sent.
    #[must_use]
    pub fn wait_ms(&self, now_ms: u64) -> u64 {
        let after_take = self.full_at_ms.max(now_ms) + self.allowance.every_ms();
        let bucket = after_take.saturating_sub(now_ms + self.allowance.whole_ms());
        bucket.max(self.paused_until_ms.saturating_sub(now_ms))
    }

    /// The source said "too many" and perhaps for how long; `jitter` in 0..1 keeps many nodes from coming back together.
    /// Returns the pause, milliseconds.
    pub fn refused(&mut self, now_ms: u64, retry_after_ms: Option<u64>, jitter: f64) -> u64 {
        let own = FIRST_PAUSE_MS.saturating_mul(1 << self.refusals.min(16)).min(LONGEST_PAUSE_MS);
        let base = retry_after_ms.map_or(own, |ms| ms.min(LONGEST_IMPOSED_MS));
        // Never earlier than the source asked for, up to a quarter later.
        let pause = base + (base as f64 / 4.0 * jitter.clamp(0.0, 1.0)) as u64;
        self.refusals = self.refusals.saturating_add(1);
        self.counters.refused += 1;
        self.paused_until_ms = self.paused_until_ms.max(now_ms.saturating_add(pause));
        pause
    }

    /// The source answered.
    pub fn answered(&mut self, bytes: u64) {
        self.refusals = 0;
        self.counters.bytes += bytes;
    }

    /// What is left, for people.
    #[must_use]
    pub fn view(&self, now_ms: u64) -> BudgetView {
        let used_ms = self.full_at_ms.saturating_sub(now_ms);
        let free_ms = self.allowance.whole_ms().saturating_sub(used_ms);
        BudgetView {
            allowance: self.allowance,
            left: u32::try_from(free_ms / self.allowance.every_ms()).unwrap_or(u32::MAX),
            wait_ms: self.wait_ms(now_ms),
            counters: self.counters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Allowance = Allowance { burst: 3, per_minute: 60 };

    #[test]
    fn a_burst_is_granted_and_then_the_rate() {
        let mut budget = Budget::new(THREE);
        assert_eq!((0..5).filter(|_| budget.take(0).is_ok()).count(), 3);
        assert_eq!(budget.take(0), Err(1000));
        assert!(budget.take(1000).is_ok() && budget.take(1000).is_err());
        let view = budget.view(2000);
        assert_eq!((view.left, view.wait_ms, view.counters.sent), (1, 0, 4));
    }

    #[test]
    fn nothing_is_sent_before_retry_after_has_passed() {
        let mut budget = Budget::new(THREE);
        assert!(budget.refused(0, Some(7000), 0.99) >= 7000);
        assert!(budget.take(6999).is_err());
        assert!(budget.take(8750).is_ok());
    }

    #[test]
    fn pauses_double_end_and_are_forgotten_with_the_first_answer() {
        let mut budget = Budget::new(THREE);
        let pauses: Vec<u64> = (0..12).map(|_| budget.refused(0, None, 0.0)).collect();
        assert_eq!(pauses[..4], [500, 1000, 2000, 4000]);
        assert_eq!(pauses[11], LONGEST_PAUSE_MS);
        budget.answered(10);
        assert_eq!(budget.refused(0, None, 0.0), FIRST_PAUSE_MS);
    }

    #[test]
    fn a_source_cannot_impose_an_endless_pause() {
        let mut budget = Budget::new(THREE);
        assert_eq!(budget.refused(0, Some(u64::MAX), 0.0), LONGEST_IMPOSED_MS);
    }
}
