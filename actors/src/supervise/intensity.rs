//! How often is too often: counts deaths, decides what follows. Pure; the time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// When to restart, how long to wait, when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Deaths in [`Policy::within`] that are still answered by restarting the actor alone.
    pub deaths: usize,
    /// The time in which deaths are counted.
    pub within: Duration,
    /// Pause after the first death; doubles with each further one.
    pub backoff: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// How long after a restart of the group the next excess gives up instead of restarting it again.
    pub group_memory: Duration,
}

impl Default for Policy {
    /// Five in a minute; 20 ms to 2 s, so that a restart costs at most one segment; a group is restarted once in ten minutes.
    fn default() -> Self {
        Self {
            deaths: 5,
            within: Duration::from_secs(60),
            backoff: Duration::from_millis(20),
            backoff_max: Duration::from_secs(2),
            group_memory: Duration::from_secs(600),
        }
    }
}

/// What follows from a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Again { after: Duration },
    RestartGroup { after: Duration },
    GiveUp { deaths: usize },
}

/// The deaths of a group.
#[derive(Debug)]
pub(super) struct Intensity {
    policy: Policy,
    deaths: VecDeque<Instant>,
    group_restarted: Option<Instant>,
}

impl Intensity {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, deaths: VecDeque::new(), group_restarted: None }
    }

    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    pub(super) fn died(&mut self, now: Instant) -> Verdict {
        while self.deaths.front().is_some_and(|at| now.duration_since(*at) > self.policy.within) {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        let deaths = self.deaths.len();
        if deaths <= self.policy.deaths {
            return Verdict::Again { after: self.pause(deaths) };
        }
        if self.group_restarted.is_some_and(|at| now.duration_since(at) <= self.policy.group_memory) {
            return Verdict::GiveUp { deaths };
        }
        self.group_restarted = Some(now);
        self.deaths.clear();
        Verdict::RestartGroup { after: self.policy.backoff_max }
    }

    fn pause(&self, deaths: usize) -> Duration {
        let doublings = u32::try_from(deaths.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        self.policy.backoff.saturating_mul(1 << doublings).min(self.policy.backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn five_deaths_in_a_minute_are_restarts_with_growing_pauses_and_the_sixth_restarts_the_group() {
        let (mut intensity, now) = (Intensity::new(Policy::default()), Instant::now());
        let verdicts: Vec<Verdict> = (0..6).map(|i| intensity.died(now + MS * i)).collect();
        let again = |ms| Verdict::Again { after: MS * ms };
        let group = Verdict::RestartGroup { after: MS * 2000 };
        assert_eq!(verdicts, [again(20), again(40), again(80), again(160), again(320), group]);
    }

    #[test]
    fn the_second_excess_gives_up_but_not_after_a_long_calm() {
        let (mut intensity, now) = (Intensity::new(Policy::default()), Instant::now());
        let mut storm = |at: Duration| (0..6).map(|_| intensity.died(now + at)).last();
        assert!(matches!(storm(Duration::ZERO), Some(Verdict::RestartGroup { .. })));
        assert!(matches!(storm(Duration::from_secs(700)), Some(Verdict::RestartGroup { .. })));
        assert_eq!(storm(Duration::from_secs(800)), Some(Verdict::GiveUp { deaths: 6 }));
    }

    #[test]
    fn deaths_far_apart_never_escalate() {
        let (mut intensity, now) = (Intensity::new(Policy::default()), Instant::now());
        let calm = |i: u64| intensity.died(now + Duration::from_secs(13 * i));
        assert!((0..100).map(calm).all(|v| matches!(v, Verdict::Again { .. })));
    }
}
