//! NAL units in their two framings: a length before each (ISO/IEC 14496-15), or a start code (ITU-T H.264 annex B).

use bytes::{BufMut, Bytes, BytesMut};

use super::bits::Bits;
use super::{AvcError, nal_type};

/// The NAL unit type of a NAL unit; `None` of no bytes.
#[must_use]
pub fn unit_type(nal: &[u8]) -> Option<u8> {
    nal.first().map(|header| header & 0x1F)
}

/// The NAL units of an access unit with 4-byte lengths.
#[must_use]
pub fn nals(unit: &[u8]) -> Nals<'_> {
    Nals { rest: unit, length_size: 4 }
}

/// Iterates over length-prefixed NAL units; after an error it ends. Units without a byte are skipped.
#[derive(Clone, Debug)]
pub struct Nals<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl<'a> Iterator for Nals<'a> {
    type Item = Result<&'a [u8], AvcError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let Some((length, rest)) = self.rest.split_at_checked(self.length_size) else {
                self.rest = &[];
                return Some(Err(AvcError::Truncated("length of a NAL unit")));
            };
            let claimed = length.iter().fold(0_usize, |value, &byte| value << 8 | usize::from(byte));
            let Some((nal, after)) = rest.split_at_checked(claimed) else {
                self.rest = &[];
                return Some(Err(AvcError::NalLength { claimed, left: rest.len() }));
            };
            self.rest = after;
            if !nal.is_empty() {
                return Some(Ok(nal));
            }
        }
        None
    }
}

/// Rewrites an access unit with `length_size`-byte lengths to 4-byte lengths, which is free when it has them.
///
/// # Errors
/// [`AvcError`] when a length exceeds the access unit, or `length_size` is not 1, 2 or 4.
pub fn widen_lengths(unit: &Bytes, length_size: u8) -> Result<Bytes, AvcError> {
    match length_size {
        4 => Ok(unit.clone()),
        1 | 2 => {
            let mut out = BytesMut::with_capacity(unit.len() + 64);
            for nal in (Nals { rest: unit, length_size: usize::from(length_size) }) {
                put(&mut out, nal?);
            }
            Ok(out.freeze())
        }
        other => Err(AvcError::Field { place: "avcC", field: "lengthSizeMinusOne", value: u64::from(other) }),
    }
}

/// The NAL units of an Annex B byte stream, start codes and trailing zero bytes removed.
pub fn annexb(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start_code(stream).map(|(_, after)| &stream[after..]);
    std::iter::from_fn(move || {
        let current = rest?;
        let (nal, next) = match start_code(current) {
            Some((before, after)) => (&current[..before], Some(&current[after..])),
            None => (current, None),
        };
        rest = next;
        let zeros = nal.iter().rev().take_while(|&&byte| byte == 0).count();
        Some(&nal[..nal.len() - zeros])
    })
    .filter(|nal| !nal.is_empty())
}

/// Rewrites an Annex B access unit to 4-byte lengths. Access unit delimiters are left out: a container marks pictures.
#[must_use]
pub fn from_annexb(stream: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(stream.len() + 32);
    annexb(stream).filter(|nal| unit_type(nal) != Some(nal_type::AUD)).for_each(|nal| put(&mut out, nal));
    out.freeze()
}

/// Whether an access unit holds a slice of an IDR picture.
#[must_use]
pub fn is_idr(unit: &[u8]) -> bool {
    nals(unit).map_while(Result::ok).any(|nal| unit_type(nal) == Some(nal_type::IDR))
}

/// Whether decoding can start at this access unit without being IDR: a recovery point SEI with a recovery frame count of 0
/// (ITU-T H.264 D.2.8) before an intra slice. Encoders with open GOPs write these.
#[must_use]
pub fn is_recovery_point(unit: &[u8]) -> bool {
    let mut marked = false;
    for nal in nals(unit).map_while(Result::ok) {
        match unit_type(nal) {
            Some(nal_type::SEI) => marked |= sei_recovers_at_once(&nal[1..]),
            Some(nal_type::SLICE) => return marked && is_intra_slice(nal),
            _ => {}
        }
    }
    false
}

/// The parameter sets inside an access unit, sequence and picture.
#[must_use]
pub fn in_band(unit: &Bytes) -> (Vec<Bytes>, Vec<Bytes>) {
    let of = |wanted| {
        let found = nals(unit).map_while(Result::ok).filter(move |nal| unit_type(nal) == Some(wanted));
        found.map(|nal| unit.slice_ref(nal)).collect()
    };
    (of(nal_type::SPS), of(nal_type::PPS))
}

/// Finds the first start code: where it begins (a third zero before it included) and where the NAL unit after it begins.
fn start_code(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut at = 2;
    while at < bytes.len() {
        match bytes[at] {
            1 if bytes[at - 1] == 0 && bytes[at - 2] == 0 => return Some((at - 2, at + 1)),
            0 => at += 1,
            _ => at += 3,
        }
        // After a byte above 1 the next start code can end three bytes later at the earliest; after a 1 likewise.
    }
    None
}

fn put(out: &mut BytesMut, nal: &[u8]) {
    out.put_u32(nal.len() as u32);
    out.put_slice(nal);
}

/// Reads SEI messages (7.3.2.3.1) up to the recovery point, payload type 6.
fn sei_recovers_at_once(mut payload: &[u8]) -> bool {
    while payload.len() > 2 {
        let (kind, size);
        (kind, payload) = sei_number(payload);
        (size, payload) = sei_number(payload);
        let Some((message, rest)) = payload.split_at_checked(size) else { return false };
        if kind == 6 {
            return Bits::new(message, "recovery point").ue().is_ok_and(|frames| frames == 0);
        }
        payload = rest;
    }
    false
}

/// A number written as bytes of 255 and a last one.
fn sei_number(bytes: &[u8]) -> (usize, &[u8]) {
    let full = bytes.iter().take_while(|&&byte| byte == 255).count();
    let last = bytes.get(full).copied().unwrap_or(0);
    (full * 255 + usize::from(last), bytes.get(full + 1..).unwrap_or(&[]))
}

fn is_intra_slice(nal: &[u8]) -> bool {
    let mut bits = Bits::new(nal.get(1..nal.len().min(16)).unwrap_or(&[]), "slice header");
    let kind = bits.ue().and_then(|_first_macroblock| bits.ue());
    matches!(kind, Ok(2 | 7))
}
