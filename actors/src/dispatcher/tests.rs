//! The dispatcher's promises, in virtual time.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use protocol::receipt::Receipt;
use protocol::{Hash, Segment, SegmentId, SourceInfo, Ticks};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::dispatcher::trace::TraceOutcome;

/// How one orchestrator of the test world behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    /// Answers after this time, beating meanwhile.
    Works(Duration),
    /// Takes the offer, then says nothing.
    Silent,
    /// Takes the offer, says nothing, and answers after this time.
    Stalls(Duration),
    /// Beats, sends this many rungs at that time, and is dead from then on.
    Dies(usize, Duration),
    /// Says busy.
    Busy,
    /// The connection fails.
    Dead,
    /// Its renditions do not pass the checks.
    Cheats,
    /// Says that the input is bad.
    BlamesInput,
    /// Signs something else than it sent.
    LiesInReceipt,
}

#[derive(Debug)]
enum Event {
    Answer(AskId, Answer),
    Fault(AskId, MeshFault),
    Checked(AskId, Rendition, Result<(), String>),
}

struct Lab {
    core: Core,
    now: Duration,
    scores: Scoreboard,
    rng: StdRng,
    habits: Vec<Habit>,
    queue: BTreeMap<(Duration, u64), Event>,
    order: u64,
    cheating: BTreeMap<AskId, bool>,
    cancelled: Vec<AskId>,
    made: Vec<(u64, usize, Duration)>,
    asked: Vec<(u64, usize)>,
    /// When, and for which rungs.
    asks: Vec<(Duration, Vec<String>)>,
    cut: BTreeMap<u64, Duration>,
    outcomes: Vec<(u64, Option<TraceOutcome>)>,
    /// Of those who are paid.
    turns: BTreeMap<usize, Turn>,
}

const MS: Duration = Duration::from_millis(1);

fn key(n: usize) -> SigningKey {
    SigningKey::from_bytes(&[n as u8 + 1; 32])
}

fn peer(n: usize) -> PeerKey {
    PeerKey(key(n).verifying_key().to_bytes())
}

impl Lab {
    fn new(habits: &[Habit]) -> Self {
        let stream: StreamId = "me".parse().unwrap();
        Self {
            core: Core::new(stream, Config::default()),
            now: Duration::from_secs(1_000_000),
            scores: Scoreboard::default(),
            rng: StdRng::seed_from_u64(7),
            habits: habits.to_vec(),
            queue: BTreeMap::new(),
            order: 0,
            cheating: BTreeMap::new(),
            cancelled: Vec::new(),
            made: Vec::new(),
            asked: Vec::new(),
            asks: Vec::new(),
            cut: BTreeMap::new(),
            outcomes: Vec::new(),
            turns: BTreeMap::new(),
        }
    }

