//! What a node says of itself to the mesh.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::certificate::SignedCertificate;
use crate::{PeerKey, PricePerPixel};

/// A node's own description, spread by gossip and table pull, signed by the node key (the signature is over the encoded
/// record and belongs to the wire). A newer sequence replaces an older one; after `expires` it counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeRecord {
    /// Who.
    pub peer: PeerKey,
    /// Grows with every change, milliseconds since the Unix epoch at which it was made.
    pub sequence: u64,
    /// Unix time in seconds after which the record is void.
    pub expires: u64,
    /// UDP addresses of the control plane (libp2p QUIC), at most [`NodeRecord::MAX_ADDRS`].
    pub control: Vec<SocketAddr>,
    /// UDP addresses of the media plane (raw QUIC), at most [`NodeRecord::MAX_ADDRS`]; empty when no direct path is known,
    /// which sends segments over libp2p streams instead.
    pub media: Vec<SocketAddr>,
    /// What it does.
    pub roles: Roles,
    /// For orchestrators.
    pub work: Option<Work>,
    /// Whose stake it speaks for. The record is made and expires within the certificate's validity.
    #[serde(skip)]
    pub certificate: Option<SignedCertificate>,
}

impl NodeRecord {
    /// Addresses of each plane that a record may carry.
    pub const MAX_ADDRS: usize = 4;
    /// Largest encoded and signed record, bytes.
    pub const MAX_BYTES: usize = 512;

    /// The key that signs its receipts: the one that its certificate names, else its own.
    #[must_use]
    pub fn receipt_key(&self) -> PeerKey {
        self.certificate.map_or(self.peer, |signed| signed.certificate.receipt_key)
    }
}

/// The roles of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Roles {
    /// Takes streams in and publishes them.
    pub broadcaster: bool,
    /// Transcodes for others.
    pub orchestrator: bool,
    /// Checks others' work.
    pub verifier: bool,
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.broadcaster, "broadcaster"),
            (self.orchestrator, "orchestrator"),
            (self.verifier, "verifier"),
        ];
        let names: Vec<&str> = all.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect();
        f.write_str(&names.join(", "))
    }
}

/// What an orchestrator offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Work {
    /// The price it asks.
    pub price: PricePerPixel,
    /// Segments that it takes at the same time.
    pub capacity: u32,
    /// Segments in work when the record was made.
    pub load: u32,
    /// Transcode backend, such as `cpu`; at most 16 bytes.
    pub backend: String,
    /// Encoder and core version, such as `x264-164`, that says whose output is byte-identical; at most 32 bytes.
    pub encoder: String,
}
