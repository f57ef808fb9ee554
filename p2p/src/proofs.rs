//! Proofs between nodes: opaque bytes asked of one peer, and news that spreads only where it is found to be true.
//!
//! In flow requests and news as bytes of bounded size; out flow answers, and verdicts that decide whether news goes on. What
//! the bytes mean and whether they are true is not known here: whoever holds the other end of the [`Door`] says it.

use bytes::Bytes;
use protocol::PeerKey;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// Requests and news that wait for the application; more are dropped and counted as not answered.
const WAITING: usize = 64;

/// What news is about. Each kind has its topic.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum News {
    /// A newer finalized header.
    Finality,
    /// A new assertion, of which a proof bundle can be had.
    Assertion,
}

impl News {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Finality, Self::Assertion];

    /// What its topic is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finality => "finality",
            Self::Assertion => "assertions",
        }
    }
}

/// What news is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// True and new: it goes on to others.
    Accept,
    /// Known, or nobody can say yet: it stops here, without blame.
    Ignore,
    /// False: it stops here, and whoever sent it is blamed.
    Reject,
}

/// A request of a peer.
#[derive(Debug)]
pub struct Asked {
    /// Who asks.
    pub from: PeerKey,
    /// What, at most [`PROOF_REQUEST_BYTES`](crate::limits::PROOF_REQUEST_BYTES).
    pub request: Bytes,
    /// For the answer, of 1 byte to [`PROOF_REPLY_BYTES`](crate::limits::PROOF_REPLY_BYTES). Dropped, the peer gets none.
    pub reply: oneshot::Sender<Bytes>,
}

/// News from a peer.
#[derive(Debug)]
pub struct Heard {
    /// Who brought it, who need not have made it.
    pub from: PeerKey,
    /// What it is about.
    pub news: News,
    /// The news, at most [`NEWS_BYTES`](crate::limits::NEWS_BYTES).
    pub data: Bytes,
    /// For what it is worth; dropped or late it is [`Verdict::Ignore`].
    pub verdict: oneshot::Sender<Verdict>,
}

/// The mesh's end: given to [`ControlConfig`](crate::ControlConfig), requests and news come out at the other.
#[derive(Clone, Debug)]
pub struct Door {
    pub(crate) asked: mpsc::Sender<Asked>,
    pub(crate) heard: mpsc::Sender<Heard>,
}

/// The application's end.
#[derive(Debug)]
pub struct Visitors {
    /// Requests of peers.
    pub asked: mpsc::Receiver<Asked>,
    /// News from peers.
    pub heard: mpsc::Receiver<Heard>,
}

/// Both ends.
#[must_use]
pub fn door() -> (Door, Visitors) {
    let (to_asked, asked) = mpsc::channel(WAITING);
    let (to_heard, heard) = mpsc::channel(WAITING);
    (Door { asked: to_asked, heard: to_heard }, Visitors { asked, heard })
}

/// Why a peer gave no answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NoAnswer {
    /// The request is over its bound.
    #[error("the request has more than {} bytes", crate::limits::PROOF_REQUEST_BYTES)]
    TooLarge,
    /// There is no connection.
    #[error("not connected to this peer")]
    NotConnected,
    /// It does not speak the protocol.
    #[error("the peer does not relay proofs")]
    Unsupported,
    /// Nothing came in time.
    #[error("no answer within {} s", crate::limits::PROOF_TIMEOUT.as_secs())]
    Timeout,
    /// The exchange broke off: the peer refused, is overloaded or sent what is over the bounds.
    #[error("the exchange broke off: {0}")]
    Broken(String),
    /// The control plane has ended, or was started without a [`Door`].
    #[error("this node's mesh is not there for proofs")]
    Gone,
}
