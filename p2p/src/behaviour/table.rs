//! The roster protocol on its stream: one request, one page, both bounded before they are read.
//!
//! In flow bytes of a peer, out flow a [`PageRequest`] or the raw envelopes of a page; whether they verify is not known here.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;
use prost::Message;
use protocol::PeerKey;

use crate::limits::{ROSTER_PAGE_BYTES, ROSTER_PAGE_RECORDS, ROSTER_REQUEST_BYTES};
use crate::wire::{Signed, decode_key, proto};

/// Asks for a page of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Only records behind this key; from the start without one.
    pub after: Option<PeerKey>,
    /// The asker's own record, unverified.
    pub own: Option<Signed>,
}

/// What a peer sent instead of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Bytes beyond the bound or without a meaning.
    #[error("garbage instead of a roster request: {0}")]
    Garbage(String),
    /// A request that did not end in time.
    #[error("a roster request that does not end")]
    Unfinished,
}

/// Time for a request to be read: less than the whole exchange may take, so that it is this that ends it.
const ASK_WITHIN: Duration = Duration::from_secs(3);

/// One page, unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Records in the order of their keys.
    pub envelopes: Vec<Bytes>,
    /// Whether there are more.
    pub more: bool,
}

/// Reads and writes requests and pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableCodec;

impl Codec for TableCodec {
    type Protocol = StreamProtocol;
    /// What is no request is handed on as one that says so: libp2p tells nobody of a request that could not be read.
    type Request = Result<PageRequest, BadRequest>;
    type Response = Page;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Self::Request> {
        let bytes = read_request(io, ROSTER_REQUEST_BYTES, ASK_WITHIN).await?;
        Ok(bytes.and_then(|bytes| request(&bytes).map_err(|e| BadRequest::Garbage(e.to_string()))))
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Page> {
        page(read_bounded(io, ROSTER_PAGE_BYTES).await?)
    }

    fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Self::Request,
    ) -> impl Future<Output = io::Result<()>> + Send {
        let request = request.unwrap_or(PageRequest { after: None, own: None });
        let after = request.after.map(|key| Bytes::copy_from_slice(&key.0)).unwrap_or_default();
        let own = request.own.map(|signed| signed.0).unwrap_or_default();
        let bytes = proto::RosterRequest { after, own }.encode_to_vec();
        async move { write_all(io, &bytes).await }
    }

    fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        page: Page,
    ) -> impl Future<Output = io::Result<()>> + Send {
        let bytes = proto::RosterPage { envelopes: page.envelopes, more: page.more }.encode_to_vec();
        async move { write_all(io, &bytes).await }
    }
}

/// Reads a request of at most `max` bytes that has to be here `within` a time; one that is not is told of as a request.
pub(super) async fn read_request<T: AsyncRead + Unpin + Send>(
    io: &mut T,
    max: usize,
    within: Duration,
) -> io::Result<Result<Bytes, BadRequest>> {
    match tokio::time::timeout(within, read_bounded(io, max)).await {
        Ok(Ok(bytes)) => Ok(Ok(bytes)),
        Ok(Err(e)) if e.kind() == io::ErrorKind::InvalidData => Ok(Err(BadRequest::Garbage(e.to_string()))),
        Ok(Err(e)) => Err(e),
        Err(_) => Ok(Err(BadRequest::Unfinished)),
    }
}

/// Reads to the end of the stream, but never more than `max` bytes and one.
pub(super) async fn read_bounded<T: AsyncRead + Unpin + Send>(io: &mut T, max: usize) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    io.take(max as u64 + 1).read_to_end(&mut bytes).await?;
    if bytes.len() > max {
        return Err(invalid(format!("more than {max} bytes")));
    }
    Ok(bytes.into())
}

pub(super) async fn write_all<T: AsyncWrite + Unpin + Send>(io: &mut T, bytes: &[u8]) -> io::Result<()> {
    io.write_all(bytes).await?;
    io.close().await
}

fn request(bytes: &[u8]) -> io::Result<PageRequest> {
    let message = proto::RosterRequest::decode(bytes).map_err(|_| invalid("not a roster request"))?;
    let after =
        (!message.after.is_empty()).then(|| decode_key(&message.after)).transpose().map_err(invalid)?;
    Ok(PageRequest { after, own: (!message.own.is_empty()).then_some(Signed(message.own)) })
}

fn page(bytes: Bytes) -> io::Result<Page> {
    let message = proto::RosterPage::decode(bytes).map_err(|_| invalid("not a roster page"))?;
    if message.envelopes.len() > ROSTER_PAGE_RECORDS {
        return Err(invalid(format!("more than {ROSTER_PAGE_RECORDS} records in a page")));
    }
    Ok(Page { envelopes: message.envelopes, more: message.more })
}

fn invalid(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;
    use crate::behaviour::names::ROSTER;

    fn read_page(bytes: Vec<u8>) -> io::Result<Page> {
        block_on(TableCodec.read_response(&ROSTER, &mut Cursor::new(bytes)))
    }

    #[tokio::test]
    async fn a_page_and_a_request_come_back_as_they_were_written() {
        let page = Page { envelopes: vec![Bytes::from_static(b"abc"); 3], more: true };
        let mut out = Cursor::new(Vec::new());
        TableCodec.write_response(&ROSTER, &mut out, page.clone()).await.unwrap();
        assert_eq!(super::page(out.into_inner().into()).unwrap(), page);

        let request =
            PageRequest { after: Some(PeerKey([4; 32])), own: Some(Signed(Bytes::from_static(b"me"))) };
        let mut out = Cursor::new(Vec::new());
        TableCodec.write_request(&ROSTER, &mut out, Ok(request.clone())).await.unwrap();
        let read = TableCodec.read_request(&ROSTER, &mut Cursor::new(out.into_inner())).await;
        assert_eq!(read.unwrap(), Ok(request));
    }

    #[test]
    fn a_page_beyond_its_bounds_is_refused() {
        let many = proto::RosterPage { envelopes: vec![Bytes::new(); ROSTER_PAGE_RECORDS + 1], more: false };
        assert!(read_page(many.encode_to_vec()).is_err());
        assert!(read_page(vec![0; ROSTER_PAGE_BYTES + 1]).is_err());
        assert!(read_page(vec![0xff; 100]).is_err());
    }

    #[test]
    fn an_endless_answer_is_read_only_as_far_as_its_bound() {
        let mut endless = futures::io::repeat(0x0a);
        let refused = block_on(TableCodec.read_response(&ROSTER, &mut endless)).unwrap_err();
        assert!(refused.to_string().contains("more than"), "{refused}");
    }
}
