//! The AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).

use bytes::Bytes;

use super::AacError;
use crate::packet::AudioConfig;

const PLACE: &str = "AudioSpecificConfig";
/// Sampling rates by index (table 1.18), Hz.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// What an AudioSpecificConfig says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asc {
    /// Audio object type as signalled first: 2 is AAC-LC, 5 HE-AAC, 29 HE-AAC v2.
    pub object: u8,
    /// Sampling rate of the core coder, Hz: the one that counts samples and times frames.
    pub rate: u32,
    /// Channels; 0 when the stream itself tells (channel configuration 0).
    pub channels: u8,
    /// Samples of one frame at `rate`: 1024 or 960.
    pub frame_samples: u32,
}

impl Asc {
    /// Reads one.
    ///
    /// # Errors
    /// [`AacError`] when it is cut short or describes what is not AAC.
    pub fn parse(bytes: &[u8]) -> Result<Self, AacError> {
        let mut bits = Bits { bytes, at: 0 };
        let object = bits.object()?;
        let rate = bits.rate()?;
        let channels = channels(bits.take(4)?)?;
        let core = if matches!(object, 5 | 29) {
            bits.rate()?;
            bits.object()?
        } else {
            object
        };
        // AAC Main, LC, SSR, LTP, error resilient LC: the ones with a GASpecificConfig and frames of 1024 or 960.
        if !matches!(core, 1..=4 | 17) {
            return Err(AacError::Field { place: PLACE, field: "audio object type", value: u32::from(core) });
        }
        let short = bits.take(1)? == 1;
        Ok(Self { object, rate, channels, frame_samples: if short { 960 } else { 1024 } })
    }

    /// The codec as a playlist names it (RFC 6381), such as `mp4a.40.2`.
    #[must_use]
    pub fn codec(&self) -> String {
        format!("mp4a.40.{}", self.object)
    }

    /// Writes the AudioSpecificConfig of an AAC stream found in ADTS: 2 bytes.
    ///
    /// # Errors
    /// [`AacError`] when an index is reserved.
    pub fn config(object: u8, rate_index: u8, channel_config: u8) -> Result<AudioConfig, AacError> {
        let bytes = [object << 3 | rate_index >> 1, rate_index << 7 | channel_config << 3];
        Self::parse(&bytes)?;
        Ok(AudioConfig { asc: Bytes::copy_from_slice(&bytes) })
    }
}

impl AudioConfig {
    /// What the AudioSpecificConfig says.
    ///
    /// # Errors
    /// [`AacError`] as [`Asc::parse`].
    pub fn info(&self) -> Result<Asc, AacError> {
        Asc::parse(&self.asc)
    }
}

fn channels(configuration: u32) -> Result<u8, AacError> {
    match configuration {
        0..=6 => Ok(configuration as u8),
        7 | 12 | 14 => Ok(8),
        11 => Ok(7),
        value => Err(AacError::Field { place: PLACE, field: "channel configuration", value }),
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<u32, AacError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(AacError::Truncated(PLACE))?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    fn object(&mut self) -> Result<u8, AacError> {
        match self.take(5)? {
            31 => Ok(32 + self.take(6)? as u8),
            object => Ok(object as u8),
        }
    }

    fn rate(&mut self) -> Result<u32, AacError> {
        let rate = match self.take(4)? {
            15 => self.take(24)?,
            index => RATES.get(index as usize).copied().unwrap_or(0),
        };
        match rate {
            7_350..=96_000 => Ok(rate),
            value => Err(AacError::Field { place: PLACE, field: "sampling rate", value }),
        }
    }
}
