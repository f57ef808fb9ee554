//! How sources have behaved, and in which order they are asked: who answers soon and is not behind comes first, who is slow
//! or silent rests, who sent something that does not verify comes last.
//!
//! In flow times and outcomes, out flows an order. Pure: no clock, no socket.

use serde::Serialize;

/// Rest after a failure, milliseconds; it doubles with every further one in a row.
const FIRST_REST_MS: u64 = 250;
/// Longest rest, milliseconds.
const LONGEST_REST_MS: u64 = 60_000;
/// What cannot be read counts like so many failures in a row: eight seconds of rest.
const FIRST_BROKEN: u32 = 5;
/// How long one lie is held against a source, milliseconds; it doubles with every further one, up to a year.
const FIRST_SHAME_MS: u64 = 24 * 3_600_000;
/// Longest shame, milliseconds.
const LONGEST_SHAME_MS: u64 = 365 * 24 * 3_600_000;
/// What an unknown source is taken to need, milliseconds: soon tried, but after one that is known to be good.
const UNKNOWN_MS: f64 = 400.0;
/// What one slot behind the best source costs in the order, milliseconds.
const LAG_MS: f64 = 100.0;
/// What one timeout adds to the latency that is expected, as a share of the time waited.
const TIMEOUT_WEIGHT: f64 = 0.5;
/// Weight of the newest latency.
const NEWEST: f64 = 0.2;
/// Bounds of the wait before another source is asked as well, milliseconds.
const HEDGE_MS: (u64, u64) = (80, 3_000);

/// What is known of one source's conduct. Times are milliseconds on a clock that does not run backwards.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    latency_ms: Option<f64>,
    deviation_ms: f64,
    last_ok_ms: Option<u64>,
    answers: u64,
    failures: u64,
    in_a_row: u32,
    rest_until_ms: u64,
    lies: u32,
    shame_until_ms: u64,
    slot: Option<u64>,
}

/// How much a source is in favour, best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Answers, or was never asked.
    Good,
    /// Failed lately and rests.
    Resting,
    /// Sent something that does not verify.
    Liar,
}

/// A score, for people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Health {
    /// Whether it is in favour.
    pub standing: Standing,
    /// Smoothed time to an answer, milliseconds.
    pub latency_ms: Option<f64>,
    /// Milliseconds since the last answer that verified.
    pub last_ok_ms_ago: Option<u64>,
    /// Answers that verified.
    pub answers: u64,
    /// Requests without a usable answer.
    pub failures: u64,
    /// Answers that did not verify.
    pub lies: u32,
    /// Slots behind the best source; none before it gave any.
    pub lag_slots: Option<u64>,
}

impl Score {
    /// An answer came after `took_ms` and verified.
    pub fn good(&mut self, now_ms: u64, took_ms: u64) {
        self.learn(took_ms as f64);
        self.answers += 1;
        self.in_a_row = 0;
        self.rest_until_ms = now_ms;
        self.last_ok_ms = Some(now_ms);
    }

    /// An answer came that is true but of no use, such as one that is not there or older than what is known.
    pub fn useless(&mut self, now_ms: u64, took_ms: u64) {
        self.learn(took_ms as f64);
        self.in_a_row = 0;
        self.rest_until_ms = now_ms;
    }

    /// No answer came within `waited_ms`, or a failure instead.
    pub fn failed(&mut self, now_ms: u64, waited_ms: u64) {
        self.failures += 1;
        self.learn(self.latency_ms.unwrap_or(UNKNOWN_MS) + waited_ms as f64 * TIMEOUT_WEIGHT);
        let rest = FIRST_REST_MS.saturating_mul(1 << self.in_a_row.min(16)).min(LONGEST_REST_MS);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.rest_until_ms = now_ms.saturating_add(rest);
    }

    /// It sent something that cannot be read: broken rather than lying, and left alone for longer than one that is silent.
    pub fn broken(&mut self, now_ms: u64, waited_ms: u64) {
        self.in_a_row = self.in_a_row.max(FIRST_BROKEN);
        self.failed(now_ms, waited_ms);
    }

    /// It wants to be left alone for `wait_ms`, which is no fault.
    pub fn asked_to_wait(&mut self, now_ms: u64, wait_ms: u64) {
        self.rest_until_ms = self.rest_until_ms.max(now_ms.saturating_add(wait_ms));
    }

    /// Another source answered first while this one had not answered for `waited_ms`.
    pub fn overtaken(&mut self, waited_ms: u64) {
        let known = self.latency_ms.unwrap_or(UNKNOWN_MS);
        if waited_ms as f64 > known {
            self.learn(waited_ms as f64);
        }
    }

    /// An answer does not verify: the source is last for a day, then for longer.
    pub fn lied(&mut self, now_ms: u64) {
        let shame = FIRST_SHAME_MS.saturating_mul(1 << self.lies.min(16)).min(LONGEST_SHAME_MS);
        self.lies = self.lies.saturating_add(1);
        self.shame_until_ms = now_ms.saturating_add(shame);
    }

    /// It gave something verified that was signed at `slot`.
    pub fn showed(&mut self, slot: u64) {
        self.slot = Some(self.slot.map_or(slot, |known| known.max(slot)));
    }

