//! Finds somebody for every segment.

pub mod messages;
pub mod trace;
