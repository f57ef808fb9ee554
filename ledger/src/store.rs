//! A node's ledger: entries go in and are on disk when the answer comes; what they come to can be asked at any time.
//!
//! Opening takes the balance that was carried forward last and reads only what follows it. What was promised and is no longer
//! there is an error.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256};
use protocol::StreamId;
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Side};
use thiserror::Error;
use tracing::{info, warn};

use crate::books::{Account, Books, Key, Misfit, Nonces, Sums, Totals, Value, Won, apply};
use crate::journal::Torn;
use crate::segments::{self, Reader, Segments, SegmentsError};
use crate::summary::Summary;
use crate::writer::{Committed, Config, SharedBooks, SharedSummary, Writer, lock};

/// An open ledger. Dropping it writes what waits.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    books: SharedBooks,
    summary: SharedSummary,
    writer: Writer,
}

/// What was found when a ledger was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Entries in it.
    pub entries: u64,
    /// Of them, those that were read: the others are in the balance that was carried forward.
    pub replayed: u64,
    /// An unfinished tail that was cut. It was never committed.
    pub cut: Option<Torn>,
}

/// Why a ledger does not open. It never opens empty instead.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Its files.
    #[error(transparent)]
    Segments(#[from] SegmentsError),
    /// An entry that does not fit those before it.
    #[error(
        "entry {seq} does not fit the ledger: {why}; nothing was changed, restore the journal from a backup"
    )]
    Misfit {
        /// Its number.
        seq: u64,
        /// Why not.
        why: Misfit,
    },
    /// The thread that writes did not start.
    #[error("the ledger's threads do not start: {0}")]
    Threads(std::io::Error),
}

impl Ledger {
    /// Opens or creates the ledger in a folder.
    ///
    /// # Errors
    /// [`OpenError`]; a torn tail aside, nothing is changed then.
    pub fn open(dir: &Path) -> Result<(Self, Opened), OpenError> {
        Self::open_with(dir, Config::default())
    }

    /// Opens or creates it with other settings.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(dir: &Path, config: Config) -> Result<(Self, Opened), OpenError> {
        let held = segments::hold(dir)?;
        let mut fold = Fold::default();
        let (segments, cut) = Segments::open(held, config.segment, &mut fold)?;
        let Fold { books, summary, carried, failed } = fold;
        if let Some((seq, why)) = failed {
            return Err(OpenError::Misfit { seq, why });
        }
        let opened = Opened { entries: books.entries, replayed: books.entries - carried, cut };
        if let Some(torn) = cut {
            warn!(target: "ledger::event::cut", at = torn.at, bytes = torn.bytes);
        }
        info!(target: "ledger::event::opened", entries = opened.entries, replayed = opened.replayed);
        let books = Arc::new(Mutex::new(books));
        let summary = Arc::new(Mutex::new(summary));
        let shared = (Arc::clone(&books), Arc::clone(&summary));
        let writer = Writer::start(segments, shared, config).map_err(OpenError::Threads)?;
        Ok((Self { dir: dir.to_owned(), books, summary, writer }, opened))
    }

    /// Writes entries in this order, all or none; resolves when they are on disk.
    pub fn commit(&self, entries: Vec<Entry>) -> Committed {
        self.writer.commit(entries)
    }

    /// Resolves when every commit so far is on disk or refused.
    pub fn settled(&self) -> Committed {
        self.writer.settled()
    }

    /// Where it lies.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Entries that are on disk. This and what follows may wait for one flush of the disk.
    #[must_use]
    pub fn entries(&self) -> u64 {
        lock(&self.books).entries
    }

    /// One account, if it is open or was closed in the last days.
    #[must_use]
    pub fn account(&self, side: Side, session: SessionId) -> Option<Account> {
        match lock(&self.books).all.get(&Key::Account(side, session))? {
            Value::Account(account) => Some(account.as_ref().clone()),
            Value::Secret(_) | Value::Nonces(_) | Value::Won(_) | Value::Past(_) | Value::Day(_) => None,
        }
    }

    /// All accounts that are open or were closed in the last days, in the order of side and name.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        lock(&self.books).accounts().cloned().collect()
    }

    /// What one side's accounts with each sender come to.
    #[must_use]
    pub fn by_sender(&self, side: Side) -> BTreeMap<Address, Sums> {
        lock(&self.books).sums(side, |sender, _| sender)
    }

    /// What one side's accounts for each stream come to; those whose stream is not known are together.
    #[must_use]
    pub fn by_stream(&self, side: Side) -> BTreeMap<Option<StreamId>, Sums> {
        lock(&self.books).sums(side, |_, stream| stream.cloned())
    }

    /// What each day came to, by days since 1970-01-01 UTC.
    #[must_use]
    pub fn by_day(&self, side: Side) -> BTreeMap<u64, Totals> {
        lock(&self.books).days(side).map(|(day, totals)| (day, totals.clone())).collect()
    }

    /// What all accounts of one side come to.
    #[must_use]
    pub fn totals(&self, side: Side) -> Sums {
        lock(&self.books).sums(side, |_, _| ()).remove(&()).unwrap_or_default()
    }

    /// Looks at the sums for people. It waits for no disk; what it holds up while it looks is only what comes after a commit.
    pub fn summary<T>(&self, look: impl FnOnce(&Summary) -> T) -> T {
        look(&lock(&self.summary))
    }

    /// Winners for which something is still to be done.
    #[must_use]
    pub fn open_winners(&self) -> Vec<Won> {
        lock(&self.books).won().filter(|won| won.is_open()).cloned().collect()
    }

    /// One winner.
    #[must_use]
    pub fn won(&self, ticket: B256) -> Option<Won> {
        lock(&self.books).won().find(|won| won.winner.id() == ticket).cloned()
    }

    /// Nonces that a recipient accepted, or a sender reserved, by the hash of the recipient's number.
    #[must_use]
    pub fn nonces(&self, side: Side) -> BTreeMap<B256, Nonces> {
        lock(&self.books).nonces(side).map(|(hash, nonces)| (hash, nonces.clone())).collect()
    }

    /// Highest nonce that this side used of a hash.
    #[must_use]
    pub fn high_water(&self, side: Side, rand_hash: B256) -> Option<u32> {
        match lock(&self.books).all.get(&Key::Nonces(side, rand_hash))? {
            Value::Nonces(nonces) => nonces.highest(),
            Value::Secret(_) | Value::Account(_) | Value::Won(_) | Value::Past(_) | Value::Day(_) => None,
        }
    }

    /// What a recipient's numbers are derived from.
    #[must_use]
    pub fn secret(&self, recipient: Address) -> Option<B256> {
        match lock(&self.books).all.get(&Key::Secret(recipient))? {
            Value::Secret(secret) => Some(*secret),
            Value::Account(_) | Value::Nonces(_) | Value::Won(_) | Value::Past(_) | Value::Day(_) => None,
        }
    }

    /// Gives all entries from number `from` on, in order, from the disk.
    ///
    /// # Errors
    /// [`SegmentsError`] when a file is damaged.
    pub fn each(&self, from: u64, each: impl FnMut(u64, &Entry)) -> Result<(), SegmentsError> {
        let until = self.entries();
        some(&self.dir, until, from..until, each)
    }

    /// Forgets nonces of hashes that no ticket can use after this L1 block, and winners that nothing can change any more. The
    /// files keep them.
    pub fn forget_before(&self, l1_block: u64) {
        self.writer.forget_before(l1_block);
    }

    pub(crate) fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        lock(&self.books)
    }

    /// Both as they are at one entry.
    pub(crate) fn snapshot(&self) -> (Books, Summary) {
        let books = lock(&self.books);
        (books.clone(), lock(&self.summary).clone())
    }
}

