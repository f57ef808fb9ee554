//! Decides which offers to take: limits first, then price, then permits. Knows no bytes and no worker.

use std::time::Duration;

use protocol::rendition::RenditionSpec;
use protocol::{Declined, Ladder, Offer, PricePerPixel, Segment};

/// Most pixels of one picture, source or rendition: 4096 x 2304.
const MAX_PICTURE: u64 = 4096 * 2304;
/// Highest frame rate, for source and renditions.
const MAX_FPS: u32 = 240;
/// What a segment is expected to take until one has been measured.
const UNMEASURED: Duration = Duration::from_millis(700);

/// What can be set.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Segments in work at the same time.
    pub capacity: u32,
    /// The price asked.
    pub price: PricePerPixel,
}

/// The admission of one orchestrator.
#[derive(Debug)]
pub struct Core {
    config: Config,
    in_work: u32,
    stopping: bool,
    usual: Duration,
}

impl Core {
    /// Nothing in work.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config, in_work: 0, stopping: false, usual: UNMEASURED }
    }

    /// Takes an offer, which holds a permit until [`Self::on_done`], or says why not.
    ///
    /// # Errors
    /// [`Declined`] with the first reason found.
    pub fn on_offer(&mut self, offer: &Offer) -> Result<(), Declined> {
        if self.stopping {
            return Err(Declined::Stopping);
        }
        within_limits(offer).map_err(Declined::Limits)?;
        if offer.price < self.config.price {
            return Err(Declined::Price { asked: self.config.price });
        }
        if self.in_work >= self.config.capacity {
            return Err(Declined::Busy { retry_after: self.usual / self.config.capacity.max(1) });
        }
        self.in_work += 1;
        Ok(())
    }

    /// Gives a permit back after `took`, or after the work was abandoned.
    pub fn on_done(&mut self, took: Option<Duration>) {
        self.in_work = self.in_work.saturating_sub(1);
        if let Some(took) = took {
            self.usual = (self.usual * 7 + took) / 8;
        }
    }

    /// Takes nothing more.
    pub const fn stop(&mut self) {
        self.stopping = true;
    }

    /// Segments in work.
    #[must_use]
    pub const fn in_work(&self) -> u32 {
        self.in_work
    }
}

fn within_limits(offer: &Offer) -> Result<(), String> {
    let seconds = offer.duration.as_secs_f64();
    if offer.bytes == 0 || offer.bytes > Segment::MAX_BYTES as u64 {
        return Err(format!("{} bytes; at most {}", offer.bytes, Segment::MAX_BYTES));
    }
    if offer.duration.0 <= 0 || offer.duration > Segment::MAX_DURATION {
        return Err(format!("{seconds} s long; at most {}", Segment::MAX_DURATION));
    }
    let picture = u64::from(offer.source.width) * u64::from(offer.source.height);
    if picture == 0 || picture > MAX_PICTURE {
        return Err(format!("pictures of {}x{}", offer.source.width, offer.source.height));
    }
    if f64::from(offer.source.frames) > seconds * f64::from(MAX_FPS) + 2.0 {
        return Err(format!("{} pictures in {seconds} s; at most {MAX_FPS} a second", offer.source.frames));
    }
    let Ladder(rungs) = &offer.ladder;
    if rungs.is_empty() || rungs.len() > Ladder::MAX {
        return Err(format!("{} renditions; 1 to {}", rungs.len(), Ladder::MAX));
    }
    rungs
        .iter()
        .find(|rung| !can_be_made(rung))
        .map_or(Ok(()), |rung| Err(format!("rendition {:?}", rung.name)))
}

fn can_be_made(rung: &RenditionSpec) -> bool {
    let even =
        rung.width.is_multiple_of(2) && rung.height.is_multiple_of(2) && rung.width.min(rung.height) >= 16;
    let rate = rung.fps.is_none_or(|fps| fps.den > 0 && fps.num > 0 && fps.num / fps.den <= MAX_FPS);
    let b_frames = rung.b_frames <= if rung.profile.allows_b_frames() { 3 } else { 0 };
    let gop = rung.gop.is_none_or(|gop| gop >= 900);
    even && rate
        && b_frames
        && gop
        && rung.pixels() <= MAX_PICTURE
        && (10_000..=100_000_000).contains(&rung.bitrate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ladder::LadderPlan;
    use protocol::{Hash, SegmentId, SourceInfo, Ticks};

    fn offer() -> Offer {
        Offer {
            segment: SegmentId { stream: "me".parse().unwrap(), seq: 1 },
            start: Ticks(0),
            duration: Ticks(180_000),
            source: SourceInfo { width: 1280, height: 720, frames: 60 },
            bytes: 1_000_000,
            hash: Hash::of(b""),
            ladder: LadderPlan::default().resolve(1280, 720),
            price: PricePerPixel::FREE,
            deadline: Duration::from_secs(8),
            payment: None,
        }
    }

    fn core(capacity: u32) -> Core {
        Core::new(Config { capacity, price: PricePerPixel::FREE })
    }

    #[test]
    fn a_permit_taken_is_a_permit_given_back() {
        let mut core = core(1);
        assert_eq!(core.on_offer(&offer()), Ok(()));
        assert!(matches!(core.on_offer(&offer()), Err(Declined::Busy { .. })));
        core.on_done(Some(Duration::from_secs(1)));
        assert_eq!(core.on_offer(&offer()), Ok(()));
    }

    #[test]
    fn a_stopping_node_takes_nothing() {
        let mut core = core(1);
        core.stop();
        assert_eq!(core.on_offer(&offer()), Err(Declined::Stopping));
    }

    #[test]
    fn a_price_below_the_one_asked_is_declined_with_the_one_asked() {
        let asked = PricePerPixel { wei: 10, pixels: 1 };
        let mut core = Core::new(Config { capacity: 1, price: asked });
        assert_eq!(core.on_offer(&offer()), Err(Declined::Price { asked }));
    }

    #[test]
    fn what_would_cost_too_much_is_declined_before_a_byte_is_read() {
        let refused = |change: fn(&mut Offer)| {
            let mut bad = offer();
            change(&mut bad);
            matches!(core(1).on_offer(&bad), Err(Declined::Limits(_)))
        };
        assert!(refused(|o| o.bytes = u64::MAX));
        assert!(refused(|o| o.bytes = 0));
        assert!(refused(|o| o.duration = Ticks(i64::MAX)));
        assert!(refused(|o| o.duration = Ticks(-1)));
        assert!(refused(|o| o.source.frames = u32::MAX));
        assert!(refused(|o| o.source.width = 1 << 20));
        assert!(refused(|o| o.ladder.0.clear()));
        assert!(refused(|o| o.ladder.0[0].width = 1 << 20));
        assert!(refused(|o| o.ladder.0[0].b_frames = 16));
        assert!(refused(|o| o.ladder.0[0].fps = Some(protocol::rendition::Fps { num: 1, den: 0 })));
        assert!(refused(|o| o.ladder.0[0].gop = Some(0)));
        assert!(refused(|o| o.ladder.0 = vec![o.ladder.0[0].clone(); 100]));
    }
}
