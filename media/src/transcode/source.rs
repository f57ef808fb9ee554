//! A segment read and checked before anything is decoded: its access units, and which pictures must come out at which times.

use bytes::Bytes;
use protocol::{Segment, Ticks};

use super::{InputError, Limits};
use crate::fmp4;

/// Frame rates that sources have, as fractions.
const USUAL_FPS: [(u32, u32); 11] = [
    (15, 1),
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (120, 1),
];

/// What a segment holds.
#[derive(Debug)]
pub(crate) struct Source {
    /// AVCDecoderConfigurationRecord.
    pub(crate) avcc: Bytes,
    /// Access units in decoding order with their presentation time, 90 kHz.
    pub(crate) units: Vec<(i64, Bytes)>,
    /// Presentation times in order, without doubles.
    pub(crate) times: Vec<i64>,
    /// Where the next segment starts, 90 kHz.
    pub(crate) end: i64,
}

impl Source {
    /// Reads a segment.
    pub(crate) fn read(segment: &Bytes, limits: &Limits) -> Result<Self, InputError> {
        let movie = fmp4::parse(segment)?;
        let (config, track) = movie.video().ok_or(InputError::NoVideo)?;
        if let Ok(sps) = config.info()
            && sps.pixels() > limits.max_pixels
        {
            return Err(InputError::Pixels { width: sps.width, height: sps.height, max: limits.max_pixels });
        }
        let units: Vec<(i64, Bytes)> =
            track.samples.iter().map(|s| (track.ticks(s.pts).0, s.data.clone())).collect();
        if units.is_empty() {
            return Err(InputError::NoVideo);
        }
        if units.len() as u64 > u64::from(limits.max_frames) {
            return Err(InputError::Frames { frames: units.len() as u64, max: limits.max_frames });
        }
        let times = times(&units)?;
        let length: i64 = track.samples.iter().map(|s| i64::from(s.duration)).sum();
        let end = end(&times, track.ticks(length).0)?;
        Ok(Self { avcc: config.avcc.clone(), units, times, end })
    }

    /// Presentation time of the first picture.
    pub(crate) fn start(&self) -> i64 {
        self.times[0]
    }

    /// Nominal frame rate, from the average.
    pub(crate) fn fps(&self) -> (u32, u32) {
        let span = u64::try_from(self.end - self.start()).unwrap_or(1).max(1);
        let pictures = self.times.len() as u64 * Ticks::PER_SECOND as u64;
        let usual = |&&(num, den): &&(u32, u32)| {
            let (ours, theirs) = (u128::from(pictures) * u128::from(den), u128::from(span) * u128::from(num));
            ours.abs_diff(theirs) * 2000 < theirs
        };
        let rough = || (u32::try_from((pictures / span).clamp(1, 240)).unwrap_or(30), 1);
        USUAL_FPS.iter().find(usual).copied().unwrap_or_else(rough)
    }
}

/// The times at which pictures must come out.
fn times(units: &[(i64, Bytes)]) -> Result<Vec<i64>, InputError> {
    let mut times: Vec<i64> = units.iter().map(|(pts, _)| *pts).collect();
    times.sort_unstable();
    if times.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(InputError::Time("two pictures have the same presentation time".into()));
    }
    let (first, last) = (times[0], times[times.len() - 1]);
    let span = last.checked_sub(first).filter(|span| *span <= Segment::MAX_DURATION.0);
    if span.is_none() || first < 0 || last > i64::MAX / 4 {
        return Err(InputError::Time(format!(
            "pictures from {first} to {last}: use times from 0 on, at most {} apart",
            Segment::MAX_DURATION
        )));
    }
    Ok(times)
}

/// Where the next segment starts: the container's word for it, or one average step after the last picture when that cannot be.
fn end(times: &[i64], length: i64) -> Result<i64, InputError> {
    let (first, last) = (times[0], times[times.len() - 1]);
    if length > Segment::MAX_DURATION.0 {
        return Err(InputError::Time(format!(
            "{} long, the limit is {}",
            Ticks(length),
            Segment::MAX_DURATION
        )));
    }
    let steps = i64::try_from(times.len() - 1).unwrap_or(0);
    let step = if steps == 0 { Ticks::PER_SECOND / 30 } else { (last - first) / steps };
    Ok(if first + length > last { first + length } else { last + step.max(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(times: Vec<i64>, end: i64) -> Source {
        Source { avcc: Bytes::new(), units: Vec::new(), times, end }
    }

    #[test]
    fn millisecond_timestamps_still_show_their_frame_rate() {
        let times: Vec<i64> = (0..60i64).map(|i| 900_000 + (i * 1001 / 30) * 90).collect();
        assert_eq!(source(times, 900_000 + 180_180).fps(), (30_000, 1001));
        assert_eq!(source(vec![0, 3600], 7200).fps(), (25, 1));
        assert_eq!(source(vec![0], 90_000).fps(), (1, 1));
    }

    #[test]
    fn times_that_no_segment_has_are_refused() {
        let unit = |pts| (pts, Bytes::new());
        assert!(times(&[unit(5), unit(5)]).is_err());
        assert!(times(&[unit(-1), unit(5)]).is_err());
        assert!(times(&[unit(i64::MIN), unit(i64::MAX)]).is_err());
        assert!(times(&[unit(0), unit(Segment::MAX_DURATION.0 + 1)]).is_err());
        assert_eq!(times(&[unit(6000), unit(0), unit(3000)]).unwrap(), [0, 3000, 6000]);
    }

    #[test]
    fn an_end_before_the_last_picture_is_not_believed() {
        assert_eq!(end(&[0, 3000], 6000).unwrap(), 6000);
        assert_eq!(end(&[0, 3000], 1000).unwrap(), 6000);
        assert!(end(&[0, 3000], Segment::MAX_DURATION.0 + 1).is_err());
    }
}
