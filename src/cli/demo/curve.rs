//! Memory over time, as a picture.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::process::resident;
use crate::cli::Failure;

/// How often memory is read.
const EVERY: Duration = Duration::from_secs(2);
/// Size of the picture, pixels.
const SIZE: (f64, f64) = (960.0, 320.0);

/// Samples of all processes' memory.
#[derive(Debug)]
pub(crate) struct Curve {
    path: PathBuf,
    started: Instant,
    samples: Vec<(f64, Vec<f64>)>,
}

impl Curve {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, started: Instant::now(), samples: Vec::new() }
    }

    /// Reads the memory of `pids`, when it is time to.
    pub(crate) fn sample(&mut self, pids: &[u32]) {
        let at = self.started.elapsed();
        if self.samples.last().is_none_or(|(last, _)| at.as_secs_f64() - last >= EVERY.as_secs_f64()) {
            let megabytes = pids.iter().map(|pid| resident(*pid) as f64 / 1e6).collect();
            self.samples.push((at.as_secs_f64(), megabytes));
        }
    }

    /// Writes the picture, and the numbers beside it as CSV.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let mut csv = String::from("seconds,megabytes...\n");
        for (at, megabytes) in &self.samples {
            let row: Vec<String> = megabytes.iter().map(|m| format!("{m:.1}")).collect();
            writeln!(csv, "{at:.1},{}", row.join(","))?;
        }
        std::fs::write(self.path.with_extension("csv"), csv)?;
        std::fs::write(&self.path, self.svg())?;
        Ok(())
    }

    fn svg(&self) -> String {
        let end = self.samples.last().map_or(1.0, |(at, _)| at.max(1.0));
        let top = self.samples.iter().flat_map(|(_, m)| m).fold(1.0_f64, |a, b| a.max(*b)) * 1.1;
        let processes = self.samples.iter().map(|(_, m)| m.len()).max().unwrap_or(0);
        let x = |at: f64| 60.0 + at / end * (SIZE.0 - 80.0);
        let y = |m: f64| SIZE.1 - 40.0 - m / top * (SIZE.1 - 60.0);
        let mut lines = String::new();
        for n in 0..processes {
            let points: Vec<String> = self
                .samples
                .iter()
                .filter_map(|(at, m)| m.get(n).map(|m| format!("{:.1},{:.1}", x(*at), y(*m))))
                .collect();
            let hue = 360 * n / processes.max(1);
            let _ = writeln!(lines, "<polyline fill='none' stroke='hsl({hue} 60% 45%)' points='{}'/>", points.join(" "));
        }
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {}' font-family='sans-serif' font-size='12'>\
             <rect width='100%' height='100%' fill='white'/>\n{lines}\
             <text x='4' y='{}'>{top:.0} MB</text><text x='4' y='{}'>0</text>\
             <text x='{}' y='{}' text-anchor='end'>{end:.0} s</text></svg>\n",
            SIZE.0,
            SIZE.1,
            y(top) + 4.0,
            y(0.0),
            SIZE.0 - 20.0,
            SIZE.1 - 12.0,
        )
    }
}
