//! The token by which an orchestrator knows its own sessions again. A gateway echoes it byte for byte and does not look inside.

use alloy_primitives::U256;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

use super::{Malformed, bad, net};

/// Longest token of others, bytes; theirs have 32.
const MAX_TOKEN: usize = 256;
/// Longest name of a session, bytes; theirs have 8.
const MAX_SESSION: usize = 64;

/// A session and until when it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthToken {
    /// Proves the two others to whoever made it.
    pub token: Bytes,
    /// Names the session.
    pub session_id: String,
    /// Unix seconds.
    pub expiration: u64,
}

/// Why a session is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadToken {
    /// Made by others, or changed.
    #[error("invalid auth token")]
    Invalid,
    /// Its time is over.
    #[error("expired auth token")]
    Expired,
}

impl AuthToken {
    /// Opens a session: HMAC-SHA-256 over its name and the expiration without leading zeros.
    #[must_use]
    pub fn issue(secret: &[u8; 32], session_id: &str, expiration: u64) -> Self {
        let token = mac(secret, session_id, expiration).finalize().into_bytes();
        Self { token: Bytes::copy_from_slice(&token), session_id: session_id.into(), expiration }
    }

    /// Checks a token that comes back. `now` in Unix seconds.
    ///
    /// # Errors
    /// [`BadToken`].
    pub fn check(&self, secret: &[u8; 32], now: u64) -> Result<(), BadToken> {
        let mac = mac(secret, &self.session_id, self.expiration);
        mac.verify_slice(&self.token).map_err(|_| BadToken::Invalid)?;
        if self.expiration <= now { Err(BadToken::Expired) } else { Ok(()) }
    }

    pub(super) fn encode(&self) -> net::AuthToken {
        let expiration = i64::try_from(self.expiration).unwrap_or(i64::MAX);
        net::AuthToken { token: self.token.clone(), session_id: self.session_id.clone(), expiration }
    }

    pub(super) fn decode(from: net::AuthToken) -> Result<Self, Malformed> {
        if from.token.len() > MAX_TOKEN || from.session_id.len() > MAX_SESSION {
            return Err(bad("auth_token", "longer than any"));
        }
        let expiration = u64::try_from(from.expiration).map_err(|_| bad("auth_token", "before 1970"))?;
        Ok(Self { token: from.token, session_id: from.session_id, expiration })
    }
}

fn mac(secret: &[u8; 32], session_id: &str, expiration: u64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(session_id.as_bytes());
    mac.update(&U256::from(expiration).to_be_bytes_trimmed_vec());
    mac
}
