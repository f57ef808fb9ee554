//! Containers, segment rules, transcode backends, and the sandboxed worker that runs them.
//!
//! In: bytes and access units of one stream. Out: segments, renditions, and what can be said of them without decoding.
//! Knows no actor, no socket of the mesh, no clock but a job's own deadline.

pub mod aac;
pub mod avc;
pub mod check;
pub mod cut;
pub mod fmp4;
pub mod packet;
pub mod timeline;
pub mod transcode;
pub mod worker;