    fn step<T>(&mut self, f: impl FnOnce(&mut Core, &mut World<'_, StdRng>) -> T) -> T {
        let candidates: Vec<Candidate> = (0..self.habits.len())
            .map(|n| Candidate {
                peer: peer(n),
                price: PricePerPixel::FREE,
                capacity: 4,
                load: 0,
                rtt_ms: Some(1.0),
                receipt_key: peer(n),
                stake: None,
                turn: self.turns.get(&n).copied(),
            })
            .collect();
        let mut world =
            World { now: self.now, candidates: &candidates, scores: &mut self.scores, rng: &mut self.rng };
        f(&mut self.core, &mut world)
    }

    fn cut(&mut self, seq: u64) {
        self.cut_with(seq, protocol::ladder::LadderPlan::default().resolve(1280, 720));
    }

    fn cut_with(&mut self, seq: u64, ladder: Ladder) {
        let bytes = Bytes::from(format!("segment {seq}"));
        let segment = Segment {
            id: SegmentId { stream: "me".parse().unwrap(), seq },
            start: Ticks(900_000),
            duration: Ticks(180_000),
            discontinuity: false,
            source: SourceInfo { width: 1280, height: 720, frames: 60 },
            hash: Hash::of(&bytes),
            bytes,
        };
        self.cut.insert(seq, self.now);
        let effects = self.step(|core, world| core.on_dispatch(world, Dispatch { segment, ladder }));
        self.perform(effects);
    }

    fn at(&mut self, delay: Duration, event: Event) {
        self.order += 1;
        self.queue.insert((self.now + delay, self.order), event);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Ask { ask, peer, offer, .. } => self.orchestrate(ask, peer, &offer),
                Effect::Cancel(ask) => self.cancelled.push(ask),
                Effect::Check { ask, rendition, .. } => {
                    let bad = self.cheating.get(&ask).copied().unwrap_or(false);
                    let verdict = if bad { Err("black frames".into()) } else { Ok(()) };
                    self.at(MS, Event::Checked(ask, rendition, verdict));
                }
                Effect::Made(made) => {
                    let there = made.renditions.iter().flatten().count();
                    let in_place = |(at, made): (usize, &Option<Rendition>)| {
                        made.as_ref().is_none_or(|made| made.index == at)
                    };
                    assert!(made.renditions.iter().enumerate().all(in_place), "each rung in its place");
                    self.made.push((made.seq, there, self.now - self.cut[&made.seq]));
                }
                Effect::Trace(trace) => self.outcomes.push((trace.seq, trace.outcome)),
            }
        }
    }

    fn orchestrate(&mut self, ask: AskId, who: PeerKey, offer: &Offer) {
        let n = (0..self.habits.len()).find(|n| peer(*n) == who).unwrap();
        self.asked.push((offer.segment.seq, n));
        self.asks.push((self.now, offer.ladder.0.iter().map(|rung| rung.name.clone()).collect()));
        let habit = self.habits[n];
        self.cheating.insert(ask, habit == Habit::Cheats);
        let took = match habit {
            Habit::Works(took) | Habit::Stalls(took) | Habit::Dies(_, took) => took,
            Habit::Cheats | Habit::LiesInReceipt => MS * 300,
            Habit::Silent => return self.at(MS, Event::Answer(ask, Answer::Accepted)),
            Habit::Busy => {
                let busy = Declined::Busy { retry_after: MS * 500 };
                return self.at(MS, Event::Fault(ask, busy.into()));
            }
            Habit::Dead => return self.at(MS * 5, Event::Fault(ask, MeshFault::Unreachable("gone".into()))),
            Habit::BlamesInput => {
                return self.at(MS * 50, Event::Fault(ask, Failed::Input("no decoder".into()).into()));
            }
        };
        self.at(MS, Event::Answer(ask, Answer::Accepted));
        let beats = if let Habit::Stalls(_) = habit { 0 } else { took.as_millis() / BEAT.as_millis() };
        for beat in 1..beats as u32 {
            self.at(BEAT * beat, Event::Answer(ask, Answer::Beat));
        }
        let renditions: Vec<Rendition> = (0..offer.ladder.0.len())
            .map(|index| {
                let bytes = Bytes::from(format!("{n} {index}"));
                Rendition { index, frames: 60, pixels: 60, hash: Hash::of(&bytes), bytes }
            })
            .collect();
        let mut receipt = Receipt {
            segment: offer.segment.clone(),
            source: offer.hash,
            renditions: renditions.iter().map(|r| (r.hash, r.pixels)).collect(),
        };
        if habit == Habit::LiesInReceipt {
            receipt.renditions[0].1 *= 2;
        }
        let delivered = if let Habit::Dies(rungs, _) = habit { rungs } else { renditions.len() };
        for rendition in renditions.into_iter().take(delivered) {
            self.at(took, Event::Answer(ask, Answer::Rendition(rendition)));
        }
        if !matches!(habit, Habit::Dies(..)) {
            self.at(took + MS, Event::Answer(ask, Answer::Receipt(receipt.sign(&key(n)))));
        }
    }

    /// Streams until everybody's habits are known.
    fn get_to_know(&mut self, segments: u64) {
        for seq in 0..segments {
            self.cut(seq);
            self.run_until(self.now + MS * 2000);
        }
        self.asked.clear();
        self.asks.clear();
        self.made.clear();
    }

    /// Cuts one more segment, and gives whoever is asked first for it this habit.
    fn cut_for(&mut self, seq: u64, habit: Habit) {
        let habits = std::mem::replace(&mut self.habits, vec![habit; 3]);
        self.cut(seq);
        let first = self.asked.last().expect("somebody was asked").1;
        self.habits = habits;
        self.habits[first] = habit;
    }

    /// Runs until nothing is in work.
    fn run(&mut self) {
        self.run_until(self.now + Duration::from_secs(60));
        assert_eq!(self.core.in_work(), 0);
    }

    fn run_until(&mut self, end: Duration) {
        loop {
            let event_at = self.queue.keys().next().map(|(at, _)| *at);
            let wake_at = self.core.next_wake();
            let Some(at) = event_at.into_iter().chain(wake_at).min().filter(|at| *at <= end) else { break };
            assert!(at >= self.now || wake_at != Some(at), "a wake in the past would spin");
            self.now = self.now.max(at);
            let effects = if event_at == Some(at) {
                let (_, event) = self.queue.pop_first().unwrap();
                self.step(|core, world| match event {
                    Event::Answer(ask, answer) => core.on_answer(world, ask, answer),
                    Event::Fault(ask, fault) => core.on_fault(world, ask, &fault),
                    Event::Checked(ask, rendition, verdict) => {
                        core.on_checked(world, ask, rendition, verdict)
                    }
                })
            } else {
                let effects = self.step(|core, world| core.on_wake(world));
                assert!(
                    self.core.next_wake() > Some(self.now) || self.core.next_wake().is_none(),
                    "a wake spins"
                );
                effects
            };
            self.perform(effects);
        }
        self.now = self.now.max(end);
    }
}

