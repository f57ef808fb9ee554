//! What a node does.
//!
//! One folder an actor: `messages.rs` says what it may be asked, `core.rs` decides (no clock, no await), `actor.rs` is the
//! thin actix shell. Requests go one way: ingest -> segmenter -> dispatcher -> {transcoder, mesh} -> verifier -> publisher.
//! Knows no socket, no chain, no database: those come in through [`ports`].

pub mod admission;
pub mod budget;
pub mod chain_watcher;
pub mod clock;
pub mod dispatcher;
pub mod handover;
pub mod ingest;
pub mod payments;
pub mod ports;
pub mod publisher;
pub mod redeemer;
pub mod segmenter;
pub mod supervise;
pub mod transcoder;
pub mod verifier;
