//! How fast a ledger takes entries, on the disk where it would lie.

use std::path::Path;
use std::time::{Duration, Instant};

use protocol::payments::Entry;

use crate::store::Ledger;
use crate::writer::CommitError;

pub mod load;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Commits that were answered.
    pub commits: u64,
    /// Of how many entries.
    pub entries: u64,
    /// In what time.
    pub took: Duration,
}

impl Measured {
    /// Entries a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.entries as f64 / self.took.as_secs_f64()
    }
}

/// Commits of a ticket load, `in_flight` at once, until there are no more. Every one is on disk when the clock stops.
///
/// # Errors
/// [`CommitError`] of the first that was refused.
pub fn appends(
    ledger: &Ledger,
    commits: impl Iterator<Item = Vec<Entry>>,
    in_flight: usize,
) -> Result<Measured, CommitError> {
    let begun = Instant::now();
    let mut measured = Measured { commits: 0, entries: 0, took: Duration::ZERO };
    let mut waiting = std::collections::VecDeque::new();
    for entries in commits {
        measured.commits += 1;
        measured.entries += entries.len() as u64;
        waiting.push_back(ledger.commit(entries));
        if waiting.len() >= in_flight.max(1)
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.wait()?;
        }
    }
    waiting.into_iter().try_for_each(crate::writer::Committed::wait)?;
    measured.took = begun.elapsed();
    Ok(measured)
}

/// How long `count` appends of `bytes` each take when each is flushed alone: what a group saves, and what a flush costs here.
///
/// # Errors
/// What the disk says.
pub fn bare_flushes(dir: &Path, bytes: usize, count: u32) -> std::io::Result<Duration> {
    use std::io::Write;
    let path = dir.join("flushes");
    let mut file = std::fs::File::create(&path)?;
    let begun = Instant::now();
    for _ in 0..count {
        file.write_all(&vec![7; bytes])?;
        file.sync_data()?;
    }
    let took = begun.elapsed();
    std::fs::remove_file(path)?;
    Ok(took / count.max(1))
}
