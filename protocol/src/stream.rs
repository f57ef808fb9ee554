//! Names of streams.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a live stream: 1 to 64 of `A-Z a-z 0-9 . _ -`, not starting with a dot, so that it is safe in a path, a URL
/// and a log line. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

/// A name that cannot be a [`StreamId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot name a stream: use 1 to 64 letters, digits, '.', '_' or '-', not starting with a dot"
)]
pub struct BadStreamId {
    name: String,
}

impl StreamId {
    /// Longest name, bytes.
    pub const MAX_LEN: usize = 64;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamId {
    type Err = BadStreamId;

    fn from_str(name: &str) -> Result<Self, BadStreamId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if name.is_empty()
            || name.len() > Self::MAX_LEN
            || name.starts_with('.')
            || !name.bytes().all(allowed)
        {
            return Err(BadStreamId { name: name.chars().take(Self::MAX_LEN + 1).collect() });
        }
        Ok(Self(name.into()))
    }
}

impl TryFrom<String> for StreamId {
    type Error = BadStreamId;
    fn try_from(name: String) -> Result<Self, BadStreamId> {
        name.parse()
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.0.as_ref().into()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_directory_is_refused() {
        for bad in ["", "..", ".hidden", "a/b", "a\\b", "a b", "ü", &"x".repeat(65)] {
            assert!(bad.parse::<StreamId>().is_err(), "{bad}");
        }
        assert_eq!("me_2-cam.1".parse::<StreamId>().unwrap().as_str(), "me_2-cam.1");
    }
}
