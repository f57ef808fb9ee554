//! Numbers for people out of exact ones: percent, years, amounts with few decimals. Nothing is computed on from here.

use alloy_primitives::U256;
use protocol::economics::Step;

use super::start::Start;

/// Seconds of an L1 block.
const BLOCK_SECONDS: f64 = 12.0;
const YEAR_SECONDS: f64 = 365.25 * 86_400.0;

/// What yields are measured against.
pub(super) struct Figures {
    pub(super) rounds_a_year: f64,
    orchestrator: f64,
    delegator: f64,
}

impl Figures {
    pub(super) fn new(start: &Start) -> Self {
        Self {
            rounds_a_year: YEAR_SECONDS / (start.round_length as f64 * BLOCK_SECONDS),
            orchestrator: float(start.assumptions.orchestrator.own.0),
            delegator: float(start.assumptions.delegator.0),
        }
    }

    /// What its own stake earned a year so far, percent of what it began with.
    pub(super) fn orchestrator_yield(&self, step: &Step) -> f64 {
        self.a_year(float(step.orchestrator.stake.0), self.orchestrator, step.round)
    }

    /// The same of the delegator.
    pub(super) fn delegator_yield(&self, step: &Step) -> f64 {
        self.a_year(float(step.delegator.stake.0), self.delegator, step.round)
    }

    fn a_year(&self, now: f64, began: f64, rounds: u32) -> f64 {
        if began == 0.0 || rounds == 0 {
            return 0.0;
        }
        (now / began - 1.0) / f64::from(rounds) * self.rounds_a_year * 100.0
    }

    pub(super) fn days(&self, rounds: u32) -> f64 {
        f64::from(rounds) / self.rounds_a_year * 365.25
    }
}

/// Parts per billion as percent.
pub(super) fn percent_of_billion(parts: u64) -> f64 {
    parts as f64 / 1e7
}

/// Base units as whole tokens, nearly.
pub(super) fn float(units: U256) -> f64 {
    units.to_string().parse::<f64>().unwrap_or(f64::INFINITY) / 1e18
}

/// Tokens with so many decimals, cut off, and thousands apart.
pub(super) fn lpt(units: U256, decimals: usize) -> String {
    let digits = format!("{units:0>19}");
    let (whole, fraction) = digits.split_at(digits.len() - 18);
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    if decimals > 0 {
        grouped.push('.');
        grouped.push_str(&fraction[..decimals.min(18)]);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_cut_and_grouped() {
        let units: U256 = "27654321123456789012345678".parse().unwrap();
        assert_eq!(lpt(units, 0), "27 654 321");
        assert_eq!(lpt(units, 3), "27 654 321.123");
        assert_eq!(lpt(U256::ONE, 2), "0.00");
        assert!((float(units) - 27_654_321.123).abs() < 0.01);
    }
}
