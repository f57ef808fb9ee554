//! What must survive a power cut.
//!
//! [`journal`] is an append-only file of framed entries that gives back a prefix of what was written, whatever happened to the
//! machine. Knows nothing of what the entries mean, and no network.

pub mod journal;
