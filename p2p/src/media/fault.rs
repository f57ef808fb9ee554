//! Why an exchange ended without a receipt, and the codes in which QUIC carries reasons of one word.

use std::io;
use std::net::SocketAddr;

use protocol::{Declined, Failed, PeerKey};

use super::frame::FrameError;
use super::wire::Malformed;

/// Why the media plane gave no answer, by what the caller does next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MediaError {
    /// The peer said no before the work: ask another one.
    #[error(transparent)]
    Declined(#[from] Declined),
    /// The peer tried and failed.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// No path to the peer, or it died on the way: avoid it for a time.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The peer broke the protocol: avoid it for longer.
    #[error("broke the protocol: {0}")]
    Protocol(String),
    /// The other side wants no more of this; it is not at fault.
    #[error("the asking side gave up")]
    Cancelled,
    /// The local address cannot be used.
    #[error("cannot listen for media on UDP {addr}: {why}; choose another address or port")]
    Bind {
        /// What was asked for.
        addr: SocketAddr,
        /// What the system said.
        why: String,
    },
}

/// Why a stream was reset or a connection closed, as a QUIC application error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nothing is wrong: the last word was said in a frame.
    Done = 0,
    /// The answering side dropped the job.
    Dropped = 1,
    /// The asking side gave up.
    Cancelled = 2,
    /// The other side broke the protocol; a frame said how where one could.
    Protocol = 3,
    /// The other side was slower than the floor.
    TooSlow = 4,
    /// The node is stopping.
    Stopping = 5,
    /// Beyond the bounds for one peer or address.
    TooMany = 6,
    /// Nothing was asked for a while.
    Idle = 7,
}

impl Code {
    pub(crate) const ALL: [Self; 8] = [
        Self::Done,
        Self::Dropped,
        Self::Cancelled,
        Self::Protocol,
        Self::TooSlow,
        Self::Stopping,
        Self::TooMany,
        Self::Idle,
    ];

    pub(crate) fn var(self) -> quinn::VarInt {
        quinn::VarInt::from_u32(self as u32)
    }

    fn read(code: quinn::VarInt) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.var() == code)
    }

    /// What it means to the side that sees it, when the peer of it is a stranger.
    fn meaning(code: quinn::VarInt) -> MediaError {
        match Self::read(code) {
            Some(Self::Done) => MediaError::Protocol("the stream was cut without a reason".into()),
            Some(Self::Dropped) => Failed::Internal("the orchestrator dropped the job".into()).into(),
            Some(Self::Cancelled) => MediaError::Cancelled,
            Some(Self::Protocol) => {
                MediaError::Protocol("the peer found a fault in what this node sent".into())
            }
            Some(Self::TooSlow) => {
                MediaError::Unreachable("the peer found this node or the path too slow".into())
            }
            Some(Self::Stopping) => Declined::Stopping.into(),
            Some(Self::TooMany) => {
                Declined::Limits("too many connections from this node or address".into()).into()
            }
            Some(Self::Idle) => MediaError::Unreachable("the peer closed an idle connection".into()),
            None => MediaError::Protocol(format!("the peer gave the unknown reason {code}")),
        }
    }
}

impl MediaError {
    pub(crate) fn unreachable(peer: PeerKey, why: impl std::fmt::Display) -> Self {
        Self::Unreachable(format!("{peer:?}: {why}"))
    }

    /// The code under which this error is told to the peer.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Protocol(_) => Code::Protocol,
            Self::Unreachable(_) => Code::TooSlow,
            Self::Cancelled => Code::Cancelled,
            Self::Declined(_) | Self::Failed(_) | Self::Bind { .. } => Code::Done,
        }
    }

    fn of_io(error: &io::Error) -> Self {
        let inner = error.get_ref();
        if let Some(read) = inner.and_then(|e| e.downcast_ref::<quinn::ReadError>()) {
            return match read {
                quinn::ReadError::Reset(code) => Code::meaning(*code),
                quinn::ReadError::ConnectionLost(lost) => lost.clone().into(),
                other => Self::Protocol(other.to_string()),
            };
        }
        if let Some(write) = inner.and_then(|e| e.downcast_ref::<quinn::WriteError>()) {
            return write.clone().into();
        }
        Self::Unreachable(error.to_string())
    }
}

impl From<quinn::WriteError> for MediaError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(code) => Code::meaning(code),
            quinn::WriteError::ConnectionLost(lost) => lost.into(),
            other => Self::Protocol(other.to_string()),
        }
    }
}

impl From<quinn::ConnectionError> for MediaError {
    fn from(error: quinn::ConnectionError) -> Self {
        use quinn::ConnectionError as E;
        /// TLS alert "no application protocol" (RFC 7301 3.2) as a QUIC error (RFC 9001 4.8).
        const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;
        match error {
            E::ApplicationClosed(close) if Code::read(close.error_code) == Some(Code::Done) => {
                Self::Unreachable("the peer closed the connection".into())
            }
            E::ApplicationClosed(close) => Code::meaning(close.error_code),
            E::ConnectionClosed(close) if u64::from(close.error_code) == NO_APPLICATION_PROTOCOL => {
                Self::Protocol(
                    "it does not speak livemesh-media/1: one of the two nodes must be updated".into(),
                )
            }
            E::VersionMismatch => Self::Protocol("it does not speak QUIC version 1".into()),
            E::TimedOut => Self::Unreachable("no sign of life".into()),
            E::Reset => Self::Unreachable("the peer was restarted".into()),
            E::LocallyClosed => Self::Unreachable("this node closed the connection".into()),
            other => Self::Unreachable(other.to_string()),
        }
    }
}

impl From<FrameError> for MediaError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(io) => Self::of_io(&io),
            FrameError::TooSlow { .. } => Self::Unreachable(error.to_string()),
            FrameError::Ended { .. }
            | FrameError::TooLong(_)
            | FrameError::Malformed(_)
            | FrameError::Excess(_) => Self::Protocol(error.to_string()),
        }
    }
}

impl From<io::Error> for MediaError {
    fn from(error: io::Error) -> Self {
        Self::of_io(&error)
    }
}

impl From<Malformed> for MediaError {
    fn from(error: Malformed) -> Self {
        Self::Protocol(error.to_string())
    }
}
