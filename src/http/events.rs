//! Server-sent events: `state` each second and when it changes, `chain` when it changes and every five seconds, `payments` when
//! they change but at most each second, `segment` for every step of every segment.
//!
//! One task makes each event once for all followers. A follower that does not keep up is dropped; its browser reconnects.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::NodeView;
use super::chain::ChainState;
use super::state::State;

/// Followers at a time: pages that are open.
pub(crate) const FOLLOWERS: usize = 64;
/// How often the state is looked at for changes.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is sent even so.
const BEAT: Duration = Duration::from_secs(1);
/// How often the chain is told even so: its ages count by themselves.
const CHAIN_BEAT: Duration = Duration::from_secs(5);
/// Events that wait for a slow follower: some seconds of a busy node.
const BACKLOG: usize = 256;

/// The events of a node. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    feed: broadcast::Sender<Bytes>,
    followers: Arc<AtomicUsize>,
}

impl Events {
    /// Starts the task that makes the events; it ends with the last clone and the last follower.
    pub(crate) fn start(view: Arc<dyn NodeView>) -> Self {
        let (feed, _) = broadcast::channel(BACKLOG);
        let (events, weak) = (Self { feed: feed.clone(), followers: Arc::default() }, feed.downgrade());
        drop(feed);
        tokio::spawn(make(view, weak));
        events
    }

    /// One follower's events; `None` when there are too many.
    pub(crate) fn follow(&self) -> Option<Follower> {
        let seat = Seat(self.followers.clone());
        if self.followers.fetch_add(1, Ordering::Relaxed) >= FOLLOWERS {
            return None;
        }
        let (mut feed, (send, events)) = (self.feed.subscribe(), mpsc::channel(1));
        tokio::spawn(async move {
            let _seat = seat;
            loop {
                let event = tokio::select! {
                    event = feed.recv() => event,
                    () = send.closed() => return,
                };
                // One that lags would miss steps of segments, so it starts anew.
                let Ok(event) = event else { return };
                if send.send(event).await.is_err() {
                    return;
                }
            }
        });
        Some(Follower { events })
    }
}

/// Gives the place of a follower back.
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer to a follower.
pub(crate) struct Follower {
    events: mpsc::Receiver<Bytes>,
}

impl Stream for Follower {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(cx).map(|event| event.map(Ok))
    }
}

async fn make(view: Arc<dyn NodeView>, feed: broadcast::WeakSender<Bytes>) {
    let (mut traces, mut looks) = (view.subscribe_traces(), interval(LOOK));
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut last, mut sent) = (String::new(), Instant::now());
    let (mut last_chain, mut sent_chain) = (String::new(), Instant::now());
    let (mut last_payments, mut sent_payments) = (None, Instant::now());
    loop {
        tokio::select! {
            _ = looks.tick() => {
                let Some(feed) = feed.upgrade() else { return };
                if feed.receiver_count() == 0 {
                    last.clear();
                    last_chain.clear();
                    last_payments = None;
                    continue;
                }
                let state = view.state();
                let shape = shape(&state);
                if shape != last || sent.elapsed() >= BEAT {
                    (last, sent) = (shape, Instant::now());
                    send(&feed, "state", &state);
                }
                if let Some(chain) = view.chain() {
                    let shape = chain_shape(&chain);
                    if shape != last_chain || sent_chain.elapsed() >= CHAIN_BEAT {
                        (last_chain, sent_chain) = (shape, Instant::now());
                        send(&feed, "chain", &chain);
                    }
                }
                if (last_payments.is_none() || sent_payments.elapsed() >= BEAT)
                    && let Some(payments) = view.payments()
                {
                    let shape = Some((payments.entries, payments.alarms.clone()));
                    if shape != last_payments {
                        (last_payments, sent_payments) = (shape, Instant::now());
                        send(&feed, "payments", &payments);
                    }
                }
            }
            trace = traces.recv() => match (trace, feed.upgrade()) {
                (Ok(trace), Some(feed)) if feed.receiver_count() > 0 => send(&feed, "segment", &*trace),
                (Ok(_) | Err(RecvError::Lagged(_)), Some(_)) => {}
                (Err(RecvError::Closed), _) | (_, None) => return,
            },
        }
    }
}

fn send(feed: &broadcast::Sender<Bytes>, name: &str, value: &impl serde::Serialize) {
    match serde_json::to_string(value) {
        // Without followers nobody misses it.
        Ok(json) => drop(feed.send(format!("event: {name}\ndata: {json}\n\n").into())),
        Err(e) => tracing::error!("a {name} event cannot be written: {e}"),
    }
}

/// What of the chain is worth telling at once: a newer block, alarms coming and going, duties.
fn chain_shape(chain: &ChainState) -> String {
    let known = chain.known.as_ref().map(|known| known.l2_block);
    let alarms: Vec<_> = chain.alarms.iter().map(|alarm| (&alarm.kind, alarm.since_unix_ms)).collect();
    let duty = chain.duties.last().map(|note| (note.round, &note.outcome, note.at_ms));
    format!("{known:?} {alarms:?} {duty:?}")
}

/// What of a state is worth telling at once: streams and their progress, nodes coming and going.
fn shape(state: &State) -> String {
    let streams = state.streams.iter().map(|s| format!("{} {} {};", s.id, s.state, s.next_seq));
    let nodes = state.mesh.nodes.iter().map(|n| format!("{} {};", n.key, n.avoided_for_ms.is_some()));
    streams.chain(nodes).collect()
}
