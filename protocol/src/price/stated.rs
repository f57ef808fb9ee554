//! Prices as people state them: `1200wei` a pixel, `5wei/1000px`, `0.25wei`, `free`, or `0.002USD/min` for a minute of 720p at 30
//! pictures a second, which becomes wei at a rate. Every price that is shown can be read again.

use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

use super::PricePerPixel;

/// Pixels of the minute that dollars are stated for: 1280 x 720 at 30 pictures a second.
pub const MINUTE_PIXELS: u64 = 1280 * 720 * 30 * 60;
/// Longest price that is read, characters.
const MAX_CHARS: usize = 64;
/// Pixels for which a price that comes from dollars is stated: to a millionth of a wei.
const FINE: u64 = 1_000_000;
/// Wei of an ether.
const ETHER: f64 = 1e18;

/// A price as somebody stated it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Stated {
    /// Wei.
    Wei(PricePerPixel),
    /// US dollars for [`MINUTE_PIXELS`] pixels.
    UsdPerMinute(f64),
}

/// Why it is no price.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadPrice {
    /// Not understood.
    #[error(
        "{0:?} is no price: write wei a pixel (1200wei, 5wei/1000px), a minute of 720p in dollars (0.002USD/min), or free"
    )]
    Form(String),
    /// Beyond 64 bits.
    #[error("{0:?} is more, or finer, than a price can be")]
    Range(String),
    /// Dollars, and nobody said what they are.
    #[error("a price in dollars needs to know what an ether costs: set price.eth_usd, or give --eth-usd")]
    NoRate,
    /// No number of dollars.
    #[error("an ether for {0} dollars is no rate")]
    Rate(String),
}

impl Stated {
    /// The price in wei, where an ether is worth so many dollars. Rounded down to a millionth of a wei a pixel.
    ///
    /// # Errors
    /// [`BadPrice::NoRate`], [`BadPrice::Rate`], [`BadPrice::Range`].
    pub fn at(self, eth_usd: Option<f64>) -> Result<PricePerPixel, BadPrice> {
        let usd = match self {
            Self::Wei(price) => return Ok(price),
            Self::UsdPerMinute(usd) => usd,
        };
        let rate = checked_rate(eth_usd.ok_or(BadPrice::NoRate)?)?;
        let fine = usd / rate * ETHER / MINUTE_PIXELS as f64 * FINE as f64;
        if usd > 0.0 && !(1.0..u64::MAX as f64).contains(&fine) {
            return Err(BadPrice::Range(format!("{usd}USD/min")));
        }
        Ok(PricePerPixel { wei: fine as u64, pixels: FINE }.reduced())
    }
}

/// Dollars for an ether, if they can be.
///
/// # Errors
/// [`BadPrice::Rate`].
pub fn checked_rate(eth_usd: f64) -> Result<f64, BadPrice> {
    match (1e-3..=1e9).contains(&eth_usd) {
        true => Ok(eth_usd),
        false => Err(BadPrice::Rate(eth_usd.to_string())),
    }
}

impl TryFrom<String> for Stated {
    type Error = BadPrice;

    fn try_from(text: String) -> Result<Self, BadPrice> {
        text.parse()
    }
}

impl FromStr for Stated {
    type Err = BadPrice;

    fn from_str(text: &str) -> Result<Self, BadPrice> {
        let shown = || text.chars().take(MAX_CHARS).collect::<String>();
        if text.len() > MAX_CHARS {
            return Err(BadPrice::Form(shown()));
        }
        let text: String = text.split_whitespace().collect::<String>().to_ascii_lowercase();
        if text == "free" {
            return Ok(Self::Wei(PricePerPixel::FREE));
        }
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let (num, den) = decimal(number).ok_or_else(|| BadPrice::Form(shown()))?;
        let pixels = match unit {
            "usd" | "usd/min" => return Ok(Self::UsdPerMinute(num as f64 / den as f64)),
            "" | "wei" | "wei/pixel" | "wei/px" => 1,
            _ => pixels(unit).ok_or_else(|| BadPrice::Form(shown()))?,
        };
        let fits = |n: u128| u64::try_from(n).map_err(|_| BadPrice::Range(shown()));
        let whole = den.checked_mul(pixels.into()).ok_or_else(|| BadPrice::Range(shown()))?;
        let by = gcd(num, whole);
        Ok(Self::Wei(PricePerPixel { wei: fits(num / by)?, pixels: fits(whole / by)? }))
    }
}

