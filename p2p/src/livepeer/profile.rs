//! One output, as an order asks for it.

use super::{Malformed, bad, net};

/// Longest name, bytes.
const MAX_NAME: usize = 64;

/// One output. Only its name is under the order's signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// A path element, 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bits a second.
    pub bitrate: u32,
    /// Pictures and seconds of its rate; 0 pictures keep the source's, 0 seconds are 1.
    pub fps: (u32, u32),
    /// The container.
    pub format: Format,
    /// The number of an H.264 profile, 0 to 4: the encoder's own, Baseline, Main, High, Constrained High.
    pub h264_profile: u8,
    /// Milliseconds between key frames; -1 for key frames only, 0 for the encoder's own.
    pub gop: i32,
}

/// A container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// MPEG-TS.
    #[default]
    MpegTs,
    /// MP4.
    Mp4,
}

impl Profile {
    /// Whether old nodes can read it: a whole frame rate, and profile and key frames as the encoder likes.
    pub(super) const fn is_plain(&self) -> bool {
        self.fps.1 == 0 && self.h264_profile == 0 && self.gop == 0
    }

    pub(super) fn encode(&self) -> net::VideoProfile {
        let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        net::VideoProfile {
            name: self.name.clone(),
            width: int(self.width),
            height: int(self.height),
            bitrate: int(self.bitrate),
            fps: self.fps.0,
            format: i32::from(self.format == Format::Mp4),
            fps_den: self.fps.1,
            profile: i32::from(self.h264_profile),
            gop: self.gop,
            encoder: 0,
        }
    }

    pub(super) fn decode(from: &net::VideoProfile) -> Result<Self, Malformed> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if from.name.is_empty() || from.name.len() > MAX_NAME || !from.name.bytes().all(fits) {
            return Err(bad("name", "a profile is named by 1 to 64 of A-Z a-z 0-9 _ -"));
        }
        let size = |n: i32| u32::try_from(n).map_err(|_| bad("profile", "a negative number"));
        let format = match from.format {
            0 => Format::MpegTs,
            1 => Format::Mp4,
            _ => return Err(bad("format", "unrecognized profile output format")),
        };
        let h264_profile = u8::try_from(from.profile).ok().filter(|profile| *profile <= 4);
        if from.encoder != 0 {
            return Err(bad("encoder", "unrecognized video codec"));
        }
        Ok(Self {
            name: from.name.clone(),
            width: size(from.width)?,
            height: size(from.height)?,
            bitrate: size(from.bitrate)?,
            fps: (from.fps, from.fps_den),
            format,
            h264_profile: h264_profile.ok_or(bad("profile", "unrecognized encoder profile"))?,
            gop: from.gop,
        })
    }
}
