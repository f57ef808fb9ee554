//! This node as its own orchestrator: the same offers, admission and receipts as over the mesh, without a wire.

use actix::Recipient;
use actors::budget;
use actors::ports::{Accepted, Answer, MeshFault, Reply, Work};
use actors::transcoder::messages::Take;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use protocol::{Declined, Failed, Offer, PeerKey, Rendition, SignedReceipt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::mesh::Own;

type Steps = mpsc::Sender<Result<Answer, MeshFault>>;

/// Offers a segment to the own transcoder.
pub(super) fn ask(
    own: Own,
    me: PeerKey,
    mut offer: Offer,
    segment: Bytes,
) -> BoxStream<'static, Result<Answer, MeshFault>> {
    // What this node asks of others; of itself it takes nothing for it.
    offer.price = own.price;
    let (steps, answers) = mpsc::channel(budget::ANSWERS);
    let work = Box::new(LocalWork { segment, steps: steps.clone() });
    tokio::spawn(hand_over(own.transcoder, Take { from: me, offer, work }, steps));
    ReceiverStream::new(answers).boxed()
}

async fn hand_over(transcoder: Recipient<Take>, take: Take, steps: Steps) {
    let sent = tokio::time::timeout(budget::ASK, transcoder.send(take)).await;
    if !matches!(sent, Ok(Ok(()))) {
        let _ = steps.send(Err(MeshFault::Unreachable("this node's transcoder is down".into()))).await;
    }
}

#[derive(Debug)]
struct LocalWork {
    segment: Bytes,
    steps: Steps,
}

#[derive(Debug)]
struct LocalReply(Steps);

impl Work for LocalWork {
    fn decline(self: Box<Self>, reason: Declined) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _ = self.steps.send(Err(reason.into())).await;
        })
    }

    fn accept(self: Box<Self>) -> BoxFuture<'static, Result<Accepted, String>> {
        Box::pin(async move {
            let Self { segment, steps } = *self;
            steps.send(Ok(Answer::Accepted)).await.map_err(|_| "the stream is gone".to_owned())?;
            Ok((segment, Box::new(LocalReply(steps)) as Box<dyn Reply>))
        })
    }
}

impl Reply for LocalReply {
    fn beat(&mut self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.0.send(Ok(Answer::Beat)).await.is_ok() })
    }

    fn rendition<'a>(&'a mut self, rendition: &'a Rendition) -> BoxFuture<'a, bool> {
        Box::pin(async { self.0.send(Ok(Answer::Rendition(rendition.clone()))).await.is_ok() })
    }

    fn finish(self: Box<Self>, receipt: SignedReceipt) -> BoxFuture<'static, bool> {
        Box::pin(async move { self.0.send(Ok(Answer::Receipt(receipt))).await.is_ok() })
    }

    fn fail(self: Box<Self>, reason: Failed) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _ = self.0.send(Err(reason.into())).await;
        })
    }
}
