//! How nodes talk: libp2p for control, raw QUIC with the same identity for segments. Knows no actor and no codec.
//!
//! In flow addresses and what this node says of itself; out flow a roster of verified records, and streams to peers named by
//! their key. What a segment means, whom to choose and what to pay is decided elsewhere.

pub mod identity;
pub mod media;

pub use identity::Identity;