/// How many pixels, of `wei/1000px`, `wei/1000pixels` and `weiper1000pixels`; not zero.
fn pixels(unit: &str) -> Option<u64> {
    let rest = unit.strip_prefix("wei/").or_else(|| unit.strip_prefix("weiper"))?;
    let digits = rest.strip_suffix("px").or_else(|| rest.strip_suffix("pixels"))?;
    digits.parse().ok().filter(|pixels| *pixels > 0)
}

/// A decimal number as a fraction over a power of ten.
fn decimal(number: &str) -> Option<(u128, u128)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, 10_u128.checked_pow(fraction.len().try_into().ok()?)?))
}

impl PricePerPixel {
    /// The same price for the fewest pixels.
    #[must_use]
    pub fn reduced(self) -> Self {
        let by = gcd(self.wei.into(), self.pixels.max(1).into());
        let part = |n: u64| u64::try_from(u128::from(n) / by).unwrap_or(n);
        Self { wei: part(self.wei), pixels: part(self.pixels.max(1)) }
    }

    /// Dollars for so many pixels, for people.
    #[must_use]
    pub fn usd(self, pixels: u64, eth_usd: f64) -> f64 {
        self.as_f64() * pixels as f64 / ETHER * eth_usd
    }
}

/// At least 1.
fn gcd(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(wei: u64, pixels: u64) -> Result<Stated, BadPrice> {
        Ok(Stated::Wei(PricePerPixel { wei, pixels }))
    }

    #[test]
    fn a_price_is_read_as_it_was_meant() {
        for text in ["1200", "1200wei", "1200 wei", "1200wei/px", "1200 wei/pixel", "1200.0wei"] {
            assert_eq!(text.parse(), price(1200, 1), "{text}");
        }
        assert_eq!("0.25wei".parse(), price(1, 4));
        assert_eq!("5wei/1000px".parse(), price(1, 200));
        assert_eq!("0.5 wei per 1000 pixels".parse(), price(1, 2000));
        assert_eq!("0".parse(), price(0, 1));
        assert_eq!("free".parse(), price(0, 1));
        assert_eq!("0.002USD/min".parse(), Ok(Stated::UsdPerMinute(0.002)));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for (wei, pixels) in [(0, 1), (1, 1), (1, 3), (u64::MAX, 7), (12, 1000)] {
            let shown = PricePerPixel { wei, pixels }.reduced();
            assert_eq!(shown.to_string().parse(), Ok(Stated::Wei(shown)), "{shown}");
        }
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in [
            "",
            ".",
            "wei",
            "-1wei",
            "1e3",
            "1ETH",
            "5wei/0px",
            "1.2.3",
            "5wei/px/px",
            "USD",
            "1,5wei",
            "NaN",
        ] {
            assert!(matches!(text.parse::<Stated>(), Err(BadPrice::Form(_))), "{text}");
        }
        assert!("0.00000000000000000001wei".parse::<Stated>().is_err());
        assert!(format!("{}wei", "9".repeat(30)).parse::<Stated>().is_err());
        assert!("9".repeat(100_000).parse::<Stated>().is_err());
    }

    #[test]
    fn dollars_become_wei_at_a_rate_and_back() {
        let stated = Stated::UsdPerMinute(0.002);
        let at = stated.at(Some(2500.0)).unwrap();
        // 0.002 / 2500 ETH are 8e11 wei for 1,658,880,000 pixels: 482.253086... wei a pixel.
        assert!((at.as_f64() - 482.253_086).abs() < 1e-6, "{at}");
        assert!((at.usd(MINUTE_PIXELS, 2500.0) - 0.002).abs() < 1e-9);
        assert_eq!(stated.at(None), Err(BadPrice::NoRate));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(stated.at(Some(rate)), Err(BadPrice::Rate(_))), "{rate}");
        }
        assert!(Stated::UsdPerMinute(1e-20).at(Some(2500.0)).is_err(), "not free by rounding");
        assert!(Stated::UsdPerMinute(1e30).at(Some(2500.0)).is_err());
        assert_eq!(Stated::UsdPerMinute(0.0).at(Some(2500.0)), Ok(PricePerPixel::FREE));
    }
}
