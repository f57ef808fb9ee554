//! What an orchestrator may be asked by the mesh.

use actix::prelude::*;
use protocol::{Offer, PeerKey};

use crate::ports::Work;

/// Somebody offers a segment. Answered at once; the work goes on by itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Take {
    /// Who offers, proven by the connection.
    pub from: PeerKey,
    /// What is offered.
    pub offer: Offer,
    /// How to say yes or no.
    pub work: Box<dyn Work>,
}

/// No new work; resolves when what is in flight has finished.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;
