//! The journal of a ledger in files of bounded size, each named by the number of its first entry.
//!
//! Each file begins with what all entries before it came to, so a start reads the last file only, whatever became of the program
//! before. Only the last file is written; the earlier ones are whole by construction, are kept for audits, and anything missing
//! in or between them is an error that names the file. Knows records, not what their entries mean.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tracing::warn;

use crate::journal::{Journal, JournalError, Torn};
use crate::record::{Part, RecordError, number};

mod files;

pub(crate) use self::files::{Reader, read};
use self::files::{fold, list, path};

/// Bytes of entries after which the next file is begun. So many are read again at a start: some 50 ms of work.
pub const SEGMENT: u64 = 4 << 20;
/// A file holds at least this many times what its balance takes, so that balances are a small part of what is written.
const BALANCES: u64 = 4;
/// A balance is flushed in pieces of this size, bytes: below what a journal takes between two commits.
const PIECE: u64 = 4 << 20;

/// Why the files of a ledger cannot be read or written.
#[derive(Debug, Error)]
pub enum SegmentsError {
    /// One of the files.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A whole frame that is no record.
    #[error("entry {seq} in {path} cannot be read: {why}")]
    Record {
        /// Its number.
        seq: u64,
        /// In which file.
        path: PathBuf,
        /// Why not.
        why: RecordError,
    },
    /// Entries are gone.
    #[error(
        "{path} should begin with entry {expected} and begins with {found}: entries were lost or files removed; restore them \
         from a backup"
    )]
    Gap {
        /// Where.
        path: PathBuf,
        /// The number that must come next.
        expected: u64,
        /// The number that comes.
        found: u64,
    },
    /// A file that must be whole is not.
    #[error("{path} ends in {} damaged bytes, and later files exist: restore it from a backup", torn.bytes)]
    Damaged {
        /// Which.
        path: PathBuf,
        /// The bytes.
        torn: Torn,
    },
    /// Committed entries are gone from the end.
    #[error(
        "the ledger in {dir} ends before entry {end}, and its file `promised` says that {promised} were on disk: the disk lost \
         them; restore the journal from a backup, or move that file away to go on without them"
    )]
    Shorter {
        /// Where.
        dir: PathBuf,
        /// Entries that are there.
        end: u64,
        /// Entries that were there.
        promised: u64,
    },
    /// Somebody else has it.
    #[error("the ledger in {0} is in use by another process: stop that one first")]
    Locked(PathBuf),
    /// The system refused.
    #[error("cannot {what} {path}: {why}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

/// The files of an open ledger.
#[derive(Debug)]
pub(crate) struct Segments {
    dir: PathBuf,
    last: Journal,
    /// Number of the last file's first entry.
    first: u64,
    /// Number of the next entry.
    next: u64,
    /// Entries that are on disk for good.
    committed: u64,
    /// Bytes of entries since the last balance.
    since: u64,
    /// Bytes after which the next balance is due.
    limit: u64,
    least: u64,
    promised: Promised,
    _lock: File,
}

impl Segments {
    /// Opens or creates the files in a folder, and gives the reader the newest balance and all entries after it. Files of which
    /// anything that was promised is gone are left as they are.
    pub(crate) fn open(
        Held { dir, lock }: Held<'_>,
        limit: u64,
        reader: &mut dyn Reader,
    ) -> Result<(Self, Option<Torn>), SegmentsError> {
        let files = list(dir)?;
        let (next, since) = fold(&files, reader)?;
        let promised = Promised::open(dir)?;
        if next < promised.count {
            return Err(SegmentsError::Shorter { dir: dir.to_owned(), end: next, promised: promised.count });
        }
        let (first, last) = files.into_iter().next_back().unwrap_or_else(|| (0, path(dir, 0)));
        let (last, opened) = Journal::open(&last, |_| ())?;
        let dir = dir.to_owned();
        let (committed, least) = (next, limit);
        let segments = Self { dir, last, first, next, committed, since, limit, least, promised, _lock: lock };
        Ok((segments, opened.cut))
    }

