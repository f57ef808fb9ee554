//! The index over the journal: what the books came to at some entry, kept in sled, which nothing else here names.
//!
//! In flow changed values and the number of entries that they reflect, in one atomic batch; out flows all of it at the next
//! start. It is never believed without its checksum, and losing it loses nothing: the journal makes it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use alloy_primitives::keccak256;
use thiserror::Error;

/// Memory that sled may use for its pages, bytes.
const CACHE: u64 = 64 << 20;
/// After this long an index is not going to open: it is rebuilt, which takes less.
const PATIENCE: Duration = Duration::from_secs(20);
/// Broken indexes that are kept to be looked at.
const KEPT: usize = 3;
/// Under this key lie the number of entries reflected and the checksum over all other pairs. No other key is empty.
const META: &[u8] = b"";

/// One changed value; none removes it.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

/// An open index.
#[derive(Debug)]
pub(crate) struct Index {
    db: sled::Db,
    sum: u64,
}

/// What an index held when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Entries that it reflects.
    pub(crate) entries: u64,
    /// Everything in it.
    pub(crate) pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why an index is of no use.
#[derive(Clone, Debug, Error)]
pub(crate) enum IndexError {
    #[error("the store says: {0}")]
    Store(String),
    #[error("the store panicked or did not answer")]
    Gone,
    #[error("its checksum is wrong")]
    Sum,
}

impl From<sled::Error> for IndexError {
    fn from(error: sled::Error) -> Self {
        Self::Store(error.to_string())
    }
}

impl Index {
    /// Opens the index on a thread of its own, because the store panics on some damage, and checks it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Held), IndexError> {
        let (answer, opened) = mpsc::channel();
        let path = path.to_owned();
        let thread = thread::Builder::new().name("ledger-index-open".to_owned());
        // A panic drops `answer`, which is an answer too.
        let started = thread.spawn(move || answer.send(Self::open_here(&path)));
        started.map_err(|why| IndexError::Store(why.to_string()))?;
        opened.recv_timeout(PATIENCE).map_err(|_| IndexError::Gone)?
    }

    fn open_here(path: &Path) -> Result<(Self, Held), IndexError> {
        let config = sled::Config::new().path(path).cache_capacity(CACHE).flush_every_ms(None);
        let db = config.open()?;
        let (mut held, mut sum, mut meta) = (Held::default(), 0, None);
        for pair in db.iter() {
            let (key, value) = pair?;
            if key == META {
                meta = Some(<[u8; 16]>::try_from(value.as_ref()).map_err(|_| IndexError::Sum)?);
                continue;
            }
            sum ^= fingerprint(&key, &value);
            held.pairs.push((key.to_vec(), value.to_vec()));
        }
        let (entries, said) = meta.map_or((0, 0), |meta| {
            let (entries, sum) = meta.split_at(8);
            let word = |half: &[u8]| half.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte));
            (word(entries), word(sum))
        });
        if said != sum {
            return Err(IndexError::Sum);
        }
        held.entries = entries;
        Ok((Self { db, sum }, held))
    }

    /// Writes changes and the number of entries that they bring the index to, together, to the disk.
    pub(crate) fn write(&mut self, changes: Vec<Change>, entries: u64) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        let mut sum = self.sum;
        for (key, value) in changes {
            if let Some(old) = self.db.get(&key)? {
                sum ^= fingerprint(&key, &old);
            }
            match value {
                Some(value) => {
                    sum ^= fingerprint(&key, &value);
                    batch.insert(key, value);
                }
                None => batch.remove(key),
            }
        }
        batch.insert(META, [entries.to_be_bytes(), sum.to_be_bytes()].concat());
        self.db.apply_batch(batch)?;
        self.sum = sum;
        self.db.flush()?;
        Ok(())
    }
}

/// Puts an index that does not open out of the way; a few of them are kept.
pub(crate) fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let place = |n: usize| path.with_extension(format!("broken-{n}"));
    if place(KEPT - 1).exists() {
        fs::remove_dir_all(place(0))?;
        for n in 1..KEPT {
            fs::rename(place(n), place(n - 1))?;
        }
    }
    let free = (0..KEPT).map(place).find(|place| !place.exists()).unwrap_or_else(|| place(KEPT - 1));
    fs::rename(path, &free)?;
    Ok(free)
}

/// What one pair adds to the checksum, in any order.
fn fingerprint(key: &[u8], value: &[u8]) -> u64 {
    let hash = keccak256([&(key.len() as u64).to_be_bytes(), key, value].concat());
    hash[..8].iter().fold(0, |n, byte| (n << 8) | u64::from(*byte))
}
