//! A test world: a real ingest actor whose streams write down what they take.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Addr};
use actors::ingest::{Config, Died, Ingest, RunningStream, StreamFactory, StreamHandle};
use futures::future::BoxFuture;
use media::packet::Packet;
use protocol::StreamId;
use protocol::ladder::LadderPlan;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::gate::Gate;
use super::webhook::Webhook;

/// What streams have taken, by name.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    streams: Arc<Mutex<BTreeMap<String, Took>>>,
    changed: watch::Sender<u64>,
}

/// What one stream has taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Took {
    pub(crate) packets: Vec<Packet>,
    pub(crate) finished: bool,
    pub(crate) ladder: Option<LadderPlan>,
}

impl Took {
    pub(crate) fn videos(&self) -> usize {
        self.packets.iter().filter(|p| matches!(p, Packet::Video(_))).count()
    }

    pub(crate) fn audios(&self) -> usize {
        self.packets.iter().filter(|p| matches!(p, Packet::Audio(_))).count()
    }
}

impl Taken {
    pub(crate) fn new() -> Self {
        Self { streams: Arc::default(), changed: watch::channel(0).0 }
    }

    /// An ingest with this as its streams, and the gate to it.
    pub(crate) fn gate(&self, config: Config, webhook: Option<Webhook>) -> (Gate, Addr<Ingest>) {
        let ingest = Ingest::new(config, Arc::new(self.clone())).start();
        (Gate::new(ingest.clone().recipient(), ingest.clone().recipient(), webhook), ingest)
    }

    /// What a stream has taken by now.
    pub(crate) fn of(&self, stream: &str) -> Took {
        self.streams.lock().unwrap().get(stream).cloned().unwrap_or_default()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.streams.lock().unwrap().keys().cloned().collect()
    }

    /// Waits until a stream has taken what `enough` asks for.
    pub(crate) async fn until(&self, stream: &str, enough: impl Fn(&Took) -> bool) -> Took {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                let took = self.of(stream);
                if enough(&took) {
                    return took;
                }
                changed.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(20), found).await {
            Ok(took) => took,
            Err(_) => panic!("{stream} took only {:?} packets", self.of(stream).packets.len()),
        }
    }

    fn note(&self, stream: &StreamId, change: impl FnOnce(&mut Took)) {
        change(self.streams.lock().unwrap().entry(stream.to_string()).or_default());
        self.changed.send_modify(|n| *n += 1);
    }
}

impl StreamFactory for Taken {
    fn start(&self, stream: &StreamId, _: u64, ladder: Option<LadderPlan>) -> StreamHandle {
        self.note(stream, |took| (took.finished, took.ladder) = (false, ladder));
        Box::new(Sink { taken: self.clone(), stream: stream.clone(), stop: watch::channel(false).0 })
    }
}

#[derive(Debug)]
struct Sink {
    taken: Taken,
    stream: StreamId,
    stop: watch::Sender<bool>,
}

impl RunningStream for Sink {
    fn attach(&self, mut packets: mpsc::Receiver<Packet>) -> BoxFuture<'static, Result<(), Died>> {
        let (taken, stream, mut stop) = (self.taken.clone(), self.stream.clone(), self.stop.subscribe());
        Box::pin(async move {
            loop {
                tokio::select! {
                    packet = packets.recv() => match packet {
                        Some(packet) => taken.note(&stream, |took| took.packets.push(packet)),
                        None => return Ok(()),
                    },
                    _ = stop.wait_for(|stop| *stop) => return Ok(()),
                }
            }
        })
    }

    fn finish(&self) -> BoxFuture<'static, u64> {
        self.stop.send_replace(true);
        self.taken.note(&self.stream, |took| took.finished = true);
        Box::pin(async { 1 })
    }
}

/// A webhook that answers once, and what it was asked.
pub(crate) async fn answering(answer: String) -> (Webhook, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/auth?secret=1", listener.local_addr().unwrap()).parse().unwrap();
    let asked = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![];
        while !request.ends_with(b"}") {
            socket.read_buf(&mut request).await.unwrap();
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (Webhook::new(url).unwrap(), asked)
}

/// An HTTP answer.
pub(crate) fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