    /// The newest slot that it showed.
    #[must_use]
    pub const fn slot(&self) -> Option<u64> {
        self.slot
    }

    /// Whether it is in favour.
    #[must_use]
    pub const fn standing(&self, now_ms: u64) -> Standing {
        if now_ms < self.shame_until_ms {
            Standing::Liar
        } else if now_ms < self.rest_until_ms {
            Standing::Resting
        } else {
            Standing::Good
        }
    }

    /// Milliseconds until a resting source may be asked again.
    #[must_use]
    pub const fn rest_ms(&self, now_ms: u64) -> u64 {
        self.rest_until_ms.saturating_sub(now_ms)
    }

    /// Milliseconds after which this source is late by its own measure, so that another one is asked as well: its mean and
    /// four deviations, which few answers exceed.
    #[must_use]
    pub fn hedge_ms(&self) -> u64 {
        let usual = self.latency_ms.map_or(UNKNOWN_MS, |mean| mean + 4.0 * self.deviation_ms);
        (usual as u64).clamp(HEDGE_MS.0, HEDGE_MS.1)
    }

    /// What the source costs in the order of asking, milliseconds.
    fn cost(&self, best_slot: u64) -> f64 {
        let lag = self.slot.map_or(0, |slot| best_slot.saturating_sub(slot)).min(1000);
        self.latency_ms.unwrap_or(UNKNOWN_MS) + lag as f64 * LAG_MS
    }

    fn learn(&mut self, took_ms: f64) {
        let mean = *self.latency_ms.get_or_insert(took_ms);
        self.deviation_ms += NEWEST * ((took_ms - mean).abs() - self.deviation_ms);
        self.latency_ms = Some(mean + NEWEST * (took_ms - mean));
    }

    /// The score, for people; `best_slot` is the newest that any source showed.
    #[must_use]
    pub fn view(&self, now_ms: u64, best_slot: u64) -> Health {
        Health {
            standing: self.standing(now_ms),
            latency_ms: self.latency_ms.map(|ms| (ms * 10.0).round() / 10.0),
            last_ok_ms_ago: self.last_ok_ms.map(|at| now_ms.saturating_sub(at)),
            answers: self.answers,
            failures: self.failures,
            lies: self.lies,
            lag_slots: self.slot.map(|slot| best_slot.saturating_sub(slot)),
        }
    }
}

/// The order in which sources are asked, as indices: by standing, then by what each costs.
#[must_use]
pub fn order(now_ms: u64, scores: &[Score]) -> Vec<usize> {
    let best_slot = scores.iter().filter_map(Score::slot).max().unwrap_or(0);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&scores[*a], &scores[*b]);
        let standing = a.standing(now_ms).cmp(&b.standing(now_ms));
        standing.then(a.cost(best_slot).total_cmp(&b.cost(best_slot)))
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answering(took_ms: u64) -> Score {
        let mut score = Score::default();
        (0..20).for_each(|n| score.good(n, took_ms));
        score
    }

    #[test]
    fn the_fastest_comes_first_and_an_unknown_one_is_tried_before_a_slow_one() {
        let scores = [answering(900), Score::default(), answering(20)];
        assert_eq!(order(1000, &scores), [2, 1, 0]);
    }

    #[test]
    fn a_liar_comes_last_for_a_day_however_fast_it_is() {
        let mut liar = answering(1);
        liar.lied(1000);
        let scores = [liar, answering(900)];
        assert_eq!(order(1000, &scores), [1, 0]);
        assert_eq!(order(1000 + FIRST_SHAME_MS, &scores), [0, 1]);
        liar.lied(1000 + FIRST_SHAME_MS);
        assert_eq!(liar.standing(1000 + 2 * FIRST_SHAME_MS), Standing::Liar);
    }

    #[test]
    fn a_liar_is_behind_one_that_rests() {
        let (mut liar, mut resting) = (answering(1), answering(500));
        liar.lied(0);
        resting.failed(0, 10);
        assert_eq!(order(1, &[liar, resting]), [1, 0]);
    }

    #[test]
    fn timeouts_slow_a_source_and_rests_double_until_it_answers() {
        let mut score = answering(50);
        let rests: Vec<u64> = (0..3)
            .map(|_| {
                score.failed(0, 10_000);
                score.rest_ms(0)
            })
            .collect();
        assert_eq!(rests, [250, 500, 1000]);
        assert_eq!(order(2000, &[score, answering(600)]), [1, 0], "it is slower by expectation now");
        score.good(2000, 50);
        assert_eq!(score.standing(2000), Standing::Good);
    }

    #[test]
    fn who_lags_comes_after_who_does_not() {
        let (mut behind, mut ahead) = (answering(20), answering(100));
        behind.showed(10);
        ahead.showed(40);
        assert_eq!(order(1000, &[behind, ahead]), [1, 0]);
        assert_eq!(behind.view(0, 40).lag_slots, Some(30));
    }

    #[test]
    fn another_one_is_asked_when_an_answer_is_late_by_the_sources_own_measure() {
        assert!(answering(20).hedge_ms() < Score::default().hedge_ms());
        assert_eq!(answering(60_000).hedge_ms(), HEDGE_MS.1);
    }
}
