//! How much a node holds at the same time: one byte budget for all media, and the one table of queue bounds.
//!
//! Bytes enter under a [`Permit`] that is held beside them and comes back when it is dropped. Whoever cannot get one waits;
//! nothing here knows what the bytes are.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

// The table of bounds. Everything that queues has its line here.

/// Messages that wait in an actor's mailbox. An actor gets a few a second for each stream; more than this means that it
/// hangs, and then the answer is `Busy`.
pub const MAILBOX: usize = 64;
/// Messages that a supervised actor's front holds while the actor is down: two segments' worth, so that a restart loses
/// none and memory stays small.
pub const FRONT: usize = 16;
/// Packets between an ingest connection and its segmenter: about 2 s of 30 pictures and 47 audio frames a second; then the
/// connection is not read and TCP pushes back.
pub const INGEST_PACKETS: usize = 160;
/// Segments of one stream that wait for an orchestrator. At 2 s each, 16 s; beyond that the oldest is dropped and counted,
/// because the live edge wins over the backlog.
pub const DISPATCH_SEGMENTS: usize = 8;
/// Renditions that a worker may have made and nobody has taken: one whole ladder.
pub const RENDITIONS: usize = protocol::Ladder::MAX;
/// Steps of an orchestrator's answer that are received and not handled: a ladder, its beats and its receipt.
pub const ANSWERS: usize = 2 * protocol::Ladder::MAX;
/// Cut segments of a stream that wait for audio or renditions. Beyond that the oldest appears with gaps. More than the
/// dispatcher has in work, by the one that waits for room there and two whose renditions are on their way here; a live
/// stream never has as many, because the dispatcher gives a segment up in time.
pub const PENDING_SEGMENTS: usize = DISPATCH_SEGMENTS + 3;
/// Segments ahead of the next one of which audio or renditions are kept before the segment itself is known.
pub const AHEAD_SEGMENTS: u64 = 64;
/// Lost cuts in a row that become gaps. More than this and the playlists start anew at the next one: gaps longer than the
/// window help nobody.
pub const LOST_SEGMENTS: u64 = 8;
/// Segments in a live playlist.
pub const WINDOW: usize = 6;
/// Most segments in a live playlist, when they are so short that [`WINDOW`] of them are not three target durations.
pub const WINDOW_MAX: usize = 48;
/// Target durations that a live playlist spans at least (RFC 8216 6.2.2).
pub const MIN_WINDOW_TARGETS: i64 = 3;
/// Segments still served after they left the playlist: as long as the playlist and one more (RFC 8216 6.2.2).
pub const SERVED_AFTER: usize = 7;
/// Ended streams whose last playlists are still served.
pub const ENDED_STREAMS: usize = 8;
/// Segments that a slow subscriber of published segments may lag behind: 64 handles, about two minutes of one stream.
pub const PUBLISHED: usize = 64;
/// Segments that wait for the recording disk: one minute. Then the recording stops, and the stream goes on.
pub const RECORD_SEGMENTS: usize = 32;
/// Bytes of media in a node by default: sixteen ordinary streams (13 served segments of 3.5 MB each) in 2 GiB of memory.
pub const NODE_BYTES: usize = 1024 * 1024 * 1024;
/// How long after a stream's end its segments in work may still complete before they become gaps: longer than a dispatcher
/// takes to give up. Who sends the publisher its `End` waits a little longer than this.
pub const END_GRACE: Duration = Duration::from_secs(10);
/// How long the request of one actor waits for another one's answer.
pub const ASK: Duration = Duration::from_secs(5);

/// A shared budget of bytes. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    capacity: usize,
}

/// Bytes that may be held; given back on drop.
#[derive(Debug)]
#[must_use = "the bytes are given back as soon as the permit is dropped"]
pub struct Permit {
    /// Only held.
    _permit: OwnedSemaphorePermit,
    bytes: usize,
}

/// More than a budget ever holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{asked} bytes are more than the whole budget of {capacity} bytes; raise the budget or send less at a time"
)]
pub struct TooLarge {
    /// What was asked for.
    pub asked: usize,
    /// The whole budget.
    pub capacity: usize,
}

impl Budget {
    /// A budget of `bytes`, at most 4 GiB - 1 (the semaphore counts in 32 bits a request).
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let capacity = bytes.min(u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        Self { semaphore: Arc::new(Semaphore::new(capacity)), capacity }
    }

    /// Waits, first come first served, until `bytes` are free.
    ///
    /// # Errors
    /// [`TooLarge`] when they never will be.
    pub async fn hold(&self, bytes: usize) -> Result<Permit, TooLarge> {
        let count = self.count(bytes)?;
        let permit = Arc::clone(&self.semaphore).acquire_many_owned(count).await;
        let permit = permit.expect("the semaphore is never closed: nothing here calls close");
        Ok(Permit { _permit: permit, bytes })
    }

    /// Bytes that are free now.
    #[must_use]
    pub fn free(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// The whole budget, bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn count(&self, bytes: usize) -> Result<u32, TooLarge> {
        let too_large = TooLarge { asked: bytes, capacity: self.capacity };
        if bytes > self.capacity {
            return Err(too_large);
        }
        u32::try_from(bytes).map_err(|_| too_large)
    }
}

impl Permit {
    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_permit_gives_back_what_it_held() {
        let budget = Budget::new(100);
        let held = budget.hold(60).await.unwrap();
        assert_eq!(budget.free(), 40);
        drop(held);
        assert_eq!(budget.free(), 100);
    }

    #[tokio::test]
    async fn what_can_never_fit_is_refused_with_figures() {
        let refused = Budget::new(100).hold(101).await.unwrap_err();
        assert_eq!(refused, TooLarge { asked: 101, capacity: 100 });
    }

    #[tokio::test]
    async fn who_waits_gets_what_others_give_back() {
        let budget = Budget::new(10);
        let first = budget.hold(10).await.unwrap();
        let other = budget.clone();
        let waiting = tokio::spawn(async move { other.hold(4).await.unwrap().bytes() });
        drop(first);
        assert_eq!(waiting.await.unwrap(), 4);
    }
}
