//! What benchmarks share: sides of a ratio that run in turn, and goals as lines for people.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::{Duration, Instant};

use fixtures::lab::goals::{Goal, Side};

/// The quickest of `runs` times of each, in turn.
pub(super) fn quickest<const N: usize>(runs: u32, mut sides: [&mut dyn FnMut(); N]) -> [Duration; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..runs {
        for (side, best) in sides.iter_mut().zip(&mut best) {
            let started = Instant::now();
            side();
            *best = started.elapsed().min(*best);
        }
    }
    best
}

/// Three digits behind the point.
pub(super) fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

/// One goal as a line.
pub(super) fn show_goal(goal: &Goal) {
    let measured = goal.measured.map_or("-".into(), |value| format!("{value:.3}"));
    let side = match goal.side {
        Side::AtMost => "at most",
        Side::AtLeast => "at least",
    };
    let met = if goal.met { "met" } else { "missed" };
    println!("{:<48} {measured:>7}   goal {side} {} {met}", goal.what, goal.bound);
}
