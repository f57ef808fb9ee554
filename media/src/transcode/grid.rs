//! Positions on the absolute time grid: which pictures a converted frame rate shows, and where key frames go.
//!
//! Both depend on presentation times alone and not on where a segment starts, so two nodes that make neighbouring segments agree
//! on every picture.

use protocol::Ticks;
use protocol::rendition::Fps;

/// Shows a source on the grid of a frame rate: grid position `n` is at `n * den / num` seconds and shows the last picture whose
/// own rounded position is not after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameGrid {
    fps: Fps,
}

impl FrameGrid {
    /// The grid of a frame rate, both of whose parts are positive.
    pub(crate) const fn new(fps: Fps) -> Self {
        Self { fps }
    }

    /// Nearest position of a time; half rounds up.
    pub(crate) fn position(self, pts: i64) -> i64 {
        let (num, den) = (i128::from(self.fps.num), i128::from(self.fps.den) * i128::from(Ticks::PER_SECOND));
        let doubled = 2 * i128::from(pts) * num + den;
        i64::try_from(doubled.div_euclid(2 * den)).unwrap_or(i64::MAX)
    }

    /// Time of a position, rounded to nearest.
    pub(crate) fn pts(self, position: i64) -> i64 {
        let (num, den) = (i128::from(self.fps.num), i128::from(self.fps.den) * i128::from(Ticks::PER_SECOND));
        let doubled = 2 * i128::from(position) * den + num;
        i64::try_from(doubled.div_euclid(2 * num)).unwrap_or(i64::MAX)
    }
}

/// Says where key frames go: at the first picture, and at the first one of each interval of the absolute grid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyGrid {
    interval: Option<i64>,
    last: Option<i64>,
}

impl KeyGrid {
    /// A grid of `interval` ticks, or of the first picture alone.
    pub(crate) const fn new(interval: Option<i64>) -> Self {
        Self { interval, last: None }
    }

    /// Whether the picture at `pts` must be a key frame. Pictures come in order of presentation.
    pub(crate) fn key(&mut self, pts: i64) -> bool {
        let cell = self.interval.map_or(0, |interval| pts.div_euclid(interval.max(1)));
        self.last.replace(cell) != Some(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The positions that pictures of `from` frames a second fill on a grid, whole or cut at picture `cut`.
    fn filled(times: &[i64], end: i64, grid: FrameGrid) -> Vec<i64> {
        let mut out = Vec::new();
        for (i, &pts) in times.iter().enumerate() {
            let next = times.get(i + 1).copied().unwrap_or(end);
            out.extend(grid.position(pts)..grid.position(next));
        }
        out
    }

    #[test]
    fn pieces_fill_the_grid_exactly_as_the_whole_does() {
        let rates = [
            (30_000, 1001, 30, 1),
            (30, 1, 24, 1),
            (25, 1, 30, 1),
            (60, 1, 30, 1),
            (24_000, 1001, 30, 1),
            (50, 1, 30_000, 1001),
        ];
        for (num, den, to, to_den) in rates {
            let grid = FrameGrid::new(Fps { num: to, den: to_den });
            let times: Vec<i64> = (0..600).map(|i| 900_000 + i * 90_000 * den / num).collect();
            let end = 900_000 + 600 * 90_000 * den / num;
            let whole = filled(&times, end, grid);
            for cut in [1, 59, 60, 61, 299] {
                let (head, tail) = times.split_at(cut);
                let mut pieces = filled(head, tail[0], grid);
                pieces.extend(filled(tail, end, grid));
                assert_eq!(pieces, whole, "{num}/{den} to {to}/{to_den}, cut at {cut}");
            }
            assert!(whole.windows(2).all(|w| w[1] == w[0] + 1), "no hole, no double");
        }
    }

    #[test]
    fn a_position_and_its_time_agree() {
        let grid = FrameGrid::new(Fps { num: 30_000, den: 1001 });
        assert!((0..100_000).all(|n| grid.position(grid.pts(n)) == n));
        assert_eq!(grid.pts(30_000), 1001 * 90_000);
    }

    #[test]
    fn key_frames_stay_on_the_absolute_grid_wherever_a_segment_starts() {
        let keys = |start: i64| {
            let mut grid = KeyGrid::new(Some(180_000));
            (0..200).map(|i| start + i * 3000).filter(|&pts| grid.key(pts)).collect::<Vec<_>>()
        };
        assert_eq!(keys(900_000), [900_000, 1_080_000, 1_260_000, 1_440_000]);
        assert_eq!(keys(903_000), [903_000, 1_080_000, 1_260_000, 1_440_000]);
        let mut once = KeyGrid::new(None);
        assert!(once.key(5) && !once.key(i64::MAX));
    }
}
