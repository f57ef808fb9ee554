//! The sequence parameter set (ITU-T H.264 7.3.2.1.1 and annex E): size, profile, reorder depth, colour, frame rate.

use std::fmt;

use super::bits::Bits;
use super::{AvcError, nal_type};

const PLACE: &str = "sequence parameter set";
/// Widest and highest picture, macroblocks: level 6.2 allows a side of 1055, this leaves room and bounds arithmetic.
const MAX_SIDE_MBS: u32 = 2048;

/// What an SPS says of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`.
    pub profile: u8,
    /// The byte of constraint flags, set 0 in the highest bit.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
    /// `seq_parameter_set_id`.
    pub id: u8,
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample.
    pub bit_depth_chroma: u8,
    /// Width after cropping, pixels.
    pub width: u32,
    /// Height after cropping, pixels.
    pub height: u32,
    /// Whether every picture is a frame (not interlaced).
    pub progressive: bool,
    /// How many pictures can precede one in decoding order and follow it in output order: `max_num_reorder_frames`, or 0 where
    /// the profile or the picture order count type says so; `None` when the stream does not tell.
    pub reorder: Option<u8>,
    /// Pixel aspect ratio, width to height; `None` when not told.
    pub pixel_aspect: Option<(u16, u16)>,
    /// Colour description; `None` when not told.
    pub colour: Option<Colour>,
    /// Frames per second as `(time_scale, 2 * num_units_in_tick)`; `None` when not told. A hint: publishers lie.
    pub fps: Option<(u32, u32)>,
}

/// A colour description (ITU-T H.264 E.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// `colour_primaries`.
    pub primaries: u8,
    /// `transfer_characteristics`.
    pub transfer: u8,
    /// `matrix_coefficients`.
    pub matrix: u8,
    /// `video_full_range_flag`.
    pub full_range: bool,
}

impl Sps {
    /// Reads an SPS NAL unit, header included, without start code or length.
    ///
    /// # Errors
    /// [`AvcError`] when it is cut short or says what H.264 does not allow. Broken VUI is not an error: what it says after
    /// the break is not told.
    pub fn parse(nal: &[u8]) -> Result<Self, AvcError> {
        let (&header, payload) = nal.split_first().ok_or(AvcError::Truncated(PLACE))?;
        if header & 0x1F != nal_type::SPS {
            return Err(AvcError::Field {
                place: PLACE,
                field: "NAL unit type",
                value: u64::from(header & 0x1F),
            });
        }
        let mut bits = Bits::new(payload, PLACE);
        let mut sps = Self::parse_header(&mut bits)?;
        let poc_type = skip_order_count(&mut bits)?;
        bits.ue_max("max_num_ref_frames", 16)?;
        bits.flag()?;
        sps.parse_size(&mut bits)?;
        let no_reorder = poc_type == 2 || sps.profile == 66;
        sps.reorder = no_reorder.then_some(0);
        if bits.flag().unwrap_or(false) {
            // Encoders get this part wrong; a picture can be decoded without it.
            let _ = sps.parse_vui(&mut bits);
        }
        Ok(sps)
    }

    /// Largest frame size, pixels.
    #[must_use]
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The codec as a playlist names it (RFC 6381): `avc1.` and profile, constraints and level in hexadecimal.
    #[must_use]
    pub fn codec(&self) -> String {
        self.to_string()
    }

    fn parse_header(bits: &mut Bits) -> Result<Self, AvcError> {
        let (profile, constraints, level) = (bits.bits(8)? as u8, bits.bits(8)? as u8, bits.bits(8)? as u8);
        let id = bits.ue_max("seq_parameter_set_id", 31)? as u8;
        let (mut chroma_format, mut luma, mut chroma) = (1, 8, 8);
        if has_chroma_fields(profile) {
            chroma_format = bits.ue_max("chroma_format_idc", 3)? as u8;
            if chroma_format == 3 {
                bits.flag()?;
            }
            luma = 8 + bits.ue_max("bit_depth_luma_minus8", 6)? as u8;
            chroma = 8 + bits.ue_max("bit_depth_chroma_minus8", 6)? as u8;
            bits.flag()?;
            skip_scaling_lists(bits, chroma_format)?;
        }
        bits.ue_max("log2_max_frame_num_minus4", 12)?;
        Ok(Self {
            profile,
            constraints,
            level,
            id,
            chroma_format,
            bit_depth_luma: luma,
            bit_depth_chroma: chroma,
            width: 0,
            height: 0,
            progressive: true,
            reorder: None,
            pixel_aspect: None,
            colour: None,
            fps: None,
        })
    }

