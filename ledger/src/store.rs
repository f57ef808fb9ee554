//! A node's ledger: entries go in and are on disk when the answer comes; what they come to can be asked at any time.
//!
//! Opening takes the index as it is and reads only what the journal has beyond it. An index that does not open, panics, or has a
//! wrong checksum is moved aside and made again; entries that the index has seen and the journal no longer has are an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256};
use protocol::StreamId;
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Side};
use serde::Serialize;
use thiserror::Error;
use tracing::{error, info, warn};

use crate::books::{Account, Amount, Balance, Books, Key, Misfit, Nonces, Totals, Undo, Value, Won, apply};
use crate::index::{self, Index};
use crate::journal::Torn;
use crate::segments::{self, Segments, SegmentsError};
use crate::writer::{Committed, Config, SharedBooks, Writer, lock};

/// An open ledger. Dropping it writes what waits.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    books: SharedBooks,
    writer: Writer,
}

/// What was found when a ledger was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Entries in it.
    pub entries: u64,
    /// Of them, those that the index had not seen.
    pub replayed: u64,
    /// An unfinished tail that was cut. It was never committed.
    pub cut: Option<Torn>,
    /// How the index was.
    pub index: IndexState,
}

/// How an index was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// As it should be.
    Good,
    /// Made again from the journal; the old one lies elsewhere.
    Rebuilt {
        /// What was wrong.
        why: String,
        /// Where the old one is.
        aside: PathBuf,
    },
    /// There is none: neither the old one nor a new one opens. Starts are slow, and nothing is lost.
    Missing {
        /// Why not.
        why: String,
    },
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

/// What several accounts come to, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// How many accounts.
    pub accounts: u64,
    /// Tickets sent or accepted.
    pub tickets: u64,
    /// What they are worth.
    pub credited: Amount,
    /// Segments that are paid.
    pub works: u64,
    /// What they cost.
    pub debited: Amount,
    /// Tickets that never arrived, what they were worth.
    pub written_off: Amount,
    /// What is paid ahead.
    pub left: Amount,
    /// What is worked ahead.
    pub owed: Amount,
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
        let (index, mut books, state) = open_index(&dir.join("index"));
        let indexed = books.entries;
        let mut fold = Fold { books: &mut books, dirty: BTreeSet::new(), failed: None };
        let opened = Segments::open(held, indexed, config.segment, &mut |seq, entries| {
            fold.take(seq, &entries);
            Ok(())
        });
        let Fold { dirty, failed, .. } = fold;
        let (segments, cut) = opened?;
        if let Some((seq, why)) = failed {
            return Err(OpenError::Misfit { seq, why });
        }
        let opened = Opened { entries: books.entries, replayed: books.entries - indexed, cut, index: state };
        if let Some(torn) = cut {
            warn!(target: "ledger::event::cut", at = torn.at, bytes = torn.bytes);
        }
        info!(target: "ledger::event::opened", entries = opened.entries, replayed = opened.replayed);
        let books = Arc::new(Mutex::new(books));
        let writer = Writer::start(segments, index, Arc::clone(&books), (dirty, indexed), config);
        let writer = writer.map_err(OpenError::Threads)?;
        Ok((Self { dir: dir.to_owned(), books, writer }, opened))
    }

    /// Writes entries in this order, all or none; resolves when they are on disk.
    pub fn commit(&self, entries: Vec<Entry>) -> Committed {
        self.writer.commit(entries)
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

    /// One account.
    #[must_use]
    pub fn account(&self, side: Side, session: SessionId) -> Option<Account> {
        match lock(&self.books).all.get(&Key::Account(side, session))? {
            Value::Account(account) => Some(account.as_ref().clone()),
            Value::Secret(_) | Value::Nonces(_) | Value::Won(_) | Value::Day(_) => None,
        }
    }

    /// All accounts, in the order of side and name.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        lock(&self.books).accounts().cloned().collect()
    }

    /// What one side's accounts with each sender come to.
    #[must_use]
    pub fn by_sender(&self, side: Side) -> BTreeMap<Address, Sums> {
        self.sums(side, |account| account.sender)
    }

    /// What one side's accounts for each stream come to; those whose stream is not known are together.
    #[must_use]
    pub fn by_stream(&self, side: Side) -> BTreeMap<Option<StreamId>, Sums> {
        self.sums(side, |account| account.stream.clone())
    }

    /// What each day came to, by days since 1970-01-01 UTC.
    #[must_use]
    pub fn by_day(&self, side: Side) -> BTreeMap<u64, Totals> {
        lock(&self.books).days(side).map(|(day, totals)| (day, totals.clone())).collect()
    }

    /// What all accounts of one side come to.
    #[must_use]
    pub fn totals(&self, side: Side) -> Sums {
        self.sums(side, |_| ()).remove(&()).unwrap_or_default()
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
            Value::Secret(_) | Value::Account(_) | Value::Won(_) | Value::Day(_) => None,
        }
    }

    /// What a recipient's numbers are derived from.
    #[must_use]
    pub fn secret(&self, recipient: Address) -> Option<B256> {
        match lock(&self.books).all.get(&Key::Secret(recipient))? {
            Value::Secret(secret) => Some(*secret),
            Value::Account(_) | Value::Nonces(_) | Value::Won(_) | Value::Day(_) => None,
        }
    }

    /// Number of the first entry of the oldest account that is not closed: what came before needs no second look at a restart.
    #[must_use]
    pub fn oldest_open(&self) -> u64 {
        let books = lock(&self.books);
        let open = books.accounts().filter(|account| account.closed_ms.is_none());
        open.map(|account| account.opened_seq).min().unwrap_or(books.entries)
    }

    /// Gives all entries from number `from` on, in order, from the disk.
    ///
    /// # Errors
    /// [`SegmentsError`] when a file is damaged.
    pub fn each(&self, from: u64, each: impl FnMut(u64, &Entry)) -> Result<(), SegmentsError> {
        let until = self.entries();
        read(&self.dir, from, until, each)
    }

    /// Forgets nonces of hashes that no ticket can use after this L1 block.
    pub fn forget_before(&self, l1_block: u64) {
        self.writer.forget_before(l1_block);
    }

    pub(crate) fn snapshot(&self) -> Books {
        lock(&self.books).clone()
    }

    fn sums<K: Ord>(&self, side: Side, key: impl Fn(&Account) -> K) -> BTreeMap<K, Sums> {
        let mut all = BTreeMap::<K, Sums>::new();
        for account in lock(&self.books).accounts().filter(|account| account.side == side) {
            all.entry(key(account)).or_default().add(account);
        }
        all
    }
}

