//! Whole nodes as processes: real RTMP, real QUIC, real FFmpeg, over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

mod admission;
mod boundaries;
mod chain;
mod command_line;
mod funding;
mod lan;
mod nat;
mod paid;
mod redeemer;
mod stake;
mod staking;
mod streaming;
mod watcher;
mod world;
