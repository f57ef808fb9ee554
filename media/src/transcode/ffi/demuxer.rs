//! Containers to packets: MPEG-TS, MP4, Matroska and FLV by name, nothing else, and no decoder is opened to look inside.

use std::ffi::CStr;
use std::fmt;
use std::io::{Read, Seek};
use std::ptr;
use std::slice;

use bytes::Bytes;
use ffmpeg_next::ffi as av;
use ffmpeg_next::format::context::{Input, StreamIo};
use protocol::Ticks;
use serde::{Deserialize, Serialize};

use super::AvError;

/// Streams that one file may have: more is no video that anybody publishes.
const MAX_STREAMS: i64 = 64;

/// A container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// MPEG transport stream (ISO/IEC 13818-1).
    MpegTs,
    /// MP4 or QuickTime, fragmented or not (ISO/IEC 14496-12).
    Mp4,
    /// Matroska or WebM.
    Matroska,
    /// Flash video.
    Flv,
}

impl Format {
    /// Bytes that [`Format::sniff`] wants to see.
    pub const SNIFF_BYTES: usize = 189;

    /// Tells the container from its first bytes.
    #[must_use]
    pub fn sniff(head: &[u8]) -> Option<Self> {
        const MP4: [&[u8; 4]; 6] = [b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"wide"];
        match head {
            [0x47, ..] if head.get(188).is_none_or(|&b| b == 0x47) => Some(Self::MpegTs),
            [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Self::Matroska),
            [b'F', b'L', b'V', ..] => Some(Self::Flv),
            [_, _, _, _, name @ ..] if MP4.iter().any(|box4| name.starts_with(*box4)) => Some(Self::Mp4),
            _ => None,
        }
    }

    const fn demuxer(self) -> &'static CStr {
        match self {
            Self::MpegTs => c"mpegts",
            Self::Mp4 => c"mov",
            Self::Matroska => c"matroska",
            Self::Flv => c"flv",
        }
    }
}

/// What a stream of a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackKind {
    /// H.264 video.
    H264,
    /// AAC audio.
    Aac,
    /// Other video, by FFmpeg's name of the codec.
    Video(String),
    /// Other audio, by FFmpeg's name of the codec.
    Audio(String),
    /// Subtitles, data, attachments.
    Other,
}

/// A stream of a file, as far as it is known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// What it holds.
    pub kind: TrackKind,
    /// Out-of-band parameters: a record for H.264, an AudioSpecificConfig for AAC; empty when they are in band.
    pub extradata: Bytes,
}

/// One packet of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demuxed {
    /// Index of its stream.
    pub track: usize,
    /// Presentation time.
    pub pts: Option<Ticks>,
    /// Decoding time.
    pub dts: Option<Ticks>,
    /// The bytes.
    pub data: Bytes,
}

/// An open file.
pub struct Demuxer {
    input: Input,
    packet: *mut av::AVPacket,
}

// SAFETY: the context and the packet may be used from any thread, one at a time.
unsafe impl Send for Demuxer {}

