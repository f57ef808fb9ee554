//! Reads a journal: entries up to the first bad frame, and whether what follows it was committed after it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::MAX_GROUP;
use super::frame::{HEAD, HEADER, Head, Header};

/// Gives all entries up to the first frame that is not whole; says how many they are and where they end.
pub(super) fn entries(
    file: &File,
    header: Header,
    length: u64,
    each: &mut dyn FnMut(&[u8]),
) -> io::Result<(u64, u64)> {
    let (mut count, mut at) = (0, HEADER);
    let mut payload = Vec::new();
    while let Some(head) = frame_at(file, header, at, length, &mut payload)? {
        each(&payload);
        count += 1;
        at += HEAD + head.length as u64;
    }
    Ok((count, at))
}

/// Reads the frame at an offset, if a whole one is there.
fn frame_at(
    file: &File,
    header: Header,
    at: u64,
    length: u64,
    payload: &mut Vec<u8>,
) -> io::Result<Option<Head>> {
    if at + HEAD > length {
        return Ok(None);
    }
    let mut head = [0; HEAD as usize];
    file.read_exact_at(&mut head, at)?;
    let Some(head) = Head::parse(&head) else { return Ok(None) };
    if at + HEAD + head.length as u64 > length {
        return Ok(None);
    }
    payload.resize(head.length, 0);
    file.read_exact_at(payload, at + HEAD)?;
    Ok(head.covers(header, payload).then_some(head))
}

/// Where behind a bad frame a whole group begins: it was written after everything before it had been committed. What is
/// longer than any group was committed too, in part.
pub(super) fn later_group(file: &File, header: Header, bad: u64, length: u64) -> io::Result<Option<u64>> {
    let rest = length - bad;
    if rest > MAX_GROUP {
        return Ok(Some(bad + MAX_GROUP));
    }
    let mut bytes = vec![0; usize::try_from(rest).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, bad)?;
    let begins = |at: &usize| {
        let behind = &bytes[*at..];
        let Some(head) = Head::parse(behind).filter(|head| head.first) else { return false };
        behind[HEAD as usize..].get(..head.length).is_some_and(|payload| head.covers(header, payload))
    };
    Ok((1..bytes.len()).find(begins).map(|at| bad + at as u64))
}
