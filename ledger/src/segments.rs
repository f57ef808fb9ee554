//! The journal of a ledger in files of bounded size, each named by the number of its first entry.
//!
//! Only the last file is written; the earlier ones are whole by construction, are kept for audits, and anything missing in or
//! between them is an error that names the file. Knows records, not what their entries mean.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use protocol::payments::Entry;
use thiserror::Error;

use crate::journal::{Journal, JournalError, Torn};
use crate::record::{Record, RecordError, number};

/// Size at which the next file is begun, bytes. All of the last file is read at each start: this is some 20 ms of work.
pub const SEGMENT: u64 = 16 << 20;

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
        "the ledger in {dir} ends before entry {end}, and its index has seen {seen} entries: the disk lost what it had \
         promised; restore the journal from a backup, or move the folder `index` away to go on without them"
    )]
    Shorter {
        /// Where.
        dir: PathBuf,
        /// Entries that are there.
        end: u64,
        /// Entries that were there.
        seen: u64,
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
    /// Number of the next entry.
    next: u64,
    limit: u64,
    _lock: File,
}

/// Takes entries with the number of the first; they may be unread when they are before what is asked for.
type Each<'a> = dyn FnMut(u64, Vec<Entry>) -> Result<(), SegmentsError> + 'a;

impl Segments {
    /// Opens or creates the files in a folder, and gives `each` all commits that hold entries from number `from` on.
    pub(crate) fn open(
        Held { dir, lock }: Held<'_>,
        from: u64,
        limit: u64,
        each: &mut Each<'_>,
    ) -> Result<(Self, Option<Torn>), SegmentsError> {
        let mut files = list(dir)?;
        let last = files.pop().unwrap_or_else(|| (0, path(dir, 0)));
        let mut cursor = Cursor { from, next: start(&files, &last, from)?, each };
        for (at, (first, file)) in files.iter().enumerate() {
            let after = files.get(at + 1).map_or(last.0, |next| next.0);
            if after > from {
                cursor.whole(*first, file)?;
            }
        }
        cursor.begins(last.0, &last.1)?;
        // Looked at before a torn tail is cut, so that a disk that lost promised entries is left as it is.
        if last.1.exists() {
            cursor.file(&last.1)?;
        }
        let next = cursor.next;
        if next < from {
            return Err(SegmentsError::Shorter { dir: dir.to_owned(), end: next, seen: from });
        }
        let (journal, opened) = Journal::open(&last.1, |_| ())?;
        Ok((Self { dir: dir.to_owned(), last: journal, next, limit, _lock: lock }, opened.cut))
    }

    /// Begins a new file when the last is full. The old one is whole and stays.
    pub(crate) fn rotate(&mut self) -> Result<(), SegmentsError> {
        if self.last.committed() < self.limit {
            return Ok(());
        }
        let (journal, _) = Journal::open(&path(&self.dir, self.next), |_| ())?;
        self.last = journal;
        Ok(())
    }

    /// Adds a commit of `count` entries to the group.
    pub(crate) fn append(&mut self, record: &mut [u8], count: u64) -> Result<(), SegmentsError> {
        number(record, self.next);
        self.last.append(record)?;
        self.next += count;
        Ok(())
    }

    /// Makes the group durable. After an error its numbers are free again.
    pub(crate) fn commit(&mut self, group: u64) -> Result<(), SegmentsError> {
        self.last.commit().map_err(|error| {
            self.next -= group;
            error.into()
        })
    }
}

/// Gives all commits with entries from number `from` on, while somebody else may be writing; says the number that comes next.
pub(crate) fn read(dir: &Path, from: u64, each: &mut Each<'_>) -> Result<u64, SegmentsError> {
    let mut files = list(dir)?;
    let Some(last) = files.pop() else { return Ok(0) };
    let mut cursor = Cursor { from, next: start(&files, &last, from)?, each };
    for (at, (first, file)) in files.iter().enumerate() {
        let after = files.get(at + 1).map_or(last.0, |next| next.0);
        if after > from {
            cursor.whole(*first, file)?;
        }
    }
    cursor.begins(last.0, &last.1)?;
    cursor.file(&last.1)?;
    Ok(cursor.next)
}

struct Cursor<'a, 'b> {
    from: u64,
    next: u64,
    each: &'a mut Each<'b>,
}

impl Cursor<'_, '_> {
    fn begins(&self, first: u64, file: &Path) -> Result<(), SegmentsError> {
        if first == self.next {
            return Ok(());
        }
        Err(SegmentsError::Gap { path: file.to_owned(), expected: self.next, found: first })
    }

    /// A file with a successor: nothing of it may be missing.
    fn whole(&mut self, first: u64, file: &Path) -> Result<(), SegmentsError> {
        self.begins(first, file)?;
        match self.file(file)? {
            None => Ok(()),
            Some(torn) => Err(SegmentsError::Damaged { path: file.to_owned(), torn }),
        }
    }

    fn file(&mut self, file: &Path) -> Result<Option<Torn>, SegmentsError> {
        let mut result = Ok(());
        let opened = Journal::read(file, |bytes| {
            if result.is_ok() {
                result = self.take(file, bytes);
            }
        })?;
        result.map(|()| opened.cut)
    }

    fn take(&mut self, file: &Path, bytes: &[u8]) -> Result<(), SegmentsError> {
        let unread = |why| SegmentsError::Record { seq: self.next, path: file.to_owned(), why };
        let record = Record::parse(bytes).map_err(unread)?;
        self.begins(record.first, file)?;
        let after = self.next + u64::from(record.count);
        if after > self.from {
            let entries = record.entries().map_err(unread)?;
            (self.each)(self.next, entries)?;
        }
        self.next = after;
        Ok(())
    }
}

/// Where reading begins: at the last file that begins at or before `from`.
fn start(files: &[(u64, PathBuf)], last: &(u64, PathBuf), from: u64) -> Result<u64, SegmentsError> {
    let first = files.iter().chain([last]).map(|file| file.0).take_while(|first| *first <= from).last();
    first.ok_or_else(|| {
        let (found, path) = files.first().unwrap_or(last).clone();
        SegmentsError::Gap { path, expected: from, found }
    })
}

fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.journal"))
}

/// All files in order.
fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, SegmentsError> {
    let io = |why| SegmentsError::Io { what: "look into", path: dir.to_owned(), why };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|n| n.strip_suffix(".journal"));
        if let Some(first) = name.filter(|name| name.len() == 20).and_then(|name| name.parse().ok()) {
            files.push((first, path));
        }
    }
    files.sort_unstable();
    Ok(files)
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
