//! The AVCDecoderConfigurationRecord, in short avcC (ISO/IEC 14496-15 5.3.3.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::sps::has_chroma_fields;
use super::{AvcError, Sps, nal_type, unit_type};
use crate::packet::VideoConfig;

const PLACE: &str = "avcC";

/// The parameter sets of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avcc {
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub length_size: u8,
    /// Sequence parameter sets as NAL units, at least one.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets as NAL units, at least one.
    pub pps: Vec<Bytes>,
}

impl Avcc {
    /// Most sequence parameter sets that the record can count.
    pub const MAX_SPS: usize = 31;
    /// Most picture parameter sets that the record can count.
    pub const MAX_PPS: usize = 255;

    /// Reads a record; the parameter sets are slices of `record`.
    ///
    /// # Errors
    /// [`AvcError`] when it is cut short, of another version, or has no parameter sets.
    pub fn parse(record: &Bytes) -> Result<Self, AvcError> {
        let field = |field, value: u8| AvcError::Field { place: PLACE, field, value: u64::from(value) };
        let &[version, _, _, _, lengths, sps_count, ..] = record.as_ref() else {
            return Err(AvcError::Truncated(PLACE));
        };
        if version != 1 {
            return Err(field("configurationVersion", version));
        }
        let length_size = (lengths & 3) + 1;
        if length_size == 3 {
            return Err(field("lengthSizeMinusOne", 2));
        }
        let mut at = 6;
        let sps = sets(record, &mut at, sps_count & 0x1F, nal_type::SPS)?;
        let pps_count = *record.get(at).ok_or(AvcError::Truncated(PLACE))?;
        at += 1;
        let pps = sets(record, &mut at, pps_count, nal_type::PPS)?;
        Self { length_size, sps, pps }.checked()
    }

    /// Makes a record of parameter sets found in a stream, for 4-byte lengths.
    ///
    /// # Errors
    /// [`AvcError`] when there are none or too many, or the first SPS cannot be read.
    pub fn new(sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<Self, AvcError> {
        Self { length_size: 4, sps, pps }.checked()
    }

    /// What the first SPS says.
    ///
    /// # Errors
    /// [`AvcError`] as [`Sps::parse`].
    pub fn info(&self) -> Result<Sps, AvcError> {
        Sps::parse(self.sps.first().ok_or(AvcError::Missing("sequence parameter set"))?)
    }

    /// Writes the record, always for 4-byte lengths.
    ///
    /// # Errors
    /// [`AvcError`] when the first SPS cannot be read.
    pub fn to_config(&self) -> Result<VideoConfig, AvcError> {
        let info = self.info()?;
        let mut out = BytesMut::with_capacity(64);
        out.put_slice(&[1, info.profile, info.constraints, info.level, 0xFF, 0xE0 | self.sps.len() as u8]);
        let put = |out: &mut BytesMut, sets: &[Bytes]| {
            for set in sets {
                out.put_u16(set.len() as u16);
                out.put_slice(set);
            }
        };
        put(&mut out, &self.sps);
        out.put_u8(self.pps.len() as u8);
        put(&mut out, &self.pps);
        if has_chroma_fields(info.profile) {
            let depths = [info.bit_depth_luma - 8, info.bit_depth_chroma - 8];
            out.put_slice(&[0xFC | info.chroma_format, 0xF8 | depths[0], 0xF8 | depths[1], 0]);
        }
        Ok(VideoConfig { avcc: out.freeze() })
    }

    fn checked(self) -> Result<Self, AvcError> {
        let count = |field, value: usize| AvcError::Field { place: PLACE, field, value: value as u64 };
        if self.sps.is_empty() {
            return Err(AvcError::Missing("sequence parameter set"));
        }
        if self.pps.is_empty() {
            return Err(AvcError::Missing("picture parameter set"));
        }
        if self.sps.len() > Self::MAX_SPS || self.pps.len() > Self::MAX_PPS {
            return Err(count("number of parameter sets", self.sps.len().max(self.pps.len())));
        }
        if let Some(long) = self.sps.iter().chain(&self.pps).find(|set| set.len() > usize::from(u16::MAX)) {
            return Err(count("length of a parameter set", long.len()));
        }
        Ok(self)
    }
}

impl VideoConfig {
    /// What the first sequence parameter set says.
    ///
    /// # Errors
    /// [`AvcError`] when the record or the parameter set cannot be read.
    pub fn info(&self) -> Result<Sps, AvcError> {
        Avcc::parse(&self.avcc)?.info()
    }

    /// The codec as a playlist names it (RFC 6381), such as `avc1.64001F`.
    ///
    /// # Errors
    /// [`AvcError`] when the record or the parameter set cannot be read.
    pub fn codec(&self) -> Result<String, AvcError> {
        Ok(self.info()?.codec())
    }
}

/// Reads `count` parameter sets of one type, each after its length in 2 bytes.
fn sets(record: &Bytes, at: &mut usize, count: u8, expected: u8) -> Result<Vec<Bytes>, AvcError> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let length = record.get(*at..*at + 2).ok_or(AvcError::Truncated(PLACE))?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        *at += 2;
        let set = record.get(*at..*at + length).ok_or(AvcError::Truncated(PLACE))?;
        let found = unit_type(set);
        if found != Some(expected) {
            let value = u64::from(found.unwrap_or(0));
            return Err(AvcError::Field { place: PLACE, field: "type of a parameter set", value });
        }
        sets.push(record.slice(*at..*at + length));
        *at += length;
    }
    Ok(sets)
}
