//! Between a broadcaster's books and an orchestrator's, beside the way of segments: asking for ticket parameters, comparing
//! statements, sending lost tickets again.
//!
//! In flow requests for a peer and requests of strangers, each with its bounds; out flow replies. What they mean for anybody's
//! money is not known here.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_primitives::Address;
use futures::StreamExt;
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::IncomingStreams;
use protocol::payments::{SessionId, SignedStatement, Unpaid};
use protocol::tickets::batch::Batch;
use protocol::tickets::quote::Quote;
use protocol::{PeerKey, SignedReceipt, StreamId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::compat::FuturesAsyncReadCompatExt;
use tokio_util::task::AbortOnDropHandle;

use crate::identity::{peer_id_of, peer_key_of};
use crate::limits::{Bucket, Quota};
use crate::media::MediaError;
use crate::media::frame::{read_frame, write_frame};
use crate::swarm::Control;

pub(crate) mod wire;

use crate::media::wire::proto;

/// The name and major version of one request on a libp2p stream.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/livemesh/payment/1");

/// Receipts that a reply may show.
pub const MAX_RECEIPTS: usize = 4;
/// Longest wait for the control plane to reach the peer.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for one answer, which waits for a disk at most. libp2p loses streams without a word, so there are more tries:
/// everything that can be asked may be asked twice.
const ANSWER: Duration = Duration::from_secs(3);
const TRIES: u32 = 3;
/// Requests that one peer may make: some for each segment of many streams, and never so many that its signatures cost a core.
const ASKED: Quota = Quota { burst: 64, every_ms: 50 };
/// Peers of whom is remembered how often they asked.
const REMEMBERED: usize = 1024;
/// Requests that wait for the books; more are let go, and asked again.
const WAITING: usize = 64;

/// What is asked of an orchestrator's books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What tickets have to be.
    Quote(Ask),
    /// How an account stands.
    Compare {
        /// Which.
        session: SessionId,
        /// Who pays into it.
        sender: Address,
        /// How it stands in the asking side's books.
        theirs: Option<SignedStatement>,
    },
    /// Takes tickets that were lost.
    Again(Batch),
}

/// Asks what tickets have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Into which account; it is opened if it is new.
    pub session: SessionId,
    /// Whose tickets.
    pub sender: Address,
    /// For which stream.
    pub stream: Option<StreamId>,
    /// Most pixels of one of its segments.
    pub pixels: u64,
}

/// What an orchestrator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// What tickets have to be.
    Quote(Quote),
    /// How the account stands.
    Compared {
        /// Its word, whose signature is not checked.
        statement: SignedStatement,
        /// The last receipts, oldest first, at most [`MAX_RECEIPTS`]. Their signatures are not checked.
        receipts: Vec<SignedReceipt>,
    },
    /// Tickets were taken.
    Taken {
        /// So many are new and good.
        credited: u32,
    },
    /// No.
    Unpaid(Unpaid),
}

/// A request of a peer.
#[derive(Debug)]
pub struct Asked {
    /// Who asks; proven by the connection.
    pub from: PeerKey,
    /// What.
    pub request: Request,
    /// For the reply. Dropped, the peer gets none.
    pub reply: oneshot::Sender<Reply>,
}

/// Asks a peer. Every request may be asked again, so it is, a few times.
///
/// # Errors
/// [`MediaError::Unreachable`] when nobody answers, [`MediaError::Protocol`] for an answer that is none.
pub async fn ask(control: &Control, peer: PeerKey, request: &Request) -> Result<Reply, MediaError> {
    let unreachable = |why: String| MediaError::Unreachable(why);
    control.connect(peer, CONNECT).await.map_err(|error| unreachable(error.to_string()))?;
    let mut why = MediaError::Unreachable("no answer".into());
    for _ in 0..TRIES {
        match timeout(ANSWER, once(control, peer, request)).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error @ MediaError::Protocol(_))) => return Err(error),
            Ok(Err(error)) => why = error,
            Err(_) => {}
        }
    }
    Err(why)
}

async fn once(control: &Control, peer: PeerKey, request: &Request) -> Result<Reply, MediaError> {
    let opened = control.streams().open_stream(peer_id_of(peer), PROTOCOL).await;
    let mut stream = opened.map_err(|error| MediaError::Unreachable(error.to_string()))?.compat();
    write_frame(&mut stream, &wire::encode_request(request)).await?;
    match read_frame::<_, proto::PaymentReply>(&mut stream, ANSWER).await? {
        Some(frame) => Ok(wire::decode_reply(frame)?),
        None => Err(MediaError::Unreachable("the request was let go".into())),
    }
}

/// Takes requests of peers for as long as it exists.
#[derive(Debug)]
pub struct Counter {
    asked: mpsc::Receiver<Asked>,
    _task: AbortOnDropHandle<()>,
}

impl Counter {
    /// Opens the counter. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`MediaError::Protocol`] when somebody else takes these streams already.
    pub fn open(control: &Control) -> Result<Self, MediaError> {
        let inbound = control
            .streams()
            .accept(PROTOCOL)
            .map_err(|_| MediaError::Protocol(format!("{PROTOCOL} is taken already in this node")))?;
        let (show, asked) = mpsc::channel(WAITING);
        let task = AbortOnDropHandle::new(tokio::spawn(serve(inbound, show)));
        Ok(Self { asked, _task: task })
    }

    /// The next request; `None` when the mesh has ended.
    pub async fn next(&mut self) -> Option<Asked> {
        self.asked.recv().await
    }
}

async fn serve(mut inbound: IncomingStreams, show: mpsc::Sender<Asked>) {
    let mut quotas: BTreeMap<PeerId, Bucket> = BTreeMap::new();
    let began = Instant::now();
    while let Some((peer, stream)) = inbound.next().await {
        if quotas.len() >= REMEMBERED {
            quotas.clear();
        }
        let now_ms = began.elapsed().as_millis() as u64 + 1;
        if !quotas.entry(peer).or_default().take(now_ms, ASKED) {
            tracing::debug!(%peer, "asks of payments too often");
            continue;
        }
        let Some(from) = peer_key_of(&peer) else { continue };
        let show = show.clone();
        tokio::spawn(async move {
            if let Err(error) = timeout(2 * ANSWER, answer(from, stream, show)).await.unwrap_or(Ok(())) {
                tracing::debug!(peer = ?from, %error, "a request of payments came to nothing");
            }
        });
    }
}

async fn answer(from: PeerKey, stream: Stream, show: mpsc::Sender<Asked>) -> Result<(), MediaError> {
    let mut stream = stream.compat();
    let Some(frame) = read_frame::<_, proto::PaymentRequest>(&mut stream, ANSWER).await? else {
        return Ok(());
    };
    let request = wire::decode_request(frame)?;
    let (reply, said) = oneshot::channel();
    if show.try_send(Asked { from, request, reply }).is_err() {
        return Err(MediaError::Unreachable("the books have too much to do".into()));
    }
    if let Ok(said) = said.await {
        write_frame(&mut stream, &wire::encode_reply(&said)).await?;
    }
    Ok(())
}
