//! How one commit lies in a journal frame: version, number of its first entry, how many there are, then the entries as a JSON
//! array. One frame a commit, so that a torn tail keeps all of it or nothing.
//!
//! JSON because every field of an entry names itself: a newer program reads older records, a person reads them with `strings`,
//! and protocol's types already have one text form each. What cannot be read is refused, never skipped.

use protocol::payments::Entry;
use thiserror::Error;

use crate::journal::MAX_ENTRY;

/// Version of the encoding.
const VERSION: u8 = 1;
/// Bytes before the JSON: version 1, number of the first entry 8, how many 4, little-endian.
const HEAD: usize = 13;

/// Why entries are no record, or a record no entries.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// A newer program wrote it.
    #[error("it has version {0}, and this program reads version {VERSION}: use a newer program")]
    Version(u8),
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

/// A record whose entries are not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Number of its first entry.
    pub(crate) first: u64,
    /// How many entries it has.
    pub(crate) count: u32,
    body: &'a [u8],
}

/// One commit as it is written, its number still open: see [`number`].
pub(crate) fn encode(entries: &[Entry]) -> Result<Vec<u8>, RecordError> {
    if entries.is_empty() {
        return Err(RecordError::Empty);
    }
    let mut out = Vec::with_capacity(HEAD + 1024 * entries.len().min(1024));
    out.push(VERSION);
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

impl<'a> Record<'a> {
    /// Reads the head.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(RecordError::Version(version)),
            None => return Err(RecordError::Empty),
        }
        let (head, body) =
            bytes.split_at_checked(HEAD).ok_or_else(|| RecordError::Unknown("it ends early".to_owned()))?;
        let mut first = [0; 8];
        first.copy_from_slice(&head[1..9]);
        let mut count = [0; 4];
        count.copy_from_slice(&head[9..13]);
        Ok(Self { first: u64::from_le_bytes(first), count: u32::from_le_bytes(count), body })
    }

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
