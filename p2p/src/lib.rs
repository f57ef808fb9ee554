//! How nodes talk: libp2p for control, raw QUIC with the same identity for segments. Knows no actor and no codec.
//!
//! In flow addresses and what this node says of itself; out flow a roster of verified records, and streams to peers named by
//! their key. What a segment means, whom to choose and what to pay is decided elsewhere.

pub mod admission;
pub mod behaviour;
pub mod identity;
pub mod limits;
pub mod livepeer;
pub mod media;
pub mod payment;
pub mod pinned;
pub mod proofs;
pub mod roster;
pub mod swarm;
pub mod wire;

pub use identity::Identity;
pub use libp2p::{Multiaddr, PeerId};
pub use roster::RosterView;
pub use swarm::{Control, ControlConfig, ControlError, PeerStatus, Reachability, RecordDraft};
pub use wire::{Refused, Signed, Verified};
