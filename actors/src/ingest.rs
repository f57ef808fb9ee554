//! Who may publish which stream, and what becomes of it when the publisher leaves and comes back.
//!
//! In: requests to publish from the protocol servers. Out: a bounded channel for each publisher, whose other end goes to the
//! stream's segmenter through [`port::StreamFactory`]. Knows no protocol, no packet's contents, and nothing of what happens
//! to a stream behind its segmenter.

pub mod actor;
pub mod core;
pub mod keys;
pub mod messages;
pub mod port;

#[cfg(test)]
mod tests;

pub use self::actor::Ingest;
pub use self::core::Config;
pub use self::keys::Keys;
pub use self::messages::{Close, Drain, Open, Opened, Refused, StreamState, StreamStatus, Streams, Via};
pub use self::port::{Died, RunningStream, StreamFactory, StreamHandle};
