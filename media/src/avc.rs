//! H.264: NAL units, parameter sets, access units in length-prefixed form (ITU-T H.264, ISO/IEC 14496-15).
//!
//! In: bytes of one access unit or one parameter set, from anybody. Out: what the headers say, and the same bytes in the
//! other framing. Reads no slice data beyond the first fields of its header; knows no container, no time.

mod avcc;
mod bits;
mod nal;
mod sps;

pub use avcc::Avcc;
pub use nal::{
    Nals, annexb, from_annexb, in_band, is_idr, is_recovery_point, nals, unit_type, widen_lengths,
};
pub use sps::{Colour, Sps};

/// NAL unit types (ITU-T H.264 table 7-1) that somebody here looks at.
pub mod nal_type {
    /// Coded slice of a picture that is not IDR.
    pub const SLICE: u8 = 1;
    /// Coded slice of an IDR picture.
    pub const IDR: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const AUD: u8 = 9;
    /// Filler data.
    pub const FILLER: u8 = 12;
}

/// Why H.264 bytes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AvcError {
    /// The bytes end before the structure does.
    #[error("the {0} is cut short: send it whole")]
    Truncated(&'static str),
    /// A field has a value that H.264 does not allow, or that nobody decodes.
    #[error("{field} of the {place} is {value}, which is not supported")]
    Field {
        /// In which structure.
        place: &'static str,
        /// Which field.
        field: &'static str,
        /// What was found.
        value: u64,
    },
    /// A parameter set is missing.
    #[error("there is no {0}: without it nothing can be decoded")]
    Missing(&'static str),
    /// A NAL unit's length exceeds what is left of its access unit.
    #[error("a NAL unit claims {claimed} bytes where {left} are left")]
    NalLength {
        /// Length that was written.
        claimed: usize,
        /// Bytes that there are.
        left: usize,
    },
}

#[cfg(test)]
mod tests;
