//! The CPU backend: libavcodec decodes once, a cascade scales, x264 encodes on one thread a rendition, all at the same time.
//!
//! The decoder's thread feeds the largest rungs, each rung feeds those that are scaled from it, through queues of a few pictures;
//! so memory does not grow with the segment, and the slowest rung sets the pace.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use protocol::Rendition;

use super::ffi::{self, Decoder, Frame};
use super::plan::{self, Cascade};
use super::probe;
use super::rung::Rung;
use super::source::Source;
use super::{Backend, Capabilities, InputError, Job, Limits, Stats, TranscodeError};

/// Pictures that wait for a rung: enough to keep it busy, few enough to keep a job small.
const QUEUE: usize = 3;
/// FFmpeg's name of the only encoder whose output is the same on every CPU.
pub(crate) const ENCODER: &str = "libx264";
/// The package that brings it.
const ENCODER_PACKAGE: &str =
    "libx264 (Debian: libavcodec59 or newer, not libavcodec-extra without GPL parts)";

/// Transcodes with FFmpeg and x264 on the CPU.
#[derive(Debug)]
pub struct CpuBackend {
    exact: bool,
    core: OnceLock<Option<String>>,
}

/// When a job must stop, seen by all of its threads.
pub(crate) struct Clock {
    started: Instant,
    wall: Duration,
    stopped: AtomicBool,
}

/// What a thread of a job reports.
enum Report {
    Decoded { concealed: u32, pixels: u64 },
    Made(Rendition),
    Stopped,
}

impl CpuBackend {
    /// A backend whose output does not depend on the CPU's instruction set: nodes with the same x264 core make the same bytes.
    #[must_use]
    pub fn new() -> Self {
        ffi::quiet();
        Self { exact: true, core: OnceLock::new() }
    }

    /// A backend that rounds as fast as the CPU can.
    #[must_use]
    pub fn inexact() -> Self {
        Self { exact: false, ..Self::new() }
    }
}

impl Default for CpuBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for CpuBackend {
    fn capabilities(&self) -> Capabilities {
        let core = self.core.get_or_init(probe::core_version);
        let encoders = ffi::has_encoder(ENCODER).then(|| ENCODER.to_owned()).into_iter().collect();
        Capabilities { backend: "cpu".into(), encoders, core: core.clone() }
    }

    fn transcode(&self, job: &Job, out: &mut dyn FnMut(Rendition)) -> Result<Stats, TranscodeError> {
        let clock = Clock::start(job.limits.wall);
        plan::check(&job.ladder)?;
        if !ffi::has_encoder(ENCODER) {
            return Err(TranscodeError::NoEncoder { name: ENCODER, package: ENCODER_PACKAGE });
        }
        let source = Source::read(&job.segment, &job.limits)?;
        let rungs: Vec<Rung<'_>> = (job.ladder.0.iter().enumerate())
            .map(|(index, spec)| Rung::new(index, spec, &source, &clock, self.exact, job.limits.max_frames))
            .collect::<Result<_, _>>()?;
        let mut stats = Stats { frames_in: source.units.len() as u32, ..Stats::default() };
        run(&rungs, &plan::cascade(&job.ladder), &source, &clock, &job.limits, |report| match report {
            Report::Decoded { concealed, pixels } => (stats.concealed, stats.pixels_in) = (concealed, pixels),
            Report::Made(rendition) => {
                stats.pixels_out += rendition.pixels;
                out(rendition);
            }
            Report::Stopped => {}
        })?;
        stats.wall = clock.started.elapsed();
        Ok(stats)
    }
}

