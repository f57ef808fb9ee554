//! Decoded pictures, reference-counted by libav, and a pool of planar 4:2:0 ones.

use std::fmt;
use std::ptr;

use ffmpeg_next::ffi as av;

use super::AvError;

/// Alignment of a row, bytes: the widest vector register that libswscale and x264 use.
const ALIGN: i32 = 64;

/// One decoded picture. Cloning shares the pixels.
pub struct Frame {
    raw: *mut av::AVFrame,
}

// SAFETY: an AVFrame may be used from any thread, one at a time; shared buffers are reference-counted atomically and nobody here
// writes to pixels that were handed on.
unsafe impl Send for Frame {}

impl Frame {
    /// An empty frame, without pixels.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new() -> Result<Self, AvError> {
        // SAFETY: no precondition; null is checked.
        let raw = unsafe { av::av_frame_alloc() };
        if raw.is_null() { Err(AvError::out_of_memory("av_frame_alloc")) } else { Ok(Self { raw }) }
    }

    /// A second handle on the same pixels, with its own timestamps.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn share(&self) -> Result<Self, AvError> {
        // SAFETY: `self.raw` is a valid frame; null is checked.
        let raw = unsafe { av::av_frame_clone(self.raw) };
        if raw.is_null() { Err(AvError::out_of_memory("av_frame_clone")) } else { Ok(Self { raw }) }
    }

    /// Width, pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        // SAFETY: `self.raw` is a valid frame (so below).
        u32::try_from(unsafe { (*self.raw).width }).unwrap_or(0)
    }

    /// Height, pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        // SAFETY: as in `width`.
        u32::try_from(unsafe { (*self.raw).height }).unwrap_or(0)
    }

    /// Presentation time in the units of whoever made it.
    #[must_use]
    pub fn pts(&self) -> Option<i64> {
        // SAFETY: as in `width`.
        let pts = unsafe { (*self.raw).pts };
        (pts != av::AV_NOPTS_VALUE).then_some(pts)
    }

    /// Sets the presentation time, and whether an encoder must make it a key frame. The type that a decoder noted is forgotten.
    pub fn stamp(&mut self, pts: i64, key: bool) {
        use av::AVPictureType::{AV_PICTURE_TYPE_I, AV_PICTURE_TYPE_NONE};
        // SAFETY: as in `width`, and `&mut self` is the only handle on this AVFrame.
        unsafe {
            (*self.raw).pts = pts;
            (*self.raw).pict_type = if key { AV_PICTURE_TYPE_I } else { AV_PICTURE_TYPE_NONE };
        }
    }

    /// Whether an encoder can take it as it is: planar 4:2:0, 8 bits, limited range.
    #[must_use]
    pub fn is_plain_yuv420(&self) -> bool {
        // SAFETY: as in `width`.
        let (format, range) = unsafe { ((*self.raw).format, (*self.raw).color_range) };
        format == av::AVPixelFormat::AV_PIX_FMT_YUV420P as i32 && range != av::AVColorRange::AVCOL_RANGE_JPEG
    }

    pub(super) const fn as_ptr(&self) -> *const av::AVFrame {
        self.raw
    }

    pub(super) const fn as_mut_ptr(&mut self) -> *mut av::AVFrame {
        self.raw
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: allocated by `av_frame_alloc` or `av_frame_clone`, freed once.
        unsafe { av::av_frame_free(&raw mut self.raw) }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} x {} at {:?})", self.width(), self.height(), self.pts())
    }
}

/// Reuses the memory of pictures of one size: a page fault a picture costs more than scaling a small one.
pub struct Pool {
    raw: *mut av::AVBufferPool,
    width: i32,
    height: i32,
}

// SAFETY: AVBufferPool is documented as thread-safe.
unsafe impl Send for Pool {}

impl Pool {
    /// A pool of planar 4:2:0 pictures of 8 bits.
    ///
    /// # Errors
    /// When the size is none that libav takes, or there is no memory.
    pub fn new(width: u32, height: u32) -> Result<Self, AvError> {
        let size = |side| i32::try_from(side).map_err(|_| AvError { call: "Pool::new", code: -libc::EINVAL });
        let (width, height) = (size(width)?, size(height)?);
        let format = av::AVPixelFormat::AV_PIX_FMT_YUV420P;
        // SAFETY: pure arithmetic on its arguments.
        let bytes = unsafe { av::av_image_get_buffer_size(format, width, height, ALIGN) };
        let bytes = AvError::check("av_image_get_buffer_size", bytes)?;
        // Scalers may write one register past the last row.
        let bytes = usize::try_from(bytes + ALIGN).map_err(|_| AvError::out_of_memory("Pool::new"))?;
        // SAFETY: no precondition; the default allocator is used; null is checked.
        let raw = unsafe { av::av_buffer_pool_init(bytes as _, None) };
        if raw.is_null() {
            return Err(AvError::out_of_memory("av_buffer_pool_init"));
        }
        Ok(Self { raw, width, height })
    }

    /// A picture with undefined pixels.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn frame(&self) -> Result<Frame, AvError> {
        let frame = Frame::new()?;
        let format = av::AVPixelFormat::AV_PIX_FMT_YUV420P;
        // SAFETY: `self.raw` is a valid pool and `frame.raw` a valid frame without buffers. The buffer is as large as
        // `av_image_get_buffer_size` said for the same arguments, and belongs to the frame from here on.
        unsafe {
            let buffer = av::av_buffer_pool_get(self.raw);
            if buffer.is_null() {
                return Err(AvError::out_of_memory("av_buffer_pool_get"));
            }
            let raw = &mut *frame.raw;
            raw.buf[0] = buffer;
            raw.format = format as i32;
            raw.width = self.width;
            raw.height = self.height;
            let filled = av::av_image_fill_arrays(
                raw.data.as_mut_ptr(),
                raw.linesize.as_mut_ptr(),
                (*buffer).data,
                format,
                self.width,
                self.height,
                ALIGN,
            );
            AvError::check("av_image_fill_arrays", filled)?;
            raw.extended_data = raw.data.as_mut_ptr();
        }
        Ok(frame)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: made by `av_buffer_pool_init`, given up once; libav keeps the memory until the last picture is gone.
        unsafe { av::av_buffer_pool_uninit(&raw mut self.raw) }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} x {})", self.width, self.height)
    }
}

/// A null pointer for an optional argument of libav.
pub(super) const fn none<T>() -> *mut T {
    ptr::null_mut()
}
