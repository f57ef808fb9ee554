//! Asking for work, and the two ways in which the answer can be no.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::payments::{Payment, Unpaid};
use crate::{Hash, Ladder, PricePerPixel, SegmentId, SourceInfo, Ticks};

/// Asks an orchestrator to make a ladder of one segment. The segment's bytes follow it on the same stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which segment.
    pub segment: SegmentId,
    /// Presentation time of its first picture.
    pub start: Ticks,
    /// Its length.
    pub duration: Ticks,
    /// Its pictures, as the broadcaster read them.
    pub source: SourceInfo,
    /// Length of the segment, bytes.
    pub bytes: u64,
    /// Keccak-256 of the segment.
    pub hash: Hash,
    /// What to make.
    pub ladder: Ladder,
    /// The price at which the work is ordered, as the orchestrator's record quoted it.
    pub price: PricePerPixel,
    /// How long the broadcaster will wait, counted from the arrival of the offer.
    pub deadline: Duration,
    /// How it is paid; none where it is free, or the broadcaster hopes so.
    pub payment: Option<Payment>,
}

impl Offer {
    /// Most encoded pixels that the work may come to: what is set aside for it, on both sides.
    #[must_use]
    pub fn most_pixels(&self) -> u64 {
        let source = u64::from(self.source.frames);
        let millis = self.duration.as_millis().max(0).cast_unsigned();
        self.ladder.0.iter().fold(0, |sum, rung| {
            // A picture at each end may belong to it.
            let at_rate = |fps: crate::rendition::Fps| {
                let frames = millis.saturating_mul(fps.num.into()) / 1000 / u64::from(fps.den.max(1));
                frames.saturating_add(2)
            };
            let frames = rung.fps.map_or(source, at_rate);
            sum.saturating_add(rung.pixels().saturating_mul(frames))
        })
    }
}

/// An orchestrator does not take an offer. Nothing is wrong with either side; the caller asks another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Declined {
    /// All permits are in use.
    #[error("busy, free again in about {} ms", .retry_after.as_millis())]
    Busy {
        /// When a permit is likely to be free.
        retry_after: Duration,
    },
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// The price is below what it asks now.
    #[error("the price offered is below the price asked, {asked}")]
    Price {
        /// The price asked now.
        asked: PricePerPixel,
    },
    /// The offer exceeds the orchestrator's limits.
    #[error("the offer exceeds this node's limits: {0}")]
    Limits(String),
    /// This broadcaster is not served.
    #[error("not admitted: {0}")]
    NotAdmitted(String),
    /// It is not paid, or not as it has to be.
    #[error(transparent)]
    Unpaid(#[from] Unpaid),
}

/// An orchestrator took an offer and could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Failed {
    /// The segment cannot be transcoded by anybody; one other orchestrator is asked to confirm.
    #[error("the segment cannot be transcoded: {0}")]
    Input(String),
    /// The orchestrator's own fault: a crash, a limit, a lost worker.
    #[error("the orchestrator failed: {0}")]
    Internal(String),
}