#[test]
fn a_segment_comes_back_complete() {
    let mut lab = Lab::new(&[Habit::Works(MS * 700); 3]);
    lab.cut(0);
    lab.run();
    assert_eq!(lab.made.len(), 1);
    assert_eq!((lab.made[0].0, lab.made[0].1), (0, 4));
    assert_eq!(lab.asked.len(), 1);
}

#[test]
fn a_silent_orchestrator_is_hedged_within_half_a_second() {
    for _ in 0..20 {
        let mut lab = Lab::new(&[Habit::Silent, Habit::Works(MS * 700)]);
        lab.cut(0);
        lab.run();
        assert!(lab.made[0].2 < MS * 1250, "{:?}", lab.made);
        assert_eq!(lab.made[0].1, 4);
    }
}

#[test]
fn a_lone_orchestrator_that_stalls_is_waited_for() {
    let mut lab = Lab::new(&[Habit::Stalls(MS * 4000)]);
    lab.cut(0);
    lab.run();
    assert_eq!(lab.asked.len(), 1, "asked anew, it would begin anew: {:?}", lab.asks);
    assert_eq!((lab.made[0].1, lab.made[0].2), (4, MS * 4001));
}

#[test]
fn one_that_comes_while_the_only_other_one_stalls_is_asked() {
    let mut lab = Lab::new(&[Habit::Stalls(MS * 7000)]);
    lab.cut(0);
    lab.run_until(lab.now + MS * 5000);
    lab.habits.push(Habit::Works(MS * 500));
    lab.run();
    assert_eq!(lab.made[0].1, 4);
    assert!(lab.made[0].2 < MS * 5700, "{:?}", lab.made);
}

#[test]
fn after_a_death_only_what_is_missing_is_asked_for() {
    let mut lab = Lab::new(&[Habit::Works(MS * 700); 3]);
    lab.get_to_know(20);
    lab.cut_for(20, Habit::Dies(2, MS * 600));
    lab.run();
    let all = ["240p", "360p", "480p", "720p"];
    let named: Vec<Vec<&str>> =
        lab.asks.iter().map(|(_, rungs)| rungs.iter().map(String::as_str).collect()).collect();
    assert_eq!(named, [&all[..], &all[2..]]);
    assert_eq!((lab.made[0].1, lab.core.counters().missing), (4, 0));
    // The silence of two beats and a half, then the time of the second one.
    assert!(lab.made[0].2 <= MS * (600 + 250 + 710), "{:?}", lab.made);
}

#[test]
fn one_loss_is_replaced_once_whether_lateness_or_silence_tells_of_it_first() {
    for died_at in [300, 600, 690, 700, 750] {
        let mut lab = Lab::new(&[Habit::Works(MS * 700); 4]);
        lab.get_to_know(40);
        lab.cut_for(40, Habit::Dies(1, MS * died_at));
        lab.run();
        assert_eq!(lab.asked.len(), 2, "died at {died_at}: {:?}", lab.asks);
        assert_eq!(lab.made[0].1, 4);
    }
}

#[test]
fn one_that_dies_too_is_replaced_as_fast() {
    let mut lab = Lab::new(&[Habit::Works(MS * 700); 4]);
    lab.get_to_know(40);
    lab.habits = vec![
        Habit::Dies(1, MS * 300),
        Habit::Dies(1, MS * 300),
        Habit::Dies(1, MS * 300),
        Habit::Works(MS * 700),
    ];
    lab.cut(40);
    lab.run();
    let gaps: Vec<Duration> = lab.asks.windows(2).map(|two| two[1].0 - two[0].0).collect();
    assert!(gaps.iter().all(|gap| *gap <= MS * 560), "{gaps:?}");
    assert_eq!(lab.made[0].1, 4);
}

