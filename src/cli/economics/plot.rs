//! The simulation as a picture: inflation, supply and yields, one panel each. Steps in, an SVG of fixed size out.

use std::fmt::Write;

use protocol::economics::Step;

use super::figures::{Figures, float, percent_of_billion};

const WIDTH: f64 = 880.0;
const PANEL: f64 = 210.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 34.0;
/// Points of a line: more than two for a pixel are no use.
const POINTS: usize = 600;

struct Line {
    name: &'static str,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

struct Panel {
    title: &'static str,
    unit: &'static str,
    lines: Vec<Line>,
}

/// Draws all panels, one below the other.
pub(super) fn draw(steps: &[Step], figures: &Figures) -> String {
    let stride = steps.len().div_ceil(POINTS).max(1);
    let chosen: Vec<&Step> = steps.iter().step_by(stride).chain(steps.last()).collect();
    let line = |name, colour, value: &dyn Fn(&Step) -> f64| Line {
        name,
        colour,
        points: chosen.iter().map(|step| (f64::from(step.round), value(step))).collect(),
    };
    let panels = [
        Panel {
            title: "Inflation",
            unit: "% of the supply a round",
            lines: vec![line("inflation", "#2563eb", &|step| percent_of_billion(step.inflation_ppb))],
        },
        Panel {
            title: "Supply and stake at work",
            unit: "million LPT",
            lines: vec![
                line("supply", "#111827", &|step| float(step.supply.0) / 1e6),
                line("bonded", "#059669", &|step| float(step.bonded.0) / 1e6),
            ],
        },
        Panel {
            title: "Yield in LPT",
            unit: "% a year",
            lines: vec![
                line("orchestrator", "#b45309", &|step| figures.orchestrator_yield(step)),
                line("delegator", "#7c3aed", &|step| figures.delegator_yield(step)),
            ],
        },
    ];
    let height = PANEL * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (at, panel) in panels.iter().enumerate() {
        draw_panel(&mut svg, panel, at as f64 * PANEL);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(svg: &mut String, panel: &Panel, y: f64) {
    let (x0, x1) = bounds(panel.lines.iter().flat_map(|line| &line.points).map(|point| point.0));
    let (low, high) = bounds(panel.lines.iter().flat_map(|line| &line.points).map(|point| point.1));
    let step = tick((high - low).max(high.abs() * 0.01).max(1e-9) / 4.0);
    let (low, high) = ((low / step).floor() * step, ((high / step).ceil() * step).max(low + step));
    let place = |px: f64, py: f64| {
        (
            LEFT + (px - x0) / (x1 - x0).max(1.0) * (WIDTH - LEFT - RIGHT),
            y + PANEL - BOTTOM - (py - low) / (high - low).max(1e-12) * (PANEL - TOP - BOTTOM),
        )
    };
    text(svg, LEFT, y + 20.0, "start", "#111827", &format!("{} ({})", panel.title, panel.unit));
    let mut value = low;
    while value <= high + step / 2.0 {
        let (_, py) = place(x0, value);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{py:.1}\" y2=\"{py:.1}\" stroke=\"#e5e7eb\"/>",
            WIDTH - RIGHT
        );
        text(svg, LEFT - 8.0, py + 4.0, "end", "#6b7280", &label(value, step));
        value += step;
    }
    let across = tick((x1 - x0).max(1.0) / 8.0).max(1.0);
    let mut round = (x0 / across).ceil() * across;
    while round <= x1 {
        text(svg, place(round, low).0, y + PANEL - BOTTOM + 16.0, "middle", "#6b7280", &label(round, across));
        round += across;
    }
    let mut name_x = WIDTH - RIGHT;
    for line in panel.lines.iter().rev() {
        text(svg, name_x, y + 20.0, "end", line.colour, line.name);
        name_x -= 7.0 * line.name.len() as f64 + 16.0;
        let points: Vec<String> = line
            .points
            .iter()
            .map(|&(px, py)| {
                let (px, py) = place(px, py);
                format!("{px:.1},{py:.1}")
            })
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            points.join(" "),
            line.colour
        );
    }
    text(svg, WIDTH - RIGHT, y + PANEL - 4.0, "end", "#6b7280", "rounds from now");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, colour: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>"
    );
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) }
}

/// The next of 1, 2, 5 times a power of ten.
fn tick(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|t| *t >= least * 0.999).unwrap_or(10.0 * power)
}

/// With as many decimals as its step needs.
fn label(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_numbers_that_people_like() {
        for (least, want) in [(0.13, 0.2), (3.0, 5.0), (7.0, 10.0), (1.0, 1.0)] {
            assert!((tick(least) - want).abs() < 1e-9, "{least}");
        }
        assert_eq!(label(0.3, 0.05), "0.30");
        assert_eq!(label(400.0, 100.0), "400");
    }
}
