//! The RTMP server: `rtmp://HOST:1935/live/NAME[/KEY]`, also `NAME?key=KEY`.
//!
//! In: connections from anybody. Out: packets of those whom the gate lets in. Every connection has its own task and its own
//! bounds in time and bytes; what goes wrong on one is said to its publisher and in the log, and touches no other.

mod address;
mod amf;
mod chunk;
mod flv;
mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actors::ingest::{Opened, Via};
use media::packet::Packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use self::address::Address;
#[cfg(test)]
pub(crate) use self::flv::flv_packets;
use self::flv::{Converter, Tag};
use self::session::{Event, Fault, Session};
use super::gate::{Gate, Turned, Visitor};

/// Bytes asked from a socket at a time.
const READ: usize = 64 * 1024;
/// Longest farewell to a peer that is sent away.
const FAREWELL: Duration = Duration::from_secs(2);
/// Bytes that a peer may send before it publishes; a real one sends four thousand.
const MAX_BEFORE_PUBLISH: usize = 64 * 1024;
/// Unusable tags in a row after which a publisher is given up.
const MAX_MALFORMED: u32 = 100;

/// What a person may set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the connection to the publish command.
    pub handshake: Duration,
    /// Without a video or audio message.
    pub idle: Duration,
    /// Connections at a time.
    pub connections: usize,
}

impl Default for Limits {
    /// 5 s, 30 s, 256 connections.
    fn default() -> Self {
        Self { handshake: Duration::from_secs(5), idle: Duration::from_secs(30), connections: 256 }
    }
}

/// Why a connection ended before its publisher was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The socket.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The peer does not speak RTMP as it should.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It did not publish in time.
    #[error("no publish command within {0:?}")]
    Handshake(Duration),
    /// It sent much and published nothing.
    #[error("more than {MAX_BEFORE_PUBLISH} bytes before the publish command")]
    Chatter,
    /// Nothing came.
    #[error("no video and no audio for {0:?}")]
    Idle(Duration),
    /// It reads no answers.
    #[error("the peer takes no answers")]
    Deaf,
    /// The gate.
    #[error(transparent)]
    Turned(#[from] Turned),
    /// A codec that is not taken.
    #[error("video in {0} is not supported: set the encoder to H.264")]
    Codec(&'static str),
    /// Only garbage.
    #[error("{MAX_MALFORMED} unusable messages in a row, the last: {0}")]
    Garbage(String),
    /// The stream was ended from this side.
    #[error("this node has ended the stream")]
    Over,
}

/// Serves `listener` until `stop`, then waits for the open connections to close; their streams' ends close them.
pub(crate) async fn serve(listener: TcpListener, gate: Gate, limits: Limits, stop: CancellationToken) {
    let (slots, tasks) = (Arc::new(Semaphore::new(limits.connections)), TaskTracker::new());
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // Out of file descriptors, for example: waiting is all that helps.
                tracing::warn!("RTMP connections cannot be accepted: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "RTMP connection refused: {} are open", limits.connections);
            continue;
        };
        let connection = Connection::new(socket, peer, gate.clone(), limits, stop.clone());
        let task = async move {
            connection.run().await;
            drop(slot);
        };
        tasks.spawn(task.instrument(tracing::info_span!("rtmp", %peer)));
    }
    tasks.close();
    tasks.wait().await;
}

/// One connection.
struct Connection {
    socket: TcpStream,
    peer: SocketAddr,
    gate: Gate,
    limits: Limits,
    stop: CancellationToken,
    session: Session,
    converter: Converter,
    opened: Option<Opened>,
    deadline: Instant,
    bytes: usize,
    malformed: u32,
    warned: BTreeSet<String>,
}

impl Connection {
    fn new(socket: TcpStream, peer: SocketAddr, gate: Gate, limits: Limits, stop: CancellationToken) -> Self {
        Self {
            socket,
            peer,
            gate,
            limits,
            stop,
            session: Session::default(),
            converter: Converter::default(),
            opened: None,
            deadline: Instant::now() + limits.handshake,
            bytes: 0,
            malformed: 0,
            warned: BTreeSet::new(),
        }
    }

    async fn run(mut self) {
        // Answers are small and awaited; a failure only makes them later.
        let _ = self.socket.set_nodelay(true);
        let ended = self.drive().await;
        // The stream is free for whoever comes next.
        self.opened = None;
        if let Err(why) = &ended {
            tracing::info!("connection ended: {why}");
        }
        // What cannot be said is in the log.
        let _ = timeout(self.limits.handshake.min(FAREWELL), self.say_goodbye(ended)).await;
    }

