//! What a stream's segmenter may be asked.

use actix::prelude::*;
use media::cut::Counts;
use media::packet::Packet;
use tokio::sync::mpsc;

/// Joins a publisher to the stream. Answered when its last packet has been taken and all that came of it has been delivered,
/// with the open segment ended by what there was. A second publisher waits until the first is gone and continues the
/// sequence behind a discontinuity.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Attach {
    /// Its packets, ending when it is gone. Bounded: the segmenter takes them no faster than its neighbours take segments.
    pub packets: mpsc::Receiver<Packet>,
}

/// Ends the stream: packets not yet taken are dropped, the open segment is delivered, the publisher is told
/// [`End`](crate::publisher::messages::End), and the actor stops. Answered with the number that the next segment would have had.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "u64")]
pub struct Finish;

/// Asks what was dropped or mended, and why.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Counts")]
pub struct Status;
