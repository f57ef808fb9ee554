//! What this machine can do: a short source through as many workers as the node would have, by the clock.

use std::path::Path;

use bytes::Bytes;
use media::transcode::{Job, Limits};
use media::worker::{WorkerConfig, Workers};
use protocol::ladder::LadderPlan;
use protocol::{Ladder, Rendition};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::cli::Failure;
use crate::cli::bench_transcode::{HEIGHT, WIDTH, cut, generate};

/// Seconds of a segment of the generated source.
const SEGMENT_SECONDS: u32 = 2;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Capacity {
    /// Workers at the same time.
    pub(super) workers: u32,
    /// Pixels that were encoded.
    pub(super) pixels: u64,
    /// In so many seconds by the clock.
    pub(super) wall_s: f64,
    /// Seconds of the source, all segments together.
    pub(super) source_s: u32,
}

impl Capacity {
    /// Encoded pixels a second.
    pub(super) fn pixels_per_second(&self) -> f64 {
        self.pixels as f64 / self.wall_s.max(1e-9)
    }

    /// Streams like the source that it keeps up with.
    pub(super) fn streams(&self) -> f64 {
        f64::from(self.source_s) / self.wall_s.max(1e-9)
    }
}

/// Transcodes at least `seconds` of a generated source of 720p at 30 pictures a second, every worker busy.
pub(super) async fn measure(plan: &LadderPlan, workers: u32, seconds: u32) -> Result<Capacity, Failure> {
    let ladder = plan.resolve(WIDTH, HEIGHT);
    if ladder.0.is_empty() {
        return Err(
            format!("no rung of the ladder is as low as {HEIGHT} pixels: nothing can be measured").into()
        );
    }
    let dir = std::env::temp_dir().join(format!("livemesh-price-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let segments = segments(&dir, seconds.max(SEGMENT_SECONDS * workers)).await;
    let _ = std::fs::remove_dir_all(&dir);
    through(&std::env::current_exe()?, workers, &segments?, &ladder).await
}

async fn segments(dir: &Path, seconds: u32) -> Result<Vec<Bytes>, Failure> {
    let source = generate(dir, seconds).await?;
    cut(&tokio::fs::read(&source).await?.into())
}

async fn through(
    program: &Path,
    workers: u32,
    segments: &[Bytes],
    ladder: &Ladder,
) -> Result<Capacity, Failure> {
    let pool = Workers::start(WorkerConfig::new(program, vec!["worker".into()], workers as usize)).await?;
    let jobs = segments.iter().map(|segment| {
        let job = Job { segment: segment.clone(), ladder: ladder.clone(), limits: Limits::default() };
        let (out, mut made) = mpsc::channel::<Rendition>(Ladder::MAX);
        let pool = &pool;
        async move {
            let count = async {
                let mut pixels = 0_u64;
                while let Some(rendition) = made.recv().await {
                    pixels += rendition.pixels;
                }
                pixels
            };
            let (stats, pixels) = tokio::join!(pool.transcode(job, out), count);
            stats.map(|_| pixels)
        }
    });
    let started = tokio::time::Instant::now();
    let pixels: u64 = futures::future::try_join_all(jobs).await?.into_iter().sum();
    let wall_s = started.elapsed().as_secs_f64();
    let source_s = u32::try_from(segments.len()).unwrap_or(u32::MAX).saturating_mul(SEGMENT_SECONDS);
    Ok(Capacity { workers, pixels, wall_s, source_s })
}
