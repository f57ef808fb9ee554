//! The node's HTTP server: playback, push ingest, API, dashboard, metrics.
//!
//! In: requests from anybody, bounded in number, size and time. Out: what the [`Library`] holds, what the node says of itself
//! through [`NodeView`], and pushed segments into [`crate::ingest::push`]. Decides nothing; holds no stream.

mod api;
pub(crate) mod chain;
mod dashboard;
mod events;
pub(crate) mod payments;
mod playback;
mod push;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpResponse, HttpServer, web};
use actors::dispatcher::trace::SegmentTrace;
use actors::publisher::Library;
use protocol::StreamId;
use tokio::sync::broadcast;

use self::chain::ChainState;
use self::events::Events;
use self::payments::Payments;
use self::state::State;
use crate::ingest::push::Push;

/// Connections at a time; a viewer needs one or two.
const CONNECTIONS: usize = 4096;
/// Threads that answer requests; what they do is copying.
const THREADS: usize = 2;
/// From a connection's first byte to the end of its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// What an idle connection may cost.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// For requests that are being answered when the server stops.
const SHUTDOWN_S: u64 = 2;

/// What the node says of itself.
pub(crate) trait NodeView: Send + Sync + fmt::Debug + 'static {
    /// Everything at this instant.
    fn state(&self) -> State;
    /// The last segments of a stream, oldest first.
    fn traces(&self, stream: &StreamId) -> Vec<SegmentTrace>;
    /// Every step of every segment from now on.
    fn subscribe_traces(&self) -> broadcast::Receiver<Arc<SegmentTrace>>;
    /// Metrics in Prometheus' text format.
    fn metrics(&self) -> String;
    /// What it knows of the chain; none where it follows none.
    fn chain(&self) -> Option<ChainState> {
        None
    }
    /// What its ledger says of tickets and earnings; none where it keeps none.
    fn payments(&self) -> Option<Payments> {
        None
    }
    /// Whether the node can do its work; the reason when it cannot.
    ///
    /// # Errors
    /// The reason, for people.
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What the server serves.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Streams.
    pub library: Library,
    /// The node.
    pub view: Arc<dyn NodeView>,
    /// Push ingest; `None` where the node takes no streams.
    pub push: Option<Push>,
}

/// Starts the server on a bound, listening socket, within the actix system; await or spawn what comes back, and stop it
/// through its handle. Also yields the address.
///
/// # Errors
/// [`io::Error`] when the socket cannot be used.
pub(crate) fn serve(listener: TcpListener, site: Site) -> io::Result<(Server, SocketAddr)> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let events = Events::start(site.view.clone());
    let app = move || {
        App::new()
            .app_data(web::Data::new(site.clone()))
            .app_data(web::Data::new(events.clone()))
            .wrap(DefaultHeaders::new().add((header::X_CONTENT_TYPE_OPTIONS, "nosniff")))
            .configure(playback::routes)
            .configure(api::routes)
            .configure(dashboard::routes)
    };
    let server = HttpServer::new(app)
        .workers(THREADS)
        .max_connections(CONNECTIONS)
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_S)
        .disable_signals()
        .listen(listener)?
        .run();
    Ok((server, address))
}

/// An error as JSON, with words that say what to do.
fn refuse(mut response: actix_web::HttpResponseBuilder, why: impl fmt::Display) -> HttpResponse {
    response.json(serde_json::json!({ "error": why.to_string() }))
}
