//! Packets to MPEG-TS or fragmented MP4, timestamps untouched.

use std::fmt;
use std::io::{self, Write};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ffmpeg_next::Dictionary;
use ffmpeg_next::ffi as av;
use ffmpeg_next::format::context::{Output, StreamIo};
use serde::{Deserialize, Serialize};

use super::AvError;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// MPEG transport stream.
    MpegTs,
    /// Fragmented MP4 with all tracks in one file.
    Mp4,
}

/// The bytes written so far, shared with the writer that libav holds.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is being written to memory.
pub struct Muxer {
    output: Output,
    sink: Sink,
    packet: *mut av::AVPacket,
    target: Target,
    /// Units of each track's times in one second.
    timescales: Vec<i32>,
}

impl Muxer {
    /// Starts an empty file.
    ///
    /// # Errors
    /// When FFmpeg was built without the muxer, or there is no memory.
    pub fn new(target: Target) -> Result<Self, AvError> {
        let call = "avformat_alloc_output_context2";
        let fail = |error: ffmpeg_next::Error| AvError { call, code: error.into() };
        let name = match target {
            Target::MpegTs => "mpegts",
            Target::Mp4 => "mp4",
        };
        let sink = Sink::default();
        let io = StreamIo::from_write(sink.clone()).map_err(fail)?;
        let output = ffmpeg_next::format::output_to_stream(io, None, Some(name)).map_err(fail)?;
        // SAFETY: no precondition; null is checked.
        let packet = unsafe { av::av_packet_alloc() };
        if packet.is_null() {
            return Err(AvError::out_of_memory("av_packet_alloc"));
        }
        Ok(Self { output, sink, packet, target, timescales: Vec::new() })
    }

