//! Reads the files of a ledger: the newest balance and what follows it, or all that somebody asks for.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::payments::Entry;

use super::SegmentsError;
use crate::journal::{Journal, Torn};
use crate::record::{Commit, Record};

/// Who makes something of what is read.
pub(crate) trait Reader {
    /// What all entries before this number came to, in parts. False when it is not understood: an older one is looked for.
    fn balance(&mut self, entries: u64, parts: &[Vec<u8>]) -> bool;
    /// Entries with the number of the first, in order.
    fn entries(&mut self, first: u64, entries: Vec<Entry>);
}

/// Gives the newest balance and all entries after it; the number that comes next, and the bytes of those entries.
pub(super) fn fold(files: &[(u64, PathBuf)], reader: &mut dyn Reader) -> Result<(u64, u64), SegmentsError> {
    let (mut begin, mut start) = (0, 0);
    for (at, (first, file)) in files.iter().enumerate().rev() {
        if let Some(parts) = balance(*first, file)?
            && reader.balance(*first, &parts)
        {
            (begin, start) = (at, *first);
            break;
        }
    }
    let mut bytes = 0;
    let mut each = |first, commit: &Commit<'_>, length| {
        bytes += length;
        commit.entries().map(|entries| reader.entries(first, entries))
    };
    let mut cursor = Cursor { next: start, each: &mut each };
    cursor.run(&files[begin..], &|_, _| true)?;
    let next = cursor.next;
    Ok((next, bytes))
}

/// The balance with which a file begins; none when it has no whole one.
fn balance(first: u64, file: &Path) -> Result<Option<Vec<Vec<u8>>>, SegmentsError> {
    let (mut parts, mut of) = (Vec::new(), None);
    Journal::read(file, |bytes| {
        let Ok(Record::Balance(part)) = Record::parse(bytes) else { return };
        if part.entries != first {
            return;
        }
        // One that was not finished is followed by another.
        if part.at == 0 {
            parts.clear();
        }
        if part.at as usize == parts.len() {
            parts.push(part.body.to_vec());
            of = Some(part.of as usize);
        }
    })?;
    Ok((of == Some(parts.len())).then_some(parts))
}

/// Gives the entries of all files that are `wanted` by the numbers of their first entry and of the first after them, while
/// somebody else may be writing. `promised` of them are there, or the reader is told.
pub(crate) fn read(
    dir: &Path,
    promised: u64,
    wanted: &dyn Fn(u64, u64) -> bool,
    each: &mut dyn FnMut(u64, Vec<Entry>),
) -> Result<(), SegmentsError> {
    let files = list(dir)?;
    let mut each = |first, commit: &Commit<'_>, _| commit.entries().map(|entries| each(first, entries));
    let mut cursor = Cursor { next: 0, each: &mut each };
    cursor.run(&files, wanted)?;
    let end = cursor.next;
    let read_last = files.last().is_none_or(|(first, _)| wanted(*first, u64::MAX));
    if read_last && end < promised {
        return Err(SegmentsError::Shorter { dir: dir.to_owned(), end, promised });
    }
    Ok(())
}

/// Takes a commit with the number of its first entry and the length of its frame.
type Each<'a> = dyn FnMut(u64, &Commit<'_>, u64) -> Result<(), crate::record::RecordError> + 'a;

/// Goes through files and misses nothing.
struct Cursor<'a, 'b> {
    next: u64,
    each: &'a mut Each<'b>,
}

impl Cursor<'_, '_> {
    fn run(
        &mut self,
        files: &[(u64, PathBuf)],
        wanted: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), SegmentsError> {
        for (at, (first, file)) in files.iter().enumerate() {
            self.begins(*first, file)?;
            let after = files.get(at + 1).map(|next| next.0);
            if !wanted(*first, after.unwrap_or(u64::MAX)) {
                self.next = after.unwrap_or(self.next);
                continue;
            }
            let torn = self.file(file)?;
            if let (Some(torn), Some(_)) = (torn, after) {
                return Err(SegmentsError::Damaged { path: file.clone(), torn });
            }
        }
        Ok(())
    }

    fn begins(&self, first: u64, file: &Path) -> Result<(), SegmentsError> {
        if first == self.next {
            return Ok(());
        }
        Err(SegmentsError::Gap { path: file.to_owned(), expected: self.next, found: first })
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
        let Record::Commit(commit) = Record::parse(bytes).map_err(unread)? else { return Ok(()) };
        self.begins(commit.first, file)?;
        (self.each)(self.next, &commit, bytes.len() as u64).map_err(unread)?;
        self.next += u64::from(commit.count);
        Ok(())
    }
}

/// The file that begins with this entry.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.journal"))
}

/// All files in order.
pub(super) fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, SegmentsError> {
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
