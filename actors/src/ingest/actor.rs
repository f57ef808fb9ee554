//! The actix shell around [`Core`]: builds streams, joins publishers to them, and wakes when a publisher stays away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use media::packet::Packet;
use protocol::StreamId;
use tokio::sync::{mpsc, oneshot};

use super::core::{Config, Core, Effect};
use super::messages::{Close, Drain, Open, Opened, Refused, Streams};
use super::port::{StreamFactory, StreamHandle};
use crate::budget::INGEST_PACKETS;

/// The ingest of a node: one actor for all streams.
#[derive(Debug)]
pub struct Ingest {
    core: Core,
    factory: Arc<dyn StreamFactory>,
    handles: BTreeMap<StreamId, StreamHandle>,
    timer: Option<SpawnHandle>,
    drained: Vec<oneshot::Sender<()>>,
}

impl Ingest {
    /// An ingest whose streams are built by `factory`.
    #[must_use]
    pub fn new(config: Config, factory: Arc<dyn StreamFactory>) -> Self {
        Self { core: Core::new(config), factory, handles: BTreeMap::new(), timer: None, drained: vec![] }
    }

    /// Does what the core decided; yields the publisher's channel when one was to be joined.
    fn carry_out(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) -> Option<mpsc::Sender<Packet>> {
        let mut packets = None;
        for effect in effects {
            match effect {
                Effect::Start { stream, first_seq, ladder } => {
                    tracing::info!(%stream, first_seq, "stream started");
                    let handle = self.factory.start(&stream, first_seq, ladder);
                    self.handles.insert(stream, handle);
                }
                Effect::Attach { stream, session, discontinuity } => {
                    packets = self.attach(stream, session, discontinuity, ctx);
                }
                Effect::Finish { stream } => self.finish(stream, ctx),
            }
        }
        self.set_timer(ctx);
        packets
    }

    fn attach(
        &self,
        stream: StreamId,
        session: u64,
        discontinuity: bool,
        ctx: &mut Context<Self>,
    ) -> Option<mpsc::Sender<Packet>> {
        let (packets, taken) = mpsc::channel(INGEST_PACKETS);
        if discontinuity {
            tracing::info!(%stream, "publisher came back");
            packets.try_send(Packet::Discontinuity).expect("a new channel has room");
        }
        let until_detached = self.handles.get(&stream)?.attach(taken).into_actor(self);
        ctx.spawn(until_detached.map(move |end, this, ctx| {
            let died = end.is_err();
            if died {
                tracing::error!(%stream, "the stream's segmenter stopped; the stream starts anew with its next publisher");
            } else {
                tracing::info!(%stream, "publisher left");
            }
            let effects = this.core.detached(now(), &stream, session, died);
            this.carry_out(effects, ctx);
        }));
        Some(packets)
    }

    fn finish(&self, stream: StreamId, ctx: &mut Context<Self>) {
        let Some(handle) = self.handles.get(&stream) else { return };
        ctx.spawn(handle.finish().into_actor(self).map(move |next_seq, this, _| {
            tracing::info!(%stream, next_seq, "stream finished");
            this.core.finished(&stream, next_seq);
            this.handles.remove(&stream);
            this.tell_drained();
        }));
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(old) = self.timer.take() {
            ctx.cancel_future(old);
        }
        self.timer = self.core.next_wake().map(|at| {
            ctx.run_later(at.saturating_duration_since(now()), |this, ctx| {
                this.timer = None;
                let effects = this.core.tick(now());
                this.carry_out(effects, ctx);
            })
        });
    }

    fn tell_drained(&mut self) {
        if self.core.is_empty() {
            for waiting in self.drained.drain(..) {
                // Whoever asked may have given up waiting.
                let _ = waiting.send(());
            }
        }
    }
}

/// The runtime's clock, which tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor for Ingest {
    type Context = Context<Self>;
}

impl Handler<Open> for Ingest {
    type Result = Result<Opened, Refused>;

    fn handle(&mut self, open: Open, ctx: &mut Self::Context) -> Self::Result {
        let admitted = self.core.open(now(), &open).inspect_err(|refused| {
            tracing::info!(stream = %open.stream, from = open.from, via = %open.via, "publisher refused: {refused}");
        })?;
        let packets = self
            .carry_out(admitted.effects, ctx)
            .ok_or_else(|| Refused::Finishing(admitted.stream.clone()))?;
        tracing::info!(stream = %admitted.stream, from = open.from, via = %open.via, "publishing");
        Ok(Opened { stream: admitted.stream, packets, session: admitted.session })
    }
}

impl Handler<Close> for Ingest {
    type Result = ();

    fn handle(&mut self, close: Close, ctx: &mut Self::Context) {
        let effects = self.core.close(&close);
        self.carry_out(effects, ctx);
    }
}

impl Handler<Drain> for Ingest {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) -> Self::Result {
        let (done, wait) = oneshot::channel();
        self.drained.push(done);
        let effects = self.core.drain();
        self.carry_out(effects, ctx);
        self.tell_drained();
        Box::pin(async move {
            // An error means that the actor is gone, and with it every stream.
            let _ = wait.await;
        })
    }
}

impl Handler<Streams> for Ingest {
    type Result = MessageResult<Streams>;

    fn handle(&mut self, _: Streams, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.core.list(now()))
    }
}
