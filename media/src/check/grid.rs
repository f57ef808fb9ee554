//! Which pictures a rendition must have, and when: the source's own, or one for each position of a frame rate's grid that the
//! segment covers (position `n` is at `n * den / num` seconds of absolute time).

use protocol::rendition::Fps;
use protocol::{RenditionSpec, Segment, Ticks};

use crate::fmp4::{MAX_SAMPLES, Track};

/// What is expected.
#[derive(Debug)]
pub(super) struct Expected {
    /// Presentation times in order, at least one.
    pub(super) pts: Vec<i64>,
    /// Length of the source segment.
    pub(super) duration: i64,
}

/// What `spec` makes of a source; `None` when that has no pictures, or none that could be checked.
pub(super) fn expected(source: &Track, spec: &RenditionSpec) -> Option<Expected> {
    let mut shown: Vec<i64> = source.samples.iter().map(|sample| source.ticks(sample.pts).0).collect();
    shown.sort_unstable();
    let (&start, &last) = (shown.first()?, shown.last()?);
    let length: i64 = source.samples.iter().map(|sample| i64::from(sample.duration)).sum();
    let length = source.ticks(length).0;
    let end = if start.saturating_add(length) > last { start + length } else { after(&shown) };
    let duration = end.checked_sub(start).filter(|&duration| duration <= Segment::MAX_DURATION.0)?;
    let pts = match spec.fps {
        None => shown,
        Some(fps) => {
            let range = position(start, fps)?..position(end, fps)?;
            let count = range.end.checked_sub(range.start)?;
            if count > MAX_SAMPLES as i64 {
                return None;
            }
            range.map(|position| time(position, fps)).collect::<Option<_>>()?
        }
    };
    (!pts.is_empty()).then_some(Expected { pts, duration })
}

/// One average step after the last picture, where the container does not tell.
fn after(shown: &[i64]) -> i64 {
    let (first, last) = (shown[0], shown[shown.len() - 1]);
    let step = match shown.len() as i64 - 1 {
        0 => Ticks::PER_SECOND / 30,
        steps => last.saturating_sub(first) / steps,
    };
    last.saturating_add(step.max(1))
}

/// Nearest position of a time; half rounds up.
fn position(pts: i64, fps: Fps) -> Option<i64> {
    let den = i128::from(fps.den) * i128::from(Ticks::PER_SECOND);
    let doubled = 2 * i128::from(pts) * i128::from(fps.num) + den;
    i64::try_from(doubled.checked_div_euclid(2 * den)?).ok()
}

/// Time of a position, rounded to nearest.
fn time(position: i64, fps: Fps) -> Option<i64> {
    let den = i128::from(fps.den) * i128::from(Ticks::PER_SECOND);
    let doubled = 2 * i128::from(position) * den + i128::from(fps.num);
    i64::try_from(doubled.checked_div_euclid(2 * i128::from(fps.num))?).ok()
}
