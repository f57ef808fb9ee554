//! Boxes and their fields, read with every length checked against the bytes that are there.

use bytes::Bytes;

use super::{Box4, Mp4Error};

/// Most boxes on one level: real files have below 100, a fragment a few.
const MAX_BOXES: usize = 4096;

/// One box of a parent.
#[derive(Clone, Debug)]
pub(super) struct Child {
    /// Its name.
    pub(super) kind: [u8; 4],
    /// Where it begins, header included, from the start of the parent's body.
    pub(super) at: usize,
    /// What is in it.
    pub(super) body: Bytes,
}

/// The boxes in `body`, in order. Fewer than 8 bytes after the last box are padding.
pub(super) fn children(body: &Bytes, parent: [u8; 4]) -> Result<Vec<Child>, Mp4Error> {
    let mut boxes = Vec::new();
    let mut at = 0;
    while body.len() - at >= 8 {
        if boxes.len() == MAX_BOXES {
            return Err(Mp4Error::TooMany { what: "boxes on one level", max: MAX_BOXES });
        }
        let (kind, header, size) = header(&body[at..], parent)?;
        let end =
            at.checked_add(size).filter(|&end| end <= body.len()).ok_or(Mp4Error::Truncated(Box4(kind)))?;
        boxes.push(Child { kind, at, body: body.slice(at + header..end) });
        at = end;
    }
    Ok(boxes)
}

/// Reads a box header: name, its length, the box's length with it.
fn header(bytes: &[u8], parent: [u8; 4]) -> Result<([u8; 4], usize, usize), Mp4Error> {
    let mut fields = Fields::new(bytes, parent);
    let short = fields.u32()?;
    let kind = fields.array()?;
    let (header, size) = match short {
        0 => (8, bytes.len()),
        1 => (16, usize::try_from(fields.u64()?).unwrap_or(usize::MAX)),
        size => (8, size as usize),
    };
    if size < header {
        return Err(Mp4Error::Field { place: Box4(kind), field: "size", value: size as i64 });
    }
    Ok((kind, header, size))
}

/// The first box of that name.
pub(super) fn find<'a>(boxes: &'a [Child], kind: &[u8; 4]) -> Option<&'a Child> {
    boxes.iter().find(|child| &child.kind == kind)
}

/// The first box of that name, which must be there.
pub(super) fn need<'a>(boxes: &'a [Child], kind: &[u8; 4]) -> Result<&'a Child, Mp4Error> {
    find(boxes, kind).ok_or(Mp4Error::Missing(Box4(*kind)))
}

impl Child {
    /// The boxes in this one.
    pub(super) fn children(&self) -> Result<Vec<Self>, Mp4Error> {
        children(&self.body, self.kind)
    }

    /// The fields of this one.
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.body, self.kind)
    }

    /// The fields of this full box, after its version and flags.
    pub(super) fn full(&self) -> Result<(u8, u32, Fields<'_>), Mp4Error> {
        let mut fields = self.fields();
        let word = fields.u32()?;
        Ok(((word >> 24) as u8, word & 0x00FF_FFFF, fields))
    }
}

/// Big-endian fields, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    place: [u8; 4],
}

impl<'a> Fields<'a> {
    pub(super) fn new(rest: &'a [u8], place: [u8; 4]) -> Self {
        Self { rest, place }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Mp4Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Mp4Error::Truncated(Box4(self.place)))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Mp4Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Mp4Error::Truncated(Box4(self.place)))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Mp4Error> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Mp4Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Mp4Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Mp4Error> {
        self.array().map(u64::from_be_bytes)
    }

    /// A field that has 8 bytes in version 1 of its box, else 4.
    pub(super) fn wide(&mut self, version: u8) -> Result<u64, Mp4Error> {
        if version == 1 { self.u64() } else { self.u32().map(u64::from) }
    }

    /// A field that is there when `present`.
    pub(super) fn u32_if(&mut self, present: bool) -> Result<Option<u32>, Mp4Error> {
        if present { self.u32().map(Some) } else { Ok(None) }
    }

    /// A count of entries of `size` bytes each, which must be there.
    pub(super) fn count(&mut self, size: usize) -> Result<usize, Mp4Error> {
        let count = self.u32()? as usize;
        match count.checked_mul(size) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(Mp4Error::Truncated(Box4(self.place))),
        }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}
