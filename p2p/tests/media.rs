//! The media plane between real endpoints on loopback.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "media/exchange.rs"]
mod exchange;
#[path = "media/fallback.rs"]
mod fallback;
#[path = "media/hostile.rs"]
mod hostile;
#[path = "media/world.rs"]
mod world;
