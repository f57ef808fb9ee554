//! An append-only file of entries, each framed by its length and a CRC, that survives a kill and a power cut.
//!
//! In flow bytes of an entry, out flow the same bytes at the next start, in order. What [`Journal::commit`] said is there stays
//! there; of what was not committed, a prefix may be. A tail that was being written when the machine stopped is cut and told;
//! damage before whole later groups is refused, because cutting it would forget what was promised. Knows no meaning of bytes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

mod frame;
mod replay;

use self::frame::{Header, Place};

/// Largest payload of one entry, bytes.
pub const MAX_ENTRY: usize = 1 << 20;
/// Most bytes between two commits. A torn tail cannot be longer, so the search behind a bad frame has an end.
pub const MAX_GROUP: u64 = 16 << 20;

/// An open journal, which no other process has.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    header: Header,
    /// Bytes of the file that are on disk for good.
    committed: u64,
    /// Frames since then, not yet written.
    group: Vec<u8>,
    /// Why nothing can be written any more, once the disk has failed us.
    broken: Option<String>,
}

/// What was found when a journal was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Opened {
    /// Entries given to the caller.
    pub entries: u64,
    /// Bytes of the file that are whole, header included.
    pub bytes: u64,
    /// The unfinished tail that was cut, if there was one.
    pub cut: Option<Torn>,
}

/// A tail that a stop left unfinished. It was never committed, unless the disk itself lost it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Torn {
    /// Offset at which it began, bytes.
    pub at: u64,
    /// Its length, bytes.
    pub bytes: u64,
}

