//! The one thread that writes: takes commits, groups them, asks the disk once for all of them, then answers.
//!
//! Books are changed before the disk is asked and put back when it refuses, all under their lock, so that whoever reads them
//! sees only what is on disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::executor::block_on;
use protocol::payments::Entry;
use thiserror::Error;
use tracing::error;

use crate::books::{Books, Misfit, Undo, apply};
use crate::record::{RecordError, encode};
use crate::segments::{SEGMENT, Segments, SegmentsError};
use crate::summary::Summary;

/// The disk is asked at most once in this time while there is load; a commit after a pause is written at once.
pub const GROUP_EVERY: Duration = Duration::from_millis(5);
/// Most commits in a group.
const GROUP_COMMITS: usize = 4096;
/// Most bytes in a group, well below what a journal takes.
const GROUP_BYTES: usize = 8 << 20;
/// Commits that may wait.
const WAITING: usize = 8192;
/// Bytes that may wait.
const WAITING_BYTES: usize = 64 << 20;

/// How a ledger is kept.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// See [`GROUP_EVERY`].
    pub group_every: Duration,
    /// See [`SEGMENT`].
    pub segment: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { group_every: GROUP_EVERY, segment: SEGMENT }
    }
}

/// Why entries are not on disk.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CommitError {
    /// They do not fit what came before.
    #[error("entry {at} of the commit does not fit the ledger: {why}")]
    Misfit {
        /// Which one, from zero.
        at: usize,
        /// Why not.
        why: Misfit,
    },
    /// They cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The disk did not take them. What it holds of them is known at the next start; until then nothing depends on them.
    #[error("{0}")]
    Disk(String),
    /// Too many commits wait for the disk.
    #[error("too many commits wait for the disk: ask again when some are done")]
    Busy,
    /// The ledger is closed.
    #[error("the ledger is closed")]
    Closed,
}

/// Resolves when the entries of a commit are on disk.
#[derive(Debug)]
pub struct Committed(oneshot::Receiver<Result<(), CommitError>>);

impl Committed {
    /// Blocks until then.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn wait(self) -> Result<(), CommitError> {
        block_on(self)
    }
}

impl Future for Committed {
    type Output = Result<(), CommitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(CommitError::Closed)))
    }
}

/// What the thread is asked.
enum Request {
    Commit(Commit),
    /// Hashes that expired before this L1 block are forgotten.
    Forget(u64),
    /// Everything before it is on disk or refused when this is answered.
    Settle(oneshot::Sender<Result<(), CommitError>>),
}

struct Commit {
    entries: Vec<Entry>,
    record: Vec<u8>,
    answer: oneshot::Sender<Result<(), CommitError>>,
}

/// What is done with one flush of the disk.
#[derive(Default)]
struct Group {
    commits: Vec<Commit>,
    /// Of the commits' records.
    bytes: usize,
    /// Told when the commits are.
    settled: Vec<oneshot::Sender<Result<(), CommitError>>>,
}

/// Books that the writer changes and others read.
pub(crate) type SharedBooks = Arc<Mutex<Books>>;
/// Sums for people, which change when the disk has answered: to read them nobody waits for it.
pub(crate) type SharedSummary = Arc<Mutex<Summary>>;

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread, as others see it. Dropping it writes what waits and ends it.
#[derive(Debug)]
pub(crate) struct Writer {
    requests: Option<SyncSender<Request>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}

impl Writer {
    /// Starts it.
    pub(crate) fn start(
        segments: Segments,
        (books, summary): (SharedBooks, SharedSummary),
        config: Config,
    ) -> std::io::Result<Self> {
        let (requests, inbox) = sync_channel(WAITING);
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut thread = Thread { segments, books, summary, waiting: Arc::clone(&waiting), config };
        let spawned = thread::Builder::new().name("ledger".to_owned()).spawn(move || thread.run(&inbox));
        Ok(Self { requests: Some(requests), waiting, thread: Some(spawned?) })
    }

    pub(crate) fn commit(&self, entries: Vec<Entry>) -> Committed {
        let (answer, committed) = oneshot::channel();
        if let Err((answer, why)) = self.send(entries, answer) {
            // Whoever waits no longer cares when this fails.
            let _ = answer.send(Err(why));
        }
        Committed(committed)
    }