impl Sums {
    /// With one more account. A sum that no longer fits stays what it was: entries that could make one are refused.
    fn add(&mut self, account: &Account) {
        let price = account.price;
        self.accounts += 1;
        self.tickets += account.tickets;
        self.works += account.works;
        let _ = self.credited.add(price, account.credited);
        let _ = self.debited.add(price, account.debited);
        let _ = self.written_off.add(price, account.written_off);
        let _ = match account.balance() {
            Balance::Left(credit) => self.left.add(price, credit),
            Balance::Owed(credit) => self.owed.add(price, credit),
        };
    }
}

/// Gives the entries with numbers from `from` up to but without `until` of a ledger that another process may be writing.
///
/// # Errors
/// [`SegmentsError`] when a file is damaged.
pub fn read(
    dir: &Path,
    from: u64,
    until: u64,
    mut each: impl FnMut(u64, &Entry),
) -> Result<(), SegmentsError> {
    segments::read(dir, from, &mut |first, entries| {
        for (seq, entry) in (first..until).zip(&entries).filter(|(seq, _)| *seq >= from) {
            each(seq, entry);
        }
        Ok(())
    })?;
    Ok(())
}

/// Entries beyond the index into the books.
struct Fold<'a> {
    books: &'a mut Books,
    dirty: BTreeSet<Key>,
    failed: Option<(u64, Misfit)>,
}

impl Fold<'_> {
    fn take(&mut self, first: u64, entries: &[Entry]) {
        for (seq, entry) in (first..).zip(entries) {
            if self.failed.is_some() || seq < self.books.entries {
                continue;
            }
            let mut changed = Undo::new();
            self.failed = apply(self.books, &mut changed, entry).err().map(|why| (seq, why));
            self.dirty.extend(changed.into_keys());
        }
    }
}

fn open_index(path: &Path) -> (Option<Index>, Books, IndexState) {
    let why = match load(path) {
        Ok((index, books)) => return (Some(index), books, IndexState::Good),
        Err(why) => why,
    };
    error!(target: "ledger::event::index_set_aside", path = %path.display(), %why);
    let aside = match index::set_aside(path) {
        Ok(aside) => aside,
        Err(io) => {
            let why = format!("{why}, and it cannot be moved away: {io}");
            return (None, Books::default(), IndexState::Missing { why });
        }
    };
    match load(path) {
        Ok((index, books)) => (Some(index), books, IndexState::Rebuilt { why, aside }),
        Err(why) => (None, Books::default(), IndexState::Missing { why }),
    }
}

fn load(path: &Path) -> Result<(Index, Books), String> {
    let (index, held) = Index::open(path).map_err(|error| error.to_string())?;
    let books = Books::load(&held.pairs, held.entries).ok_or("it was written by another version")?;
    Ok((index, books))
}
