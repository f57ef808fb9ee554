//! Bits of a raw byte sequence payload (ITU-T H.264 7.2, 9.1): past the end is an error, never a panic.

use super::AvcError;

/// Longest parameter set that is read, bytes; real ones are below 100, scaling lists add a few hundred.
const MAX_RBSP: usize = 4096;

/// A reader over the payload of one NAL unit, emulation prevention bytes removed.
#[derive(Debug)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Next bit.
    at: usize,
    /// Named in errors.
    place: &'static str,
}

impl Bits {
    /// Reads `payload`, the bytes after the NAL header.
    pub(super) fn new(payload: &[u8], place: &'static str) -> Self {
        let mut bytes = Vec::with_capacity(payload.len().min(MAX_RBSP));
        let mut zeros = 0;
        for &byte in payload.iter().take(MAX_RBSP) {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, at: 0, place }
    }

    /// One bit.
    pub(super) fn flag(&mut self) -> Result<bool, AvcError> {
        let byte = self.bytes.get(self.at / 8).ok_or(AvcError::Truncated(self.place))?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// `count` bits, at most 32, most significant first.
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, AvcError> {
        debug_assert!(count <= 32);
        let mut value = 0_u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// Ignores `count` bits.
    pub(super) fn skip(&mut self, count: u32) -> Result<(), AvcError> {
        for _ in 0..count {
            self.flag()?;
        }
        Ok(())
    }

    /// An unsigned Exp-Golomb code, `ue(v)`.
    pub(super) fn ue(&mut self) -> Result<u32, AvcError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(AvcError::Field { place: self.place, field: "Exp-Golomb prefix", value: zeros });
            }
        }
        let rest = u64::from(self.bits(zeros as u32)?);
        Ok(((1_u64 << zeros) - 1 + rest) as u32)
    }

    /// A signed Exp-Golomb code, `se(v)`.
    pub(super) fn se(&mut self) -> Result<i32, AvcError> {
        let code = i64::from(self.ue()?);
        let magnitude = (code + 1) / 2;
        Ok(if code % 2 == 1 { magnitude } else { -magnitude } as i32)
    }

    /// An unsigned Exp-Golomb code that may not exceed `max`.
    pub(super) fn ue_max(&mut self, field: &'static str, max: u32) -> Result<u32, AvcError> {
        match self.ue()? {
            value if value <= max => Ok(value),
            value => Err(AvcError::Field { place: self.place, field, value: u64::from(value) }),
        }
    }
}
