//! The worker processes as the transcoder sees them.

use actors::ports::Worker;
use bytes::Bytes;
use futures::future::BoxFuture;
use media::transcode::{Job, Limits};
use media::worker::Workers;
use protocol::{Failed, Ladder, Rendition};
use tokio::sync::mpsc;

/// A node's worker processes.
#[derive(Clone, Debug)]
pub(crate) struct WorkerAdapter(Workers);

impl WorkerAdapter {
    pub(crate) fn new(workers: &Workers) -> Self {
        Self(workers.clone())
    }
}

impl Worker for WorkerAdapter {
    fn transcode(
        &self,
        segment: Bytes,
        ladder: Ladder,
        out: mpsc::Sender<Rendition>,
    ) -> BoxFuture<'static, Result<(), Failed>> {
        let workers = self.0.clone();
        Box::pin(async move {
            let job = Job { segment, ladder, limits: Limits::default() };
            workers.transcode(job, out).await.map(|_| ()).map_err(Failed::from)
        })
    }
}
