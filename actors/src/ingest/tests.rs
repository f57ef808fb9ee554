//! The rules of publishing, with time as an argument, and the actor under a paused clock.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures::future::BoxFuture;
use media::packet::Packet;
use protocol::StreamId;
use protocol::ladder::LadderPlan;
use tokio::sync::{mpsc, watch};

use super::core::{Core, Effect};
use super::*;

fn id(name: &str) -> StreamId {
    name.parse().unwrap()
}

fn open(name: &str) -> Open {
    Open { stream: id(name), key: None, via: Via::Rtmp, from: "127.0.0.1:5".into(), ladder: None }
}

fn core() -> (Core, Instant) {
    (Core::new(Config { max_streams: 2, ..Config::default() }), Instant::now())
}

#[test]
fn a_second_publisher_is_refused_and_told_who_has_the_stream() {
    let (mut core, t) = core();
    core.open(t, &open("me")).unwrap();
    let refused = core.open(t + Duration::from_secs(7), &open("me")).unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("127.0.0.1:5") && said.contains("7 s"), "{said}");
}

#[test]
fn a_publisher_that_comes_back_continues_with_a_discontinuity() {
    let (mut core, t) = core();
    let first = core.open(t, &open("me")).unwrap();
    assert_eq!(core.detached(t, &id("me"), first.session, false), vec![]);
    let again = core.open(t + Duration::from_secs(29), &open("me")).unwrap();
    let attach = Effect::Attach { stream: id("me"), session: again.session, discontinuity: true };
    assert_eq!(again.effects, vec![attach]);
    assert_eq!(core.next_wake(), None);
}

#[test]
fn after_the_grace_the_stream_is_finished_and_its_numbers_go_on_when_it_starts_anew() {
    let (mut core, t) = core();
    let first = core.open(t, &open("me")).unwrap();
    core.detached(t, &id("me"), first.session, false);
    let wake = core.next_wake().unwrap();
    assert_eq!(wake, t + Duration::from_secs(30));
    assert_eq!(core.tick(wake - Duration::from_millis(1)), vec![]);
    assert_eq!(core.tick(wake), vec![Effect::Finish { stream: id("me") }]);
    assert_eq!(core.tick(wake), vec![]);
    assert_eq!(core.open(wake, &open("me")), Err(Refused::Finishing(id("me"))));
    core.finished(&id("me"), 17);
    let anew = core.open(wake, &open("me")).unwrap();
    assert_eq!(anew.effects[0], Effect::Start { stream: id("me"), first_seq: 17, ladder: None });
}

#[test]
fn a_late_word_from_an_earlier_publisher_changes_nothing() {
    let (mut core, t) = core();
    let first = core.open(t, &open("me")).unwrap();
    core.detached(t, &id("me"), first.session, false);
    core.open(t, &open("me")).unwrap();
    core.detached(t, &id("me"), first.session, false);
    assert_eq!(core.close(&Close { stream: id("me"), session: first.session, finish: true }), vec![]);
    assert_eq!(core.list(t)[0].state, StreamState::Live);
}

#[test]
fn a_publisher_that_is_done_leaves_nothing_waiting() {
    let (mut core, t) = core();
    let first = core.open(t, &open("me")).unwrap();
    assert_eq!(core.close(&Close { stream: id("me"), session: first.session, finish: true }), vec![]);
    assert_eq!(core.detached(t, &id("me"), first.session, false), vec![Effect::Finish { stream: id("me") }]);
}

#[test]
fn no_more_streams_than_allowed_those_waiting_included() {
    let (mut core, t) = core();
    let first = core.open(t, &open("a")).unwrap();
    core.detached(t, &id("a"), first.session, false);
    core.open(t, &open("b")).unwrap();
    assert_eq!(core.open(t, &open("c")), Err(Refused::Full { max: 2 }));
}

#[test]
fn the_operators_own_file_needs_no_key() {
    let mut core = Core::new(Config { keys: Keys::Shared(vec!["s3cret".into()]), ..Config::default() });
    let now = Instant::now();
    assert_eq!(core.open(now, &open("me")), Err(Refused::KeyRequired(id("me"))));
    assert!(core.open(now, &Open { via: Via::File, ..open("me") }).is_ok());
}

