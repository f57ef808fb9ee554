//! The two halves of a stream, QUIC's or any other: what differs between them is how bytes are handed over without a copy,
//! and whether a reason can be given when one side stops.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, pending};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::fault::{Code, MediaError};

/// Piece in which a body is handed to a stream that copies, bytes.
const PIECE: usize = 64 * 1024;

/// The half that is written. Dropped before [`Sink::end`], it resets the stream with a reason where the transport can.
pub(crate) struct Sink {
    to: Out,
    on_drop: Option<Code>,
}

enum Out {
    Quic(quinn::SendStream),
    Any(Box<dyn AsyncWrite + Send + Unpin>),
}

/// The half that is read. Dropped, it tells the other side to stop.
pub(crate) enum Source {
    Quic(quinn::RecvStream),
    Any(Box<dyn AsyncRead + Send + Unpin>),
}

// === impl Sink ===

impl Sink {
    pub(crate) fn quic(stream: quinn::SendStream, on_drop: Code) -> Self {
        Self { to: Out::Quic(stream), on_drop: Some(on_drop) }
    }

    pub(crate) fn any(stream: impl AsyncWrite + Send + Unpin + 'static, on_drop: Code) -> Self {
        Self { to: Out::Any(Box::new(stream)), on_drop: Some(on_drop) }
    }

    /// Hands `body` over, without a copy on QUIC.
    pub(crate) async fn send(&mut self, body: Bytes) -> Result<(), MediaError> {
        self.send_with(body, || {}).await
    }

    /// Like [`Sink::send`], and calls `went` whenever the transport has taken a piece: once its buffer is full, that is
    /// whenever the peer has acknowledged as much.
    pub(crate) async fn send_with(&mut self, mut body: Bytes, went: impl Fn()) -> Result<(), MediaError> {
        while !body.is_empty() {
            let piece = body.split_to(PIECE.min(body.len()));
            match &mut self.to {
                Out::Quic(stream) => stream.write_chunk(piece).await?,
                Out::Any(stream) => stream.write_all(&piece).await?,
            }
            went();
        }
        if let Out::Any(stream) = &mut self.to {
            stream.flush().await?;
        }
        Ok(())
    }

    /// Says that nothing more will come.
    pub(crate) async fn end(&mut self) -> Result<(), MediaError> {
        self.on_drop = None;
        match &mut self.to {
            // A stream that the other side has stopped is ended as well.
            Out::Quic(stream) => drop(stream.finish()),
            Out::Any(stream) => stream.shutdown().await?,
        }
        Ok(())
    }

    /// Resets with a reason.
    pub(crate) fn cut(&mut self, code: Code) {
        self.on_drop = None;
        if let Out::Quic(stream) = &mut self.to {
            // Fails when the stream is over already, which is what is wanted.
            drop(stream.reset(code.var()));
        }
    }

    /// Resolves when the other side wants no more, or has everything. On streams that cannot tell, never.
    pub(crate) fn over(&self) -> BoxFuture<'static, ()> {
        match &self.to {
            Out::Quic(stream) => stream.stopped().map(|_| ()).boxed(),
            Out::Any(_) => pending().boxed(),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(code) = self.on_drop {
            self.cut(code);
        }
    }
}

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().to {
            Out::Quic(stream) => AsyncWrite::poll_write(Pin::new(stream), cx, bytes),
            Out::Any(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().to {
            Out::Quic(stream) => Pin::new(stream).poll_flush(cx),
            Out::Any(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().to {
            Out::Quic(stream) => Pin::new(stream).poll_shutdown(cx),
            Out::Any(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("on_drop", &self.on_drop).finish_non_exhaustive()
    }
}

// === impl Source ===

impl Source {
    pub(crate) fn any(stream: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self::Any(Box::new(stream))
    }

    /// Tells the other side to stop, with a reason.
    pub(crate) fn stop(&mut self, code: Code) {
        if let Self::Quic(stream) = self {
            // Fails when the stream is over already, which is what is wanted.
            drop(stream.stop(code.var()));
        }
    }
}

impl AsyncRead for Source {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Quic(stream) => AsyncRead::poll_read(Pin::new(stream), cx, buf),
            Self::Any(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// Waits for `work` no longer than `limit`, in the words of the media plane.
pub(crate) async fn no_longer_than<T>(
    limit: std::time::Duration,
    what: &str,
    work: impl Future<Output = Result<T, MediaError>>,
) -> Result<T, MediaError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(MediaError::Unreachable(format!("{what} took longer than {} ms", limit.as_millis())))
    })
}