/// Why a journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Somebody else has it.
    #[error("{path} is in use by another process: stop that one first")]
    Locked {
        /// The journal.
        path: PathBuf,
    },
    /// Another file lies there.
    #[error("{path} is not a journal of this program: {why}; move it away or name another file")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with its beginning.
        why: &'static str,
    },
    /// A newer program wrote it.
    #[error(
        "{path} has version {version}, and this program reads version {}: use a newer program",
        frame::VERSION
    )]
    Version {
        /// The journal.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The disk changed what was committed.
    #[error(
        "{path} is damaged at byte {at}, and whole entries follow from byte {next}: nothing was changed; copy the file, look at \
         the disk, and restore it from a backup"
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where the first bad frame begins.
        at: u64,
        /// Where a whole later group begins, or where the search ended.
        next: u64,
    },
    /// The entry cannot be framed.
    #[error("an entry of {bytes} bytes does not fit a journal: it must have 1 to {MAX_ENTRY}")]
    Size {
        /// Length of the entry.
        bytes: usize,
    },
    /// Too much at once.
    #[error("more than {MAX_GROUP} bytes since the last commit: commit, then append again")]
    Group,
    /// No room on the disk.
    #[error(
        "no room on the disk for {path}: free some; nothing since the last commit is in it, all before is whole"
    )]
    Full {
        /// The journal.
        path: PathBuf,
    },
    /// The disk failed while writing, and what it holds since the last commit is unknown.
    #[error(
        "{path} could not be written ({why}): open it again once the disk is well; committed entries are whole"
    )]
    Broken {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The system refused.
    #[error("cannot {what} {path}: {why}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The journal.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

impl Journal {
    /// Opens or creates the journal and gives `each` all its entries in order.
    ///
    /// # Errors
    /// [`JournalError`] when it is in use, not ours, damaged in its middle, or unreadable. Nothing is changed then.
    pub fn open(path: &Path, mut each: impl FnMut(&[u8])) -> Result<(Self, Opened), JournalError> {
        let io = |what| move |why| JournalError::Io { what, path: path.to_owned(), why };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io("open"))?;
        lock(&file, path)?;
        let length = file.metadata().map_err(io("look at"))?.len();
        let header = match Header::read(&file, length).map_err(io("read"))? {
            Place::Ours(header) => header,
            Place::Unborn => create(&file, path)?,
            Place::Version(version) => {
                return Err(JournalError::Version { path: path.to_owned(), version });
            }
            Place::Foreign(why) => return Err(JournalError::Foreign { path: path.to_owned(), why }),
        };
        let length = length.max(frame::HEADER);
        let (entries, whole) = replay::entries(&file, header, length, &mut each).map_err(io("read"))?;
        let cut = (whole < length).then_some(Torn { at: whole, bytes: length - whole });
        if cut.is_some() {
            refuse_damage(&file, header, path, whole, length)?;
            file.set_len(whole).and_then(|()| file.sync_data()).map_err(io("cut the torn tail of"))?;
        }
        let journal =
            Self { path: path.to_owned(), file, header, committed: whole, group: Vec::new(), broken: None };
        Ok((journal, Opened { entries, bytes: whole, cut }))
    }

    /// Gives all whole entries of a journal that somebody else may be writing, and changes nothing. `cut` names a tail that is
    /// not whole: a group that is being written, or one that a stop left.
    ///
    /// # Errors
    /// [`JournalError`] when it is not ours or unreadable.
    pub fn read(path: &Path, mut each: impl FnMut(&[u8])) -> Result<Opened, JournalError> {
        let io = |what| move |why| JournalError::Io { what, path: path.to_owned(), why };
        let file = File::open(path).map_err(io("open"))?;
        let length = file.metadata().map_err(io("look at"))?.len();
        let header = match Header::read(&file, length).map_err(io("read"))? {
            Place::Ours(header) => header,
            Place::Unborn => return Ok(Opened::default()),
            Place::Version(version) => {
                return Err(JournalError::Version { path: path.to_owned(), version });
            }
            Place::Foreign(why) => return Err(JournalError::Foreign { path: path.to_owned(), why }),
        };
        let (entries, whole) = replay::entries(&file, header, length, &mut each).map_err(io("read"))?;
        let cut = (whole < length).then_some(Torn { at: whole, bytes: length - whole });
        Ok(Opened { entries, bytes: whole, cut })
    }

    /// Adds an entry to the group that the next [`Self::commit`] makes durable.
    ///
    /// # Errors
    /// [`JournalError::Size`] and [`JournalError::Group`]; neither adds anything.
    pub fn append(&mut self, entry: &[u8]) -> Result<(), JournalError> {
        self.usable()?;
        if entry.is_empty() || entry.len() > MAX_ENTRY {
            return Err(JournalError::Size { bytes: entry.len() });
        }
        if self.group.len() as u64 + frame::HEAD + entry.len() as u64 > MAX_GROUP {
            return Err(JournalError::Group);
        }
        let first = self.group.is_empty();
        frame::write(&mut self.group, self.header, first, entry);
        Ok(())
    }

    /// Writes everything appended and returns when the disk has it.
    ///
    /// # Errors
    /// [`JournalError::Full`]: the group is forgotten, and the journal goes on. [`JournalError::Broken`]: open it again. In
    /// both, all that was committed before is whole.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        self.usable()?;
        if self.group.is_empty() {
            return Ok(());
        }
        let group = std::mem::take(&mut self.group);
        if let Err(why) = self.file.write_all_at(&group, self.committed) {
            return Err(self.write_failed(&why));
        }
        if let Err(why) = self.file.sync_data() {
            // After a failed sync the kernel may call lost pages clean: nothing it says later about them counts.
            self.broken = Some(why.to_string());
            self.usable()?;
        }
        self.committed += group.len() as u64;
        self.group = group;
        self.group.clear();
        Ok(())
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are on disk for good, header included.
    #[must_use]
    pub const fn committed(&self) -> u64 {
        self.committed
    }

    fn usable(&self) -> Result<(), JournalError> {
        match &self.broken {
            None => Ok(()),
            Some(why) => Err(JournalError::Broken { path: self.path.clone(), why: why.clone() }),
        }
    }

    /// Takes back what was half written, so that the next group begins behind the last committed one.
    fn write_failed(&mut self, why: &io::Error) -> JournalError {
        let back = self.file.set_len(self.committed).and_then(|()| self.file.sync_data());
        if back.is_ok() && matches!(why.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            return JournalError::Full { path: self.path.clone() };
        }
        let why = why.to_string();
        self.broken = Some(why.clone());
        JournalError::Broken { path: self.path.clone(), why }
    }
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => JournalError::Locked { path: path.to_owned() },
        TryLockError::Error(why) => JournalError::Io { what: "lock", path: path.to_owned(), why },
    })
}

/// Writes the header, and makes the file's name itself durable.
fn create(file: &File, path: &Path) -> Result<Header, JournalError> {
    let header = Header::new();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = file
        .set_len(0)
        .and_then(|()| file.write_all_at(&header.bytes(), 0))
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(folder)?.sync_all());
    written.map_err(|why| match why.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => JournalError::Full { path: path.to_owned() },
        _ => JournalError::Io { what: "create", path: path.to_owned(), why },
    })?;
    Ok(header)
}

/// A tail may be cut only if nothing behind it was committed later.
fn refuse_damage(file: &File, header: Header, path: &Path, at: u64, length: u64) -> Result<(), JournalError> {
    let later = replay::later_group(file, header, at, length).map_err(|why| JournalError::Io {
        what: "read",
        path: path.to_owned(),
        why,
    })?;
    match later {
        None => Ok(()),
        Some(next) => Err(JournalError::Damaged { path: path.to_owned(), at, next }),
    }
}

#[cfg(test)]
mod tests;
