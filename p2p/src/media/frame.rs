//! Frames and bodies on a byte stream: a length, a protobuf message, raw bytes.
//!
//! In flow bytes of a stranger; out flow whole messages and bodies, or the reason why not. Nothing is allocated that was
//! not announced within bounds, and nothing is waited for longer than the [`Floor`]. Shared by QUIC and libp2p streams;
//! knows neither.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use protocol::Hash;
use protocol::hash::Hasher;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// Largest frame, bytes: an offer with twelve rungs takes less than 2 KiB, a hundred tickets that pay it less than 8 KiB.
pub(crate) const MAX_FRAME: usize = 16_384;
/// What a body's buffer holds before any of it has come, bytes: memory follows data, not promises.
const FIRST_ALLOCATION: usize = 256 * 1024;
/// Most that is taken off the transport and hashed at once, bytes: a ninth of a millisecond, after which others have their turn.
const PIECE: usize = 64 * 1024;

/// The slowest that a stream may be before it is given up.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    /// Longest time without a byte.
    pub stall: Duration,
    /// Bytes per second over the whole body, counted after one `stall`.
    pub bytes_per_second: u64,
}

impl Default for Floor {
    /// 5 s and 16 KiB/s: a 240p rendition alone needs twice that to be live.
    fn default() -> Self {
        Self { stall: Duration::from_secs(5), bytes_per_second: 16 * 1024 }
    }
}

impl Floor {
    /// The longest that moving `bytes` may take.
    pub(crate) fn limit(&self, bytes: usize) -> Duration {
        let seconds = bytes as f64 / self.bytes_per_second.max(1) as f64;
        self.stall + Duration::from_secs_f64(seconds)
    }
}

/// Why a stream gave no message or body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The transport's own error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side ended in the middle.
    #[error("the stream ended after {got} of {wanted} bytes")]
    Ended { got: usize, wanted: usize },
    /// A length beyond the bound.
    #[error("a frame of {0} bytes is announced, at most {MAX_FRAME} are allowed")]
    TooLong(u32),
    /// Not the message that was expected.
    #[error("a frame is not what it should be: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// Too slow.
    #[error("too slow: {got} of {wanted} bytes in {} ms", .after.as_millis())]
    TooSlow { got: usize, wanted: usize, after: Duration },
    /// More bytes than announced.
    #[error("more bytes came than the {0} announced")]
    Excess(usize),
}

/// Puts a message on the stream.
pub(crate) async fn write_frame<W>(to: &mut W, message: &impl Message) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let len = message.encoded_len();
    if len > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a frame of our own is too long"));
    }
    let mut out = BytesMut::with_capacity(4 + len);
    out.put_u32(u32::try_from(len).expect("at most 16384"));
    message.encode(&mut out).expect("the buffer grows as needed");
    to.write_all(&out).await?;
    to.flush().await
}

/// Takes a message off the stream, `None` when it ended before the first byte of one.
pub(crate) async fn read_frame<R, M>(from: &mut R, within: Duration) -> Result<Option<M>, FrameError>
where
    R: AsyncRead + Unpin,
    M: Message + Default,
{
    let started = Instant::now();
    let mut head = [0; 4];
    match timed(started, within, (0, 4), fill(from, &mut head)).await? {
        0 => return Ok(None),
        4 => {}
        got => return Err(FrameError::Ended { got, wanted: 4 }),
    }
    let announced = u32::from_be_bytes(head);
    if announced as usize > MAX_FRAME {
        return Err(FrameError::TooLong(announced));
    }
    let wanted = announced as usize;
    let mut body = vec![0; wanted];
    let got = timed(started, within, (0, wanted), fill(from, &mut body)).await?;
    if got < wanted {
        return Err(FrameError::Ended { got, wanted });
    }
    Ok(Some(M::decode(Bytes::from(body))?))
}

/// Takes exactly `wanted` bytes off the stream and hashes them on the way, so that the hash is ready with the last byte.
pub(crate) async fn read_body<R>(
    from: &mut R,
    wanted: usize,
    floor: Floor,
) -> Result<(Bytes, Hash), FrameError>
where
    R: AsyncRead + Unpin,
{
    read_body_with(from, wanted, floor, || {}).await
}

/// Like [`read_body`], and calls `came` whenever some of the bytes have come.
pub(crate) async fn read_body_with<R>(
    from: &mut R,
    wanted: usize,
    floor: Floor,
    came: impl Fn(),
) -> Result<(Bytes, Hash), FrameError>
where
    R: AsyncRead + Unpin,
{
    let started = Instant::now();
    let mut body = BytesMut::with_capacity(wanted.min(FIRST_ALLOCATION));
    let mut hasher = Hasher::new();
    while body.len() < wanted {
        let got = body.len();
        let by = (Instant::now() + floor.stall).min(started + floor.limit(got));
        let mut rest = (&mut body).limit((wanted - got).min(PIECE));
        let Ok(read) = timeout_at(by, from.read_buf(&mut rest)).await else {
            return Err(FrameError::TooSlow { got, wanted, after: started.elapsed() });
        };
        if read? == 0 {
            return Err(FrameError::Ended { got, wanted });
        }
        hasher.update(&body[got..]);
        came();
        if body.len() - got == PIECE {
            // More is there already: whoever receives it on this thread would otherwise wait for the hash of all of it.
            tokio::task::yield_now().await;
        }
    }
    Ok((body.freeze(), hasher.finish()))
}

/// Makes sure that the stream ends here.
pub(crate) async fn read_end<R>(from: &mut R, after: usize, floor: Floor) -> Result<(), FrameError>
where
    R: AsyncRead + Unpin,
{
    let mut one = [0; 1];
    match timed(Instant::now(), floor.stall, (0, 1), fill(from, &mut one)).await? {
        0 => Ok(()),
        _ => Err(FrameError::Excess(after)),
    }
}

/// Reads until `to` is full or the stream ends.
async fn fill<R: AsyncRead + Unpin>(from: &mut R, to: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < to.len() {
        match from.read(&mut to[got..]).await? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

async fn timed<T>(
    started: Instant,
    within: Duration,
    (got, wanted): (usize, usize),
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, FrameError> {
    match timeout_at(started + within, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(FrameError::TooSlow { got, wanted, after: started.elapsed() }),
    }
}

#[cfg(test)]
mod tests;
