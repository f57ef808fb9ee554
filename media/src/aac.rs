//! AAC: AudioSpecificConfig and ADTS (ISO/IEC 14496-3).
//!
//! In: bytes from a publisher. Out: what they say of rate, channels and frame length; raw frames without their transport
//! headers. Never decodes.

mod adts;
mod asc;

pub use adts::{AdtsFrame, adts};
pub use asc::Asc;

/// Why AAC bytes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AacError {
    /// The bytes end before the structure does.
    #[error("the {0} is cut short: send it whole")]
    Truncated(&'static str),
    /// A field has a value that is reserved, or that nobody decodes.
    #[error("{field} of the {place} is {value}, which is not supported")]
    Field {
        /// In which structure.
        place: &'static str,
        /// Which field.
        field: &'static str,
        /// What was found.
        value: u32,
    },
    /// No ADTS header where one must be.
    #[error("no ADTS header at byte {0}")]
    NoSync(usize),
}

#[cfg(test)]
mod tests;
