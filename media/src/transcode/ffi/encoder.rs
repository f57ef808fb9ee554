//! Pictures to H.264 with an encoder that is found by name at run time.

use std::ffi::CString;
use std::fmt;
use std::mem;
use std::ptr;
use std::slice;

use ffmpeg_next::Dictionary;
use ffmpeg_next::ffi as av;
use protocol::Ticks;

use super::AvError;
use super::frame::Frame;

/// What an encoder is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// FFmpeg's name of the encoder, such as `libx264`.
    pub encoder: &'static str,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Target and peak rate, bits per second, and size of the VBV buffer, bits.
    pub bitrate: u32,
    /// Nominal frame rate, for rate control only: time stamps have their own clock.
    pub fps: (u32, u32),
    /// B-frames in a row.
    pub b_frames: u8,
    /// How the colours are coded.
    pub colour: Colour,
    /// Private options of the encoder.
    pub options: Vec<(&'static str, String)>,
}

/// Colour description of pictures (ITU-T H.273): primaries, transfer, matrix and chroma position as libav numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    primaries: av::AVColorPrimaries,
    transfer: av::AVColorTransferCharacteristic,
    matrix: av::AVColorSpace,
    position: av::AVChromaLocation,
    pixel: (i32, i32),
}

impl Colour {
    /// The colours of a picture.
    #[must_use]
    pub fn of(frame: &Frame) -> Self {
        // SAFETY: a valid frame.
        let raw = unsafe { &*frame.as_ptr() };
        Self {
            primaries: raw.color_primaries,
            transfer: raw.color_trc,
            matrix: raw.colorspace,
            position: raw.chroma_location,
            pixel: (raw.sample_aspect_ratio.num, raw.sample_aspect_ratio.den),
        }
    }
}

/// One coded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Presentation time, 90 kHz.
    pub pts: i64,
    /// Whether it is an IDR picture.
    pub key: bool,
    /// NAL units in Annex B form.
    pub data: Vec<u8>,
}

/// An open encoder.
pub struct Encoder {
    ctx: *mut av::AVCodecContext,
    packet: *mut av::AVPacket,
}

// SAFETY: an AVCodecContext may be used from any thread, one at a time.
unsafe impl Send for Encoder {}

impl Encoder {
    /// Opens an encoder on one thread; its clock is 90 kHz, its pictures are planar 4:2:0.
    ///
    /// # Errors
    /// When there is no such encoder, or it refuses the settings.
    pub fn open(settings: &Settings) -> Result<Self, AvError> {
        let name = CString::new(settings.encoder).map_err(|_| AvError::out_of_memory("CString::new"))?;
        // SAFETY: `name` outlives the call. What is null is checked before use, and `Drop` frees what was made so far.
        let (codec, encoder) = unsafe {
            let codec = av::avcodec_find_encoder_by_name(name.as_ptr());
            if codec.is_null() {
                return Err(AvError {
                    call: "avcodec_find_encoder_by_name",
                    code: av::AVERROR_ENCODER_NOT_FOUND,
                });
            }
            (codec, Self { ctx: av::avcodec_alloc_context3(codec), packet: av::av_packet_alloc() })
        };
        if encoder.ctx.is_null() || encoder.packet.is_null() {
            return Err(AvError::out_of_memory("avcodec_alloc_context3"));
        }
        let mut options = Dictionary::new();
        for (key, value) in &settings.options {
            options.set(key, value);
        }
        // SAFETY: `ctx` is a fresh context of `codec`, and nobody else has it. The dictionary is owned again after the call,
        // so that it is freed whatever libav left in it.
        unsafe {
            configure(&mut *encoder.ctx, settings)?;
            let mut raw = options.disown();
            let opened = av::avcodec_open2(encoder.ctx, codec, &raw mut raw);
            drop(Dictionary::own(raw));
            AvError::check("avcodec_open2", opened)?;
        }
        Ok(encoder)
    }

    /// Parameter sets in Annex B form.
    #[must_use]
    pub fn headers(&self) -> &[u8] {
        // SAFETY: an open encoder; its extradata lives as long as it and is not changed.
        unsafe {
            let ctx = &*self.ctx;
            match usize::try_from(ctx.extradata_size) {
                Ok(size) if !ctx.extradata.is_null() => slice::from_raw_parts(ctx.extradata, size),
                _ => &[],
            }
        }
    }

    /// Gives it one picture, or says by `None` that there is no more.
    ///
    /// # Errors
    /// When the encoder refuses the picture.
    pub fn send(&mut self, frame: Option<&Frame>) -> Result<(), AvError> {
        let raw = frame.map_or(ptr::null(), Frame::as_ptr);
        // SAFETY: an open encoder; `raw` is null or a valid frame of its size and format.
        AvError::check("avcodec_send_frame", unsafe { av::avcodec_send_frame(self.ctx, raw) }).map(drop)
    }

    /// The next coded picture, or `None` when it needs more input or is done.
    ///
    /// # Errors
    /// When encoding fails.
    pub fn receive(&mut self) -> Result<Option<Encoded>, AvError> {
        // SAFETY: an open encoder and a valid packet, which is emptied again before it is left.
        unsafe {
            let code = av::avcodec_receive_packet(self.ctx, self.packet);
            if code == -libc::EAGAIN || code == av::AVERROR_EOF {
                return Ok(None);
            }
            AvError::check("avcodec_receive_packet", code)?;
            let packet = &*self.packet;
            let size = usize::try_from(packet.size).unwrap_or(0);
            let data = if size == 0 { Vec::new() } else { slice::from_raw_parts(packet.data, size).to_vec() };
            let encoded = Encoded { pts: packet.pts, key: packet.flags & av::AV_PKT_FLAG_KEY != 0, data };
            av::av_packet_unref(self.packet);
            Ok(Some(encoded))
        }
    }
}

/// Fills in what has a field; the rest are private options.
fn configure(ctx: &mut av::AVCodecContext, settings: &Settings) -> Result<(), AvError> {
    let int =
        |value: u32| i32::try_from(value).map_err(|_| AvError { call: "Encoder::open", code: -libc::EINVAL });
    let rate = i64::from(settings.bitrate);
    ctx.width = int(settings.width)?;
    ctx.height = int(settings.height)?;
    ctx.pix_fmt = av::AVPixelFormat::AV_PIX_FMT_YUV420P;
    ctx.time_base = av::AVRational { num: 1, den: Ticks::PER_SECOND as i32 };
    ctx.framerate = av::AVRational { num: int(settings.fps.0)?, den: int(settings.fps.1)? };
    ctx.bit_rate = rate;
    ctx.rc_max_rate = rate;
    ctx.rc_buffer_size = int(settings.bitrate)?;
    ctx.max_b_frames = i32::from(settings.b_frames);
    ctx.thread_count = 1;
    ctx.flags |= av::AV_CODEC_FLAG_GLOBAL_HEADER as i32;
    let Colour { primaries, transfer, matrix, position, pixel } = settings.colour;
    ctx.color_primaries = primaries;
    ctx.color_trc = transfer;
    ctx.colorspace = matrix;
    ctx.chroma_sample_location = position;
    ctx.color_range = av::AVColorRange::AVCOL_RANGE_MPEG;
    ctx.sample_aspect_ratio = av::AVRational { num: pixel.0, den: pixel.1 };
    Ok(())
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: both were made by their allocators or are null, and are freed once.
        unsafe {
            av::avcodec_free_context(&raw mut self.ctx);
            av::av_packet_free(&raw mut self.packet);
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder({} bytes of parameters)", mem::size_of_val(self.headers()))
    }
}
