//! The actix shell of one stream's segmenter. All work is one task that takes a packet, lets the core decide, and delivers
//! what came of it before it takes the next: order is kept, and a slow neighbour slows the publisher instead of filling memory.

use std::time::Duration;

use actix::prelude::*;
use media::cut::Counts;
use media::fmp4::Mp4Error;
use media::packet::Packet;
use protocol::ladder::LadderPlan;
use protocol::{Segment, StreamId, Ticks};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::build;
use super::core::{Core, Job};
use super::messages::{Attach, Finish, Status};
use crate::budget::ASK;
use crate::dispatcher::messages::Dispatch;
use crate::publisher::messages::{Audio, Cut, End};

/// How long the dispatcher may let a file wait for room: as long as the longest segment plays.
const ROOM: Duration = Duration::from_secs((Segment::MAX_DURATION.0 / Ticks::PER_SECOND) as u64);
/// Publishers that wait for the one before them to be gone; the ingest joins one at a time.
const COMMANDS: usize = 4;

/// What a segmenter needs to know.
#[derive(Clone, Debug)]
pub struct SegmenterConfig {
    /// The stream.
    pub stream: StreamId,
    /// The outputs that the broadcaster wants.
    pub plan: LadderPlan,
    /// Number of the first segment.
    pub first_seq: u64,
    /// Length of segments that is aimed at. [`Segment::MAX_DURATION`] keeps segments that are pushed ready-made whole from the first
    /// on; after the first boundary they are kept whole in any case.
    pub target: Ticks,
}

/// Cuts one stream.
#[derive(Debug)]
pub struct Segmenter {
    commands: mpsc::Sender<Command>,
    finishing: CancellationToken,
    counts: watch::Receiver<Counts>,
    /// Until the actor starts.
    pump: Option<Pump>,
}

#[derive(Debug)]
enum Command {
    Attach { packets: mpsc::Receiver<Packet>, done: oneshot::Sender<()> },
    Finish { done: oneshot::Sender<u64> },
}

/// The task.
#[derive(Debug)]
struct Pump {
    core: Core,
    commands: mpsc::Receiver<Command>,
    finishing: CancellationToken,
    counts: watch::Sender<Counts>,
    cut: Recipient<Cut>,
    audio: Recipient<Audio>,
    end: Recipient<End>,
    dispatch: Recipient<Dispatch>,
}

impl Segmenter {
    /// A segmenter with its neighbours.
    #[must_use]
    pub fn new(
        config: SegmenterConfig,
        publisher_cut: Recipient<Cut>,
        publisher_audio: Recipient<Audio>,
        publisher_end: Recipient<End>,
        dispatch: Recipient<Dispatch>,
    ) -> Self {
        let (commands, taken) = mpsc::channel(COMMANDS);
        let (tell, counts) = watch::channel(Counts::default());
        let finishing = CancellationToken::new();
        let pump = Pump {
            core: Core::new(config.stream, config.plan, config.first_seq, config.target),
            commands: taken,
            finishing: finishing.clone(),
            counts: tell,
            cut: publisher_cut,
            audio: publisher_audio,
            end: publisher_end,
            dispatch,
        };
        Self { commands, finishing, counts, pump: Some(pump) }
    }
}

impl Actor for Segmenter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(pump) = self.pump.take() {
            ctx.spawn(pump.run().into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
    }
}

impl Handler<Attach> for Segmenter {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, attach: Attach, _: &mut Self::Context) -> Self::Result {
        let commands = self.commands.clone();
        Box::pin(async move {
            let (done, wait) = oneshot::channel();
            // Errors mean that the stream has ended, and then the packets are nobody's.
            if commands.send(Command::Attach { packets: attach.packets, done }).await.is_ok() {
                let _ = wait.await;
            }
        })
    }
}

impl Handler<Finish> for Segmenter {
    type Result = ResponseFuture<u64>;

