//! The controller against a bottleneck in virtual time: a queue that serves packets in order, a delay, and chance.

use std::collections::VecDeque;

use super::*;

const MTU: u64 = 1452;
const MBIT: f64 = 125_000.0;

/// A path of flows through one queue, stepped a quarter of a millisecond at a time.
struct World {
    now: Duration,
    rate: f64,
    delay: Duration,
    /// Bytes waiting, and their most.
    queued: f64,
    room: f64,
    loss: f64,
    chance: u64,
    flows: Vec<Flow>,
    overflowed: u64,
    sent: u64,
}

struct Flow {
    pace: Pace,
    begins: Duration,
    in_flight: u64,
    /// When it will be known what became of a packet, when it was sent, and whether it arrived.
    flying: VecDeque<(Duration, Duration, bool)>,
    tokens: f64,
    rtt: Duration,
    delivered: u64,
    /// Bytes of a segment, after whose arrival the next one begins; none for a flow without end.
    segment: Option<u64>,
    /// Bytes of the segment that are still to be sent.
    left: u64,
}

const STEP: Duration = Duration::from_micros(250);

impl World {
    fn new(megabits: f64, rtt_ms: u64, loss: f64) -> Self {
        let rate = megabits * MBIT;
        let delay = Duration::from_millis(rtt_ms);
        Self {
            now: Duration::ZERO,
            rate,
            delay,
            queued: 0.0,
            room: rate * 0.1,
            loss,
            chance: 1,
            flows: Vec::new(),
            overflowed: 0,
            sent: 0,
        }
    }

    fn flow(mut self, cap_megabits: f64, begins_s: u64) -> Self {
        let pace = Pace::new((cap_megabits * MBIT) as u64, MTU as u16);
        let begins = Duration::from_secs(begins_s);
        self.flows.push(Flow {
            pace,
            begins,
            in_flight: 0,
            flying: VecDeque::new(),
            tokens: 0.0,
            rtt: self.delay,
            delivered: 0,
            segment: None,
            left: u64::MAX,
        });
        self
    }

    /// All flows send one segment after another, each taking the link `seconds` alone.
    fn in_segments(mut self, seconds: f64) -> Self {
        let bytes = (self.rate * seconds) as u64 / MTU * MTU;
        for flow in &mut self.flows {
            (flow.segment, flow.left) = (Some(bytes), bytes);
        }
        self
    }

    fn run(&mut self, seconds: u64) -> Vec<f64> {
        let before: Vec<u64> = self.flows.iter().map(|f| f.delivered).collect();
        for _ in 0..seconds * 4000 {
            self.step();
        }
        let megabits = |(f, b): (&Flow, &u64)| (f.delivered - b) as f64 / MBIT / seconds as f64;
        self.flows.iter().zip(&before).map(megabits).collect()
    }

    fn step(&mut self) {
        self.now += STEP;
        self.queued = (self.queued - self.rate * STEP.as_secs_f64()).max(0.0);
        let turn = (self.now.as_micros() / STEP.as_micros()) as usize;
        for place in 0..self.flows.len() {
            let index = (place + turn) % self.flows.len();
            self.learn(index);
            self.send(index);
        }
    }

    fn learn(&mut self, index: usize) {
        let (now, flow) = (self.now, &mut self.flows[index]);
        while flow.flying.front().is_some_and(|(due, ..)| *due <= now) {
            let Some((_, sent, arrived)) = flow.flying.pop_front() else { break };
            flow.in_flight -= MTU;
            if arrived {
                flow.delivered += MTU;
                flow.rtt = flow.rtt.mul_f64(0.875) + (now - sent).mul_f64(0.125);
                flow.pace.on_ack(Ack { now, sent, bytes: MTU, app_limited: flow.left == 0 });
            } else {
                flow.left = flow.left.saturating_add(MTU);
                flow.pace.on_loss(now, MTU, false);
            }
        }
        if flow.left == 0 && flow.in_flight == 0 {
            flow.left = flow.segment.unwrap_or(u64::MAX);
        }
    }

    /// quinn's pacer: five windows in four round trips, in bursts of up to 2 ms.
    fn send(&mut self, index: usize) {
        if self.now < self.flows[index].begins {
            return;
        }
        let window = self.flows[index].pace.window();
        let flow = &mut self.flows[index];
        let per_second = 1.25 * window as f64 / flow.rtt.as_secs_f64();
        let burst = (per_second * 0.002).max(10.0 * MTU as f64);
        flow.tokens = (flow.tokens + per_second * STEP.as_secs_f64()).min(burst);
        let may = |flow: &Flow| flow.tokens >= MTU as f64 && flow.in_flight + MTU < window && flow.left > 0;
        while may(&self.flows[index]) {
            let fate = self.enqueue();
            let flow = &mut self.flows[index];
            flow.tokens -= MTU as f64;
            flow.left = flow.left.saturating_sub(MTU);
            flow.in_flight += MTU;
            flow.flying.push_back((fate.0, self.now, fate.1));
        }
    }

