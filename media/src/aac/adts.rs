//! The Audio Data Transport Stream (ISO/IEC 14496-3 1.A.2.2): a header before each frame, as MPEG-TS carries it.

use bytes::Bytes;

use super::{AacError, Asc};
use crate::packet::AudioConfig;

const PLACE: &str = "ADTS header";

/// One frame found in ADTS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdtsFrame {
    /// The parameters that its header implies.
    pub config: AudioConfig,
    /// The raw frame, a slice of the input.
    pub data: Bytes,
}

/// The frames of `stream`, in order. Bytes before a sync word are an error, after which it goes on at the next sync word; a
/// frame that is cut short ends it.
pub fn adts(stream: &Bytes) -> impl Iterator<Item = Result<AdtsFrame, AacError>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = stream.get(at..).filter(|rest| !rest.is_empty())?;
        if !has_sync(rest) {
            let bad = at;
            at += 1 + rest[1..].windows(2).position(has_sync).unwrap_or(rest.len());
            return Some(Err(AacError::NoSync(bad)));
        }
        match frame(rest) {
            Ok((config, header, length)) => {
                let data = stream.slice(at + header..at + length);
                at += length;
                Some(Ok(AdtsFrame { config, data }))
            }
            Err(error) => {
                at = if matches!(error, AacError::Truncated(_)) { stream.len() } else { at + 2 };
                Some(Err(error))
            }
        }
    })
}

fn has_sync(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, second, ..] if second & 0xF6 == 0xF0)
}

/// Reads the header at the start of `bytes`: parameters, header length, frame length with header.
fn frame(bytes: &[u8]) -> Result<(AudioConfig, usize, usize), AacError> {
    let field = |field, value: usize| AacError::Field { place: PLACE, field, value: value as u32 };
    let head: &[u8; 7] = bytes.first_chunk().ok_or(AacError::Truncated(PLACE))?;
    let object = (head[2] >> 6) + 1;
    let rate_index = head[2] >> 2 & 0xF;
    let channels = (head[2] & 1) << 2 | head[3] >> 6;
    let length = usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
    let header = if head[1] & 1 == 1 { 7 } else { 9 };
    if head[6] & 3 != 0 {
        return Err(field("number of raw data blocks minus 1", usize::from(head[6] & 3)));
    }
    if length <= header {
        return Err(field("frame length", length));
    }
    if bytes.len() < length {
        return Err(AacError::Truncated("ADTS frame"));
    }
    Ok((Asc::config(object, rate_index, channels)?, header, length))
}
