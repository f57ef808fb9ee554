//! The ledger of tickets on real files: what it refuses, what it remembers, and what a kill leaves of it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

mod claims;
mod killed;
mod million;
mod sums;