#[test]
fn the_dead_are_not_asked_for_the_next_segment() {
    let mut lab = Lab::new(&[Habit::Works(MS * 700); 3]);
    lab.get_to_know(20);
    lab.cut_for(20, Habit::Dies(0, MS * 600));
    lab.run_until(lab.now + MS * 2000);
    let dead = lab.asked[0].1;
    lab.cut(21);
    lab.run();
    assert_eq!(lab.asked.iter().filter(|(_, n)| *n == dead).count(), 1);
    assert!(lab.scores.avoided_for(peer(dead), Duration::ZERO).is_some());
}

#[test]
fn a_node_that_was_held_up_itself_suspects_nobody() {
    let mut lab = Lab::new(&[Habit::Works(MS * 900); 3]);
    lab.get_to_know(20);
    lab.cut(20);
    lab.run_until(lab.now + MS * 100);
    // Its wake comes before the answers that have piled up meanwhile.
    lab.now += MS * 700;
    let effects = lab.step(|core, world| core.on_wake(world));
    lab.perform(effects);
    lab.run();
    assert_eq!(lab.asked.len(), 1, "{:?}", lab.asks);
    assert_eq!(lab.made[0].1, 4);
}

#[test]
fn a_segment_below_the_lowest_rung_is_told_of_too() {
    let mut lab = Lab::new(&[Habit::Works(MS * 300)]);
    lab.cut_with(0, Ladder(Vec::new()));
    lab.run();
    assert_eq!(lab.made, [(0, 0, Duration::ZERO)]);
    assert_eq!(lab.outcomes, [(0, Some(TraceOutcome::SourceOnly))]);
    assert!(lab.asked.is_empty());
}

#[test]
fn two_silent_ones_do_not_stop_a_third() {
    let mut lab = Lab::new(&[Habit::Silent, Habit::Silent, Habit::Works(MS * 500)]);
    for seq in 0..4 {
        lab.cut(seq);
        lab.run_until(lab.now + MS * 2000);
    }
    lab.run();
    assert!(lab.made.iter().all(|m| m.1 == 4 && m.2 < MS * 2000), "{:?}", lab.made);
}

#[test]
fn a_slow_one_is_hedged_at_its_own_p95() {
    let mut lab = Lab::new(&[Habit::Works(MS * 400), Habit::Works(MS * 400)]);
    for seq in 0..20 {
        lab.cut(seq);
        lab.run_until(lab.now + MS * 2000);
    }
    assert_eq!(lab.core.counters().hedges, 0);
    lab.habits[0] = Habit::Works(MS * 3000);
    for seq in 20..26 {
        lab.cut(seq);
        lab.run_until(lab.now + MS * 2000);
    }
    lab.run();
    assert!(lab.core.counters().hedges >= 1);
    assert!(lab.made.iter().all(|m| m.1 == 4 && m.2 < MS * 1200), "{:?}", lab.made);
}

#[test]
fn a_segment_is_not_lost_while_one_orchestrator_lives() {
    let mut lab = Lab::new(&[Habit::Dead, Habit::Busy, Habit::Dead, Habit::Works(MS * 700), Habit::Dead]);
    for seq in 0..30 {
        lab.cut(seq);
        lab.run_until(lab.now + MS * 2000);
    }
    lab.run();
    assert_eq!(lab.made.iter().filter(|m| m.1 == 4).count(), 30);
}

#[test]
fn with_nobody_there_a_segment_ends_as_missing_and_successors_are_not_delayed() {
    let mut lab = Lab::new(&[]);
    lab.cut(0);
    lab.run_until(lab.now + MS * 6000);
    lab.habits.push(Habit::Works(MS * 300));
    lab.cut(1);
    lab.run();
    assert_eq!(lab.made.iter().map(|m| m.1).collect::<Vec<_>>(), [4, 4]);

    let mut lab = Lab::new(&[]);
    lab.cut(0);
    lab.run();
    assert_eq!((lab.made[0].1, lab.made[0].2), (0, MS * 8000));
}

