//! How many pixels a segment comes to: the most that an order can, so that it is covered beforehand, and what Livepeer's nodes
//! estimate. What is paid in the end is what the receipt counts.

use super::credit::Credit;
use crate::price::PricePerPixel;
use crate::rendition::Fps;
use crate::{Ladder, Ticks};

/// Most encoded pixels that a ladder of a segment with `frames` pictures over `duration` may come to: width times height
/// times pictures. A rung of a fixed rate may have one picture more than fit its time, because both ends are rounded.
#[must_use]
pub fn ceiling(ladder: &Ladder, frames: u32, duration: Ticks) -> u64 {
    let of = |fps: Option<Fps>| fps.map_or(u64::from(frames), |fps| pictures(fps, duration));
    ladder.0.iter().fold(0, |sum, rung| sum.saturating_add(rung.pixels().saturating_mul(of(rung.fps))))
}

fn pictures(fps: Fps, duration: Ticks) -> u64 {
    let ticks = u128::from(u64::try_from(duration.0).unwrap_or(0));
    let per = u128::from(fps.den.max(1)) * u128::from(Ticks::PER_SECOND.unsigned_abs());
    let whole = (ticks * u128::from(fps.num)).div_ceil(per);
    u64::try_from(whole).unwrap_or(u64::MAX).saturating_add(1)
}

/// What Livepeer's nodes take a segment's pixels for: seconds and pictures a second rounded up, 60 of them when unknown.
#[must_use]
pub fn estimate(ladder: &Ladder, duration: Ticks) -> u64 {
    let seconds = u64::try_from(duration.0).unwrap_or(0).div_ceil(Ticks::PER_SECOND.unsigned_abs());
    let rate = |fps: Option<Fps>| match fps {
        Some(Fps { num, den }) if num > 0 => u64::from(num.div_ceil(den.max(1))),
        _ => 60,
    };
    let pixels =
        |rung: &crate::RenditionSpec| rung.pixels().saturating_mul(rate(rung.fps)).saturating_mul(seconds);
    ladder.0.iter().fold(0, |sum, rung| sum.saturating_add(pixels(rung)))
}

/// What Livepeer's nodes set aside for an estimate: two percent more, rounded up to a unit.
#[must_use]
pub fn with_head_room(pixels: u64, price: PricePerPixel) -> Credit {
    let fee = Credit::of_work(pixels, price).times(102).0;
    Credit(fee.div_ceil(alloy_primitives::U512::from(100)))
}

/// Tickets that bring a balance up to `need`. None when tickets are worth nothing.
#[must_use]
pub fn tickets_for(need: Credit, balance: Credit, one: Credit) -> Option<u64> {
    if balance >= need { Some(0) } else { need.less(balance).in_units_of(one) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendition::{H264Profile, RenditionSpec};

    fn rung(width: u32, height: u32, fps: Option<u32>) -> RenditionSpec {
        let fps = fps.map(|num| Fps { num, den: 1 });
        let profile = H264Profile::High;
        RenditionSpec { name: "r".into(), width, height, bitrate: 1, fps, profile, b_frames: 0, gop: None }
    }

    #[test]
    fn the_estimate_is_livepeers() {
        let ladder = Ladder(vec![rung(426, 240, Some(30)), rung(640, 360, Some(30))]);
        let pixels = estimate(&ladder, Ticks::from_millis(2000));
        assert_eq!(pixels, 19_958_400);
        let price = PricePerPixel { wei: 1200, pixels: 1 };
        let need = with_head_room(pixels, price);
        assert_eq!(need.to_wei(price).0, alloy_primitives::U256::from(24_429_081_600u64));
        let one = Credit::of_wei(crate::Wei(alloy_primitives::U256::from(8_000_000_000u64)), price);
        assert_eq!(tickets_for(need, Credit::ZERO, one), Some(4));
    }

    #[test]
    fn a_rung_that_keeps_the_sources_rate_costs_its_pictures_and_not_sixty_a_second() {
        let ladder = Ladder(vec![rung(426, 240, None)]);
        assert_eq!(ceiling(&ladder, 50, Ticks::from_millis(2000)), 426 * 240 * 50);
        let over = estimate(&ladder, Ticks::from_millis(2000)) - 426 * 240 * 50;
        println!("an unknown rate at 25 a second overpays {over} pixels of {}", 426 * 240 * 50);
        assert_eq!(over, 426 * 240 * 70);
    }

    #[test]
    fn hostile_lengths_saturate() {
        let ladder = Ladder(vec![rung(u32::MAX, u32::MAX, Some(u32::MAX))]);
        assert_eq!(ceiling(&ladder, u32::MAX, Ticks(i64::MAX)), u64::MAX);
        assert_eq!(estimate(&ladder, Ticks(i64::MAX)), u64::MAX);
        assert_eq!(ceiling(&ladder, 0, Ticks(-5)), rung(u32::MAX, u32::MAX, None).pixels());
    }
}
