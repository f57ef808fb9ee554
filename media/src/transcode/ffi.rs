//! FFmpeg behind safe types: the only place that touches libav's raw pointers.
//!
//! Each type owns what it allocates and frees it once. Pointers, sizes and enumerations of the C side do not leave this module,
//! and no type here knows what a rendition or a segment is.

// Every call into libav is a foreign call; a SAFETY comment stands at each.
#![allow(unsafe_code)]

mod decoder;
mod demuxer;
mod encoder;
mod frame;
mod muxer;
mod scaler;

use std::ffi::CString;

use ffmpeg_next::ffi as av;

pub use decoder::Decoder;
pub use demuxer::{Demuxed, Demuxer, Format, Track, TrackKind};
pub use encoder::{Colour, Encoded, Encoder, Settings};
pub use frame::{Frame, Pool};
pub use muxer::{Muxer, Target};
pub use scaler::Scaler;

/// A libav call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {reason}", reason = ffmpeg_next::Error::from(*code))]
pub struct AvError {
    /// Name of the function.
    pub call: &'static str,
    /// What it returned, an `AVERROR`.
    pub code: i32,
}

impl AvError {
    /// No memory, as libav says it by a null pointer.
    const fn out_of_memory(call: &'static str) -> Self {
        Self { call, code: -libc::ENOMEM }
    }

    /// Turns a return code into a result.
    const fn check(call: &'static str, code: i32) -> Result<i32, Self> {
        if code < 0 { Err(Self { call, code }) } else { Ok(code) }
    }
}

/// Whether an encoder of this name is compiled into the FFmpeg that is loaded.
#[must_use]
pub fn has_encoder(name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: `name` is a valid C string for the duration of the call; the returned pointer is not kept.
    unsafe { !av::avcodec_find_encoder_by_name(name.as_ptr()).is_null() }
}

/// Lets libav write to standard error only what explains a failure.
pub fn quiet() {
    // SAFETY: sets one global integer, with no precondition.
    unsafe { av::av_log_set_level(av::AV_LOG_ERROR) }
}

/// Version of libavcodec that is loaded, as `major.minor.micro`.
#[must_use]
pub fn version() -> String {
    // SAFETY: reads a constant of the library.
    let v = unsafe { av::avcodec_version() };
    format!("{}.{}.{}", v >> 16, (v >> 8) & 0xff, v & 0xff)
}
