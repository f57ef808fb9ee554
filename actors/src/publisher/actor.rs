//! The actix shell of one stream's publisher: hands messages to the core, and what appears to the library, the recording,
//! the log and the figures. It never waits for a reader or for the disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use protocol::{StreamId, Ticks};
use tokio::sync::watch;
use tracing::{info, warn};

use super::core::{Appeared, Core, Tally};
use super::library::{Library, unix_ms};
use super::messages::{Audio, Cut, End, Made};
use super::metrics::PublisherMetrics;
use super::record::Recorder;
use super::shelf::Shelf;
use crate::budget::{MAILBOX, WINDOW};
use crate::clock::Clock;

/// What a publisher needs to know.
#[derive(Clone, Debug)]
pub struct PublisherConfig {
    /// The stream.
    pub stream: StreamId,
    /// Segments in a live playlist, 1 to [`crate::budget::WINDOW_MAX`].
    pub window: usize,
    /// The length at which the segmenter aims; EXT-X-TARGETDURATION starts from it.
    pub target: Ticks,
    /// Directory below which the whole stream is recorded, if it is.
    pub record: Option<PathBuf>,
    /// Shared by the node's publishers.
    pub metrics: PublisherMetrics,
}

impl PublisherConfig {
    /// The usual: [`WINDOW`] segments of 2 s, no recording.
    #[must_use]
    pub fn new(stream: StreamId) -> Self {
        Self {
            stream,
            window: WINDOW,
            target: Ticks(2 * Ticks::PER_SECOND),
            record: None,
            metrics: PublisherMetrics::default(),
        }
    }
}

/// Publishes one stream.
#[derive(Debug)]
pub struct Publisher {
    stream: StreamId,
    core: Core,
    library: Library,
    recorder: Option<Recorder>,
    metrics: PublisherMetrics,
    told: Tally,
    waiting: i64,
    ended: watch::Sender<bool>,
    timer: Option<SpawnHandle>,
    clock: Clock,
}

impl Publisher {
    /// A publisher that goes on from what the library holds of the stream, where it was left by one that died; a stream that
    /// has ended, or was never there, begins anew.
    #[must_use]
    pub fn new(config: PublisherConfig, library: Library) -> Self {
        let PublisherConfig { stream, window, target, record, metrics } = config;
        let (shelf, recorder) = library.resume(&stream).unwrap_or_else(|| {
            let failures = metrics.recordings_failed.clone();
            let recorder = record.map(|dir| Recorder::start(&dir, stream.as_str(), failures));
            (Shelf::new(stream.clone(), window, target, unix_ms()), recorder)
        });
        library.put(Arc::new(shelf.clone()), recorder.as_ref());
        let ended = watch::Sender::new(false);
        let core = Core::new(shelf);
        Self {
            stream,
            core,
            library,
            recorder,
            metrics,
            told: Tally::default(),
            waiting: 0,
            ended,
            timer: None,
            clock: Clock::new(),
        }
    }

    /// Unix time in milliseconds.
    fn now(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX / 2)
    }

    fn show(&mut self, appeared: Vec<Appeared>, ctx: &mut Context<Self>) {
        let over = self.core.ended() && !*self.ended.borrow();
        if !appeared.is_empty() || over {
            let shelf = Arc::new(self.core.shelf().clone());
            self.library.put(Arc::clone(&shelf), self.recorder.as_ref());
            for segment in appeared {
                self.tell(&shelf, segment);
            }
        }
        if over {
            info!(stream = %self.stream, "stream ended");
            self.ended.send_replace(true);
        }
        self.count();
        self.arm(ctx);
    }

    fn tell(&self, shelf: &Arc<Shelf>, segment: Appeared) {
        let Appeared { row, published, raised } = segment;
        if let Some((from, to)) = raised {
            let (seq, secs) = (row.seq, row.duration.as_secs_f64());
            warn!(
                stream = %self.stream, seq, secs,
                "EXT-X-TARGETDURATION raised from {from} to {to} s for a longer segment: \
                 set the encoder's key frame interval to the segment length"
            );
        }
        let there = |name: &&String| row.pieces.contains_key(*name);
        self.metrics.segments.inc();
        self.metrics.gaps.inc_by((row.ladder.len() - row.ladder.iter().filter(there).count()) as u64);
        if let Some(recorder) = &self.recorder {
            recorder.row(shelf, &row);
        }
        if let Some(published) = published {
            self.library.announce(published);
        }
    }

    fn count(&mut self) {
        let now = self.core.tally();
        self.metrics.ignored.inc_by(now.ignored - self.told.ignored);
        self.metrics.forced.inc_by(now.forced - self.told.forced);
        self.metrics.lost.inc_by(now.lost - self.told.lost);
        self.told = now;
        let waiting = self.core.waiting() as i64;
        self.metrics.waiting.inc_by(waiting - self.waiting);
        self.waiting = waiting;
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(at) = self.core.next_wake() {
            let after = Duration::from_millis(at.saturating_sub(self.now()).max(1));
            self.timer = Some(ctx.run_later(after, |act, ctx| {
                act.timer = None;
                let appeared = act.core.on_wake(act.now());
                act.show(appeared, ctx);
            }));
        }
    }
}

impl Actor for Publisher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.metrics.waiting.dec_by(self.waiting);
    }
}

impl Handler<Cut> for Publisher {
    type Result = ();

    fn handle(&mut self, cut: Cut, ctx: &mut Self::Context) {
        let appeared = self.core.on_cut(self.now(), cut);
        self.show(appeared, ctx);
    }
}

impl Handler<Audio> for Publisher {
    type Result = ();

    fn handle(&mut self, audio: Audio, ctx: &mut Self::Context) {
        let appeared = self.core.on_audio(self.now(), audio);
        self.show(appeared, ctx);
    }
}

impl Handler<Made> for Publisher {
    type Result = ();

    fn handle(&mut self, made: Made, ctx: &mut Self::Context) {
        let appeared = self.core.on_made(self.now(), made);
        self.show(appeared, ctx);
    }
}

/// Answered when EXT-X-ENDLIST stands in the playlists and the recording is complete on disk.
impl Handler<End> for Publisher {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: End, ctx: &mut Self::Context) -> Self::Result {
        let appeared = self.core.on_end(self.now());
        self.show(appeared, ctx);
        let (mut ended, recorder) = (self.ended.subscribe(), self.recorder.clone());
        Box::pin(async move {
            // An error means that the publisher died; then there is nothing to wait for.
            if ended.wait_for(|ended| *ended).await.is_ok()
                && let Some(recorder) = recorder
            {
                recorder.finish().await;
            }
        })
    }
}
