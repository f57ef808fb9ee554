//! How fast to send: a delay-aware congestion controller that is capped at the contracted rate of the session.
//!
//! Live video knows how much it has to send, so the cap is a contract, not a guess; loss is not taken for congestion until
//! it is heavy, because the delay says earlier what a queue does. [`Pace`] decides, a pure state machine over acknowledgements;
//! the rest of this file fits it into quinn, whose pacer spreads the window over a round trip.

mod core;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{BbrConfig, Controller, ControllerFactory, ControllerMetrics, CubicConfig};

pub use self::core::{Ack, Pace};

/// Who decides how fast to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Congestion {
    /// Our own, capped at a rate.
    Paced {
        /// The contracted rate, bits per second.
        bits_per_second: u64,
    },
    /// quinn's CUBIC (RFC 9438), for comparison.
    Cubic,
    /// quinn's BBR, for comparison: it survives loss and floods slow links.
    Bbr,
}

impl Default for Congestion {
    /// 10 Gbit/s: more than one connection can be encrypted, so no contract at all; the delay alone decides.
    fn default() -> Self {
        Self::Paced { bits_per_second: 10_000_000_000 }
    }
}

impl Congestion {
    pub(crate) fn factory(self) -> Arc<dyn ControllerFactory + Send + Sync> {
        match self {
            Self::Paced { bits_per_second } => Arc::new(Contract { bytes_per_second: bits_per_second / 8 }),
            Self::Cubic => Arc::new(CubicConfig::default()),
            Self::Bbr => Arc::new(BbrConfig::default()),
        }
    }
}

#[derive(Debug)]
struct Contract {
    bytes_per_second: u64,
}

impl ControllerFactory for Contract {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        Box::new(Paced { pace: Pace::new(self.bytes_per_second, mtu), started: now })
    }
}

/// [`Pace`] behind quinn's trait; all it adds is the origin of time.
#[derive(Clone, Debug)]
struct Paced {
    pace: Pace,
    started: Instant,
}

impl Paced {
    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.started)
    }
}

impl Controller for Paced {
    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        _: &quinn_proto::RttEstimator,
    ) {
        let ack = Ack { now: self.since(now), sent: self.since(sent), bytes, app_limited };
        self.pace.on_ack(ack);
    }

    fn on_congestion_event(&mut self, now: Instant, _: Instant, persistent: bool, lost: u64) {
        let now = self.since(now);
        self.pace.on_loss(now, lost, persistent);
    }

    fn on_mtu_update(&mut self, mtu: u16) {
        self.pace.on_mtu(mtu);
    }

    fn window(&self) -> u64 {
        self.pace.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = ControllerMetrics::default();
        metrics.congestion_window = self.pace.window();
        metrics.pacing_rate = Some(self.pace.rate() * 8);
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.pace.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