    fn parse_size(&mut self, bits: &mut Bits) -> Result<(), AvcError> {
        let wide = bits.ue_max("pic_width_in_mbs_minus1", MAX_SIDE_MBS - 1)? + 1;
        let high = bits.ue_max("pic_height_in_map_units_minus1", MAX_SIDE_MBS - 1)? + 1;
        self.progressive = bits.flag()?;
        if !self.progressive {
            bits.flag()?;
        }
        bits.flag()?;
        let fields = if self.progressive { 1 } else { 2 };
        (self.width, self.height) = (wide * 16, high * 16 * fields);
        if !bits.flag()? {
            return Ok(());
        }
        let step_x: u64 = if matches!(self.chroma_format, 1 | 2) { 2 } else { 1 };
        let step_y: u64 = u64::from(fields) * if self.chroma_format == 1 { 2 } else { 1 };
        let mut crop = [0_u64; 4];
        for side in &mut crop {
            *side = u64::from(bits.ue()?);
        }
        let left = |size: u32, cropped: u64| {
            let left = u64::from(size).checked_sub(cropped).filter(|&left| left > 0);
            left.map(|left| left as u32).ok_or(AvcError::Field {
                place: PLACE,
                field: "cropping",
                value: cropped,
            })
        };
        self.width = left(self.width, (crop[0] + crop[1]) * step_x)?;
        self.height = left(self.height, (crop[2] + crop[3]) * step_y)?;
        Ok(())
    }

    fn parse_vui(&mut self, bits: &mut Bits) -> Result<(), AvcError> {
        if bits.flag()? {
            let idc = bits.bits(8)? as u8;
            self.pixel_aspect = match idc {
                255 => Some((bits.bits(16)? as u16, bits.bits(16)? as u16)),
                idc => table_e1(idc),
            }
            .filter(|&(w, h)| w > 0 && h > 0);
        }
        if bits.flag()? {
            bits.flag()?;
        }
        if bits.flag()? {
            bits.skip(3)?;
            let full_range = bits.flag()?;
            if bits.flag()? {
                let mut byte = || bits.bits(8).map(|b| b as u8);
                let (primaries, transfer, matrix) = (byte()?, byte()?, byte()?);
                self.colour = Some(Colour { primaries, transfer, matrix, full_range });
            }
        }
        if bits.flag()? {
            bits.ue()?;
            bits.ue()?;
        }
        if bits.flag()? {
            let (units, scale) = (bits.bits(32)?, bits.bits(32)?);
            bits.flag()?;
            self.fps = units.checked_mul(2).filter(|&den| den > 0 && scale > 0).map(|den| (scale, den));
        }
        let nal_hrd = skip_hrd(bits)?;
        let vcl_hrd = skip_hrd(bits)?;
        if nal_hrd || vcl_hrd {
            bits.flag()?;
        }
        bits.flag()?;
        if bits.flag()? {
            bits.flag()?;
            for _ in 0..4 {
                bits.ue()?;
            }
            let reorder = bits.ue_max("max_num_reorder_frames", 16)?;
            self.reorder = Some(reorder as u8);
        }
        Ok(())
    }
}

impl fmt::Display for Sps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "avc1.{:02X}{:02X}{:02X}", self.profile, self.constraints, self.level)
    }
}

/// Whether the SPS and the avcC of `profile` have chroma format and bit depths.
pub(super) fn has_chroma_fields(profile: u8) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn skip_scaling_lists(bits: &mut Bits, chroma_format: u8) -> Result<(), AvcError> {
    if !bits.flag()? {
        return Ok(());
    }
    for list in 0..if chroma_format == 3 { 12 } else { 8 } {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8_i32, 8_i32);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = last.wrapping_add(bits.se()?) & 0xFF;
            }
            last = if next == 0 { last } else { next };
        }
    }
    Ok(())
}

/// Skips the picture order count fields and says which type they are.
fn skip_order_count(bits: &mut Bits) -> Result<u32, AvcError> {
    let kind = bits.ue_max("pic_order_cnt_type", 2)?;
    match kind {
        0 => {
            bits.ue_max("log2_max_pic_order_cnt_lsb_minus4", 12)?;
        }
        1 => {
            bits.flag()?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue_max("num_ref_frames_in_pic_order_cnt_cycle", 255)? {
                bits.se()?;
            }
        }
        _ => {}
    }
    Ok(kind)
}

/// Skips hypothetical reference decoder parameters (E.1.2) and says whether there were any.
fn skip_hrd(bits: &mut Bits) -> Result<bool, AvcError> {
    if !bits.flag()? {
        return Ok(false);
    }
    let count = bits.ue_max("cpb_cnt_minus1", 31)? + 1;
    bits.skip(8)?;
    for _ in 0..count {
        bits.ue()?;
        bits.ue()?;
        bits.flag()?;
    }
    bits.skip(20)?;
    Ok(true)
}

/// Pixel aspect ratios by number (table E-1).
fn table_e1(idc: u8) -> Option<(u16, u16)> {
    const TABLE: [(u16, u16); 16] = [
        (1, 1),
        (12, 11),
        (10, 11),
        (16, 11),
        (40, 33),
        (24, 11),
        (20, 11),
        (32, 11),
        (80, 33),
        (18, 11),
        (15, 11),
        (64, 33),
        (160, 99),
        (4, 3),
        (3, 2),
        (2, 1),
    ];
    TABLE.get(usize::from(idc).checked_sub(1)?).copied()
}
