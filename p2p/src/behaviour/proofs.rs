//! The proof protocol on its stream: bytes one way, bytes the other, both bounded before they are read.
//!
//! In flow bytes of a peer, out flow the same bytes; what they mean is not known here.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;

use super::table::{BadRequest, read_bounded, read_request, write_all};
use crate::limits::{PROOF_REPLY_BYTES, PROOF_REQUEST_BYTES};

/// Time for a request to be read: less than the whole exchange may take, so that it is this that ends it.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// Reads and writes requests and replies.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProofCodec;

impl Codec for ProofCodec {
    type Protocol = StreamProtocol;
    /// What is no request is handed on as one that says so: libp2p tells nobody of a request that could not be read.
    type Request = Result<Bytes, BadRequest>;
    type Response = Bytes;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Self::Request> {
        read_request(io, PROOF_REQUEST_BYTES, ASK_WITHIN).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Bytes> {
        let reply = read_bounded(io, PROOF_REPLY_BYTES).await?;
        // A peer that lets a request go closes the stream, which reads like an answer without a byte.
        if reply.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer let the request go"));
        }
        Ok(reply)
    }

    fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Self::Request,
    ) -> impl Future<Output = io::Result<()>> + Send {
        let bytes = request.unwrap_or_default();
        async move { write_all(io, &bytes).await }
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Bytes,
    ) -> io::Result<()> {
        write_all(io, &bytes).await
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;
    use crate::behaviour::names::PROOFS;

    #[tokio::test]
    async fn bytes_come_back_as_they_were_written_and_never_more_than_their_bound() {
        let mut out = Cursor::new(Vec::new());
        ProofCodec.write_request(&PROOFS, &mut out, Ok(Bytes::from_static(b"ask"))).await.unwrap();
        let read = ProofCodec.read_request(&PROOFS, &mut Cursor::new(out.into_inner())).await.unwrap();
        assert_eq!(read, Ok(Bytes::from_static(b"ask")));
        let mut large = Cursor::new(vec![0; PROOF_REQUEST_BYTES + 1]);
        let large = ProofCodec.read_request(&PROOFS, &mut large).await.unwrap();
        assert!(matches!(large, Err(BadRequest::Garbage(_))));
        let mut endless = futures::io::repeat(1);
        assert!(block_on(ProofCodec.read_response(&PROOFS, &mut endless)).is_err());
        let let_go =
            block_on(ProofCodec.read_response(&PROOFS, &mut Cursor::new(Vec::<u8>::new()))).unwrap_err();
        assert_eq!(let_go.kind(), io::ErrorKind::UnexpectedEof);
    }
}
