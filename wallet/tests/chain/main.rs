//! Wallets on chains that really include transactions: what is sent once happens once.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

mod anvil;
mod devnet;
mod killed;
mod net;
