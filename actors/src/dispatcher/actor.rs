//! The shell of a stream's dispatcher: performs what [`Core`] decides over the mesh port, the verifier and the publisher.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::fut::wrap_future;
use actix::prelude::*;
use bytes::Bytes;
use futures::StreamExt;
use media::check::Violation;
use protocol::{Ladder, Offer, PeerKey, Rendition, StreamId};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::core::{AskId, Config, Core, Effect, World};
use super::log::TraceLog;
use super::messages::Dispatch;
use super::score::Scoreboard;
use crate::budget::{self, Budget, Permit};
use crate::clock::Clock;
use crate::ports::{Answer, MeshFault, SharedMesh};
use crate::publisher::messages::{End, Made};
use crate::verifier::messages::Check;

/// The board that all dispatchers of a node share. Held for microseconds, never across an await.
pub type SharedScores = Arc<Mutex<Scoreboard>>;

/// What a dispatcher needs from outside.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Where the orchestrators are.
    pub mesh: SharedMesh,
    /// What was measured of them.
    pub scores: SharedScores,
    /// Checks every rendition.
    pub verifier: Recipient<Check>,
    /// Makes finished segments visible.
    pub publisher: Recipient<Made>,
    /// Ends the stream, after the last segment.
    pub end: Recipient<End>,
    /// Keeps what people may want to see.
    pub traces: TraceLog,
    /// Bytes that all streams of the node may have in work.
    pub budget: Budget,
}

/// Finds orchestrators for one stream's segments.
#[derive(Debug)]
pub struct Dispatcher {
    core: Core,
    ports: Ports,
    clock: Clock,
    rng: StdRng,
    answers: BTreeMap<AskId, SpawnHandle>,
    room: Arc<Semaphore>,
    held: BTreeMap<u64, Held>,
    wake: Option<SpawnHandle>,
}

impl Dispatcher {
    /// A dispatcher for `stream`; `seed` makes its choices repeatable in tests.
    #[must_use]
    pub fn new(stream: StreamId, config: Config, ports: Ports, clock: Clock, seed: u64) -> Self {
        Self {
            core: Core::new(stream, config),
            ports,
            clock,
            rng: StdRng::seed_from_u64(seed),
            answers: BTreeMap::new(),
            room: Arc::new(Semaphore::new(budget::DISPATCH_SEGMENTS)),
            held: BTreeMap::new(),
            wake: None,
        }
    }

    fn step(
        &mut self,
        ctx: &mut Context<Self>,
        input: impl FnOnce(&mut Core, &mut World<'_, StdRng>) -> Vec<Effect>,
    ) {
        let candidates = self.ports.mesh.candidates();
        let effects = {
            let mut scores = self.ports.scores.lock().unwrap_or_else(PoisonError::into_inner);
            let mut world = World {
                now: self.clock.now(),
                candidates: &candidates,
                scores: &mut scores,
                rng: &mut self.rng,
            };
            input(&mut self.core, &mut world)
        };
        for effect in effects {
            self.perform(ctx, effect);
        }
        self.set_alarm(ctx);
    }

    fn perform(&mut self, ctx: &mut Context<Self>, effect: Effect) {
        match effect {
            Effect::Ask { ask, peer, offer, segment } => self.ask(ctx, ask, peer, *offer, segment),
            Effect::Cancel(ask) => {
                self.answers.remove(&ask).map(|handle| ctx.cancel_future(handle));
            }
            Effect::Check { ask, rendition, ladder, source } => {
                self.check(ctx, ask, rendition, ladder, source)
            }
            Effect::Made(made) => {
                self.give_back(made.seq);
                let publisher = self.ports.publisher.clone();
                ctx.spawn(wrap_future(async move {
                    let seq = made.seq;
                    match tokio::time::timeout(budget::ASK, publisher.send(made)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => {
                            tracing::error!(seq, %error, "the publisher is gone: renditions are lost")
                        }
                        Err(_) => tracing::error!(seq, "the publisher hangs: renditions are lost"),
                    }
                }));
            }
            Effect::Trace(trace) => self.ports.traces.record(*trace),
        }
    }

    fn ask(&mut self, ctx: &mut Context<Self>, ask: AskId, peer: PeerKey, offer: Offer, segment: Bytes) {
        tracing::debug!(segment = %offer.segment, ?peer, "asking");
        let answers = self.ports.mesh.transcode(peer, offer, segment).map(move |answer| Step { ask, answer });
        self.answers.insert(ask, ctx.add_stream(answers));
    }

    fn check(
        &self,
        ctx: &mut Context<Self>,
        ask: AskId,
        rendition: Rendition,
        ladder: Arc<Ladder>,
        source: Bytes,
    ) {
        let checked = self.ports.verifier.send(Check { rendition: rendition.clone(), ladder, source });
        ctx.spawn(wrap_future::<_, Self>(tokio::time::timeout(budget::ASK, checked)).map(
            move |verdict, act, ctx| {
                act.step(ctx, |core, world| match verdict {
                    // Our own fault, not the orchestrator's: its answer is dropped and somebody is asked again.
                    Ok(Err(_)) | Err(_) | Ok(Ok(Err(Violation::Source(_)))) => core.on_unchecked(world, ask),
                    Ok(Ok(verdict)) => {
                        core.on_checked(world, ask, rendition, verdict.map_err(|v| v.to_string()))
                    }
                });
            },
        ));
    }

    fn give_back(&mut self, seq: u64) {
        if let Some(held) = self.held.get_mut(&seq) {
            held.done = true;
        }
        while self.held.first_key_value().is_some_and(|(_, held)| held.done) {
            self.held.pop_first();
        }
    }

    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        if let Some(handle) = self.wake.take() {
            ctx.cancel_future(handle);
        }
        if let Some(at) = self.core.next_wake() {
            let wait = at.saturating_sub(self.clock.now()).max(Duration::from_millis(1));
            self.wake =
                Some(ctx.run_later(wait, |act, ctx| act.step(ctx, |core, world| core.on_wake(world))));
        }
    }
}

