//! Canonical RLP, borrowed and without recursion (yellow paper, appendix B). One spelling for each value: a longer one is
//! refused, so two readers can never see two things in the same bytes.

use thiserror::Error;

/// Why bytes are not canonical RLP of the wanted shape.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RlpError {
    /// The bytes end before the item does.
    #[error("the bytes end inside an item")]
    Truncated,
    /// Bytes follow where the item ends.
    #[error("bytes follow the last item")]
    Trailing,
    /// A length or a single byte is written longer than needed, or an integer begins with zero.
    #[error("a value is not written in its shortest form")]
    NotShortest,
    /// A list stands where a string is wanted, or the other way round.
    #[error("a list stands for a string, or a string for a list")]
    WrongKind,
    /// The item has another length than its place allows.
    #[error("an item of {found} bytes stands where {wanted} may")]
    Length {
        /// Bytes allowed.
        wanted: usize,
        /// Bytes found.
        found: usize,
    },
}

/// One item: its payload, and the bytes that spell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) list: bool,
    pub(crate) payload: &'a [u8],
    pub(crate) raw: &'a [u8],
}

impl<'a> Item<'a> {
    pub(crate) const EMPTY: Self = Self { list: false, payload: &[], raw: &[0x80] };

    /// Takes the first item off `bytes`.
    pub(crate) fn take(bytes: &mut &'a [u8]) -> Result<Self, RlpError> {
        let whole = *bytes;
        let first = *whole.first().ok_or(RlpError::Truncated)?;
        let (list, head, length) = match first {
            0..=0x7f => (false, 0, 1),
            0x80..=0xb7 => (false, 1, usize::from(first - 0x80)),
            0xb8..=0xbf => long_length(whole, usize::from(first - 0xb7)).map(|(h, l)| (false, h, l))?,
            0xc0..=0xf7 => (true, 1, usize::from(first - 0xc0)),
            0xf8..=0xff => long_length(whole, usize::from(first - 0xf7)).map(|(h, l)| (true, h, l))?,
        };
        let end = head.checked_add(length).ok_or(RlpError::Truncated)?;
        let raw = whole.get(..end).ok_or(RlpError::Truncated)?;
        let payload = &raw[head..];
        if first == 0x81 && payload[0] < 0x80 {
            return Err(RlpError::NotShortest);
        }
        *bytes = &whole[end..];
        Ok(Self { list, payload, raw })
    }

    /// Reads bytes that are one item and nothing more.
    pub(crate) fn only(mut bytes: &'a [u8]) -> Result<Self, RlpError> {
        let item = Self::take(&mut bytes)?;
        if bytes.is_empty() { Ok(item) } else { Err(RlpError::Trailing) }
    }

    pub(crate) const fn list(self) -> Result<&'a [u8], RlpError> {
        if self.list { Ok(self.payload) } else { Err(RlpError::WrongKind) }
    }

    pub(crate) const fn string(self) -> Result<&'a [u8], RlpError> {
        if self.list { Err(RlpError::WrongKind) } else { Ok(self.payload) }
    }

    /// A string of exactly `N` bytes.
    pub(crate) fn fixed<const N: usize>(self) -> Result<[u8; N], RlpError> {
        let payload = self.string()?;
        payload.try_into().map_err(|_| RlpError::Length { wanted: N, found: payload.len() })
    }

    /// A big-endian integer of at most `most` bytes, without leading zeros.
    pub(crate) fn integer(self, most: usize) -> Result<&'a [u8], RlpError> {
        let payload = self.string()?;
        if payload.len() > most {
            return Err(RlpError::Length { wanted: most, found: payload.len() });
        }
        if payload.first() == Some(&0) { Err(RlpError::NotShortest) } else { Ok(payload) }
    }

    pub(crate) fn u64(self) -> Result<u64, RlpError> {
        let payload = self.integer(8)?;
        Ok(payload.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

/// Bytes of the head and of the payload, where the length itself takes `size` bytes.
fn long_length(bytes: &[u8], size: usize) -> Result<(usize, usize), RlpError> {
    let digits = bytes.get(1..1 + size).ok_or(RlpError::Truncated)?;
    if digits[0] == 0 {
        return Err(RlpError::NotShortest);
    }
    let length = digits
        .iter()
        .try_fold(0_usize, |value, byte| value.checked_mul(256)?.checked_add(usize::from(*byte)));
    match length.ok_or(RlpError::Truncated)? {
        0..=55 => Err(RlpError::NotShortest),
        length => Ok((1 + size, length)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panic")]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> RlpError {
        Item::only(bytes).unwrap_err()
    }

    #[test]
    fn each_value_has_one_spelling() {
        assert_eq!(refused(&[0x81, 0x7f]), RlpError::NotShortest);
        assert_eq!(refused(&[0xb8, 1, 0x80]), RlpError::NotShortest);
        assert_eq!(refused(&[0xb9, 0, 56]), RlpError::NotShortest);
        assert_eq!(refused(&[0xf8, 1, 0x80]), RlpError::NotShortest);
        assert_eq!(Item::only(&[0x82, 0, 1]).unwrap().u64(), Err(RlpError::NotShortest));
        assert_eq!(Item::only(&[0]).unwrap().u64(), Err(RlpError::NotShortest));
        assert_eq!(Item::only(&[0x80]).unwrap().u64(), Ok(0));
        assert_eq!(Item::only(&[0x82, 1, 0]).unwrap().u64(), Ok(256));
    }

    #[test]
    fn a_length_that_is_not_there_is_truncated_and_nothing_is_allocated() {
        assert_eq!(refused(&[]), RlpError::Truncated);
        assert_eq!(refused(&[0x83, 1, 2]), RlpError::Truncated);
        assert_eq!(refused(&[0xbf]), RlpError::Truncated);
        assert_eq!(refused(&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), RlpError::Truncated);
        assert_eq!(refused(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), RlpError::Truncated);
        assert_eq!(refused(&[0x80, 0x80]), RlpError::Trailing);
    }
}
