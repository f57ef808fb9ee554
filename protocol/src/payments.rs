//! What two nodes keep of the money between them: sessions, the entries of their ledgers, and the statements that they
//! exchange when the ledgers differ. Plain values that are written to disk and sent; who decides with them is elsewhere.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::tickets::batch::Batch;

pub mod entry;
pub mod statement;
pub mod unpaid;

pub use entry::Entry;
pub use statement::{SignedStatement, Statement};
pub use unpaid::Unpaid;

/// Names the account of one stream between one sender and one recipient; drawn at random by the sender.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

/// What goes with an offer of work that is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// From which account; whoever knows its name may order from it, so it is told to nobody else.
    pub session: SessionId,
    /// Who pays.
    pub sender: Address,
    /// Tickets that go into the account first; none where there is credit enough.
    pub tickets: Option<Batch>,
}

/// A session's name has another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session is named by 32 hex digits")]
pub struct BadSessionId;

impl FromStr for SessionId {
    type Err = BadSessionId;

    fn from_str(text: &str) -> Result<Self, BadSessionId> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).map_err(|_| BadSessionId)?;
        Ok(Self(id))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", &hex::encode(&self.0[..4]))
    }
}

impl Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
