//! A sum over time in a bounded number of points: one for each ten seconds in which something happened, fewer the older they are.

use protocol::Wei;
use serde::{Deserialize, Serialize};

/// Milliseconds that share a point.
pub const STEP_MS: u64 = 10_000;
/// Most points of a curve. The younger half, twenty minutes of steady work, is never thinned.
pub const POINTS: usize = 240;

/// Where a sum stood, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, Wei, Wei)", into = "(u64, Wei, Wei)")]
pub struct Point {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Cost of all paid work up to then, wei rounded up.
    pub worked: Wei,
    /// Wei that winners had brought up to then.
    pub redeemed: Wei,
}

impl From<(u64, Wei, Wei)> for Point {
    fn from((at_ms, worked, redeemed): (u64, Wei, Wei)) -> Self {
        Self { at_ms, worked, redeemed }
    }
}

impl From<Point> for (u64, Wei, Wei) {
    fn from(point: Point) -> Self {
        (point.at_ms, point.worked, point.redeemed)
    }
}

/// Points in the order of time. Each holds sums from the beginning, so that leaving one out loses no money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve(Vec<Point>);

impl Curve {
    /// The points, oldest first.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.0
    }

    /// Where the sum stands now. A clock that was set back takes the points behind it along.
    pub(crate) fn mark(&mut self, point: Point) {
        let step = |point: &Point| point.at_ms / STEP_MS;
        while self.0.last().is_some_and(|last| step(last) >= step(&point)) {
            self.0.pop();
        }
        self.0.push(point);
        if self.0.len() > POINTS {
            self.thin();
        }
    }

    /// Every second point of the older half goes; the first one stays.
    fn thin(&mut self) {
        let mut at = 0;
        self.0.retain(|_| {
            at += 1;
            at > POINTS / 2 || at % 2 == 1
        });
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use proptest::prelude::*;

    use super::*;

    fn point(at_ms: u64, worked: u64) -> Point {
        Point { at_ms, worked: Wei(U256::from(worked)), redeemed: Wei::default() }
    }

    #[test]
    fn ten_seconds_are_one_point_that_ends_where_the_sum_ended() {
        let mut curve = Curve::default();
        for (at_ms, worked) in [(0, 0), (9_999, 7), (10_000, 8), (19_000, 9)] {
            curve.mark(point(at_ms, worked));
        }
        assert_eq!(curve.points(), [point(9_999, 7), point(19_000, 9)]);
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_no_point_in_the_future() {
        let mut curve = Curve::default();
        for (at_ms, worked) in [(10_000, 1), (900_000, 2), (800_000, 3)] {
            curve.mark(point(at_ms, worked));
        }
        assert_eq!(curve.points(), [point(10_000, 1), point(800_000, 3)]);
    }

    proptest! {
        #[test]
        fn a_curve_is_bounded_rises_and_ends_with_the_sum(steps in proptest::collection::vec(0..100_000_u64, 1..2000)) {
            let (mut curve, mut now) = (Curve::default(), 0);
            for (n, step) in steps.iter().enumerate() {
                now += step;
                curve.mark(point(now, n as u64));
                prop_assert!(curve.points().len() <= POINTS);
            }
            prop_assert!(curve.points().windows(2).all(|two| two[0].at_ms < two[1].at_ms && two[0].worked < two[1].worked));
            prop_assert_eq!(curve.points().last().copied(), Some(point(now, steps.len() as u64 - 1)));
        }

        #[test]
        fn the_last_twenty_minutes_keep_every_point(extra in 0..1000_u64) {
            let mut curve = Curve::default();
            let all = POINTS as u64 + extra;
            for n in 0..all {
                curve.mark(point(n * STEP_MS, n));
            }
            let young: Vec<_> = (all - 120..all).map(|n| point(n * STEP_MS, n)).collect();
            prop_assert!(curve.points().ends_with(&young));
            prop_assert_eq!(curve.points()[0], point(0, 0), "the beginning is never lost");
        }
    }
}
