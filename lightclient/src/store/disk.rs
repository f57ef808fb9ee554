//! Files: one directory belongs to one running client; a state is written to a temporary file, synced,
//! renamed and its directory synced, first as the spare, then as the main file. So at every instant one of
//! the two is whole, and once `save` returns both hold what it was given: a main file that a disk damages
//! later costs a warning, and no promise.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use alloy_primitives::B256;
use thiserror::Error;

use super::format::{FormatError, MAX_FILE, Saved, decode_updates, encode_updates};

const MAIN: &str = "light.state";
const SPARE: &str = "light.state.spare";
const TEMPORARY: &str = "light.state.tmp";
const UPDATES: &str = "light.updates";
const LOCK: &str = "light.lock";
/// Bytes of a process's number in the lock.
const MAX_PID: u64 = 16;

/// Where a light client keeps its state. Dropping it frees the directory for another process.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    chain: B256,
    /// Finalized slot of the last state that both files hold.
    promised: u64,
    _lock: File,
}

/// A directory taken, and what was in it.
#[derive(Debug)]
pub struct Opened {
    /// To save to.
    pub disk: Disk,
    /// The newest whole state, none in a fresh directory.
    pub saved: Option<Saved>,
    /// What was wrong with one of the two files while the other was whole.
    pub warning: Option<Warning>,
}

/// One of two copies could not be read; the other served.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{} {why}; its other copy is whole and was used", path.display())]
pub struct Warning {
    /// The bad file, which the next save replaces.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: FormatError,
}

/// Why a state could not be opened or kept.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The operating system said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// Another process has the directory.
    #[error(
        "{} is used by another light client{}: stop it, or give this one its own data directory",
        path.display(),
        holder.map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Its process, as it wrote it down.
        holder: Option<u32>,
    },
    /// No whole state, but files that are not ours to overwrite.
    #[error("{} {why}. Nothing was changed; to begin anew move it away and give a checkpoint", path.display())]
    Unreadable {
        /// The main file.
        path: PathBuf,
        /// What is wrong with it.
        why: FormatError,
    },
    /// A caller tried to go back.
    #[error("finalized slot {offered} is older than {promised}, which is on disk: nothing was written")]
    Older {
        /// What was to be saved.
        offered: u64,
        /// What both files hold.
        promised: u64,
    },
}

impl Disk {
    /// Takes a directory (made where missing) for the chain with this genesis validators root and reads what
    /// is there.
    ///
    /// # Errors
    /// [`StoreError`]: in use, unreadable with no whole copy, or the operating system's reason.
    pub fn open(folder: &Path, chain: B256) -> Result<Opened, StoreError> {
        fs::create_dir_all(folder).map_err(io("make", folder))?;
        let lock = lock(folder)?;
        let (main, spare) = (read(&folder.join(MAIN), chain)?, read(&folder.join(SPARE), chain)?);
        let (saved, warning) = choose(folder, main, spare)?;
        let promised = saved.as_ref().map_or(0, Saved::finalized_slot);
        let disk = Self { folder: folder.to_owned(), chain, promised, _lock: lock };
        Ok(Opened { disk, saved, warning })
    }

    /// Makes a state durable. When this returns, any later [`Self::open`] yields this state or a later one,
    /// whatever is killed when.
    ///
    /// # Errors
    /// [`StoreError::Older`] for a finalized slot before the promised one, or the operating system's reason.
    pub fn save(&mut self, state: &Saved) -> Result<(), StoreError> {
        let offered = state.finalized_slot();
        if offered < self.promised {
            return Err(StoreError::Older { offered, promised: self.promised });
        }
        let bytes = state.encode(self.chain);
        self.replace(SPARE, &bytes)?;
        self.replace(MAIN, &bytes)?;
        self.promised = offered;
        Ok(())
    }

    /// Keeps what the state does not need and a later start is cheaper with, such as updates for newcomers, each as its owner
    /// encodes it, oldest first.
    ///
    /// # Errors
    /// The operating system's reason.
    pub fn save_updates(&mut self, updates: &[Vec<u8>]) -> Result<(), StoreError> {
        self.replace(UPDATES, &encode_updates(self.chain, updates))
    }

    /// What [`Self::save_updates`] kept. None where their file is missing or damaged: nothing rests on them, and the next ones replace it.
    #[must_use]
    pub fn updates(&self) -> Vec<Vec<u8>> {
        let path = self.folder.join(UPDATES);
        let mut bytes = Vec::new();
        let Ok(file) = File::open(&path) else { return Vec::new() };
        let read = file.take(MAX_FILE as u64 + 1024).read_to_end(&mut bytes);
        let updates = read
            .map_err(|error| error.to_string())
            .and_then(|_| decode_updates(self.chain, &bytes).map_err(|why| why.to_string()));
        updates.unwrap_or_else(|why| {
            tracing::warn!(path = %path.display(), why, "no updates for others");
            Vec::new()
        })
    }

    /// The directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (temporary, target) = (self.folder.join(TEMPORARY), self.folder.join(name));
        let mut file = File::create(&temporary).map_err(io("create", &temporary))?;
        file.write_all(bytes).map_err(io("write", &temporary))?;
        file.sync_all().map_err(io("sync", &temporary))?;
        fs::rename(&temporary, &target).map_err(io("replace", &target))?;
        let folder = File::open(&self.folder).map_err(io("open", &self.folder))?;
        folder.sync_all().map_err(io("sync", &self.folder))
    }
}

/// What a file holds: nothing where there is none.
type Found = Option<Result<Saved, FormatError>>;

