//! H.264 to pictures, with libavcodec's own decoder on one thread.

use std::fmt;
use std::ptr;

use ffmpeg_next::ffi as av;

use super::AvError;
use super::frame::Frame;

/// A decoder of one H.264 stream.
pub struct Decoder {
    ctx: *mut av::AVCodecContext,
    packet: *mut av::AVPacket,
}

// SAFETY: an AVCodecContext may be used from any thread, one at a time.
unsafe impl Send for Decoder {}

impl Decoder {
    /// Opens a decoder for access units with length-prefixed NAL units. `avcc` is their AVCDecoderConfigurationRecord; pictures
    /// of more than `max_pixels` are refused before memory is taken for them.
    ///
    /// # Errors
    /// When the record is not understood, or there is no memory.
    pub fn h264(avcc: &[u8], max_pixels: u64) -> Result<Self, AvError> {
        // SAFETY: no precondition. What is null is checked before use, and `Drop` frees what was made so far.
        let decoder = unsafe {
            let codec = av::avcodec_find_decoder(av::AVCodecID::AV_CODEC_ID_H264);
            if codec.is_null() {
                return Err(AvError { call: "avcodec_find_decoder", code: av::AVERROR_DECODER_NOT_FOUND });
            }
            Self { ctx: av::avcodec_alloc_context3(codec), packet: av::av_packet_alloc() }
        };
        if decoder.ctx.is_null() || decoder.packet.is_null() {
            return Err(AvError::out_of_memory("avcodec_alloc_context3"));
        }
        // SAFETY: `ctx` is a fresh context. Its extradata is allocated by `av_mallocz` with the padding that libavcodec
        // demands, and freed with the context.
        unsafe {
            let ctx = &mut *decoder.ctx;
            let size = i32::try_from(avcc.len()).map_err(|_| AvError::out_of_memory("extradata"))?;
            let padded = avcc.len() + av::AV_INPUT_BUFFER_PADDING_SIZE as usize;
            ctx.extradata = av::av_mallocz(padded as _).cast();
            if ctx.extradata.is_null() {
                return Err(AvError::out_of_memory("av_mallocz"));
            }
            ptr::copy_nonoverlapping(avcc.as_ptr(), ctx.extradata, avcc.len());
            ctx.extradata_size = size;
            ctx.thread_count = 1;
            ctx.max_pixels = i64::try_from(max_pixels).unwrap_or(i64::MAX);
            ctx.flags |= av::AV_CODEC_FLAG_OUTPUT_CORRUPT as i32;
            AvError::check("avcodec_open2", av::avcodec_open2(ctx, ptr::null(), ptr::null_mut()))?;
        }
        Ok(decoder)
    }

    /// Gives it one access unit. Everything that [`Decoder::receive`] has to give must be taken before.
    ///
    /// # Errors
    /// When the access unit cannot be decoded; the next one may.
    pub fn send(&mut self, data: &[u8], pts: i64) -> Result<(), AvError> {
        let size = i32::try_from(data.len()).map_err(|_| AvError::out_of_memory("av_new_packet"))?;
        // SAFETY: `packet` is a valid packet without data; `av_new_packet` gives it `size` bytes and the zeroed padding that
        // decoders read into. It is emptied again before the next call.
        let sent = unsafe {
            AvError::check("av_new_packet", av::av_new_packet(self.packet, size))?;
            ptr::copy_nonoverlapping(data.as_ptr(), (*self.packet).data, data.len());
            (*self.packet).pts = pts;
            let sent = av::avcodec_send_packet(self.ctx, self.packet);
            av::av_packet_unref(self.packet);
            sent
        };
        AvError::check("avcodec_send_packet", sent).map(drop)
    }

    /// Says that there is no more, so that pictures that wait for reordering come out.
    ///
    /// # Errors
    /// When called twice.
    pub fn finish(&mut self) -> Result<(), AvError> {
        // SAFETY: an open decoder; a null packet means the end.
        AvError::check("avcodec_send_packet", unsafe { av::avcodec_send_packet(self.ctx, ptr::null()) })
            .map(drop)
    }

    /// The next picture, or `None` when it needs more input or is done.
    ///
    /// # Errors
    /// When a picture cannot be decoded.
    pub fn receive(&mut self) -> Result<Option<Frame>, AvError> {
        let mut frame = Frame::new()?;
        // SAFETY: an open decoder and a valid empty frame.
        match unsafe { av::avcodec_receive_frame(self.ctx, frame.as_mut_ptr()) } {
            code if code == -libc::EAGAIN || code == av::AVERROR_EOF => Ok(None),
            code => AvError::check("avcodec_receive_frame", code).map(|_| Some(frame)),
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: both were made by their allocators or are null, and are freed once.
        unsafe {
            av::avcodec_free_context(&raw mut self.ctx);
            av::av_packet_free(&raw mut self.packet);
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder(h264)")
    }
}