    /// Tells the peer why, if there is a why, and takes what it still sends: closing with unread bytes would void what was
    /// said, and look like a failure to a publisher that is about to say goodbye itself.
    async fn say_goodbye(&mut self, ended: Result<(), Ended>) -> Result<(), Ended> {
        if let Err(why) = ended {
            self.session.refuse(why.to_string())?;
            self.flush().await?;
            self.socket.shutdown().await?;
        }
        let mut rest = vec![0; READ];
        while self.socket.read(&mut rest).await? > 0 {}
        Ok(())
    }

    /// Reads, acts and answers until the publisher is done.
    async fn drive(&mut self) -> Result<(), Ended> {
        loop {
            while let Some(event) = self.session.next()? {
                match event {
                    Event::Publish { app, name } => self.publish(&app, &name).await?,
                    Event::Video { time, body } => {
                        let tag = self.converter.video(time, &body);
                        self.tag(tag).await?;
                    }
                    Event::Audio { time, body } => {
                        let tag = self.converter.audio(time, &body);
                        self.tag(tag).await?;
                    }
                    Event::Unpublish => return Ok(()),
                }
            }
            self.flush().await?;
            if self.read().await? == 0 {
                return Ok(());
            }
        }
    }

    async fn read(&mut self) -> Result<usize, Ended> {
        let Self { socket, session, opened, .. } = self;
        let input = session.input();
        input.reserve(READ);
        let over = async {
            match opened {
                Some(opened) => opened.packets.closed().await,
                None => self.stop.cancelled().await,
            }
        };
        let read = tokio::select! {
            read = timeout_at(self.deadline, socket.read_buf(input)) => read,
            () = over => return Err(Ended::Over),
        };
        let n = match read {
            Ok(n) => n?,
            Err(_) if self.opened.is_some() => return Err(Ended::Idle(self.limits.idle)),
            Err(_) => return Err(Ended::Handshake(self.limits.handshake)),
        };
        self.session.received(n);
        self.bytes = self.bytes.saturating_add(n);
        if self.opened.is_none() && self.bytes > MAX_BEFORE_PUBLISH {
            return Err(Ended::Chatter);
        }
        Ok(n)
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        let output = self.session.take_output();
        if output.is_empty() {
            return Ok(());
        }
        timeout(self.limits.handshake, self.socket.write_all(&output)).await.map_err(|_| Ended::Deaf)??;
        Ok(())
    }

    async fn publish(&mut self, app: &str, name: &str) -> Result<(), Ended> {
        let local = self.socket.local_addr()?;
        let Address { url, name, key } = Address::parse(local, app, name);
        let from = self.peer.to_string();
        let visitor = Visitor { url, name, key, via: Via::Rtmp, from, ladder: None };
        self.opened = Some(self.gate.open(visitor).await?);
        self.session.accept()?;
        self.deadline = Instant::now() + self.limits.idle;
        Ok(())
    }

    async fn tag(&mut self, tag: Tag) -> Result<(), Ended> {
        match tag {
            Tag::Packet(packet) => return self.send(packet).await,
            Tag::Ignored => {}
            Tag::DroppedAudio(codec) => {
                self.warn_once(format!("audio in {codec} is dropped, video goes on: set the encoder to AAC"));
            }
            Tag::Malformed(why) => {
                self.malformed += 1;
                if self.malformed >= MAX_MALFORMED {
                    return Err(Ended::Garbage(why));
                }
                self.warn_once(why);
            }
            Tag::Unsupported(codec) => return Err(Ended::Codec(codec)),
        }
        Ok(())
    }

    /// Hands a packet on, at the pace at which the stream takes it.
    async fn send(&mut self, packet: Packet) -> Result<(), Ended> {
        self.malformed = 0;
        let opened = self.opened.as_ref().ok_or(Ended::Over)?;
        match timeout(self.limits.idle, opened.packets.send(packet)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(Ended::Over),
        }
        self.deadline = Instant::now() + self.limits.idle;
        Ok(())
    }

    /// Warns of each kind of trouble once a connection; there are few kinds.
    fn warn_once(&mut self, why: String) {
        if self.warned.len() < 8 && !self.warned.contains(&why) {
            let stream = self.opened.as_ref().map(|o| o.stream.to_string()).unwrap_or_default();
            tracing::warn!(stream, "{why}");
            self.warned.insert(why);
        }
    }
}