    fn handle(&mut self, _: Finish, _: &mut Self::Context) -> Self::Result {
        let commands = self.commands.clone();
        self.finishing.cancel();
        Box::pin(async move {
            let (done, wait) = oneshot::channel();
            match commands.send(Command::Finish { done }).await {
                Ok(()) => wait.await.unwrap_or(0),
                Err(_) => 0,
            }
        })
    }
}

impl Handler<Status> for Segmenter {
    type Result = MessageResult<Status>;

    fn handle(&mut self, _: Status, _: &mut Self::Context) -> Self::Result {
        MessageResult(*self.counts.borrow())
    }
}

impl Pump {
    async fn run(mut self) {
        while let Some(command) = self.commands.recv().await {
            match command {
                Command::Attach { packets, done } => {
                    self.take(packets).await;
                    let _ = done.send(());
                }
                Command::Finish { done } => {
                    let jobs = self.core.on_detach();
                    self.deliver_all(jobs).await;
                    self.told("the end of the stream", self.end.send(End).timeout(ASK).await);
                    let _ = done.send(self.core.next_seq());
                    return;
                }
            }
        }
    }

    /// Takes one publisher's packets until they end, or the stream does.
    async fn take(&mut self, mut packets: mpsc::Receiver<Packet>) {
        let jobs = self.core.on_attach();
        self.deliver_all(jobs).await;
        let finishing = self.finishing.clone();
        loop {
            let packet = tokio::select! {
                biased;
                () = finishing.cancelled() => break,
                packet = packets.recv() => packet,
            };
            let Some(packet) = packet else { break };
            let jobs = self.core.on_packet(packet);
            self.deliver_all(jobs).await;
        }
        drop(packets);
        let jobs = self.core.on_detach();
        self.deliver_all(jobs).await;
        self.report();
    }

    async fn deliver_all(&mut self, jobs: Vec<Job>) {
        let cut = !jobs.is_empty();
        for job in jobs {
            match job {
                Job::Video { id, video, ladder } => {
                    let token = video.token;
                    let Some(segment) = beside(move || build::segment(id, &video)).await else { continue };
                    self.deliver_segment(segment, ladder, token).await;
                }
                Job::Audio { seq, audio } => {
                    let track = match &audio.part {
                        Some(_) => beside(move || build::audio(seq, &audio)).await.flatten(),
                        None => None,
                    };
                    self.told("audio", self.audio.send(Audio { seq, track }).timeout(ASK).await);
                }
            }
        }
        if cut {
            self.report();
        }
    }

    async fn deliver_segment(&self, segment: Segment, ladder: protocol::Ladder, token: Option<u64>) {
        tracing::debug!(
            segment = %segment.id, start = %segment.start, duration = %segment.duration, bytes = segment.bytes.len(),
            frames = segment.source.frames, discontinuity = segment.discontinuity, "cut"
        );
        let cut = Cut { segment: segment.clone(), ladder: ladder.clone(), token };
        self.told("a cut", self.cut.send(cut).timeout(ASK).await);
        self.told("a segment", self.dispatch.send(Dispatch { segment, ladder }).timeout(ROOM).await);
    }

    /// A neighbour that is dead, or does not answer, costs its message and not the stream.
    fn told(&self, what: &str, answer: Result<(), MailboxError>) {
        if let Err(error) = answer {
            warn!(stream = %self.core.stream(), "{what} was not taken: {error}");
        }
    }

    /// Says what was dropped or mended since the last time.
    fn report(&self) {
        let (old, new) = (*self.counts.borrow(), self.core.counts());
        self.counts.send_replace(new);
        if (Counts { segments: old.segments, ..new }) != old {
            info!(stream = %self.core.stream(), counts = ?new, "the publisher sent what had to be dropped or mended");
        }
    }
}

/// Runs work that takes milliseconds beside the actors; `None` when it failed, which is told.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Mp4Error> + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(made)) => Some(made),
        Ok(Err(error)) => {
            error!("a segment is lost: {error}");
            None
        }
        Err(error) => {
            error!("a segment is lost: {error}");
            None
        }
    }
}
