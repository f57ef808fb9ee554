//! QUIC with the media plane's sockets, TLS and settings, and nothing else: what the plane's own cost is measured against.

use std::net::SocketAddr;
use std::sync::Arc;

use protocol::PeerKey;

use super::endpoint::{Dialler, MediaConfig, quic};
use super::fault::MediaError;
use super::link::Dial;
use super::tls::Tls;
use crate::identity::Identity;

/// A bare QUIC endpoint under a node's identity. No bounds: only for peers that one has started oneself.
#[derive(Debug)]
pub struct Raw {
    dialler: Dialler,
}

impl Raw {
    /// Listens on `addr`.
    ///
    /// # Errors
    /// [`MediaError::Bind`] when the address cannot be used.
    pub fn bind(identity: &Identity, addr: SocketAddr, config: &MediaConfig) -> Result<Self, MediaError> {
        let tls = Tls::new(identity).map_err(|e| MediaError::Bind { addr, why: e.to_string() })?;
        Ok(Self { dialler: quic(identity, addr, config, Arc::new(tls))? })
    }

    /// The endpoint itself.
    #[must_use]
    pub fn quic(&self) -> &quinn::Endpoint {
        &self.dialler.quic
    }

    /// A connection to `peer`.
    ///
    /// # Errors
    /// [`MediaError`] when it does not come about.
    pub async fn connect(&self, peer: PeerKey, addr: SocketAddr) -> Result<quinn::Connection, MediaError> {
        self.dialler.dial(peer, addr).await
    }
}
