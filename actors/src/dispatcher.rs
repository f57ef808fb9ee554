//! Finds somebody for every segment: selection, hedging, checks, and the trace of it all.

pub mod core;
pub mod messages;
pub mod score;
pub mod select;
pub mod trace;
