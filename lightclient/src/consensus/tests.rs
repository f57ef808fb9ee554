//! The consensus core against a small world that signs for itself, honestly and not. Real chains are in `tests/`.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod bls;
mod evidence;
mod format;
mod reject;
mod store;
mod world;
