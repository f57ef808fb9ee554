//! One stream: segmenter, dispatcher and publisher, supervised together and apart from every other stream.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use actors::budget::Budget;
use actors::clock::Clock;
use actors::dispatcher;
use actors::dispatcher::actor::{Dispatcher, Ports, SharedScores};
use actors::dispatcher::log::TraceLog;
use actors::ingest::{Died, RunningStream, StreamFactory, StreamHandle};
use actors::ports::SharedMesh;
use actors::publisher::{Library, Publisher, PublisherConfig, StreamState};
use actors::segmenter::messages::{Attach, Finish};
use actors::segmenter::{Segmenter, SegmenterConfig};
use actors::supervise::{Group, Policy};
use actors::verifier::messages::Check;
use futures::future::BoxFuture;
use media::packet::Packet;
use protocol::ladder::LadderPlan;
use protocol::{RenditionSpec, StreamId, Ticks};
use tokio::sync::{mpsc, oneshot};

use crate::adapters::payments::paid::PaidMesh;
use crate::adapters::payments::purse::Purse;
use crate::metrics::Metrics;

/// How long the end of a stream may take beyond the time that its last segments are given.
const FINISH: Duration = Duration::from_secs(12);
/// How often the library is asked whether a stream has ended.
const LOOK: Duration = Duration::from_millis(50);
/// What a stream is taken for until its first segment is cut, so that its tickets are made ahead: width, height, frames a second.
const GUESSED: (u32, u32, f64) = (1280, 720, 30.0);

/// Builds streams.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(crate) plan: LadderPlan,
    pub(crate) target: Ticks,
    pub(crate) record: Option<PathBuf>,
    pub(crate) dispatcher: dispatcher::core::Config,
    pub(crate) mesh: SharedMesh,
    /// Who pays for the work; none where it has to be free.
    pub(crate) purse: Option<Arc<Purse>>,
    pub(crate) scores: SharedScores,
    pub(crate) verifier: Recipient<Check>,
    pub(crate) traces: TraceLog,
    pub(crate) library: Library,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    /// Bytes that all streams may have in work.
    pub(crate) budget: Budget,
}

impl StreamFactory for Streams {
    fn start(&self, stream: &StreamId, first_seq: u64, ladder: Option<LadderPlan>) -> StreamHandle {
        let name = format!("stream {stream}");
        let group = Group::new(name.as_str(), Policy::default(), move |why| {
            tracing::error!("{why}: this stream is given up, the others go on");
        });
        let config = PublisherConfig {
            record: self.record.clone(),
            target: self.target,
            metrics: self.metrics.publisher.clone(),
            ..PublisherConfig::new(stream.clone())
        };
        let library = self.library.clone();
        let publisher = group.keep("publisher", move || Publisher::new(config.clone(), library.clone()));

        let ports = Ports {
            mesh: self.mesh_of(stream, ladder.as_ref().unwrap_or(&self.plan)),
            scores: Arc::clone(&self.scores),
            verifier: self.verifier.clone(),
            publisher: publisher.recipient(),
            end: publisher.recipient(),
            traces: self.traces.clone(),
            budget: self.budget.clone(),
        };
        let (id, config, clock) = (stream.clone(), self.dispatcher.clone(), self.clock);
        let dispatcher = group.keep("dispatcher", move || {
            Dispatcher::new(id.clone(), config.clone(), ports.clone(), clock, rand::random())
        });

        let config = SegmenterConfig {
            stream: stream.clone(),
            plan: ladder.unwrap_or_else(|| self.plan.clone()),
            first_seq,
            target: self.target,
        };
        let ends =
            (publisher.recipient(), publisher.recipient(), dispatcher.recipient(), dispatcher.recipient());
        let segmenter = group.keep("segmenter", move || {
            let (cut, audio, end, dispatch) = ends.clone();
            Segmenter::new(config.clone(), cut, audio, end, dispatch)
        });

        let (stop, stopped) = oneshot::channel::<()>();
        // The group belongs to this thread; the handle that ends it may not.
        actix::spawn(async move {
            let _ = stopped.await;
            group.stop().await;
        });
        Box::new(Running {
            stream: stream.clone(),
            attach: segmenter.recipient(),
            finish: segmenter.recipient(),
            library: self.library.clone(),
            limit: self.dispatcher.patience_min + FINISH,
            _stop: stop,
        })
    }
}

impl Streams {
    /// The mesh as this stream's dispatcher sees it.
    fn mesh_of(&self, stream: &StreamId, plan: &LadderPlan) -> SharedMesh {
        let Some(purse) = &self.purse else { return Arc::clone(&self.mesh) };
        let frames = self.target.as_secs_f64() * GUESSED.2;
        let pixels: u64 = plan.resolve(GUESSED.0, GUESSED.1).0.iter().map(RenditionSpec::pixels).sum();
        let pixels = (pixels as f64 * frames) as u64;
        Arc::new(PaidMesh::new(Arc::clone(&self.mesh), Arc::clone(purse), stream.clone(), pixels))
    }
}

/// A running stream. Dropping it stops its actors.
#[derive(Debug)]
struct Running {
    stream: StreamId,
    attach: Recipient<Attach>,
    finish: Recipient<Finish>,
    library: Library,
    /// How long its end may take.
    limit: Duration,
    _stop: oneshot::Sender<()>,
}

impl RunningStream for Running {
    fn attach(&self, packets: mpsc::Receiver<Packet>) -> BoxFuture<'static, Result<(), Died>> {
        let sent = self.attach.send(Attach { packets });
        Box::pin(async { sent.await.map_err(|_| Died) })
    }

    fn finish(&self) -> BoxFuture<'static, u64> {
        let (finish, library, stream, limit) =
            (self.finish.clone(), self.library.clone(), self.stream.clone(), self.limit);
        Box::pin(async move {
            let next_seq = tokio::time::timeout(limit, finish.send(Finish)).await;
            let ended = tokio::time::timeout(limit, until_ended(&library, &stream)).await;
            if ended.is_err() {
                tracing::warn!(%stream, "the stream's playlists did not end in {} s", limit.as_secs());
            }
            let shown = library.streams().into_iter().find(|s| s.id == stream).map_or(0, |s| s.next_seq);
            next_seq.ok().and_then(Result::ok).unwrap_or(shown).max(shown)
        })
    }
}

async fn until_ended(library: &Library, stream: &StreamId) {
    let over =
        || library.streams().iter().find(|s| s.id == *stream).is_none_or(|s| s.state == StreamState::Ended);
    while !over() {
        tokio::time::sleep(LOOK).await;
    }
}
