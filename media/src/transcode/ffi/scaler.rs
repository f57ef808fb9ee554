//! Scaling and conversion to planar 4:2:0 of 8 bits, limited range.

use std::fmt;
use std::mem;

use ffmpeg_next::ffi as av;

use super::AvError;
use super::frame::{Frame, Pool, none};

/// Scales pictures of any size and format to one size.
pub struct Scaler {
    raw: *mut av::SwsContext,
    /// Width, height, format and full range of the pictures that `raw` was set up for.
    input: Option<(i32, i32, i32, bool)>,
    width: u32,
    height: u32,
    pool: Pool,
    exact: bool,
}

// SAFETY: an SwsContext may be used from any thread, one at a time.
unsafe impl Send for Scaler {}

impl Scaler {
    /// Scales to `width` x `height`. With `exact` the result does not depend on the CPU's instruction set.
    ///
    /// # Errors
    /// When the size is none that libav takes, or there is no memory.
    pub fn new(width: u32, height: u32, exact: bool) -> Result<Self, AvError> {
        Ok(Self { raw: none(), input: None, width, height, pool: Pool::new(width, height)?, exact })
    }

    /// A picture of the output size with the timestamps of `from`; the same pixels when nothing has to be done.
    ///
    /// # Errors
    /// When libswscale cannot read the picture's format.
    pub fn scale(&mut self, from: &Frame) -> Result<Frame, AvError> {
        if from.width() == self.width && from.height() == self.height && from.is_plain_yuv420() {
            return from.share();
        }
        self.prepare(from)?;
        let mut to = self.pool.frame()?;
        // SAFETY: both are valid frames with pixels in the formats and sizes that `prepare` and the pool set up.
        unsafe {
            let (src, dst) = (&*from.as_ptr(), &mut *to.as_mut_ptr());
            AvError::check("av_frame_copy_props", av::av_frame_copy_props(dst, src))?;
            dst.color_range = av::AVColorRange::AVCOL_RANGE_MPEG;
            let rows = av::sws_scale(
                self.raw,
                src.data.as_ptr().cast(),
                src.linesize.as_ptr(),
                0,
                src.height,
                dst.data.as_ptr(),
                dst.linesize.as_ptr(),
            );
            AvError::check("sws_scale", rows)?;
        }
        Ok(to)
    }

    /// Sets the context up for pictures like `from`, which may change in the middle of a stream.
    fn prepare(&mut self, from: &Frame) -> Result<(), AvError> {
        use av::AVColorRange::AVCOL_RANGE_JPEG;
        // SAFETY: a valid frame.
        let src = unsafe { &*from.as_ptr() };
        let full_range = src.color_range == AVCOL_RANGE_JPEG;
        let input = (src.width, src.height, src.format, full_range);
        if self.input == Some(input) {
            return Ok(());
        }
        let flags = av::SWS_BICUBIC | if self.exact { av::SWS_ACCURATE_RND | av::SWS_BITEXACT } else { 0 };
        let size = |side| i32::try_from(side).map_err(|_| AvError { call: "Scaler", code: -libc::EINVAL });
        // SAFETY: the frame comes from the loaded libavcodec, whose pixel formats are those of the headers that the bindings
        // were made from (the same soname). The old context is freed before it is forgotten; null is checked.
        unsafe {
            let format: av::AVPixelFormat = mem::transmute(src.format);
            av::sws_freeContext(self.raw);
            self.input = None;
            self.raw = av::sws_getContext(
                src.width,
                src.height,
                format,
                size(self.width)?,
                size(self.height)?,
                av::AVPixelFormat::AV_PIX_FMT_YUV420P,
                flags as _,
                none(),
                none(),
                none(),
            );
            if self.raw.is_null() {
                return Err(AvError { call: "sws_getContext", code: -libc::EINVAL });
            }
            if full_range {
                let table = av::sws_getCoefficients(src.colorspace as i32);
                // A source without colour (grey) refuses this, and needs none of it.
                av::sws_setColorspaceDetails(self.raw, table, 1, table, 0, 0, 1 << 16, 1 << 16);
            }
        }
        self.input = Some(input);
        Ok(())
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: made by `sws_getContext` or null, freed once.
        unsafe { av::sws_freeContext(self.raw) }
    }
}

impl fmt::Debug for Scaler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scaler(to {} x {})", self.width, self.height)
    }
}
