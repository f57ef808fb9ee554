//! The answering side of one exchange: an offer comes in and waits to be taken or declined; then renditions go out as they
//! are made, and a receipt.
//!
//! Works on any stream. Whether to take an offer is the caller's decision; that what was offered is what came is checked here.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use protocol::{Declined, Failed, Offer, PeerKey, Rendition, SignedReceipt};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::fault::{Code, MediaError};
use super::frame::{Floor, read_body, read_end, read_frame, write_frame};
use super::gate::{Gate, StreamPermit};
use super::half::{Sink, Source, no_longer_than};
use super::wire::{RenditionHead, Step, decode_offer, encode_step, proto};

/// How often an upload that is still going on is answered with a beat: whoever asks gives up on a silence of a few of them.
pub(crate) const BEAT: Duration = Duration::from_millis(100);
/// How long a last word may take to be handed over; whoever does not read it loses it.
const LAST_WORD: Duration = Duration::from_secs(2);
/// How long the end of an answer may take to arrive, renditions before it included. A dead path ends it sooner.
const ARRIVAL: Duration = Duration::from_secs(30);
/// When a peer whose offer found no room may try again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// An offer whose segment is still on its way. Dropped undecided, it tells the asking side that the job was dropped.
#[derive(Debug)]
pub struct IncomingOffer {
    /// Who asks; proven by the transport.
    pub peer: PeerKey,
    /// What is asked; well-formed, not yet true.
    pub offer: Offer,
    stream: Exchange,
}

/// The way back for one taken offer. Dropped before [`Reply::finish`] or [`Reply::fail`], it tells the asking side that the
/// job was dropped.
#[derive(Debug)]
pub struct Reply {
    stream: Exchange,
}

/// One stream, its share of the bounds, and the slowest it may be.
#[derive(Debug)]
struct Exchange {
    sink: Sink,
    source: Source,
    floor: Floor,
    _permit: StreamPermit,
}

/// Where offers go, and within what.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) gate: Gate,
    pub(crate) floor: Floor,
    pub(crate) offers: mpsc::Sender<IncomingOffer>,
}

impl Door {
    /// Takes in one stream of a proven peer. Never silent: what is not handed on is answered with a reason.
    pub(crate) async fn receive(&self, peer: PeerKey, mut sink: Sink, mut source: Source) {
        let Some(permit) = self.gate.stream(peer) else {
            let most = self.gate.bounds.streams_per_peer;
            let why = Declined::Limits(format!("{most} segments at a time from one peer"));
            return last_word(sink, source, &Step::Declined(why)).await;
        };
        match self.offer(peer, &mut sink, &mut source, permit).await {
            Ok((offer, permit)) => {
                let stream = Exchange { sink, source, floor: self.floor, _permit: permit };
                self.hand_on(IncomingOffer { peer, offer, stream }).await;
            }
            Err(MediaError::Declined(declined)) => last_word(sink, source, &Step::Declined(declined)).await,
            Err(error) => {
                tracing::debug!(?peer, %error, "an offer is refused");
                last_word(sink, source, &Step::Fault(error.to_string())).await;
            }
        }
    }

    async fn offer(
        &self,
        peer: PeerKey,
        sink: &mut Sink,
        source: &mut Source,
        mut permit: StreamPermit,
    ) -> Result<(Offer, StreamPermit), MediaError> {
        let Some(frame) = read_frame::<_, proto::Offer>(source, self.floor.stall).await? else {
            return Err(MediaError::Protocol("the stream ended before an offer".into()));
        };
        let offer = decode_offer(frame)?;
        tracing::trace!(?peer, segment = %offer.segment, "an offer has come");
        if !permit.bytes(offer.bytes) {
            return Err(Declined::Busy { retry_after: RETRY_AFTER }.into());
        }
        // Says that the stream has arrived: some transports lose streams, and this is how the asking side knows.
        say(sink, &Step::Beat, self.floor.stall).await?;
        Ok((offer, permit))
    }

    async fn hand_on(&self, offer: IncomingOffer) {
        match self.offers.try_send(offer) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(offer)) => {
                offer.decline(Declined::Busy { retry_after: RETRY_AFTER }).await;
            }
            Err(mpsc::error::TrySendError::Closed(offer)) => offer.decline(Declined::Stopping).await,
        }
    }
}

impl IncomingOffer {
    /// Says no, with the reason, and takes nothing more of the segment.
    pub async fn decline(self, why: Declined) {
        let Exchange { sink, source, .. } = self.stream;
        last_word(sink, source, &Step::Declined(why)).await;
    }

