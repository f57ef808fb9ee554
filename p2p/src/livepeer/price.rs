//! Prices as Livepeer's nodes announce them. Ours are exact; this is for reading theirs and for seeing what rounding costs.

use protocol::PricePerPixel;

use super::{Malformed, bad, net};

/// Thousandths of a wei: what nodes that adjust their price round it to.
const THOUSANDTHS: u128 = 1_000;

/// What a node announces that adjusts its price to the cost of redemption: a part more, `1 / multiplier` of it, where a win pays
/// `multiplier` times what its redemption costs. None when it does not fit the wire.
#[must_use]
pub fn adjusted(base: PricePerPixel, multiplier: u64) -> Option<PricePerPixel> {
    let wei = i64::try_from(base.wei.checked_mul(multiplier.checked_add(1)?)?).ok()?;
    let pixels = i64::try_from(base.pixels.checked_mul(multiplier)?).ok().filter(|pixels| *pixels > 0)?;
    Some(PricePerPixel { wei: wei.unsigned_abs(), pixels: pixels.unsigned_abs() })
}

/// What such a node's price is rounded to, thousandths of a wei a pixel, half up: below half a thousandth it is nothing.
#[must_use]
pub fn rounded(price: PricePerPixel) -> PricePerPixel {
    let pixels = u128::from(price.pixels.max(1));
    let thousandths = (u128::from(price.wei) * THOUSANDTHS + pixels / 2) / pixels;
    let wei = u64::try_from(thousandths).unwrap_or(u64::MAX);
    PricePerPixel { wei, pixels: THOUSANDTHS as u64 }
}

/// A price for the wire. One beyond 63 bits is said in fewer digits, never lower.
pub(super) fn encode(price: PricePerPixel) -> net::PriceInfo {
    let shift = u64::from(price.wei.max(price.pixels) > i64::MAX.unsigned_abs());
    let price_per_unit = (price.wei >> shift).saturating_add(price.wei & shift).min(i64::MAX.unsigned_abs());
    let pixels_per_unit = (price.pixels >> shift).max(1);
    net::PriceInfo { price_per_unit: price_per_unit as i64, pixels_per_unit: pixels_per_unit as i64 }
}

/// A price from the wire.
pub(super) fn decode(price: &net::PriceInfo) -> Result<PricePerPixel, Malformed> {
    let wei = u64::try_from(price.price_per_unit).map_err(|_| bad("expected_price", "it is negative"))?;
    let pixels = u64::try_from(price.pixels_per_unit).ok().filter(|pixels| *pixels > 0);
    let pixels = pixels.ok_or(bad("expected_price", "pixelsPerUnit must be positive"))?;
    Ok(PricePerPixel { wei, pixels })
}
