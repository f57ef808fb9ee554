//! The shell of an orchestrator's transcoder: one task for each admitted segment, renditions sent as they are made.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::prelude::*;
use ed25519_dalek::SigningKey;
use protocol::receipt::Receipt;
use protocol::{Failed, Hash, Offer, PeerKey, SignedReceipt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::core::{Config, Core};
use super::messages::{Drain, Take};
use super::till::{Booking, Till};
use crate::budget;
use crate::dispatcher::core::BEAT;
use crate::ports::{Reply, SharedWorker, Work};

/// How long [`Drain`] waits for work in flight.
const DRAIN: Duration = Duration::from_secs(10);

/// What people and other nodes may know of the work: the composition root puts it into metrics and the node's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Segments in work.
    pub in_work: u32,
    /// Segments finished.
    pub done: u64,
    /// Segments failed or abandoned.
    pub failed: u64,
    /// Offers declined.
    pub declined: u64,
    /// Encoded pixels delivered.
    pub pixels: u64,
}

/// Transcodes for others.
#[derive(Debug)]
pub struct Transcoder {
    core: Core,
    worker: SharedWorker,
    key: Arc<SigningKey>,
    load: watch::Sender<Load>,
    till: Option<Till>,
}

impl Transcoder {
    /// An orchestrator that signs receipts with `key`; `load` is kept up to date. Without a till nothing is paid.
    #[must_use]
    pub fn new(
        config: Config,
        worker: SharedWorker,
        key: SigningKey,
        load: watch::Sender<Load>,
        till: Option<Till>,
    ) -> Self {
        Self { core: Core::new(config), worker, key: Arc::new(key), load, till }
    }

    fn changed(&self, change: impl FnOnce(&mut Load)) {
        let in_work = self.core.in_work();
        self.load.send_modify(|load| {
            load.in_work = in_work;
            change(load);
        });
    }
}

impl Actor for Transcoder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(budget::MAILBOX);
    }
}

impl Handler<Take> for Transcoder {
    type Result = ();

    fn handle(&mut self, Take { from, offer, work }: Take, ctx: &mut Context<Self>) {
        if let Err(declined) = self.core.on_offer(&offer) {
            tracing::debug!(?from, segment = %offer.segment, %declined, "declined");
            self.changed(|load| load.declined += 1);
            ctx.spawn(wrap_future(work.decline(declined)));
            return;
        }
        self.changed(|_| {});
        let began = Instant::now();
        // A task of its own: when it panics, the permit still comes back.
        let till = self.till.clone();
        let job =
            tokio::spawn(make(from, work, offer, Arc::clone(&self.worker), Arc::clone(&self.key), till));
        ctx.spawn(wrap_future::<_, Self>(job).map(move |made, act, _| {
            let made = made.unwrap_or(Made::Nothing);
            act.core.on_done(matches!(made, Made::Pixels(_)).then(|| began.elapsed()));
            act.changed(|load| match made {
                Made::Pixels(pixels) => {
                    load.done += 1;
                    load.pixels += pixels;
                }
                Made::Nothing => load.failed += 1,
                Made::Unpaid => load.declined += 1,
            });
        }));
    }
}

impl Handler<Drain> for Transcoder {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.core.stop();
        let mut load = self.load.subscribe();
        Box::pin(async move {
            let idle = load.wait_for(|load| load.in_work == 0);
            if tokio::time::timeout(DRAIN, idle).await.is_err() {
                tracing::warn!("segments in work did not finish in {} s and are abandoned", DRAIN.as_secs());
            }
        })
    }
}

/// What came of a job.
#[derive(Clone, Copy, Debug)]
enum Made {
    /// All of it: so many encoded pixels.
    Pixels(u64),
    /// Nothing.
    Nothing,
    /// It was not begun.
    Unpaid,
}

/// Does one job from yes to receipt.
async fn make(
    from: PeerKey,
    work: Box<dyn Work>,
    offer: Offer,
    worker: SharedWorker,
    key: Arc<SigningKey>,
    till: Option<Till>,
) -> Made {
    let deadline = offer.deadline;
    let booking = match &till {
        Some(till) => till.book(from, &offer).await,
        None => Ok(None),
    };
    let booking = match booking {
        Ok(booking) => booking,
        Err(declined) => {
            tracing::debug!(segment = %offer.segment, %declined, "declined");
            work.decline(declined).await;
            return Made::Unpaid;
        }
    };
    let (segment, mut reply) = match work.accept().await {
        Ok(accepted) => accepted,
        Err(reason) => {
            tracing::debug!(segment = %offer.segment, %reason, "the segment did not arrive");
            return Made::Nothing;
        }
    };
    let job = deliver(segment, &offer, &worker, reply.as_mut());
    let made = tokio::time::timeout(deadline, job).await;
    let made = match made.unwrap_or_else(|_| Err(Failed::Internal("the deadline passed".into()))) {
        Ok(renditions) => {
            let pixels = renditions.iter().map(|(_, pixels)| pixels).sum();
            receipt(&offer, renditions, &key, booking).await.map(|receipt| (receipt, pixels))
        }
        Err(failed) => Err(failed),
    };
    match made {
        Ok((receipt, pixels)) => match reply.finish(receipt).await {
            true => Made::Pixels(pixels),
            false => Made::Nothing,
        },
        Err(failed) => {
            tracing::warn!(segment = %offer.segment, %failed, "not transcoded");
            reply.fail(failed).await;
            Made::Nothing
        }
    }
}

/// Signs for the work, once it is paid where it was booked.
async fn receipt(
    offer: &Offer,
    renditions: Vec<(Hash, u64)>,
    key: &SigningKey,
    booking: Option<Booking>,
) -> Result<SignedReceipt, Failed> {
    let receipt = Receipt { segment: offer.segment.clone(), source: offer.hash, renditions };
    match booking {
        Some(booking) => booking.settle(receipt).await,
        None => Ok(receipt.sign(key)),
    }
}

/// Sends renditions as the worker makes them, and beats in between. Returns their hashes and pixels in ladder order.
async fn deliver(
    segment: bytes::Bytes,
    offer: &Offer,
    worker: &SharedWorker,
    reply: &mut dyn Reply,
) -> Result<Vec<(Hash, u64)>, Failed> {
    let abandoned = || Failed::Internal("the broadcaster no longer listens".into());
    let (out, mut renditions) = mpsc::channel(budget::RENDITIONS);
    let mut job = worker.transcode(segment, offer.ladder.clone(), out);
    let mut sent: Vec<Option<(Hash, u64)>> = vec![None; offer.ladder.0.len()];
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut running = true;
    loop {
        tokio::select! {
            biased;
            rendition = renditions.recv() => match rendition {
                Some(rendition) => {
                    if let Some(slot) = sent.get_mut(rendition.index) {
                        *slot = Some((rendition.hash, rendition.pixels));
                    }
                    if !reply.rendition(&rendition).await {
                        return Err(abandoned());
                    }
                }
                None if !running => break,
                None => {
                    (&mut job).await?;
                    break;
                }
            },
            ended = &mut job, if running => {
                ended?;
                running = false;
            }
            _ = beat.tick() => if !reply.beat().await {
                return Err(abandoned());
            },
        }
    }
    sent.into_iter()
        .collect::<Option<_>>()
        .ok_or_else(|| Failed::Internal("the worker left out a rendition".into()))
}
