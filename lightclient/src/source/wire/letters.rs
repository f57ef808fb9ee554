//! Numbers and byte strings: little-endian, lengths in four bytes. Nothing is allocated by a length that the bytes do not hold.

use alloy_primitives::Bytes;

use super::{WireError, owned};

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a length or count, which callers have bounded far below four bytes.
pub(super) fn put_u32(out: &mut Vec<u8>, value: usize) {
    let value = u32::try_from(value).expect("lengths are bounded before they are written");
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Reads from the front, and names the whole in its errors.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (front, rest) = self.rest.split_at_checked(count).ok_or(WireError::Length(self.what))?;
        self.rest = rest;
        Ok(front)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (front, rest) = self.rest.split_first_chunk().ok_or(WireError::Length(self.what))?;
        self.rest = rest;
        Ok(*front)
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of items of at least `size` bytes each, which must still be there.
    pub(super) fn count(
        &mut self,
        what: &'static str,
        limit: usize,
        size: usize,
    ) -> Result<usize, WireError> {
        let count = self.u32()? as usize;
        if count > limit {
            return Err(WireError::TooMuch { what, limit });
        }
        if count * size > self.rest.len() {
            return Err(WireError::Length(what));
        }
        Ok(count)
    }

    pub(super) fn bytes(&mut self, what: &'static str, limit: usize) -> Result<Bytes, WireError> {
        let length = self.u32()? as usize;
        if length > limit {
            return Err(WireError::TooMuch { what, limit });
        }
        self.take(length).map(owned)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn end(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Length(self.what)) }
    }
}