/// Runs all threads of a job; the first failure stops the others and is returned.
fn run(
    rungs: &[Rung<'_>],
    cascade: &Cascade,
    source: &Source,
    clock: &Clock,
    limits: &Limits,
    mut on: impl FnMut(Report),
) -> Result<(), TranscodeError> {
    thread::scope(|scope| {
        let (reports, reported) = mpsc::channel();
        let (queues, inputs): (Vec<_>, Vec<_>) = rungs.iter().map(|_| mpsc::sync_channel(QUEUE)).unzip();
        let pick = |which: &[usize]| which.iter().map(|&i| queues[i].clone()).collect::<Vec<_>>();
        let mut failed = Ok(());
        for (rung, input) in rungs.iter().zip(inputs) {
            let children = pick(&cascade.children[rung.index]);
            let made = |made: Option<_>| made.map_or(Report::Stopped, Report::Made);
            let work = move || clock.guard(rung.run(&input, &children).map(made));
            failed = failed.and(spawn(scope, "rung", reports.clone(), work));
        }
        let roots = pick(&cascade.roots);
        let work = move || clock.guard(decode(source, limits, clock, &roots));
        failed = failed.and(spawn(scope, "decode", reports.clone(), work));
        if failed.is_err() {
            clock.stop();
        }
        drop((queues, reports));
        for report in reported {
            match report {
                Ok(report) => on(report),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    })
}

/// Starts one thread of a job.
fn spawn<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    reports: mpsc::Sender<Result<Report, TranscodeError>>,
    work: impl FnOnce() -> Result<Report, TranscodeError> + Send + 'scope,
) -> Result<(), TranscodeError> {
    let reported = move || {
        let _ = reports.send(work());
    };
    thread::Builder::new().name(name.into()).spawn_scoped(scope, reported).map_err(TranscodeError::Thread)?;
    Ok(())
}

/// Decodes a segment and hands its pictures on.
fn decode(
    source: &Source,
    limits: &Limits,
    clock: &Clock,
    roots: &[SyncSender<Frame>],
) -> Result<Report, TranscodeError> {
    let codec = |source| TranscodeError::Codec { rendition: "source".into(), source };
    let unreadable = |_| InputError::Undecodable { decoded: 0, frames: source.units.len() as u32 };
    let mut decoder = Decoder::h264(&source.avcc, limits.max_pixels).map_err(unreadable)?;
    let mut shown = Shown { times: &source.times, roots, last: None, decoded: 0, concealed: 0, pixels: 0 };
    let mut drain = |decoder: &mut Decoder| {
        // An access unit that cannot be decoded yields an error and no picture; the next one may be good.
        while let Ok(Some(frame)) = decoder.receive() {
            shown.picture(frame)?;
        }
        Ok(())
    };
    for (pts, data) in &source.units {
        if !clock.check()? {
            return Ok(Report::Stopped);
        }
        let _ = decoder.send(data, *pts);
        drain(&mut decoder).map_err(codec)?;
    }
    decoder.finish().map_err(codec)?;
    drain(&mut decoder).map_err(codec)?;
    shown.finish().map_err(codec)?;
    let Shown { decoded, concealed, pixels, .. } = shown;
    if concealed > decoded {
        return Err(InputError::Undecodable { decoded, frames: decoded + concealed }.into());
    }
    Ok(Report::Decoded { concealed, pixels })
}

/// Keeps the pictures that come out in step with those that are in the container: each expected time gets exactly one, the
/// last good one where its own could not be decoded.
struct Shown<'a> {
    times: &'a [i64],
    roots: &'a [SyncSender<Frame>],
    last: Option<Frame>,
    decoded: u32,
    concealed: u32,
    pixels: u64,
}

impl Shown<'_> {
    fn picture(&mut self, frame: Frame) -> Result<(), ffi::AvError> {
        let Some(pts) = frame.pts() else { return Ok(()) };
        let due = self.times.partition_point(|&time| time < pts);
        if self.times.get(due) != Some(&pts) {
            return Ok(());
        }
        self.pixels += u64::from(frame.width()) * u64::from(frame.height());
        self.decoded += 1;
        let missing = &self.times[..due];
        let filler = self.last.take().map_or_else(|| frame.share(), Ok)?;
        self.conceal(missing, &filler)?;
        self.send(&frame)?;
        self.times = &self.times[due + 1..];
        self.last = Some(frame);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ffi::AvError> {
        match self.last.take() {
            Some(last) => self.conceal(self.times, &last),
            None => {
                self.concealed = self.times.len() as u32;
                Ok(())
            }
        }
    }

    fn conceal(&mut self, missing: &[i64], with: &Frame) -> Result<(), ffi::AvError> {
        for &time in missing {
            let mut frame = with.share()?;
            frame.stamp(time, false);
            self.send(&frame)?;
            self.concealed += 1;
        }
        Ok(())
    }

    /// A rung that is gone has reported why; the others go on until the job is stopped.
    fn send(&self, frame: &Frame) -> Result<(), ffi::AvError> {
        self.roots.iter().try_for_each(|root| {
            let _ = root.send(frame.share()?);
            Ok(())
        })
    }
}

impl Clock {
    fn start(wall: Duration) -> Self {
        Self { started: Instant::now(), wall, stopped: AtomicBool::new(false) }
    }

    /// Ends all threads of the job at their next picture.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Stops the others after a failure. Called while the failed thread still holds its queues, so that nobody takes their end
    /// for the end of the segment.
    fn guard(&self, report: Result<Report, TranscodeError>) -> Result<Report, TranscodeError> {
        if report.is_err() {
            self.stop();
        }
        report
    }

    /// Whether to go on; `false` after another thread failed.
    pub(crate) fn check(&self) -> Result<bool, TranscodeError> {
        if self.stopped.load(Ordering::Acquire) {
            return Ok(false);
        }
        if self.started.elapsed() > self.wall {
            return Err(TranscodeError::Deadline(self.wall));
        }
        Ok(true)
    }
}
