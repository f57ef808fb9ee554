//! What the verifier may be asked.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use media::check::Violation;
use protocol::{Ladder, Rendition};

/// Is this rendition what the ladder asks for, made of this source? Answered with the first violation found.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), Violation>")]
pub struct Check {
    /// What an orchestrator sent.
    pub rendition: Rendition,
    /// The ladder that was ordered; the rendition says which rung it is.
    pub ladder: Arc<Ladder>,
    /// The segment that it was made of.
    pub source: Bytes,
}
