//! Chooses whom to ask: two candidates are drawn at random, weighted by stake, price, reliability and free places; the one that
//! is expected to be done sooner gets the segment. Two choices keep load even without anybody coordinating it.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_primitives::{Address, U256};

use protocol::{PeerKey, PricePerPixel};
use rand::Rng;

use super::score::Scoreboard;
use crate::ports::Candidate;

/// Stake counts up to so many times the median of all candidates' stakes: beyond that, it says how rich somebody is and not how
/// much there is to lose.
const STAKE_CAP: f64 = 3.0;
/// Least weight of stake, as of a price: so small a stake still gets a try, or nothing would ever be measured of it.
const LEAST_SHARE: f64 = 0.05;

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
        let median = self.median_stake();
        let weights: Vec<f64> =
            from.iter().map(|c| self.weight(c, cheapest) * weight_of_stake(c, median)).collect();
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

    /// Where nobody else is left: how long each is avoided for says how often it failed, and not whether it is there now. A
    /// connection says more, and how long ago it failed.
    fn least_bad(&self, bad: &[&Candidate]) -> Option<Chosen> {
        let hope = |c: &&&Candidate| {
            let (misbehaved, failed_at) = self.scores.despair(c.peer);
            (misbehaved, c.rtt_ms.is_none(), failed_at)
        };
        let best = bad.iter().min_by_key(hope)?;
        let why = format!("{} failed lately, but nobody else can be asked", name(best));
        Some(Chosen { candidate: (*best).clone(), why })
    }

    /// The median stake of those who have any, each staker counted once. Of all candidates, so that it does not depend on who
    /// is busy.
    fn median_stake(&self) -> Option<f64> {
        let stakes = self.candidates.iter().filter_map(|c| c.stake.as_ref());
        let of_stakers: BTreeMap<Address, U256> = stakes.map(|s| (s.staker, s.amount.0)).collect();
        let mut sorted: Vec<U256> = of_stakers.into_values().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map(|stake| f64::from(*stake))
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
        let stake = c.stake.as_ref().map_or_else(String::new, |stake| format!(", {}", lpt(stake.amount.0)));
        let cost = self.cost(c);
        format!("{} ({cost:.2} s, {used}/{} in work here, {}{stake})", name(c), c.capacity, c.price)
    }
}

/// Its part of its staker's capped stake over the median; 1 for one without stake, where that is admitted.
fn weight_of_stake(c: &Candidate, median: Option<f64>) -> f64 {
    let (Some(stake), Some(median)) = (&c.stake, median) else { return 1.0 };
    if median <= 0.0 {
        return 1.0;
    }
    let capped = (f64::from(stake.amount.0) / median).min(STAKE_CAP);
    (capped / f64::from(stake.shared_by.max(1))).max(LEAST_SHARE)
}

