//! Audio time counted in samples: frames follow each other without a gap, whatever rounding their timestamps went through.

use protocol::Ticks;

/// A frame may be that far from where counting puts it before the count is corrected: RTMP rounds to milliseconds, encoders
/// deliver several frames with one timestamp.
const TOLERANCE: i64 = Ticks::PER_SECOND * 60 / 1000;

/// Numbers the samples of one audio track from the start of the timeline on.
#[derive(Clone, Debug)]
pub struct AudioGrid {
    rate: u32,
    frame_samples: u32,
    /// Number of the next frame's first sample.
    next: Option<i64>,
}

impl AudioGrid {
    /// A grid for frames of `frame_samples` samples at `rate` Hz.
    #[must_use]
    pub fn new(rate: u32, frame_samples: u32) -> Self {
        Self { rate: rate.max(1), frame_samples: frame_samples.max(1), next: None }
    }

    /// Number of the first sample of a frame presented at `pts`; `None` when it overlaps what there is already, and must go.
    /// A gap in the timestamps becomes a gap in the numbers.
    pub fn place(&mut self, pts: Ticks) -> Option<i64> {
        let wanted = self.sample(pts);
        let number = match self.next {
            Some(next) if (pts - self.ticks(next)).0.abs() <= TOLERANCE => next,
            Some(next) if wanted < next => return None,
            _ => wanted,
        };
        self.next = Some(number.saturating_add(i64::from(self.frame_samples)));
        Some(number)
    }

    /// Time of a sample.
    #[must_use]
    pub fn ticks(&self, sample: i64) -> Ticks {
        Ticks::from_units(sample, 1, i64::from(self.rate)).unwrap_or(Ticks(i64::MAX))
    }

    /// Length of a frame.
    #[must_use]
    pub fn frame(&self) -> Ticks {
        self.ticks(i64::from(self.frame_samples))
    }

    fn sample(&self, pts: Ticks) -> i64 {
        let wide = i128::from(pts.0) * i128::from(self.rate) + i128::from(Ticks::PER_SECOND / 2);
        i64::try_from(wide.div_euclid(i128::from(Ticks::PER_SECOND))).unwrap_or(i64::MAX)
    }
}
