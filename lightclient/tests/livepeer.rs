//! Typed reads of Livepeer's contracts: equal to the contracts' own getters where a real state was proven, whole or refused
//! where somebody tampers with it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations
)]

#[path = "livepeer/crowded.rs"]
mod crowded;
#[path = "livepeer/genuine.rs"]
mod genuine;
#[path = "livepeer/history.rs"]
mod history;
#[path = "livepeer/hostile.rs"]
mod hostile;
#[path = "livepeer/slots.rs"]
mod slots;
#[path = "livepeer/tampered.rs"]
mod tampered;
#[path = "support/tries.rs"]
mod tries;
#[path = "livepeer/world.rs"]
mod world;
