//! Bytecode over proven state: small hand-made contracts here; Livepeer's genuine ones, on a chain of their own, when asked
//! for (`--ignored`, needs npm).
#![cfg(all(feature = "evm", feature = "net"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations
)]

#[path = "evm/anvil.rs"]
mod anvil;
#[path = "evm/deploy.rs"]
mod deploy;
#[path = "evm/forecast.rs"]
mod forecast;
#[path = "evm/genuine.rs"]
mod genuine;
#[path = "evm/handmade.rs"]
mod handmade;
#[path = "evm/stage.rs"]
mod stage;
#[path = "livepeer/world.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod world;
