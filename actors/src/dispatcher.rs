//! Finds somebody for every segment: selection, hedging, checks, and the trace of it all.

pub mod actor;
pub mod core;
mod job;
pub mod log;
pub mod messages;
pub mod score;
pub mod select;
pub mod trace;
