//! Decoding times that follow from presentation times and the specification alone.
//!
//! An encoder's own decoding times depend on where it was started. These do not: picture `i` in decoding order gets the `i`-th
//! smallest presentation time less a constant, so the last one of a segment is always before the first of the next, whoever
//! made them, whatever the frame rate does.

use protocol::{RenditionSpec, Ticks};

/// Pictures that B-frames hold back when they may be referenced, which is the depth for two and more in a row.
const PYRAMID_DEPTH: i64 = 2;
/// Slowest frame rate whose decoding times keep one even step: 15 pictures a second. Slower ones are still in order.
const SLOWEST_EVEN_STEP: i64 = Ticks::PER_SECOND / 15;

/// Constant distance from a segment's first presentation time back to its first decoding time, 90 kHz ticks. It depends on
/// nothing but the number of B-frames.
#[must_use]
pub fn dts_delay(spec: &RenditionSpec) -> Ticks {
    Ticks(match spec.b_frames {
        0 => 0,
        1 => SLOWEST_EVEN_STEP,
        _ => PYRAMID_DEPTH * SLOWEST_EVEN_STEP,
    })
}

/// Decoding times for pictures whose presentation times are given in decoding order: strictly increasing, never after the
/// presentation time, the first one `delay` before the earliest picture.
pub(crate) fn decoding_times(pts: &[i64], delay: i64) -> Vec<i64> {
    let mut dts: Vec<i64> = pts.to_vec();
    dts.sort_unstable();
    let mut latest = i64::MAX;
    for (dts, &pts) in dts.iter_mut().zip(pts).rev() {
        latest = latest.saturating_sub(1).min(pts);
        *dts = dts.saturating_sub(delay).min(latest);
    }
    dts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_steady_source_has_steady_decoding_times() {
        let pts = [0, 4, 2, 1, 3, 8, 6, 5, 7].map(|n| 900_000 + n * 3000);
        let expected: Vec<i64> = (0..9).map(|n| 888_000 + n * 3000).collect();
        assert_eq!(decoding_times(&pts, 12_000), expected);
    }

    #[test]
    fn a_slow_source_is_decoded_in_time_all_the_same() {
        let pts = [0, 4, 2, 1, 3].map(|n| 900_000 + n * 90_000);
        let dts = decoding_times(&pts, 12_000);
        assert!(dts.windows(2).all(|w| w[0] < w[1]) && dts.iter().zip(&pts).all(|(d, p)| d <= p), "{dts:?}");
    }

    proptest! {
        #[test]
        fn any_order_of_any_times_is_increasing_and_never_late(
            mut steps in prop::collection::vec(1i64..200_000, 1..80),
            seed in any::<u64>(),
        ) {
            let mut at = 900_000;
            for step in &mut steps { at += *step; *step = at; }
            let first = steps[0];
            // Any decoding order in which the first picture shown comes first.
            let n = steps.len() as u64;
            steps[1..].sort_by_key(|t| (*t as u64).wrapping_mul(seed | 1) % (n + 7));
            let dts = decoding_times(&steps, 12_000);
            prop_assert!(dts.windows(2).all(|w| w[0] < w[1]));
            prop_assert!(dts.iter().zip(&steps).all(|(d, p)| d <= p));
            prop_assert_eq!(dts[0], first - 12_000);
            prop_assert!(*dts.last().unwrap() <= *steps.iter().max().unwrap() - 12_000);
        }
    }
}
