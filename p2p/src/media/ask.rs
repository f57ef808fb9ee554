//! The asking side of one exchange: the offer and the segment go out while the answer's steps come in.
//!
//! In flow an offer and its bytes; out flow steps, each checked against the offer before its bytes are read. Works on any
//! stream; who is at the other end is the caller's business.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use protocol::rendition::RenditionSpec;
use protocol::{Offer, Rendition, Segment, SignedReceipt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::fault::MediaError;
use super::frame::{Floor, read_body_with, read_frame, write_frame};
use super::half::{Sink, Source};
use super::serve::BEAT;
use super::wire::{RenditionHead, Step, decode_step, encode_offer, proto};

/// One step of an orchestrator's answer, in the order in which they come.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The offer is admitted. Comes before the upload has ended.
    Accepted,
    /// The job is alive: the peer said so, or bytes are moving between the two.
    Beat,
    /// One rendition is complete; its hash was computed here.
    Rendition(Rendition),
    /// All renditions are done, and are those that the receipt names. Its signature is not yet checked. Always last.
    Receipt(SignedReceipt),
}

/// The steps of one answer. Dropping it ends the exchange and tells the peer so.
#[derive(Debug)]
pub struct Answers {
    steps: mpsc::Receiver<Result<Answer, MediaError>>,
    _task: AbortOnDropHandle<()>,
}

/// Where an exchange puts its steps.
pub(crate) type Steps = mpsc::Sender<Result<Answer, MediaError>>;

/// How long the asking side waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the first step, which says that the stream has arrived.
    pub(crate) first: Duration,
    /// For the next step of an answer.
    pub(crate) silence: Duration,
    /// For the bytes of a rendition.
    pub(crate) floor: Floor,
}

/// An exchange that ended without a receipt.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) error: MediaError,
    /// Whether anything came back: if not, the peer may never have seen the offer and it can be asked again.
    pub(crate) answered: bool,
}

/// Steps that may wait for the caller; more hold the stream back.
const STEPS: usize = 4;
/// What is left to an answer when the upload has failed: the reason is usually already on its way.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Added to an offer's deadline, for the way back.
const GRACE: Duration = Duration::from_secs(2);
/// Smallest bound on a rendition, bytes: short segments are mostly their first picture.
const SMALL_RENDITION: u64 = 1 << 20;
/// How far a rendition may exceed its bit rate.
const RATE_SLACK: u64 = 4;

// === impl Answers ===

impl Answers {
    /// Runs `exchange` as a task; its error becomes the last step.
    pub(crate) fn run<F, X>(exchange: X) -> Self
    where
        X: FnOnce(Steps) -> F,
        F: Future<Output = Result<(), MediaError>> + Send + 'static,
    {
        let (to, steps) = mpsc::channel(STEPS);
        let exchange = exchange(to.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = exchange.await {
                // Nobody listens any more when this fails.
                drop(to.send(Err(error)).await);
            }
        });
        Self { steps, _task: AbortOnDropHandle::new(task) }
    }
}

impl Stream for Answers {
    type Item = Result<Answer, MediaError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.steps.poll_recv(cx)
    }
}

/// One exchange on one stream. The segment follows the offer at once: waiting for its admission would cost a round trip.
pub(crate) async fn ask(
    mut sink: Sink,
    source: Source,
    offer: &Offer,
    segment: Bytes,
    steps: &Steps,
    patience: Patience,
) -> Result<(), Ended> {
    let pulse = Pulse::new(steps);
    let made = vec![None; offer.ladder.0.len()];
    let mut reader = Reader { source, offer, patience, pulse: &pulse, made, answered: false };
    let ended = {
        let upload = async {
            write_frame(&mut sink, &encode_offer(offer)).await?;
            sink.send_with(segment, || pulse.moved()).await?;
            sink.end().await
        };
        let answers = tokio::time::timeout(offer.deadline + GRACE, reader.run());
        tokio::pin!(upload, answers);
        let uploaded = tokio::select! {
            ended = &mut answers => Err(ended),
            uploaded = &mut upload => Ok(uploaded),
        };
        match uploaded {
            Err(ended) => ended,
            Ok(Ok(())) => answers.await,
            Ok(Err(error)) => match tokio::time::timeout(LAST_WORDS, answers).await {
                Ok(Ok(Err(MediaError::Cancelled))) | Err(_) => Ok(Err(error)),
                Ok(ended) => ended,
            },
        }
    };
    let late = || Err(MediaError::Unreachable("no receipt before the offer's deadline".into()));
    ended.unwrap_or_else(|_| late()).map_err(|error| {
        reader.source.stop(error.code());
        sink.cut(error.code());
        Ended { error, answered: reader.answered }
    })
}