/// Gives all entries with numbers below `until` of a ledger that another process may be writing.
///
/// # Errors
/// [`SegmentsError`] when a file is damaged.
pub fn read(dir: &Path, until: u64, each: impl FnMut(u64, &Entry)) -> Result<(), SegmentsError> {
    some(dir, 0, 0..until, each)
}

fn some(
    dir: &Path,
    promised: u64,
    range: Range<u64>,
    mut each: impl FnMut(u64, &Entry),
) -> Result<(), SegmentsError> {
    let wanted = |first, after| after > range.start && first < range.end;
    segments::read(dir, promised, &wanted, &mut |first, entries| {
        for (seq, entry) in (first..).zip(&entries).filter(|(seq, _)| range.contains(seq)) {
            each(seq, entry);
        }
    })
}

/// The sums for people of a ledger that another process may be writing, from all its entries.
///
/// # Errors
/// [`SegmentsError`] when a file is damaged.
pub fn summarize(dir: &Path) -> Result<Summary, SegmentsError> {
    let mut summary = Summary::default();
    read(dir, u64::MAX, |_, entry| summary.take(entry))?;
    Ok(summary)
}

/// Makes the books, and the sums for people.
#[derive(Debug, Default)]
struct Fold {
    books: Books,
    summary: Summary,
    /// Entries in the balance that they began with.
    carried: u64,
    failed: Option<(u64, Misfit)>,
}

impl Reader for Fold {
    fn balance(&mut self, entries: u64, parts: &[Vec<u8>]) -> bool {
        let (books, summary) = parts.split_at(parts.partition_point(|part| !Summary::is_part(part)));
        let carried = Books::load(books, entries).zip(Summary::load(summary, entries));
        let Some((books, summary)) = carried else { return false };
        (self.books, self.summary, self.carried) = (books, summary, entries);
        true
    }

    fn entries(&mut self, first: u64, entries: Vec<Entry>) {
        for (seq, entry) in (first..).zip(&entries) {
            if self.failed.is_none() {
                match apply(&mut self.books, None, entry) {
                    Ok(()) => self.summary.take(entry),
                    Err(why) => self.failed = Some((seq, why)),
                }
            }
        }
    }
}
