//! How much a broadcaster should put down for what it means to stream, and when what is left is too little.
//!
//! Tickets are a lottery: work worth a tenth of a win is paid by a win in one of ten cases. So the deposit covers the wins that
//! come with bad luck, and not the price of the work alone. The reserve is divided by all orchestrators of the next round's
//! pool (`MReserve`), and each must find in its own share a whole win, and those that it won and was not paid yet: that is why
//! it is so much larger than what is ever spent.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::amount::Wei;
use crate::price::PricePerPixel;

/// Wins that a deposit should still pay: below, an alarm; as many are planned on top of what is likely to be won.
pub const SPARE_WINS: u64 = 3;
/// Wins that a share of the reserve should cover: one that is under way, and the next one, which an orchestrator does not take
/// tickets for otherwise.
pub const SHARED_WINS: u64 = 2;
/// Seconds from a win until it is proven to be paid: eight minutes until its parameters expire, and two hours that proven state
/// may be old.
pub const UNPAID_SECONDS: u64 = 7_680;
/// Gas of a redemption on Arbitrum that go-livepeer reckons with, and so whoever asks for tickets as it does.
pub const REDEEM_GAS: u64 = 1_200_000;
/// How many redemptions a win pays for in go-livepeer, so that one percent of it goes for gas.
pub const REDEMPTIONS_PER_WIN: u64 = 100;

/// What somebody means to stream, and on which terms.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Use {
    /// Streams at the same time.
    pub streams: u64,
    /// Encoded pixels of a second of one stream, all rungs.
    pub pixels_per_second: u64,
    /// For how long, seconds.
    pub seconds: u64,
    /// What a pixel costs.
    pub price: PricePerPixel,
    /// What a win pays.
    pub face: Wei,
    /// Orchestrators that may be in the pool of the round in which a ticket is redeemed.
    pub pool: u64,
}

/// What that takes. Sums beyond 256 bits stay at the largest number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Plan {
    /// What the work costs.
    pub spend: Wei,
    /// Wins that pay for it, with bad luck.
    pub wins: U256,
    /// The deposit: those wins and [`SPARE_WINS`].
    pub deposit: Wei,
    /// Wins that one orchestrator may have and not be paid for yet, with bad luck, if it gets all the work.
    pub unpaid_wins: U256,
    /// What each orchestrator's share of the reserve must be: those and the next one.
    pub share: Wei,
    /// The reserve: that share for each.
    pub reserve: Wei,
}

impl Use {
    /// What it takes to be paid for; nothing for free work.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let spend = self.spend(self.seconds);
        let (wins, unpaid_wins) = (self.wins(spend), self.wins(self.spend(self.seconds.min(UNPAID_SECONDS))));
        if spend.0.is_zero() {
            let nothing = Wei::default();
            return Plan { spend, wins, deposit: nothing, unpaid_wins, share: nothing, reserve: nothing };
        }
        let deposit = self.face.0.saturating_mul(wins.saturating_add(U256::from(SPARE_WINS)));
        let covered = unpaid_wins.saturating_add(U256::ONE).max(U256::from(SHARED_WINS));
        let share = self.face.0.saturating_mul(covered);
        let reserve = share.saturating_mul(U256::from(self.pool.max(1)));
        Plan { spend, wins, deposit: Wei(deposit), unpaid_wins, share: Wei(share), reserve: Wei(reserve) }
    }

    /// What so many seconds cost, rounded up.
    fn spend(&self, seconds: u64) -> Wei {
        let pixels = [self.streams, self.pixels_per_second, seconds].map(U256::from);
        let pixels = pixels.into_iter().fold(U256::ONE, U256::saturating_mul);
        let wei = pixels.saturating_mul(U256::from(self.price.wei));
        Wei(wei.div_ceil(U256::from(self.price.pixels.max(1))))
    }

    /// Wins that pay for so much work with bad luck: three standard deviations above the mean, which is exceeded about once in
    /// a thousand times. Wins are rare and independent, so their variance is their mean.
    fn wins(&self, spend: Wei) -> U256 {
        let Some(face) = Some(self.face.0).filter(|face| !face.is_zero()) else { return U256::ZERO };
        let deviation = spend.0.saturating_mul(face).root(2).saturating_add(U256::ONE);
        match spend.0.is_zero() {
            true => U256::ZERO,
            false => spend.0.saturating_add(deviation.saturating_mul(U256::from(3))).div_ceil(face),
        }
    }
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Short {
    /// Tickets are still taken; after the next win or two they may not be.
    Soon,
    /// Tickets are not taken, or for smaller wins than orchestrators would like.
    Now,
}

/// Too little is left.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Shortage {
    /// How urgent.
    pub short: Short,
    /// What to add, so that it is not short any more.
    pub missing: Wei,
}

fn shortage(has: U256, face: Wei, wins: u64, shares: U256) -> Option<Shortage> {
    let wanted = face.0.saturating_mul(U256::from(wins));
    let short = if has < face.0 { Short::Now } else { Short::Soon };
    let missing = Wei(wanted.saturating_sub(has).saturating_mul(shares));
    (has < wanted).then_some(Shortage { short, missing })
}

/// Whether a deposit is too small for wins of `face`.
#[must_use]
pub fn deposit_shortage(deposit: Wei, face: Wei) -> Option<Shortage> {
    shortage(deposit.0, face, SPARE_WINS, U256::ONE)
}

/// Whether a reserve, divided by a pool, is too small for wins of `face`.
#[must_use]
pub fn reserve_shortage(reserve: Wei, pool: u64, face: Wei) -> Option<Shortage> {
    shortage(share(reserve, pool).0, face, SHARED_WINS, U256::from(pool.max(1)))
}