/// Steps on their way to the caller, and beats in between while bytes move: a long rendition or upload is no silence.
struct Pulse<'a> {
    steps: &'a Steps,
    last: Mutex<Instant>,
}

impl<'a> Pulse<'a> {
    fn new(steps: &'a Steps) -> Self {
        Self { steps, last: Mutex::new(Instant::now()) }
    }

    async fn step(&self, answer: Answer) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        // The caller that has gone has dropped this future with it.
        drop(self.steps.send(Ok(answer)).await);
    }

    fn moved(&self) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= BEAT {
            *last = Instant::now();
            // A caller that has steps to look at needs no beat.
            drop(self.steps.try_send(Ok(Answer::Beat)));
        }
    }
}

/// The incoming half.
struct Reader<'a> {
    source: Source,
    offer: &'a Offer,
    patience: Patience,
    pulse: &'a Pulse<'a>,
    /// What has come so far, by rung: what the receipt must name.
    made: Vec<Option<(protocol::Hash, u64)>>,
    answered: bool,
}

impl Reader<'_> {
    /// Reads to the receipt.
    async fn run(&mut self) -> Result<(), MediaError> {
        loop {
            let within = if self.answered { self.patience.silence } else { self.patience.first };
            let frame = read_frame::<_, proto::Answer>(&mut self.source, within).await?;
            let Some(frame) = frame else {
                return Err(MediaError::Unreachable("the answer ended before the receipt".into()));
            };
            self.answered = true;
            let answer = match decode_step(frame)? {
                Step::Accepted => Answer::Accepted,
                Step::Beat => Answer::Beat,
                Step::Rendition(head) => Answer::Rendition(self.rendition(head).await?),
                Step::Receipt(receipt) => {
                    self.check(&receipt)?;
                    self.pulse.step(Answer::Receipt(receipt)).await;
                    return Ok(());
                }
                Step::Declined(declined) => return Err(declined.into()),
                Step::Failed(failed) => return Err(failed.into()),
                Step::Fault(why) => {
                    return Err(MediaError::Protocol(format!("the peer refuses what this node sent: {why}")));
                }
            };
            self.pulse.step(answer).await;
        }
    }

    async fn rendition(&mut self, head: RenditionHead) -> Result<Rendition, MediaError> {
        let Some(spec) = self.offer.ladder.0.get(head.index) else {
            return Err(MediaError::Protocol(format!("rendition {} was not asked for", head.index)));
        };
        if self.made[head.index].is_some() {
            return Err(MediaError::Protocol(format!("rendition {} came twice", head.index)));
        }
        let most = largest(spec, self.offer);
        if head.bytes > most {
            let why =
                format!("rendition {} has {} bytes, at most {most} fit its bit rate", spec.name, head.bytes);
            return Err(MediaError::Protocol(why));
        }
        let wanted = usize::try_from(head.bytes).expect("at most 32 MiB");
        let came = || self.pulse.moved();
        let (bytes, hash) = read_body_with(&mut self.source, wanted, self.patience.floor, came).await?;
        self.made[head.index] = Some((hash, head.pixels));
        Ok(Rendition { index: head.index, frames: head.frames, pixels: head.pixels, bytes, hash })
    }

    /// A receipt for other work than this is none.
    fn check(&self, signed: &SignedReceipt) -> Result<(), MediaError> {
        let receipt = &signed.receipt;
        if receipt.segment != self.offer.segment || receipt.source != self.offer.hash {
            return Err(MediaError::Protocol("the receipt is for another segment".into()));
        }
        if !receipt.renditions.iter().copied().map(Some).eq(self.made.iter().copied()) {
            return Err(MediaError::Protocol("the receipt does not name the renditions that came".into()));
        }
        Ok(())
    }
}

/// The most bytes that a rendition may have: its bit rate with slack, or a floor for short segments.
fn largest(spec: &RenditionSpec, offer: &Offer) -> u64 {
    let millis = offer.duration.as_millis().max(0).cast_unsigned();
    let nominal = u64::from(spec.bitrate).saturating_mul(millis) / 8000;
    nominal.saturating_mul(RATE_SLACK).clamp(SMALL_RENDITION, Segment::MAX_BYTES as u64)
}

#[cfg(test)]
mod tests;
