//! Offers that come in over the mesh, handed to the transcoder.

use actix::Recipient;
use actors::budget;
use actors::ports::{Accepted, Reply, Work};
use actors::transcoder::messages::Take;
use futures::future::BoxFuture;
use p2p::media::{self, Fallback, IncomingOffer, MediaEndpoint};
use protocol::{Declined, Failed, Rendition, SignedReceipt};

/// Takes offers from both ways until they end. Without a transcoder every offer is declined.
pub(crate) async fn serve(media: MediaEndpoint, fallback: Fallback, transcoder: Option<Recipient<Take>>) {
    loop {
        let offer = tokio::select! {
            offer = media.accept() => offer,
            offer = fallback.accept() => offer,
        };
        let Some(offer) = offer else { return };
        match &transcoder {
            Some(transcoder) => hand_over(offer, transcoder).await,
            None => {
                let why = Declined::NotAdmitted("this node does not transcode".into());
                tokio::spawn(offer.decline(why));
            }
        }
    }
}

async fn hand_over(incoming: IncomingOffer, transcoder: &Recipient<Take>) {
    let (from, offer) = (incoming.peer, incoming.offer.clone());
    let take = Take { from, offer, work: Box::new(MeshWork(incoming)) };
    // An undelivered offer is dropped, which tells the asking side.
    if !matches!(tokio::time::timeout(budget::ASK, transcoder.send(take)).await, Ok(Ok(()))) {
        tracing::warn!(?from, "an offer came while the transcoder is down");
    }
}

#[derive(Debug)]
struct MeshWork(IncomingOffer);

#[derive(Debug)]
struct MeshReply(media::Reply);

impl Work for MeshWork {
    fn decline(self: Box<Self>, reason: Declined) -> BoxFuture<'static, ()> {
        Box::pin(self.0.decline(reason))
    }

    fn accept(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, String>> {
        Box::pin(async move {
            let (segment, reply) = self.0.accept().await.map_err(|e| e.to_string())?;
            Ok((segment, Box::new(MeshReply(reply)) as Box<dyn Reply>))
        })
    }
}

impl Reply for MeshReply {
    fn beat(&mut self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.0.beat().await.is_ok() })
    }

    fn rendition<'a>(&'a mut self, rendition: &'a Rendition) -> BoxFuture<'a, bool> {
        Box::pin(async { self.0.rendition(rendition).await.is_ok() })
    }

    fn finish(self: Box<Self>, receipt: SignedReceipt) -> BoxFuture<'static, bool> {
        Box::pin(async move { self.0.finish(receipt).await.is_ok() })
    }

    fn fail(self: Box<Self>, reason: Failed) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _ = self.0.fail(reason).await;
        })
    }
}
