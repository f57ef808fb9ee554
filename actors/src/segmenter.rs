//! Cuts a stream into segments.
//!
//! In: one publisher's packets after another. Out, in this order for every segment: [`Cut`](crate::publisher::messages::Cut) to
//! the publisher, [`Dispatch`](crate::dispatcher::messages::Dispatch) to the dispatcher, and a little later
//! [`Audio`](crate::publisher::messages::Audio). The rules are `media`'s; this numbers segments, makes their bytes and names, and
//! carries them. It never knows who publishes, who transcodes, or what time it is.

pub mod actor;
mod build;
mod core;
pub mod messages;

pub use actor::{Segmenter, SegmenterConfig};

#[cfg(test)]
mod tests;