/// What each orchestrator of a pool may take of a reserve of which nothing was taken.
#[must_use]
pub fn share(reserve: Wei, pool: u64) -> Wei {
    Wei(reserve.0 / U256::from(pool.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u64 = 1_000_000_000;

    fn wei(n: u64) -> Wei {
        Wei(U256::from(n))
    }

    /// One stream of the default ladder of a 720p source for a day, at 50 wei a pixel, wins of 0.0012 ETH, a full pool.
    fn a_day() -> Use {
        Use {
            streams: 1,
            pixels_per_second: 1_664_160 * 30,
            seconds: 86_400,
            price: PricePerPixel { wei: 50, pixels: 1 },
            face: wei(1_200_000 * GWEI),
            pool: 100,
        }
    }

    #[test]
    fn a_day_of_one_stream_takes_what_was_reckoned_by_hand() {
        let plan = a_day().plan();
        // 49,924,800 pixels a second, 86,400 s, 50 wei: 0.000215675136 ETH, 0.18 wins. 0.18 + 3 * 0.424 is 1.45: two wins.
        assert_eq!(plan.spend, wei(215_675_136_000_000));
        assert_eq!((plan.wins, plan.deposit), (U256::from(2), wei(5 * 1_200_000 * GWEI)));
        // In 7680 s a stream is worth 0.016 wins; with bad luck one. It and the next one for each of a hundred: 0.24 ETH.
        assert_eq!((plan.unpaid_wins, plan.share), (U256::ONE, wei(2 * 1_200_000 * GWEI)));
        assert_eq!(plan.reserve, wei(240_000_000 * GWEI));
    }

    #[test]
    fn what_is_planned_is_not_short_and_one_wei_less_than_the_least_is() {
        let (use_, plan) = (a_day(), a_day().plan());
        assert_eq!(deposit_shortage(plan.deposit, use_.face), None);
        assert_eq!(reserve_shortage(plan.reserve, use_.pool, use_.face), None);
        let least = wei(3 * 1_200_000 * GWEI);
        assert_eq!(deposit_shortage(least, use_.face), None);
        let missing = wei(1);
        let short = deposit_shortage(Wei(least.0 - U256::ONE), use_.face);
        assert_eq!(short, Some(Shortage { short: Short::Soon, missing }));
        assert_eq!(deposit_shortage(wei(0), use_.face).map(|s| s.short), Some(Short::Now));
        let short = reserve_shortage(Wei(plan.reserve.0 - U256::ONE), use_.pool, use_.face).unwrap();
        assert_eq!((short.short, short.missing), (Short::Soon, wei(100)), "a wei for each share");
        let half = Wei(plan.reserve.0 / U256::from(2) - U256::ONE);
        assert_eq!(reserve_shortage(half, use_.pool, use_.face).map(|s| s.short), Some(Short::Now));
    }

    #[test]
    fn more_of_anything_never_needs_less() {
        let base = a_day().plan();
        let more = [
            Use { streams: 7, ..a_day() },
            Use { pixels_per_second: 500_000_000, ..a_day() },
            Use { seconds: 864_000, ..a_day() },
            Use { price: PricePerPixel { wei: 900, pixels: 2 }, ..a_day() },
            Use { face: wei(2_400_000 * GWEI), ..a_day() },
            Use { pool: 101, ..a_day() },
        ];
        for use_ in more {
            let plan = use_.plan();
            assert!(plan.deposit >= base.deposit && plan.reserve >= base.reserve, "{use_:?}");
            assert!(plan.deposit >= plan.spend || plan.wins < U256::from(10), "{use_:?}");
        }
    }

    /// Many wins: the luck of each matters less. A thousand streams need little more than they cost.
    #[test]
    fn large_numbers_need_little_luck() {
        let plan = Use { streams: 1_000_000, ..a_day() }.plan();
        let cost = plan.spend.0;
        assert!(plan.deposit.0 > cost && plan.deposit.0 < cost + cost / U256::from(100), "{plan:?}");
    }

    #[test]
    fn free_work_and_absurd_numbers_have_plans() {
        let free = Use { price: PricePerPixel::FREE, ..a_day() }.plan();
        assert_eq!((free.deposit, free.reserve), (wei(0), wei(0)));
        let most = Use {
            streams: u64::MAX,
            pixels_per_second: u64::MAX,
            seconds: u64::MAX,
            price: PricePerPixel { wei: u64::MAX, pixels: 0 },
            face: Wei(U256::MAX),
            pool: u64::MAX,
        };
        assert_eq!(most.plan().reserve, Wei(U256::MAX));
        let _ = Use { face: wei(0), pool: 0, ..most }.plan();
    }

    /// Wins are drawn as tickets draw them, many times over: what is planned for is exceeded as rarely as it says.
    #[test]
    fn the_deposit_outlasts_the_time_that_it_was_planned_for() {
        let use_ = Use { streams: 40, ..a_day() };
        let (plan, days) = (use_.plan(), 4_000);
        let tickets = 1_000_u64;
        let chance = (plan.spend.0.to::<u128>() as f64 / use_.face.0.to::<u128>() as f64) / tickets as f64;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let short = (0..days)
            .filter(|_| (0..tickets).filter(|_| draw() < chance).count() as u64 > plan.wins.to::<u64>())
            .count();
        println!("of {days} days {short} had more wins than the {} planned for", plan.wins);
        assert!(short <= days / 200, "{short}");
    }
}