impl Demuxer {
    /// Opens a file of a known container.
    ///
    /// # Errors
    /// When its header cannot be read.
    pub fn open<R: Read + Seek + Send + 'static>(reader: R, format: Format) -> Result<Self, AvError> {
        let failed = |call| move |_| AvError { call, code: -libc::EIO };
        let mut io = StreamIo::from_read_seek(reader).map_err(failed("avio_alloc_context"))?;
        // SAFETY: `io` outlives the context: `Input` keeps both and drops the context first. `avformat_open_input` frees the
        // context itself when it fails. The packet is checked for null.
        unsafe {
            let demuxer = av::av_find_input_format(format.demuxer().as_ptr());
            if demuxer.is_null() {
                return Err(AvError { call: "av_find_input_format", code: av::AVERROR_DEMUXER_NOT_FOUND });
            }
            let mut ctx = av::avformat_alloc_context();
            if ctx.is_null() {
                return Err(AvError::out_of_memory("avformat_alloc_context"));
            }
            (*ctx).pb = io.as_mut_ptr();
            (*ctx).flags |= av::AVFMT_FLAG_CUSTOM_IO | av::AVFMT_FLAG_NOFILLIN;
            av::av_opt_set_int(ctx.cast(), c"max_streams".as_ptr(), MAX_STREAMS, 0);
            av::av_opt_set(ctx.cast(), c"protocol_whitelist".as_ptr(), c"".as_ptr(), 0);
            let opened = av::avformat_open_input(&raw mut ctx, ptr::null(), demuxer, ptr::null_mut());
            AvError::check("avformat_open_input", opened)?;
            let input = Input::wrap_with_custom_io(ctx, io);
            let packet = av::av_packet_alloc();
            if packet.is_null() {
                return Err(AvError::out_of_memory("av_packet_alloc"));
            }
            Ok(Self { input, packet })
        }
    }

    /// The streams known so far: an MPEG-TS may show more while it is read.
    #[must_use]
    pub fn tracks(&self) -> Vec<Track> {
        // SAFETY: an open context; `streams` has `nb_streams` valid entries.
        unsafe {
            let ctx = &*self.input.as_ptr();
            (0..ctx.nb_streams as usize).map(|i| track(&**ctx.streams.add(i))).collect()
        }
    }

    /// The next packet, or `None` at the end.
    ///
    /// # Errors
    /// When the file is damaged here, or reading fails.
    pub fn read(&mut self) -> Result<Option<Demuxed>, AvError> {
        // SAFETY: an open context and a valid packet, which is emptied before it is left. libav sets `stream_index` to an
        // existing stream.
        unsafe {
            match av::av_read_frame(self.input.as_mut_ptr(), self.packet) {
                av::AVERROR_EOF => return Ok(None),
                code => AvError::check("av_read_frame", code)?,
            };
            let packet = &*self.packet;
            let index = usize::try_from(packet.stream_index).unwrap_or(0);
            let base = (**(*self.input.as_ptr()).streams.add(index)).time_base;
            let size = usize::try_from(packet.size).unwrap_or(0);
            let data = if size == 0 || packet.data.is_null() {
                Bytes::new()
            } else {
                Bytes::copy_from_slice(slice::from_raw_parts(packet.data, size))
            };
            let (pts, dts) = (ticks(packet.pts, base), ticks(packet.dts, base));
            av::av_packet_unref(self.packet);
            Ok(Some(Demuxed { track: index, pts, dts, data }))
        }
    }
}

/// Reads a stream's parameters.
///
/// # Safety
/// `stream` belongs to an open context.
unsafe fn track(stream: &av::AVStream) -> Track {
    use av::AVCodecID::{AV_CODEC_ID_AAC, AV_CODEC_ID_H264};
    use av::AVMediaType::{AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_VIDEO};
    // SAFETY: `codecpar` of an AVStream is never null, and its extradata has the size it says.
    unsafe {
        let par = &*stream.codecpar;
        let name = || CStr::from_ptr(av::avcodec_get_name(par.codec_id)).to_string_lossy().into_owned();
        let kind = match (par.codec_type, par.codec_id) {
            (_, AV_CODEC_ID_H264) => TrackKind::H264,
            (_, AV_CODEC_ID_AAC) => TrackKind::Aac,
            (AVMEDIA_TYPE_VIDEO, _) if stream.disposition & av::AV_DISPOSITION_ATTACHED_PIC == 0 => {
                TrackKind::Video(name())
            }
            (AVMEDIA_TYPE_AUDIO, _) => TrackKind::Audio(name()),
            _ => TrackKind::Other,
        };
        let size = usize::try_from(par.extradata_size).unwrap_or(0);
        let extradata = if size == 0 || par.extradata.is_null() {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(slice::from_raw_parts(par.extradata, size))
        };
        Track { kind, extradata }
    }
}

/// Rescales a timestamp to 90 kHz; what libav marks as missing is missing.
fn ticks(value: i64, base: av::AVRational) -> Option<Ticks> {
    if value == av::AV_NOPTS_VALUE {
        return None;
    }
    Ticks::from_units(value, base.num.into(), base.den.into())
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        // SAFETY: made by `av_packet_alloc`, freed once.
        unsafe { av::av_packet_free(&raw mut self.packet) }
    }
}

impl fmt::Debug for Demuxer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demuxer").field("tracks", &self.tracks()).finish()
    }
}
