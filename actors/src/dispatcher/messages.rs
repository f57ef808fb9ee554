//! What a stream's dispatcher may be asked.

use actix::prelude::*;
use protocol::{Ladder, Segment};

/// Takes a segment in: answered at once, the renditions go to the publisher as [`crate::publisher::messages::Made`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Dispatch {
    /// The segment.
    pub segment: Segment,
    /// What to have made of it.
    pub ladder: Ladder,
}