/// A segment's place among those in work. Places are given back in order, because what comes after a segment that is
/// still in work waits for it at the publisher.
#[derive(Debug)]
struct Held {
    done: bool,
    _place: OwnedSemaphorePermit,
    _bytes: Permit,
}

/// One step of one ask's answer.
#[derive(Debug)]
struct Step {
    ask: AskId,
    answer: Result<Answer, MeshFault>,
}

impl Actor for Dispatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(budget::MAILBOX);
    }
}

impl StreamHandler<Step> for Dispatcher {
    fn handle(&mut self, Step { ask, answer }: Step, ctx: &mut Context<Self>) {
        if let Err(fault) = &answer {
            tracing::debug!(ask = ask.0, %fault, "an ask ended without a receipt");
        }
        self.step(ctx, |core, world| match answer {
            Ok(answer) => core.on_answer(world, ask, answer),
            Err(fault) => core.on_fault(world, ask, &fault),
        });
    }

    /// An answer ends; the dispatcher does not.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Dispatch> for Dispatcher {
    type Result = ResponseActFuture<Self, ()>;

    /// Answers when there is room: the segmenter of a file waits here, a live one never fills it, because a segment is given
    /// up after four durations.
    fn handle(&mut self, dispatch: Dispatch, _: &mut Context<Self>) -> Self::Result {
        let (room, budget) = (Arc::clone(&self.room), self.ports.budget.clone());
        let bytes = dispatch.segment.bytes.len();
        let admitted = async move {
            let place = room.acquire_owned().await.ok()?;
            Some(Held {
                done: false,
                _place: place,
                _bytes: budget.hold(bytes.min(budget.capacity())).await.ok()?,
            })
        };
        Box::pin(wrap_future::<_, Self>(admitted).map(|held, act, ctx| {
            let seq = dispatch.segment.id.seq;
            act.held.extend(held.map(|held| (seq, held)));
            act.step(ctx, |core, world| core.on_dispatch(world, dispatch));
        }))
    }
}

/// Passed on to the publisher when nothing is in work any more, so that no segment in flight becomes a gap. Answered at once:
/// whoever ends a stream need not stay for it.
impl Handler<End> for Dispatcher {
    type Result = ();

    fn handle(&mut self, end: End, ctx: &mut Context<Self>) {
        let (room, publisher) = (Arc::clone(&self.room), self.ports.end.clone());
        ctx.spawn(wrap_future(async move {
            let idle = room.acquire_many(budget::DISPATCH_SEGMENTS as u32).await;
            if publisher.send(end).await.is_err() {
                tracing::error!("the publisher is gone: the stream's playlists do not end");
            }
            drop(idle);
        }));
    }
}
