//! Chooses whom to ask: two candidates are drawn at random, weighted by price, reliability and free places; the one that is
//! expected to be done sooner gets the segment. Two choices keep load even without anybody coordinating it.

use std::time::Duration;

use protocol::{PeerKey, PricePerPixel};
use rand::Rng;

use super::score::Scoreboard;
use crate::ports::Candidate;

/// What a choice may look at.
#[derive(Debug)]
pub struct Choice<'a> {
    /// Everybody who could be asked.
    pub candidates: &'a [Candidate],
    /// What was measured of them.
    pub scores: &'a Scoreboard,
    /// Time now, since the Unix epoch.
    pub now: Duration,
    /// Length of the segment.
    pub duration: Duration,
    /// The most that may be paid; `None` pays any price.
    pub max_price: Option<PricePerPixel>,
}

/// Somebody was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The one.
    pub candidate: Candidate,
    /// Why, in words.
    pub why: String,
}

impl Choice<'_> {
    /// Draws among those for whom `allowed` holds. Orchestrators that failed lately are asked only when there is nobody else.
    pub fn pick(&self, rng: &mut impl Rng, allowed: impl Fn(PeerKey) -> bool) -> Option<Chosen> {
        let affordable = |c: &&Candidate| self.max_price.is_none_or(|max| c.price <= max);
        let free = |c: &&Candidate| {
            self.scores.in_flight(c.peer) < c.capacity && !self.scores.is_busy(c.peer, self.now)
        };
        let eligible: Vec<&Candidate> =
            self.candidates.iter().filter(|c| allowed(c.peer)).filter(affordable).filter(free).collect();
        let avoided = |c: &&Candidate| self.scores.avoided_for(c.peer, self.now).is_some();
        let (bad, good): (Vec<&Candidate>, Vec<&Candidate>) = eligible.into_iter().partition(avoided);
        if good.is_empty() {
            return self.least_bad(&bad);
        }
        self.two_choices(rng, &good)
    }

    fn two_choices(&self, rng: &mut impl Rng, from: &[&Candidate]) -> Option<Chosen> {
        let cheapest = from.iter().map(|c| c.price).min()?;
        let weights: Vec<f64> = from.iter().map(|c| self.weight(c, cheapest)).collect();
        let first = draw(rng, &weights)?;
        let mut rest = weights;
        rest[first] = 0.0;
        let Some(second) = draw(rng, &rest) else {
            let why = format!("{} is the only one that can be asked", name(from[first]));
            return Some(Chosen { candidate: from[first].clone(), why });
        };
        let (a, b) = (from[first], from[second]);
        let (winner, loser) = if self.cost(a) <= self.cost(b) { (a, b) } else { (b, a) };
        let why = format!(
            "drew {} and {}: the first is expected sooner",
            self.describe(winner),
            self.describe(loser)
        );
        Some(Chosen { candidate: winner.clone(), why })
    }

    fn least_bad(&self, bad: &[&Candidate]) -> Option<Chosen> {
        let best = bad.iter().min_by_key(|c| self.scores.avoided_for(c.peer, self.now))?;
        let why = format!("{} failed lately, but nobody else can be asked", name(best));
        Some(Chosen { candidate: (*best).clone(), why })
    }

    fn weight(&self, c: &Candidate, cheapest: PricePerPixel) -> f64 {
        let price =
            if c.price.wei == 0 { 1.0 } else { (cheapest.as_f64() / c.price.as_f64()).clamp(0.05, 1.0) };
        let used = self.scores.in_flight(c.peer).max(c.load.min(c.capacity));
        let places = f64::from(c.capacity.saturating_sub(used)).max(0.25);
        price * places.sqrt() * self.scores.reliability(c.peer).max(0.05)
    }

    /// Expected time until done, in seconds: what it usually needs, stretched by what it has in work, and the way there.
    fn cost(&self, c: &Candidate) -> f64 {
        let used = f64::from(self.scores.in_flight(c.peer).max(c.load.min(c.capacity)));
        let stretch = 1.0 + used / f64::from(c.capacity.max(1));
        self.scores.expected(c.peer, self.duration).as_secs_f64() * stretch
            + c.rtt_ms.unwrap_or(50.0) / 1000.0
    }

    fn describe(&self, c: &Candidate) -> String {
        let used = self.scores.in_flight(c.peer);
        format!("{} ({:.2} s, {}/{} in work here, {})", name(c), self.cost(c), used, c.capacity, c.price)
    }
}

fn name(c: &Candidate) -> String {
    c.peer.to_string()[..8].to_owned()
}

fn draw(rng: &mut impl Rng, weights: &[f64]) -> Option<usize> {
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let mut at = rng.random_range(0.0..total);
    for (i, weight) in weights.iter().enumerate() {
        if at < *weight {
            return Some(i);
        }
        at -= weight;
    }
    weights.iter().rposition(|w| *w > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatcher::score::Blame;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const SECOND: Duration = Duration::from_secs(1);

    fn candidate(id: u8) -> Candidate {
        let price = PricePerPixel { wei: 100, pixels: 1 };
        Candidate { peer: PeerKey([id; 32]), price, capacity: 4, load: 0, rtt_ms: Some(1.0) }
    }

    fn shares(candidates: &[Candidate], scores: &Scoreboard, max_price: Option<PricePerPixel>) -> Vec<usize> {
        let mut rng = StdRng::seed_from_u64(1);
        let choice = Choice { candidates, scores, now: SECOND, duration: SECOND, max_price };
        let mut count = vec![0; candidates.len()];
        for _ in 0..3000 {
            let Some(chosen) = choice.pick(&mut rng, |_| true) else { continue };
            count[usize::from(chosen.candidate.peer.0[0])] += 1;
        }
        count
    }

    #[test]
    fn equals_share_the_work() {
        let candidates = [candidate(0), candidate(1), candidate(2)];
        let count = shares(&candidates, &Scoreboard::default(), None);
        assert!(count.iter().all(|n| (500..1600).contains(n)), "{count:?}");
    }

    #[test]
    fn a_dear_one_gets_less_and_one_above_the_limit_nothing() {
        let mut candidates = [candidate(0), candidate(1), candidate(2)];
        candidates[1].price.wei = 1000;
        let count = shares(&candidates, &Scoreboard::default(), None);
        assert!(count[1] * 3 < count[0] + count[2], "{count:?}");
        let count = shares(&candidates, &Scoreboard::default(), Some(PricePerPixel { wei: 500, pixels: 1 }));
        assert_eq!(count[1], 0);
    }

    #[test]
    fn one_that_failed_is_asked_only_when_alone() {
        let mut scores = Scoreboard::default();
        scores.failed(PeerKey([0; 32]), SECOND, Blame::Fault);
        assert_eq!(shares(&[candidate(0), candidate(1)], &scores, None), [0, 3000]);
        assert_eq!(shares(&[candidate(0)], &scores, None), [3000]);
    }

    #[test]
    fn a_full_one_is_not_asked() {
        let mut scores = Scoreboard::default();
        for _ in 0..4 {
            scores.asked(PeerKey([0; 32]), SECOND);
        }
        assert_eq!(shares(&[candidate(0), candidate(1)], &scores, None), [0, 3000]);
    }
}
