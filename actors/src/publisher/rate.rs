//! What a rendition really takes: peak and average bit rate and frame rate, from the segments that appeared.

use std::collections::VecDeque;

use protocol::Ticks;

/// Segments that one peak measurement may span. Only very short segments reach it.
const MAX_SPAN: usize = 64;

/// Running measurements of one rendition, audio included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    /// Contiguous latest segments: size in bits, length.
    recent: VecDeque<(u64, Ticks)>,
    /// Highest bit rate of any contiguous segments that last 0.5 to 1.5 target durations (RFC 8216 4.3.4.2), bits a second.
    peak: u64,
    bits: u64,
    time: Ticks,
    frames: u64,
}

impl Rate {
    /// Counts a segment.
    pub(crate) fn add(&mut self, bytes: usize, frames: u32, length: Ticks, target_secs: u32) {
        let bits = bytes as u64 * 8;
        self.bits += bits;
        self.frames += u64::from(frames);
        self.time += length;
        self.recent.push_back((bits, length));
        if self.recent.len() > MAX_SPAN {
            self.recent.pop_front();
        }
        self.measure(i64::from(target_secs) * Ticks::PER_SECOND);
    }

    /// A segment is missing: what follows is not contiguous with what was.
    pub(crate) fn gap(&mut self) {
        self.recent.clear();
    }

    fn measure(&mut self, target: i64) {
        let (mut bits, mut time, mut used) = (0, 0, 0);
        for (b, t) in self.recent.iter().rev() {
            (bits, time, used) = (bits + b, time + t.0, used + 1);
            if time * 2 > target * 3 {
                break;
            }
            if time * 2 >= target {
                self.peak = self.peak.max(per_second(bits, Ticks(time)));
            }
        }
        self.recent.drain(..self.recent.len() - used);
    }

    /// Peak segment bit rate, bits a second; never below the average.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.max(self.average())
    }

    /// Average bit rate, bits a second.
    pub(crate) fn average(&self) -> u64 {
        per_second(self.bits, self.time)
    }

    /// Frames a second.
    pub(crate) fn fps(&self) -> f64 {
        if self.time.0 <= 0 { 0.0 } else { self.frames as f64 / self.time.as_secs_f64() }
    }
}

fn per_second(bits: u64, time: Ticks) -> u64 {
    let ticks = time.0.max(1) as u128;
    u64::try_from((u128::from(bits) * Ticks::PER_SECOND as u128).div_ceil(ticks)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Ticks = Ticks(Ticks::PER_SECOND);

    #[test]
    fn the_peak_is_the_heaviest_segment_and_the_average_counts_all() {
        let mut rate = Rate::default();
        for bytes in [1000, 3000, 2000] {
            rate.add(bytes, 30, SECOND, 1);
        }
        assert_eq!((rate.peak(), rate.average()), (24_000, 16_000));
        assert!((rate.fps() - 30.0).abs() < 1e-9);
    }

    #[test]
    fn a_burst_shorter_than_half_a_target_is_measured_with_its_neighbours() {
        let mut rate = Rate::default();
        rate.add(1000, 60, Ticks(180_000), 2);
        rate.add(1000, 1, Ticks(3_000), 2);
        assert_eq!(rate.peak(), 7869, "2000 bytes over 2.033 s, not 8000 bits over 33 ms");
    }

    #[test]
    fn segments_on_both_sides_of_a_gap_are_not_added_up() {
        let mut rate = Rate::default();
        rate.add(9000, 1, Ticks(30_000), 1);
        rate.gap();
        rate.add(9000, 1, Ticks(30_000), 1);
        assert_eq!(rate.peak(), rate.average());
    }
}