/// Whole LPT, for people.
fn lpt(units: U256) -> String {
    format!("{} LPT", units / U256::from(10u64.pow(18)))
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
    use crate::admission::Stake;
    use crate::dispatcher::score::Blame;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const SECOND: Duration = Duration::from_secs(1);

    fn candidate(id: u8) -> Candidate {
        let price = PricePerPixel { wei: 100, pixels: 1 };
        let peer = PeerKey([id; 32]);
        Candidate {
            peer,
            price,
            capacity: 4,
            load: 0,
            rtt_ms: Some(1.0),
            receipt_key: peer,
            stake: None,
            turn: None,
        }
    }

    /// One with a stake of so many LPT, which it shares with nobody.
    fn staked(id: u8, lpt: u64) -> Candidate {
        shared(id, id, lpt, 1)
    }

    fn shared(id: u8, staker: u8, lpt: u64, shared_by: u32) -> Candidate {
        let amount = protocol::Lpt(U256::from(lpt) * U256::from(10u64.pow(18)));
        let stake = Stake { staker: Address::repeat_byte(staker), amount, shared_by };
        Candidate { stake: Some(stake), ..candidate(id) }
    }

    /// Shares of the segments in percent, when all are equally fast.
    fn percent(candidates: &[Candidate]) -> Vec<usize> {
        shares(candidates, &Scoreboard::default(), None).iter().map(|n| n * 100 / 3000).collect()
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
    fn who_has_more_stake_gets_more_of_the_work() {
        let share = percent(&[staked(0, 1000), staked(1, 2000), staked(2, 1000), staked(3, 500)]);
        assert!(share[1] > share[0] && share[0] > share[3], "{share:?}");
        // Of the first draws, which decide among equals: 1000, 2000, 1000 and 500 of 4500.
        for (got, due) in share.iter().zip([22, 44, 22, 11]) {
            assert!(got.abs_diff(due) <= 4, "{share:?}");
        }
    }

    #[test]
    fn a_whale_gets_no_more_than_one_with_three_times_the_median() {
        let pool = |first| {
            let mut pool = vec![staked(0, first)];
            pool.extend((1..10).map(|id| staked(id, 1000)));
            percent(&pool)
        };
        let (whale, three) = (pool(100_000), pool(3000));
        assert_eq!(whale, three);
        assert!(whale[0].abs_diff(25) <= 3, "3 of 12 parts: {whale:?}");
    }

    #[test]
    fn a_stake_that_several_nodes_share_counts_once() {
        let mut pool: Vec<Candidate> = (0..4).map(|id| shared(id, 0, 100_000, 4)).collect();
        pool.extend((4..13).map(|id| staked(id, 1000)));
        let share = percent(&pool);
        let of_whale: usize = share[..4].iter().sum();
        assert!(of_whale.abs_diff(25) <= 4, "as if it were one: {share:?}");
    }

    #[test]
    fn price_counts_among_the_staked_too() {
        let mut candidates = [staked(0, 1000), staked(1, 1000), staked(2, 1000)];
        candidates[1].price.wei = 1000;
        let share = percent(&candidates);
        assert!(share[1] * 3 < share[0], "{share:?}");
    }

    #[test]
    fn what_was_measured_outweighs_stake() {
        let mut scores = Scoreboard::default();
        for _ in 0..40 {
            scores.succeeded(PeerKey([0; 32]), SECOND, SECOND * 2, SECOND);
            for good in 1..4 {
                scores.succeeded(PeerKey([good; 32]), SECOND, SECOND / 4, SECOND);
            }
        }
        let pool = [staked(0, 3000), staked(1, 1000), staked(2, 1000), staked(3, 1000)];
        let count = shares(&pool, &scores, None);
        assert_eq!(count[0], 0, "slow: it loses to every other one that is drawn with it: {count:?}");
        for _ in 0..3 {
            scores.failed(PeerKey([1; 32]), SECOND, Blame::Misbehaviour);
        }
        assert_eq!(shares(&pool, &scores, None)[1], 0, "it cheated");
    }

    #[test]
    fn one_that_failed_is_asked_only_when_alone() {
        let mut scores = Scoreboard::default();
        scores.failed(PeerKey([0; 32]), SECOND, Blame::Fault);
        assert_eq!(shares(&[candidate(0), candidate(1)], &scores, None), [0, 3000]);
        assert_eq!(shares(&[candidate(0)], &scores, None), [3000]);
    }

    #[test]
    fn of_those_that_failed_the_one_that_is_likely_to_be_back_is_asked() {
        let (mut scores, now) = (Scoreboard::default(), SECOND * 100);
        let ask = |candidates: &[Candidate], scores: &Scoreboard| {
            let choice = Choice { candidates, scores, now, duration: SECOND, max_price: None };
            choice.pick(&mut StdRng::seed_from_u64(1), |_| true).unwrap().candidate.peer.0[0]
        };
        // 0 failed often, some seconds ago, and is avoided for long; 1 has died just now, for the first time.
        for before in [11, 8, 5] {
            scores.failed(PeerKey([0; 32]), now - SECOND * before, Blame::Fault);
        }
        scores.failed(PeerKey([1; 32]), now, Blame::Fault);
        assert!(scores.avoided_for(PeerKey([0; 32]), now) > scores.avoided_for(PeerKey([1; 32]), now));
        let mut candidates = [candidate(0), candidate(1)];
        assert_eq!(ask(&candidates, &scores), 0);
        candidates[0].rtt_ms = None;
        assert_eq!(ask(&candidates, &scores), 1, "there is a connection to this one only");
        scores.failed(PeerKey([1; 32]), now, Blame::Misbehaviour);
        assert_eq!(ask(&candidates, &scores), 0, "rather one without a connection than a cheat");
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