    /// Adds a track of H.264; `avcc` is its AVCDecoderConfigurationRecord. Returns its index.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn add_h264(&mut self, avcc: &[u8], size: (u32, u32), timescale: u32) -> Result<usize, AvError> {
        self.add(timescale, avcc, |par| {
            par.codec_type = av::AVMediaType::AVMEDIA_TYPE_VIDEO;
            par.codec_id = av::AVCodecID::AV_CODEC_ID_H264;
            par.width = i32::try_from(size.0).unwrap_or(0);
            par.height = i32::try_from(size.1).unwrap_or(0);
        })
    }

    /// Adds a track of AAC; `asc` is its AudioSpecificConfig. Returns its index.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn add_aac(&mut self, asc: &[u8], rate: u32, channels: u8, timescale: u32) -> Result<usize, AvError> {
        self.add(timescale, asc, |par| {
            par.codec_type = av::AVMediaType::AVMEDIA_TYPE_AUDIO;
            par.codec_id = av::AVCodecID::AV_CODEC_ID_AAC;
            par.sample_rate = i32::try_from(rate).unwrap_or(0);
            par.frame_size = 1024;
            // SAFETY: fills in a plain struct that belongs to `par`.
            unsafe { av::av_channel_layout_default(&raw mut par.ch_layout, i32::from(channels)) };
        })
    }

    fn add(
        &mut self,
        timescale: u32,
        extradata: &[u8],
        fill: impl FnOnce(&mut av::AVCodecParameters),
    ) -> Result<usize, AvError> {
        let timescale =
            i32::try_from(timescale).map_err(|_| AvError { call: "Muxer", code: -libc::EINVAL })?;
        // SAFETY: the stream belongs to the open context; its extradata is allocated by `av_mallocz` with padding and freed
        // with the stream.
        unsafe {
            let stream = av::avformat_new_stream(self.output.as_mut_ptr(), ptr::null());
            if stream.is_null() {
                return Err(AvError::out_of_memory("avformat_new_stream"));
            }
            (*stream).time_base = av::AVRational { num: 1, den: timescale };
            let par = &mut *(*stream).codecpar;
            let padded = extradata.len() + av::AV_INPUT_BUFFER_PADDING_SIZE as usize;
            par.extradata = av::av_mallocz(padded as _).cast();
            if par.extradata.is_null() {
                return Err(AvError::out_of_memory("av_mallocz"));
            }
            ptr::copy_nonoverlapping(extradata.as_ptr(), par.extradata, extradata.len());
            par.extradata_size = i32::try_from(extradata.len()).unwrap_or(0);
            fill(par);
        }
        self.timescales.push(timescale);
        Ok(self.timescales.len() - 1)
    }

    /// Writes the header, after all tracks were added.
    ///
    /// # Errors
    /// When the muxer refuses a track.
    pub fn start(&mut self) -> Result<(), AvError> {
        let mut options = Dictionary::new();
        options.set("avoid_negative_ts", "disabled");
        match self.target {
            Target::MpegTs => {
                options.set("mpegts_copyts", "1");
                options.set("muxdelay", "0");
            }
            Target::Mp4 => {
                options.set("movflags", "empty_moov+default_base_moof+frag_custom+frag_discont");
                options.set("use_editlist", "0");
                options.set("brand", "iso6");
            }
        }
        // SAFETY: an open context with streams; the dictionary is owned again after the call.
        unsafe {
            (*self.output.as_mut_ptr()).max_delay = 0;
            let mut raw = options.disown();
            let code = av::avformat_write_header(self.output.as_mut_ptr(), &raw mut raw);
            drop(Dictionary::own(raw));
            AvError::check("avformat_write_header", code).map(drop)
        }
    }

    /// Writes one packet of a track, times in the track's own units. Packets come in order of decoding time.
    ///
    /// # Errors
    /// When the muxer refuses it.
    pub fn write(
        &mut self,
        track: usize,
        (pts, dts, duration): (i64, i64, i64),
        key: bool,
        data: &[u8],
    ) -> Result<(), AvError> {
        let refuse = AvError { call: "Muxer::write", code: -libc::EINVAL };
        let size = i32::try_from(data.len()).map_err(|_| refuse)?;
        let timescale = *self.timescales.get(track).ok_or(refuse)?;
        // SAFETY: an open context whose header is written and which has this stream; the packet is valid and empty, gets its
        // own padded copy of `data`, and is emptied by the muxer or here.
        unsafe {
            AvError::check("av_new_packet", av::av_new_packet(self.packet, size))?;
            let packet = &mut *self.packet;
            ptr::copy_nonoverlapping(data.as_ptr(), packet.data, data.len());
            packet.stream_index = i32::try_from(track).map_err(|_| refuse)?;
            (packet.pts, packet.dts, packet.duration) = (pts, dts, duration);
            packet.flags = if key { av::AV_PKT_FLAG_KEY } else { 0 };
            let ctx = self.output.as_mut_ptr();
            // The muxer may have chosen its own clock when the header was written.
            let to = (**(*ctx).streams.add(track)).time_base;
            av::av_packet_rescale_ts(packet, av::AVRational { num: 1, den: timescale }, to);
            let code = av::av_interleaved_write_frame(ctx, self.packet);
            av::av_packet_unref(self.packet);
            AvError::check("av_interleaved_write_frame", code).map(drop)
        }
    }

    /// Ends the file and returns its bytes.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub fn finish(mut self) -> Result<Bytes, AvError> {
        // SAFETY: an open context whose header is written; the trailer is written once. `avio_flush` hands the rest to `sink`.
        unsafe {
            let ctx = self.output.as_mut_ptr();
            AvError::check("av_write_trailer", av::av_write_trailer(ctx))?;
            av::avio_flush((*ctx).pb);
        }
        let bytes = std::mem::take(&mut *self.sink.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(bytes.into())
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        // SAFETY: made by `av_packet_alloc`, freed once.
        unsafe { av::av_packet_free(&raw mut self.packet) }
    }
}

impl fmt::Debug for Muxer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Muxer({:?}, {} tracks)", self.target, self.timescales.len())
    }
}