#[test]
fn a_dead_segmenter_ends_its_stream_at_once() {
    let (mut core, t) = core();
    let first = core.open(t, &open("me")).unwrap();
    assert_eq!(core.detached(t, &id("me"), first.session, true), vec![Effect::Finish { stream: id("me") }]);
}

#[test]
fn draining_finishes_every_stream_once_and_refuses_new_ones() {
    let (mut core, t) = core();
    core.open(t, &open("a")).unwrap();
    core.open(t, &open("b")).unwrap();
    assert_eq!(core.drain().len(), 2);
    assert_eq!(core.drain(), vec![]);
    assert_eq!(core.open(t, &open("c")), Err(Refused::Stopping));
}

/// Takes packets and writes down what happened; a finished stream counts its publishers as segments.
#[derive(Debug, Default)]
struct Book {
    log: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Page {
    book: Arc<Book>,
    stream: StreamId,
    stop: watch::Sender<bool>,
}

impl StreamFactory for Arc<Book> {
    fn start(&self, stream: &StreamId, first_seq: u64, _: Option<LadderPlan>) -> StreamHandle {
        self.log.lock().unwrap().push(format!("start {stream} {first_seq}"));
        Box::new(Page { book: self.clone(), stream: stream.clone(), stop: watch::channel(false).0 })
    }
}

impl RunningStream for Page {
    fn attach(&self, mut packets: mpsc::Receiver<Packet>) -> BoxFuture<'static, Result<(), Died>> {
        let (book, mut stop) = (self.book.clone(), self.stop.subscribe());
        Box::pin(async move {
            loop {
                tokio::select! {
                    packet = packets.recv() => match packet {
                        Some(Packet::Discontinuity) => book.log.lock().unwrap().push("discontinuity".into()),
                        Some(_) => book.log.lock().unwrap().push("packet".into()),
                        None => return Ok(()),
                    },
                    _ = stop.wait_for(|stop| *stop) => return Ok(()),
                }
            }
        })
    }

    fn finish(&self) -> BoxFuture<'static, u64> {
        let _ = self.stop.send(true);
        self.book.log.lock().unwrap().push(format!("finish {}", self.stream));
        Box::pin(async { 5 })
    }
}

fn world() -> (Arc<Book>, Addr<Ingest>) {
    tokio::time::pause();
    let book = Arc::new(Book::default());
    (book.clone(), Ingest::new(Config::default(), Arc::new(book)).start())
}

async fn state(ingest: &Addr<Ingest>) -> Vec<StreamState> {
    ingest.send(Streams).await.unwrap().into_iter().map(|s| s.state).collect()
}

#[actix::test]
async fn a_dropped_channel_waits_for_its_publisher_then_ends_the_stream() {
    let (book, ingest) = world();
    let first = ingest.send(open("me")).await.unwrap().unwrap();
    first.packets.send(Packet::Boundary { token: 1 }).await.unwrap();
    drop(first);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(state(&ingest).await, [StreamState::Reconnecting]);
    let second = ingest.send(open("me")).await.unwrap().unwrap();
    assert!(matches!(ingest.send(open("me")).await.unwrap(), Err(Refused::Occupied { .. })));
    drop(second);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(state(&ingest).await, []);
    drop(ingest.send(open("me")).await.unwrap().unwrap());
    let log = book.log.lock().unwrap().clone();
    assert_eq!(log, ["start me 0", "packet", "discontinuity", "finish me", "start me 5"]);
}

#[actix::test]
async fn draining_closes_the_publishers_channel_and_resolves_when_all_is_finished() {
    let (book, ingest) = world();
    let me = ingest.send(open("me")).await.unwrap().unwrap();
    ingest.send(Drain).await.unwrap();
    me.packets.closed().await;
    assert!(matches!(ingest.send(open("you")).await.unwrap(), Err(Refused::Stopping)));
    ingest.send(Drain).await.unwrap();
    assert_eq!(*book.log.lock().unwrap(), ["start me 0", "finish me"]);
}