    fn send(
        &self,
        entries: Vec<Entry>,
        answer: oneshot::Sender<Result<(), CommitError>>,
    ) -> Result<(), (oneshot::Sender<Result<(), CommitError>>, CommitError)> {
        let record = match encode(&entries) {
            Ok(record) => record,
            Err(why) => return Err((answer, why.into())),
        };
        let Some(requests) = &self.requests else { return Err((answer, CommitError::Closed)) };
        let bytes = record.len();
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > WAITING_BYTES {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return Err((answer, CommitError::Busy));
        }
        let why = match requests.try_send(Request::Commit(Commit { entries, record, answer })) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(Request::Commit(commit))) => (commit.answer, CommitError::Busy),
            Err(TrySendError::Disconnected(Request::Commit(commit))) => (commit.answer, CommitError::Closed),
            Err(_) => unreachable!("a commit comes back as one"),
        };
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        Err(why)
    }

    /// Resolves when every commit so far is on disk or refused.
    pub(crate) fn settled(&self) -> Committed {
        let (answer, committed) = oneshot::channel();
        if let Some(requests) = &self.requests
            && let Err(TrySendError::Full(Request::Settle(answer))) =
                requests.try_send(Request::Settle(answer))
        {
            let _ = answer.send(Err(CommitError::Busy));
        }
        Committed(committed)
    }

    /// Forgets nonces of hashes that no ticket can use any more. Says nothing when there is no room: it is asked again.
    pub(crate) fn forget_before(&self, l1_block: u64) {
        if let Some(requests) = &self.requests {
            let _ = requests.try_send(Request::Forget(l1_block));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the ledger's thread panicked; what was committed is on disk");
        }
    }
}

struct Thread {
    segments: Segments,
    books: SharedBooks,
    summary: SharedSummary,
    waiting: Arc<AtomicUsize>,
    config: Config,
}

impl Thread {
    fn run(&mut self, inbox: &Receiver<Request>) {
        let mut last = Instant::now().checked_sub(self.config.group_every).unwrap_or_else(Instant::now);
        while let Ok(first) = inbox.recv() {
            let mut group = Group::default();
            self.take(first, &mut group);
            let until = last + self.config.group_every;
            while group.commits.len() < GROUP_COMMITS && group.bytes < GROUP_BYTES {
                match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(request) => self.take(request, &mut group),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
            last = Instant::now();
            if !group.commits.is_empty()
                && let Err(why) = self.write(std::mem::take(&mut group.commits))
            {
                self.refuse_waiting(inbox, &mut group, &why);
            }
            self.waiting.fetch_sub(group.bytes, Ordering::Relaxed);
            for settled in group.settled {
                let _ = settled.send(Ok(()));
            }
        }
    }

    fn take(&mut self, request: Request, group: &mut Group) {
        match request {
            Request::Commit(commit) => {
                group.bytes += commit.record.len();
                group.commits.push(commit);
            }
            Request::Forget(block) => lock(&self.books).forget_before(block),
            Request::Settle(answer) => group.settled.push(answer),
        }
    }

    /// What waits was made in the belief that what the disk did not take would be there.
    fn refuse_waiting(&mut self, inbox: &Receiver<Request>, group: &mut Group, why: &CommitError) {
        while let Ok(request) = inbox.try_recv() {
            self.take(request, group);
            for commit in group.commits.drain(..) {
                let _ = commit.answer.send(Err(why.clone()));
            }
        }
    }

    fn write(&mut self, group: Vec<Commit>) -> Result<(), CommitError> {
        let books = Arc::clone(&self.books);
        let mut books = lock(&books);
        let (mut undos, mut done) = (Vec::new(), Vec::new());
        let mut failed = self.carry(&mut books).err();
        for mut commit in group {
            let count = commit.entries.len() as u64;
            let added = match &failed {
                Some(why) => Err(CommitError::Disk(why.to_string())),
                None => enter(&mut books, &commit.entries),
            };
            match added {
                Err(why) => drop(commit.answer.send(Err(why))),
                Ok(undo) => {
                    failed = self.segments.append(&mut commit.record, count).err();
                    undos.push((undo, count));
                    done.push((commit.answer, commit.entries));
                }
            }
        }
        let result = match failed {
            Some(why) => Err(why),
            None => self.segments.commit(),
        };
        if let Err(why) = result {
            error!(target: "ledger::event::refused", commits = done.len(), %why);
            for (undo, count) in undos.into_iter().rev() {
                books.undo(undo, count);
            }
            drop(books);
            let why = CommitError::Disk(why.to_string());
            for (answer, _) in done {
                let _ = answer.send(Err(why.clone()));
            }
            return Err(why);
        }
        // Before the books are let go, so that both say the same to whoever holds them.
        let mut summary = lock(&self.summary);
        done.iter().flat_map(|(_, entries)| entries).for_each(|entry| summary.take(entry));
        drop((summary, books));
        for (answer, _) in done {
            let _ = answer.send(Ok(()));
        }
        Ok(())
    }

    /// Begins a new file with the balance when the last one is full.
    fn carry(&mut self, books: &mut Books) -> Result<(), SegmentsError> {
        if !self.segments.is_due() {
            return Ok(());
        }
        books.archive();
        let balance = [books.balance(), lock(&self.summary).balance()].concat();
        self.segments.carry(&balance)
    }
}

/// All entries of a commit into the books, or none.
fn enter(books: &mut Books, entries: &[Entry]) -> Result<Undo, CommitError> {
    let mut undo = Undo::new();
    for (at, entry) in entries.iter().enumerate() {
        if let Err(why) = apply(books, Some(&mut undo), entry) {
            books.undo(undo, at as u64);
            return Err(CommitError::Misfit { at, why });
        }
    }
    Ok(undo)
}