    /// Whether a balance is to be carried forward.
    pub(crate) const fn is_due(&self) -> bool {
        self.since >= self.limit
    }

    /// Begins a new file with what all entries so far came to. The old one is whole and stays. A balance for which there is no
    /// room is due again.
    pub(crate) fn carry(&mut self, balance: &[Vec<u8>]) -> Result<(), SegmentsError> {
        if self.first != self.next {
            let (journal, _) = Journal::open(&path(&self.dir, self.next), |_| ())?;
            (self.last, self.first) = (journal, self.next);
        }
        if let Err(why) = self.write_balance(balance) {
            warn!(target: "ledger::event::not_carried", %why);
            return Ok(());
        }
        let bytes: usize = balance.iter().map(Vec::len).sum();
        self.limit = self.least.max(bytes as u64 * BALANCES);
        self.since = 0;
        Ok(())
    }

    fn write_balance(&mut self, balance: &[Vec<u8>]) -> Result<(), JournalError> {
        let of = u32::try_from(balance.len()).unwrap_or(u32::MAX);
        let mut waiting = 0;
        for (at, body) in (0..of).zip(balance) {
            let part = Part { entries: self.next, at, of, body }.encode();
            waiting += part.len() as u64;
            self.last.append(&part)?;
            if waiting > PIECE {
                self.last.commit()?;
                waiting = 0;
            }
        }
        self.last.commit()
    }

    /// Adds a commit of `count` entries to the group.
    pub(crate) fn append(&mut self, record: &mut [u8], count: u64) -> Result<(), SegmentsError> {
        number(record, self.next);
        self.last.append(record).inspect_err(|_| self.next = self.committed)?;
        self.next += count;
        Ok(())
    }

    /// Makes the group durable. After an error its numbers are free again.
    pub(crate) fn commit(&mut self) -> Result<(), SegmentsError> {
        self.promised.mark(self.committed);
        let before = self.last.committed();
        self.last.commit().inspect_err(|_| self.next = self.committed)?;
        self.since += self.last.committed() - before;
        self.committed = self.next;
        Ok(())
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        self.promised.mark(self.committed);
    }
}

/// How many entries were on disk for good, in a file of its own: what a journal lost from its end shows only so. It follows one
/// group behind, is never waited for, and losing it loses nothing but that.
#[derive(Debug)]
struct Promised {
    file: File,
    count: u64,
}

impl Promised {
    fn open(dir: &Path) -> Result<Self, SegmentsError> {
        let path = dir.join("promised");
        let io = |what, why| SegmentsError::Io { what, path: path.clone(), why };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|why| io("open", why))?;
        let text = fs::read_to_string(&path).map_err(|why| io("read", why))?;
        let count = text.trim().parse().unwrap_or(0);
        Ok(Self { file, count })
    }

    fn mark(&mut self, count: u64) {
        if count > self.count && self.file.write_all_at(format!("{count:020}\n").as_bytes(), 0).is_ok() {
            self.count = count;
        }
    }
}

/// A folder that no other process writes.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    dir: &'a Path,
    lock: File,
}

/// Makes the folder and takes it.
pub(crate) fn hold(dir: &Path) -> Result<Held<'_>, SegmentsError> {
    let io = |what, why| SegmentsError::Io { what, path: dir.to_owned(), why };
    fs::create_dir_all(dir).map_err(|why| io("create", why))?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"));
    let file = file.map_err(|why| io("write into", why))?;
    match file.try_lock() {
        Ok(()) => Ok(Held { dir, lock: file }),
        Err(TryLockError::WouldBlock) => Err(SegmentsError::Locked(dir.to_owned())),
        Err(TryLockError::Error(why)) => Err(io("lock", why)),
    }
}
