//! A source and its ladder, counted in pixels, and what they cost at a price.

use std::fmt;

use alloy_primitives::U256;
use protocol::ladder::LadderPlan;
use protocol::rendition::Fps;
use protocol::{Ladder, PricePerPixel, Wei};
use serde::Serialize;

use crate::cli::Failure;

/// A minute, seconds.
const MINUTE: u64 = 60;

/// A 16:9 source with its ladder.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Source {
    height: u32,
    fps: Fps,
    ladder: Ladder,
}

/// What a minute of something costs.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Minute {
    /// Name of the rung.
    pub(in crate::cli) name: String,
    /// Width and height; none of a whole ladder.
    pub(in crate::cli) size: Option<(u32, u32)>,
    /// Encoded pixels.
    pub(in crate::cli) pixels: u64,
    /// Wei, rounded up.
    pub(in crate::cli) cost: Wei,
    /// Dollars, where a rate is known.
    pub(in crate::cli) usd: Option<f64>,
}

/// Pictures a second as people write them: `30` or `30000/1001`.
pub(in crate::cli) fn fps(text: &str) -> Result<Fps, String> {
    let (num, den) = text.split_once('/').unwrap_or((text, "1"));
    let fps = num.parse().ok().zip(den.parse().ok()).map(|(num, den)| Fps { num, den });
    let good = |fps: &Fps| fps.den > 0 && fps.num > 0 && fps.num / fps.den <= 240;
    fps.filter(good).ok_or_else(|| format!("{text:?} is no rate: write 30, or 30000/1001, at most 240"))
}

impl Source {
    /// A source of a height and rate with the rungs of a plan that are not above it.
    pub(in crate::cli) fn new(plan: &LadderPlan, height: u32, fps: Fps) -> Result<Self, Failure> {
        let ladder = plan.resolve((height * 16).div_ceil(9).next_multiple_of(2), height);
        match ladder.0.is_empty() {
            true => {
                Err(format!("no rung of the ladder is as low as a source of {height} pixels: see --height")
                    .into())
            }
            false => Ok(Self { height, fps, ladder }),
        }
    }

    /// Encoded pixels of so many seconds, all rungs.
    pub(in crate::cli) fn pixels_in(&self, seconds: u64) -> u64 {
        self.ladder.pixels_in(seconds, self.fps)
    }

    /// A minute of each rung, and of all together last.
    pub(in crate::cli) fn minutes(&self, price: PricePerPixel, eth_usd: Option<f64>) -> Vec<Minute> {
        let minute = |name: &str, size, pixels| Minute {
            name: name.to_owned(),
            size,
            pixels,
            cost: Wei(U256::from(price.of(pixels))),
            usd: eth_usd.map(|rate| price.usd(pixels, rate)),
        };
        let rung = |rung: &protocol::RenditionSpec| {
            minute(&rung.name, Some((rung.width, rung.height)), rung.pixels_in(MINUTE, self.fps))
        };
        let all = minute("all", None, self.pixels_in(MINUTE));
        self.ladder.0.iter().map(rung).chain([all]).collect()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { height, fps: Fps { num, den }, ladder } = self;
        let rungs = ladder.0.len();
        let rungs = if rungs == 1 { "1 rung".to_owned() } else { format!("{rungs} rungs") };
        write!(
            f,
            "{rungs} of a {height}p source at {} pictures a second",
            Rate(f64::from(*num) / f64::from(*den))
        )
    }
}

/// A number without zeros that say nothing.
struct Rate(f64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", self.0);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Minute {
    /// As a line of a table.
    pub(in crate::cli) fn line(&self) -> String {
        let size = self.size.map_or_else(String::new, |(width, height)| format!("{width}x{height}"));
        let usd = self.usd.map_or_else(String::new, |usd| format!("{usd:>14.6} USD"));
        format!(
            "  {:<10} {size:<10} {:>14} pixels {:>28}{usd}",
            self.name,
            self.pixels,
            self.cost.to_string()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted_to_the_pixel_and_priced_to_the_wei() {
        let source = Source::new(&LadderPlan::default(), 720, Fps { num: 30, den: 1 }).unwrap();
        let price = PricePerPixel { wei: 1, pixels: 3 };
        let minutes = source.minutes(price, Some(3000.0));
        let pixels: Vec<u64> = minutes.iter().map(|minute| minute.pixels).collect();
        assert_eq!(
            pixels,
            [426 * 240, 640 * 360, 854 * 480, 1280 * 720, 1_664_160].map(|pixels| pixels * 1800)
        );
        assert_eq!(minutes[4].cost.0, U256::from(1_664_160_u64 * 600));
        assert!((minutes[4].usd.unwrap() - 1_664_160.0 * 600.0 / 1e18 * 3000.0).abs() < 1e-15);
        assert!(Source::new(&LadderPlan::default(), 200, Fps { num: 30, den: 1 }).is_err());
    }

    #[test]
    fn a_rate_is_read_as_people_write_it() {
        assert_eq!(fps("30000/1001"), Ok(Fps { num: 30_000, den: 1001 }));
        for text in ["0", "30/0", "-1", "29.97", "241", "1e3", ""] {
            assert!(fps(text).is_err(), "{text}");
        }
        let source = Source::new(&LadderPlan::default(), 1080, Fps { num: 30_000, den: 1001 }).unwrap();
        assert_eq!(source.to_string(), "4 rungs of a 1080p source at 29.97 pictures a second");
    }
}
