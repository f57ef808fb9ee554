//! Whole nodes as processes: real RTMP, real QUIC, real FFmpeg, over loopback.

mod boundaries;
mod command_line;
mod streaming;
mod world;