    /// Says yes, and waits for the segment: exactly the bytes that were offered, by length and hash.
    ///
    /// # Errors
    /// [`MediaError::Protocol`] for other bytes (the asking side is told), [`MediaError::Unreachable`] when they come too
    /// slowly or the path dies, [`MediaError::Cancelled`] when they are no longer wanted.
    pub async fn accept(self) -> Result<(Bytes, Reply), MediaError> {
        let Self { peer, offer, mut stream } = self;
        match stream.segment(&offer).await {
            Ok(segment) => Ok((segment, Reply { stream })),
            Err(error) => {
                tracing::debug!(?peer, segment = %offer.segment, %error, "a segment did not come");
                stream.refuse(&error).await;
                Err(error)
            }
        }
    }
}

impl Reply {
    /// Says that the job is alive.
    ///
    /// # Errors
    /// [`MediaError`] when nobody listens any more.
    pub async fn beat(&mut self) -> Result<(), MediaError> {
        self.stream.say(&Step::Beat).await
    }

    /// Sends one rendition.
    ///
    /// # Errors
    /// [`MediaError`] when nobody listens any more, or too slowly.
    pub async fn rendition(&mut self, made: &Rendition) -> Result<(), MediaError> {
        let head = RenditionHead {
            index: made.index,
            frames: made.frames,
            pixels: made.pixels,
            bytes: made.bytes.len() as u64,
        };
        self.stream.say(&Step::Rendition(head)).await?;
        let limit = self.stream.floor.limit(made.bytes.len());
        no_longer_than(limit, "sending a rendition", self.stream.sink.send(made.bytes.clone())).await
    }

    /// Sends the receipt and waits until it has arrived, so that a node may stop after this.
    ///
    /// # Errors
    /// [`MediaError`] when it did not arrive.
    pub async fn finish(mut self, receipt: SignedReceipt) -> Result<(), MediaError> {
        self.stream.say(&Step::Receipt(receipt)).await?;
        self.stream.end().await
    }

    /// Says that the job failed.
    ///
    /// # Errors
    /// [`MediaError`] when it did not arrive.
    pub async fn fail(mut self, why: Failed) -> Result<(), MediaError> {
        self.stream.say(&Step::Failed(why)).await?;
        self.stream.end().await
    }

    /// Resolves when the asking side wants no more: the work can be stopped. Never resolves on transports that cannot tell.
    pub fn cancelled(&self) -> BoxFuture<'static, ()> {
        self.stream.sink.over()
    }
}

impl Exchange {
    async fn say(&mut self, step: &Step) -> Result<(), MediaError> {
        say(&mut self.sink, step, self.floor.stall).await
    }

    async fn segment(&mut self, offer: &Offer) -> Result<Bytes, MediaError> {
        self.say(&Step::Accepted).await?;
        let wanted = usize::try_from(offer.bytes).expect("at most 32 MiB");
        let Self { sink, source, floor, .. } = self;
        let body = async {
            let body = read_body(source, wanted, *floor).await?;
            read_end(source, wanted, *floor).await?;
            Ok::<_, MediaError>(body)
        };
        tokio::pin!(body);
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats.reset();
        let (segment, hash) = loop {
            tokio::select! {
                body = &mut body => break body?,
                _ = beats.tick() => say(sink, &Step::Beat, floor.stall).await?,
            }
        };
        if hash != offer.hash {
            return Err(MediaError::Protocol(format!(
                "the segment's hash is {hash}, {} was offered",
                offer.hash
            )));
        }
        Ok(segment)
    }

    /// Tells the asking side what was wrong with its segment.
    async fn refuse(self, error: &MediaError) {
        last_word(self.sink, self.source, &Step::Fault(error.to_string())).await;
    }

    async fn end(mut self) -> Result<(), MediaError> {
        let over = self.sink.over();
        self.sink.end().await?;
        if matches!(self.source, Source::Any(_)) {
            return Ok(());
        }
        let arrived = async {
            over.await;
            Ok(())
        };
        no_longer_than(ARRIVAL, "the end of an answer", arrived).await
    }
}

async fn say(sink: &mut Sink, step: &Step, within: Duration) -> Result<(), MediaError> {
    no_longer_than(within, "a step of the answer", async { Ok(write_frame(sink, &encode_step(step)).await?) })
        .await
}

/// Says why this stream ends, ends it, and stops the upload.
async fn last_word(mut sink: Sink, mut source: Source, step: &Step) {
    let code = if matches!(step, Step::Fault(_)) { Code::Protocol } else { Code::Done };
    let said = async {
        say(&mut sink, step, LAST_WORD).await?;
        sink.end().await
    };
    if let Err(error) = said.await {
        tracing::debug!(%error, "a last word was not heard");
    }
    source.stop(code);
}
