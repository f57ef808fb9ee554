//! Records a whole stream as HLS on disk: EVENT while it runs, VOD with an end afterwards.
//!
//! In: rows as they appear. Out: a directory that can be played at any moment, also after a crash: every file is written
//! aside, flushed and renamed, and a playlist names a segment only when it is there. All disk work is on a thread of its own;
//! a disk that is full, gone or too slow ends the recording, never the stream.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use super::shelf::{Row, Shelf};
use crate::budget::RECORD_SEGMENTS;

mod playlists;
use playlists::Playlists;

/// A handle on a running recording; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Step>,
    failed: Arc<Failed>,
}

#[derive(Debug)]
struct Failed {
    yes: AtomicBool,
    count: Counter,
}

enum Step {
    Row(Arc<Shelf>, Arc<Row>),
    Finish(oneshot::Sender<()>),
}

/// Why a recording stopped before its stream did.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(
        "cannot write {path:?}: {source}; free the disk or choose another directory, the stream itself goes on"
    )]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot start a thread: {0}; the stream itself goes on without a recording")]
    Thread(io::Error),
    #[error("the disk is slower than the stream: {RECORD_SEGMENTS} segments wait; the stream itself goes on")]
    Slow,
}

impl Recorder {
    /// Starts recording the stream of `shelf` below `dir`.
    pub(crate) fn start(dir: &Path, stream: &str, failures: Counter) -> Self {
        let (queue, steps) = mpsc::channel(RECORD_SEGMENTS);
        let recorder =
            Self { queue, failed: Arc::new(Failed { yes: AtomicBool::new(false), count: failures }) };
        let (parent, name, failed) = (dir.to_owned(), stream.to_owned(), Arc::clone(&recorder.failed));
        let thread = std::thread::Builder::new().name(format!("record {stream}").chars().take(15).collect());
        if let Err(e) = thread.spawn(move || run(&parent, &name, steps, &failed)) {
            recorder.failed.report(stream, &RecordError::Thread(e));
        }
        recorder
    }

    /// Hands a row over; never waits.
    pub(crate) fn row(&self, shelf: &Arc<Shelf>, row: &Arc<Row>) {
        if self.failed.yes.load(Ordering::Relaxed) {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) =
            self.queue.try_send(Step::Row(Arc::clone(shelf), Arc::clone(row)))
        {
            self.failed.report(shelf.stream.as_str(), &RecordError::Slow);
        }
    }

    /// Ends the recording; resolves when the final playlists are on disk, or the recording had failed.
    pub(crate) async fn finish(self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Step::Finish(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

impl Failed {
    fn report(&self, stream: &str, why: &RecordError) {
        if !self.yes.swap(true, Ordering::Relaxed) {
            self.count.inc();
            error!(stream, "recording stopped: {why}");
        }
    }
}

fn run(parent: &Path, stream: &str, mut steps: mpsc::Receiver<Step>, failed: &Failed) {
    let mut recording = match Recording::create(parent, stream) {
        Ok(recording) => recording,
        Err(e) => return failed.report(stream, &e),
    };
    info!(stream, dir = %recording.dir.display(), "recording");
    while let Some(step) = steps.blocking_recv() {
        let outcome = match step {
            Step::Row(..) if failed.yes.load(Ordering::Relaxed) => break,
            Step::Row(shelf, row) => recording.row(&shelf, &row),
            Step::Finish(done) => {
                let outcome = recording.finish();
                let _ = done.send(());
                return outcome.unwrap_or_else(|e| failed.report(stream, &e));
            }
        };
        if let Err(e) = outcome {
            return failed.report(stream, &e);
        }
    }
    // The publisher is gone without an end: what is there is whole, and stays open for a player to see so.
    if let Err(e) = recording.flush() {
        failed.report(stream, &e);
    }
}

/// The directory and what it holds.
struct Recording {
    dir: PathBuf,
    playlists: Playlists,
    ended: bool,
}

impl Recording {
    /// Takes a directory of its own: `<stream>`, or `<stream>~2` and so on when earlier recordings are there. An earlier one
    /// that a crash left open is closed, so that players see its end.
    fn create(parent: &Path, stream: &str) -> Result<Self, RecordError> {
        fs::create_dir_all(parent).map_err(|e| failure(parent, e))?;
        for n in 1_u32.. {
            let dir = parent.join(if n == 1 { stream.to_owned() } else { format!("{stream}~{n}") });
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Self { dir, playlists: Playlists::default(), ended: false }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => playlists::close_abandoned(&dir),
                Err(e) => return Err(failure(&dir, e)),
            }
        }
        Err(failure(parent, io::Error::from(io::ErrorKind::AlreadyExists)))
    }

    fn row(&mut self, shelf: &Shelf, row: &Row) -> Result<(), RecordError> {
        if self.ended {
            return Ok(());
        }
        for (track, piece) in &row.pieces {
            let dir = self.dir.join(track);
            fs::create_dir_all(&dir).map_err(|e| failure(&dir, e))?;
            let init = dir.join(format!("init-{}.mp4", piece.map));
            if let Some(bytes) = shelf.init(track, piece.map)
                && !init.exists()
            {
                write(&init, &bytes)?;
            }
            write(&dir.join(format!("{}.m4s", row.seq)), &piece.media)?;
        }
        self.playlists.add(shelf, row);
        if self.playlists.due() { self.flush() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), RecordError> {
        self.ended = true;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), RecordError> {
        for (path, text) in self.playlists.write(self.ended) {
            let path = self.dir.join(path);
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir).map_err(|e| failure(dir, e))?;
            }
            write(&path, text.as_bytes())?;
        }
        Ok(())
    }
}

/// Writes a file aside, flushes it and renames it: it is whole or not there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let aside = path.with_extension("part");
    let done = File::create(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&aside, path)
    });
    done.map_err(|e| {
        let _ = fs::remove_file(&aside);
        failure(path, e)
    })
}

fn failure(path: &Path, source: io::Error) -> RecordError {
    RecordError::Write { path: path.to_owned(), source }
}