#[test]
fn a_cheat_is_replaced_and_then_avoided() {
    let mut lab = Lab::new(&[Habit::Cheats, Habit::Works(MS * 300)]);
    for seq in 0..10 {
        lab.cut(seq);
        lab.run_until(lab.now + MS * 2000);
    }
    lab.run();
    assert!(lab.made.iter().all(|m| m.1 == 4));
    assert!(lab.asked.iter().filter(|(_, n)| *n == 0).count() <= 1);
}

#[test]
fn a_false_receipt_costs_its_signer() {
    let mut lab = Lab::new(&[Habit::LiesInReceipt, Habit::Works(MS * 300)]);
    for seq in 0..10 {
        lab.cut(seq);
        lab.run_until(lab.now + MS * 2000);
    }
    assert!(lab.asked.iter().filter(|(_, n)| *n == 0).count() <= 1);
    assert_eq!(lab.made.len(), 10);
}

#[test]
fn two_verdicts_of_bad_input_end_a_segment_at_once() {
    let mut lab = Lab::new(&[Habit::BlamesInput; 5]);
    lab.cut(0);
    lab.run();
    assert_eq!(lab.asked.len(), 2);
    assert!(lab.made[0].2 < MS * 500);
}

#[test]
fn one_false_verdict_of_bad_input_ends_nothing() {
    let mut lab = Lab::new(&[Habit::BlamesInput, Habit::Works(MS * 300)]);
    for seq in 0..10 {
        lab.cut(seq);
        lab.run_until(lab.now + MS * 2000);
    }
    assert!(lab.made.iter().all(|m| m.1 == 4));
}

#[test]
fn the_first_answer_cancels_the_other() {
    let mut lab = Lab::new(&[Habit::Works(MS * 1900), Habit::Works(MS * 1900)]);
    lab.cut(0);
    lab.run();
    assert_eq!(lab.asked.len(), 2, "hedged once");
    assert_eq!(lab.made.len(), 1);
    assert_eq!(lab.cancelled.len(), 1);
    assert_eq!(lab.scores.in_flight(peer(0)) + lab.scores.in_flight(peer(1)), 0);
}

#[test]
fn any_mixture_of_habits_ends_every_segment_and_leaves_nothing_in_flight() {
    use rand::Rng;
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let habits: Vec<Habit> = (0..rng.random_range(0..6))
            .map(|_| match rng.random_range(0..8) {
                0 => Habit::Silent,
                1 => Habit::Busy,
                2 => Habit::Dead,
                3 => Habit::Cheats,
                4 => Habit::BlamesInput,
                5 => Habit::LiesInReceipt,
                _ => Habit::Works(MS * rng.random_range(50..4000)),
            })
            .collect();
        let mut lab = Lab::new(&habits);
        for seq in 0..5 {
            lab.cut(seq);
            lab.run_until(lab.now + MS * rng.random_range(0..2500));
        }
        lab.run();
        assert_eq!(lab.made.len(), 5, "{habits:?}");
        assert!(lab.made.iter().all(|m| m.2 <= MS * 8000), "{habits:?} {:?}", lab.made);
        assert!((0..habits.len()).all(|n| lab.scores.in_flight(peer(n)) == 0), "{habits:?}");
    }
}

#[test]
fn a_free_place_goes_to_the_oldest_segment_that_waits() {
    let mut lab = Lab::new(&[Habit::Works(MS * 500)]);
    for seq in 0..12 {
        lab.cut(seq);
        lab.run_until(lab.now + MS * 20);
    }
    lab.run();
    let order: Vec<u64> = lab.asked.iter().map(|(seq, _)| *seq).collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn one_that_is_paid_has_one_segment_at_a_time_and_never_one_before_the_last() {
    let mut lab = Lab::new(&[Habit::Works(MS * 700); 2]);
    lab.turns.insert(0, Turn { after: Some(1) });
    lab.habits[1] = Habit::Dead;
    for seq in 0..4 {
        lab.cut(seq);
    }
    lab.run_until(lab.now + MS * 600);
    let paid = |lab: &Lab| lab.asked.iter().filter(|(_, n)| *n == 0).map(|(seq, _)| *seq).collect::<Vec<_>>();
    assert_eq!(paid(&lab), [2], "the first of those that it may still be paid for, and no other beside it");
    lab.run_until(lab.now + MS * 1000);
    assert_eq!(paid(&lab), [2, 3], "the next one after its receipt");
    lab.turns.clear();
    lab.run();
    assert_eq!(lab.made.len(), 4);
}
