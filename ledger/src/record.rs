//! What a journal's frames say. A commit: the number of its first entry, how many there are, then the entries as a JSON array;
//! one frame a commit, so that a torn tail keeps all of it or nothing. Or a part of a balance carried forward: what all entries
//! before some number came to, so that nobody has to read them again.
//!
//! JSON because every field of an entry names itself: a newer program reads older records, a person reads them with `strings`,
//! and protocol's types already have one text form each. What cannot be read is refused, never skipped.

use protocol::payments::Entry;
use thiserror::Error;

use crate::journal::MAX_ENTRY;

/// First byte of a commit.
const COMMIT: u8 = 1;
/// First byte of a part of a balance.
const BALANCE: u8 = 2;
/// Bytes before a commit's JSON: kind 1, number of the first entry 8, how many 4, little-endian.
const HEAD: usize = 13;
/// Bytes before a part's own: kind 1, number of the next entry 8, which part 4, of how many 4, little-endian.
const PART_HEAD: usize = 17;

/// Why entries are no record, or a record no entries.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// A newer program wrote it.
    #[error("it is of kind {0}, which this program does not know: use a newer program")]
    Kind(u8),
    /// It says something that this program does not know.
    #[error("it is not understood ({0}): a newer program wrote it, or the disk changed it")]
    Unknown(String),
    /// Nothing to write.
    #[error("a commit of no entries says nothing")]
    Empty,
    /// Too much for one commit.
    #[error(
        "{entries} entries of {bytes} bytes are too much for one commit, which holds {MAX_ENTRY}: split them"
    )]
    Large {
        /// How many entries.
        entries: usize,
        /// How many bytes they come to.
        bytes: usize,
    },
}

/// One frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    Commit(Commit<'a>),
    Balance(Part<'a>),
}

/// A commit whose entries are not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit<'a> {
    /// Number of its first entry.
    pub(crate) first: u64,
    /// How many entries it has.
    pub(crate) count: u32,
    body: &'a [u8],
}

/// A part of a balance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// Entries that the balance sums up: the number of the next one.
    pub(crate) entries: u64,
    /// Which part, from zero.
    pub(crate) at: u32,
    /// How many parts there are.
    pub(crate) of: u32,
    pub(crate) body: &'a [u8],
}

/// One commit as it is written, its number still open: see [`number`].
pub(crate) fn encode(entries: &[Entry]) -> Result<Vec<u8>, RecordError> {
    if entries.is_empty() {
        return Err(RecordError::Empty);
    }
    let mut out = Vec::with_capacity(HEAD + 1024 * entries.len().min(1024));
    out.push(COMMIT);
    out.extend_from_slice(&0_u64.to_le_bytes());
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    serde_json::to_writer(&mut out, entries).map_err(|why| RecordError::Unknown(why.to_string()))?;
    if out.len() > MAX_ENTRY {
        return Err(RecordError::Large { entries: entries.len(), bytes: out.len() });
    }
    Ok(out)
}

/// Gives an encoded commit its place.
pub(crate) fn number(record: &mut [u8], first: u64) {
    record[1..9].copy_from_slice(&first.to_le_bytes());
}

impl Part<'_> {
    /// The part as it is written.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let head = [&self.entries.to_le_bytes()[..], &self.at.to_le_bytes(), &self.of.to_le_bytes()];
        [&[BALANCE][..], &head.concat(), self.body].concat()
    }
}

impl<'a> Record<'a> {
    /// Reads the head.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        match bytes.first() {
            Some(&COMMIT) => {
                let (head, body) = split(bytes, HEAD)?;
                Ok(Self::Commit(Commit { first: long(&head[1..]), count: word(&head[9..]), body }))
            }
            Some(&BALANCE) => {
                let (head, body) = split(bytes, PART_HEAD)?;
                let (entries, at, of) = (long(&head[1..]), word(&head[9..]), word(&head[13..]));
                Ok(Self::Balance(Part { entries, at, of, body }))
            }
            Some(&kind) => Err(RecordError::Kind(kind)),
            None => Err(RecordError::Empty),
        }
    }
}

impl Commit<'_> {
    /// Reads the entries.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, RecordError> {
        let entries: Vec<Entry> =
            serde_json::from_slice(self.body).map_err(|why| RecordError::Unknown(why.to_string()))?;
        if entries.len() as u64 != u64::from(self.count) {
            return Err(RecordError::Unknown(format!(
                "{} entries where {} are announced",
                entries.len(),
                self.count
            )));
        }
        Ok(entries)
    }
}

fn split(bytes: &[u8], head: usize) -> Result<(&[u8], &[u8]), RecordError> {
    bytes.split_at_checked(head).ok_or_else(|| RecordError::Unknown("it ends early".to_owned()))
}

fn long(bytes: &[u8]) -> u64 {
    bytes[..8].iter().rev().fold(0, |n, byte| (n << 8) | u64::from(*byte))
}

fn word(bytes: &[u8]) -> u32 {
    bytes[..4].iter().rev().fold(0, |n, byte| (n << 8) | u32::from(*byte))
}