    fn enqueue(&mut self) -> (Duration, bool) {
        self.sent += 1;
        let waits = Duration::from_secs_f64(self.queued / self.rate);
        let due = self.now + waits + self.delay;
        if self.queued + MTU as f64 > self.room {
            self.overflowed += 1;
            return (due, false);
        }
        self.queued += MTU as f64;
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lost = ((self.chance >> 33) as f64 / (1u64 << 31) as f64) < self.loss;
        (due, !lost)
    }
}

fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
    sum * sum / (shares.len() as f64 * squares)
}

#[test]
fn a_narrow_link_is_filled_without_overflowing_its_queue() {
    let mut world = World::new(20.0, 48, 0.0).flow(60.0, 0);
    world.run(2);
    let moved = world.run(10)[0];
    let twice = world.overflowed as f64 / world.sent as f64;
    assert!(moved > 16.0, "{moved} Mbit/s");
    assert!(twice < 0.01, "{twice} sent twice");
}

#[test]
fn a_contract_far_above_the_link_does_not_flood_it() {
    for megabits in [20.0, 100.0] {
        let mut world = World::new(megabits, 48, 0.0).flow(1000.0, 0);
        world.run(2);
        let moved = world.run(10)[0];
        let twice = world.overflowed as f64 / world.sent as f64;
        assert!(moved > 0.8 * megabits, "{moved} of {megabits} Mbit/s");
        assert!(twice < 0.03, "{twice} sent twice on {megabits} Mbit/s");
    }
}

#[test]
fn chance_loss_is_not_taken_for_congestion() {
    let moved = |loss| {
        let mut world = World::new(100.0, 48, loss).flow(60.0, 0);
        world.run(2);
        world.run(5)[0]
    };
    let (clean, lossy) = (moved(0.0), moved(0.01));
    assert!(lossy > clean * 0.95, "{lossy} of {clean} Mbit/s");
}

#[test]
fn heavy_loss_is() {
    let mut world = World::new(100.0, 48, 0.3).flow(60.0, 0);
    let moved = world.run(10)[0];
    assert!(moved < 20.0, "{moved} Mbit/s");
}

#[test]
fn two_flows_share_a_link_and_so_does_a_late_comer() {
    for (megabits, late) in [(20.0, 0), (20.0, 5), (100.0, 5)] {
        let mut world = World::new(megabits, 48, 0.0).flow(100.0, 0).flow(100.0, late);
        world.run(late + 10);
        let shares = world.run(20);
        assert!(jain(&shares) > 0.95, "{shares:?} Mbit/s of {megabits}, the second {late} s late");
        assert!(shares.iter().sum::<f64>() > 0.8 * megabits, "{shares:?} Mbit/s of {megabits}");
    }
}

#[test]
fn flows_that_pause_between_segments_share_a_link_as_well() {
    for megabits in [20.0, 50.0, 100.0] {
        for late in [0, 2, 5] {
            let mut world = World::new(megabits, 48, 0.0).flow(1000.0, 0).flow(1000.0, late).in_segments(0.2);
            world.run(late + 4);
            let (overflowed, sent) = (world.overflowed, world.sent);
            let shares = world.run(8);
            let twice = (world.overflowed - overflowed) as f64 / (world.sent - sent) as f64;
            assert!(jain(&shares) > 0.95, "{shares:?} Mbit/s of {megabits}, the second {late} s late");
            assert!(shares.iter().sum::<f64>() > 0.8 * megabits, "{shares:?} Mbit/s of {megabits}");
            assert!(twice < 0.02, "{twice} sent twice on {megabits} Mbit/s");
        }
    }
}

#[test]
fn a_flow_without_more_to_send_does_not_raise_its_rate() {
    let mut pace = Pace::new(1_000_000, 1200);
    let started = pace.rate();
    for ms in 0..1000 {
        let now = Duration::from_millis(ms + 20);
        pace.on_ack(Ack { now, sent: Duration::from_millis(ms), bytes: 100, app_limited: true });
    }
    assert_eq!(pace.rate(), started);
}

#[test]
fn total_loss_halves_the_rate_and_leaves_enough_to_come_back() {
    let mut pace = Pace::new(10_000_000, 1200);
    pace.on_ack(Ack { now: Duration::from_millis(40), sent: Duration::ZERO, bytes: 1200, app_limited: true });
    for ms in 0..20 {
        pace.on_loss(Duration::from_millis(100 + ms), 1200, true);
    }
    assert_eq!(pace.window(), LEAST_WINDOW * 1200);
}