fn choose(folder: &Path, main: Found, spare: Found) -> Result<(Option<Saved>, Option<Warning>), StoreError> {
    let warn = |name: &str, why| Some(Warning { path: folder.join(name), why });
    match (main, spare) {
        (None, None) => Ok((None, None)),
        // A crash between the two writes leaves the spare ahead: both are whole, and the later one is as
        // good.
        (Some(Ok(main)), Some(Ok(spare))) => {
            Ok((Some(if spare.finalized_slot() > main.finalized_slot() { spare } else { main }), None))
        }
        (Some(Ok(whole)), None) | (None, Some(Ok(whole))) => Ok((Some(whole), None)),
        (Some(Ok(whole)), Some(Err(why))) => Ok((Some(whole), warn(SPARE, why))),
        (Some(Err(why)), Some(Ok(whole))) => Ok((Some(whole), warn(MAIN, why))),
        (Some(Err(why)), _) => Err(StoreError::Unreadable { path: folder.join(MAIN), why }),
        (None, Some(Err(why))) => Err(StoreError::Unreadable { path: folder.join(SPARE), why }),
    }
}

fn read(path: &Path, chain: B256) -> Result<Found, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("open", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1024).read_to_end(&mut bytes).map_err(io("read", path))?;
    Ok(Some(Saved::decode(chain, &bytes)))
}

/// Takes the lock, and writes into it who has it: for people, nothing depends on it.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = opened.map_err(io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let holder =
                (&file).take(MAX_PID).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::InUse { path: folder.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(io("lock", &path)(source)),
    }
    file.set_len(0).map_err(io("write", &path))?;
    writeln!(file, "{}", std::process::id()).map_err(io("write", &path))?;
    Ok(file)
}

fn io<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + use<'a> {
    move |source| StoreError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: B256 = B256::repeat_byte(7);

    fn at(slot: u64) -> Saved {
        Saved { consensus: vec![3; 100], finalized: vec![(slot, B256::ZERO)], ..Saved::default() }
    }

    fn open(folder: &Path) -> Opened {
        Disk::open(folder, CHAIN).unwrap()
    }

    fn with(slots: &[u64]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = open(folder.path()).disk;
        slots.iter().for_each(|slot| disk.save(&at(*slot)).unwrap());
        folder
    }

    #[test]
    fn a_fresh_directory_is_made_and_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(&folder.path().join("a/b"));
        assert_eq!((opened.saved, opened.warning), (None, None));
    }

    #[test]
    fn the_last_state_saved_is_the_one_found() {
        let folder = with(&[8, 16, 24]);
        assert_eq!(open(folder.path()).saved, Some(at(24)));
    }

    #[test]
    fn a_damaged_main_file_costs_a_warning_and_no_promise() {
        for name in [MAIN, SPARE] {
            let folder = with(&[8, 16]);
            fs::write(folder.path().join(name), b"LMLIGHT\n torn").unwrap();
            let mut opened = open(folder.path());
            assert_eq!(opened.saved, Some(at(16)));
            assert!(opened.warning.unwrap().to_string().contains(name));
            opened.disk.save(&at(16)).unwrap();
            drop(opened.disk);
            assert_eq!(open(folder.path()).warning, None, "a save mends the copy");
        }
    }

    #[test]
    fn a_spare_that_a_crash_left_ahead_is_taken() {
        let folder = with(&[8]);
        fs::write(folder.path().join(SPARE), at(16).encode(CHAIN)).unwrap();
        fs::write(folder.path().join(TEMPORARY), b"half a sta").unwrap();
        let opened = open(folder.path());
        assert_eq!((opened.saved, opened.warning), (Some(at(16)), None));
    }

    #[test]
    fn two_bad_files_are_refused_with_what_to_do_and_left_alone() {
        let folder = with(&[8]);
        for name in [MAIN, SPARE] {
            fs::write(folder.path().join(name), b"LMLIGHT\n").unwrap();
        }
        let error = Disk::open(folder.path(), CHAIN).unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
        assert!(error.to_string().contains("move it away and give a checkpoint"), "{error}");
        assert_eq!(fs::read(folder.path().join(MAIN)).unwrap(), b"LMLIGHT\n");
    }

    #[test]
    fn another_chains_directory_is_refused() {
        let folder = with(&[8]);
        let error = Disk::open(folder.path(), B256::ZERO).unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { why: FormatError::Foreign { .. }, .. }), "{error}");
    }

    #[test]
    fn nobody_saves_an_older_finalized_slot() {
        let folder = with(&[16]);
        let mut disk = open(folder.path()).disk;
        assert!(matches!(disk.save(&at(8)), Err(StoreError::Older { offered: 8, promised: 16 })));
        drop(disk);
        assert_eq!(open(folder.path()).saved, Some(at(16)));
    }

    #[test]
    fn damaged_updates_are_none_and_harm_nothing_else() {
        let folder = with(&[8]);
        let mut disk = open(folder.path()).disk;
        disk.save_updates(&[vec![1; 100], vec![2; 100]]).unwrap();
        assert_eq!(disk.updates(), [vec![1; 100], vec![2; 100]]);
        fs::write(folder.path().join(UPDATES), b"LMUPDAT\n torn").unwrap();
        assert!(disk.updates().is_empty());
        drop(disk);
        assert_eq!(open(folder.path()).saved, Some(at(8)));
    }

    #[test]
    fn a_directory_serves_one_client_at_a_time() {
        let folder = with(&[8]);
        let first = open(folder.path());
        let error = Disk::open(folder.path(), CHAIN).unwrap_err();
        let me = std::process::id();
        assert!(matches!(error, StoreError::InUse { holder: Some(pid), .. } if pid == me), "{error}");
        assert!(error.to_string().contains(&format!("(process {me})")), "{error}");
        drop(first);
        open(folder.path());
    }
}
