//! Memory over time, as a picture.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cli::Failure;

/// How often memory is noted.
const EVERY: Duration = Duration::from_secs(2);
/// Size of the picture, pixels.
const SIZE: (f64, f64) = (960.0, 320.0);
/// Room for words at its edges, pixels.
const EDGE: f64 = 50.0;

/// Samples of all processes' memory.
#[derive(Debug)]
pub(crate) struct Curve {
    path: PathBuf,
    started: Instant,
    last: Option<Duration>,
    lines: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Curve {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, started: Instant::now(), last: None, lines: BTreeMap::new() }
    }

    /// Notes the megabytes of each process, when it is time to.
    pub(crate) fn sample(&mut self, memory: &[(String, f64)]) {
        let now = self.started.elapsed();
        if self.last.is_some_and(|last| now - last < EVERY) {
            return;
        }
        self.last = Some(now);
        for (name, megabytes) in memory {
            self.lines.entry(name.clone()).or_default().push((now.as_secs_f64(), *megabytes));
        }
    }

    /// Writes the picture, and the numbers beside it as CSV.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let mut csv = String::from("process,seconds,megabytes\n");
        for (name, line) in &self.lines {
            for (at, megabytes) in line {
                writeln!(csv, "{name},{at:.1},{megabytes:.1}")?;
            }
        }
        std::fs::write(self.path.with_extension("csv"), csv)?;
        std::fs::write(&self.path, self.svg()?)?;
        Ok(())
    }

    fn svg(&self) -> Result<String, Failure> {
        let all = || self.lines.values().flatten();
        let end = all().map(|(at, _)| *at).fold(1.0, f64::max);
        let top = all().map(|(_, m)| *m).fold(1.0, f64::max) * 1.1;
        let x = |at: f64| EDGE + at / end * (SIZE.0 - EDGE * 4.0);
        let y = |m: f64| SIZE.1 - EDGE - m / top * (SIZE.1 - EDGE * 1.5);
        let mut body = String::new();
        for (n, (name, line)) in self.lines.iter().enumerate() {
            let colour = format!("hsl({} 60% 42%)", 360 * n / self.lines.len());
            let points: Vec<String> =
                line.iter().map(|(at, m)| format!("{:.1},{:.1}", x(*at), y(*m))).collect();
            writeln!(body, "<polyline fill='none' stroke='{colour}' points='{}'/>", points.join(" "))?;
            let row = 20.0 + 18.0 * n as f64;
            writeln!(body, "<text x='{}' y='{row}' fill='{colour}'>{name}</text>", SIZE.0 - EDGE * 2.8)?;
        }
        let (width, height) = SIZE;
        Ok(format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' font-family='sans-serif' \
             font-size='12'><rect width='100%' height='100%' fill='white'/>\n{body}\
             <text x='4' y='{:.0}'>{top:.0} MB</text><text x='4' y='{:.0}'>0</text>\
             <text x='{:.0}' y='{:.0}' text-anchor='end'>{end:.0} s</text></svg>\n",
            y(top) + 4.0,
            y(0.0),
            x(end),
            height - 20.0,
        ))
    }
}
