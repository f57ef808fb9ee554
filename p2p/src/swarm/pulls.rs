//! From whom the table of records is taken, and when to ask again.
//!
//! In flow the time, who is near and how requests ended; out flow whom to ask now. Pure: no socket and no clock.

use std::collections::{BTreeMap, BTreeSet};

use libp2p::PeerId;
use libp2p::request_response::OutboundRequestId;

/// Peers from which a joiner takes the whole table: one could hide somebody.
const TABLES: usize = 2;
/// Without an answer by then another peer is asked as well, milliseconds.
const SLOW_AFTER_MS: u64 = 700;
/// Requests at once, slow ones included.
const AT_ONCE: usize = 4;
/// Pause before a peer is asked again that gave no table, milliseconds; it doubles.
const FIRST_PAUSE_MS: u64 = 250;
/// Longest such pause, milliseconds.
const LONGEST_PAUSE_MS: u64 = 30_000;
/// First look whether something was missed, milliseconds; the pauses between looks grow fourfold.
const FIRST_REFRESH_MS: u64 = 5_000;
/// Longest pause between two looks, milliseconds.
const REFRESH_MS: u64 = 60_000;

/// Tables being taken from others; requests are named by `Id`.
#[derive(Debug)]
pub(crate) struct Pulls<Id = OutboundRequestId> {
    in_flight: BTreeMap<Id, Pull>,
    taken_from: BTreeSet<PeerId>,
    refusals: BTreeMap<PeerId, Refusals>,
    refresh_at_ms: u64,
    refresh_pause_ms: u64,
}

/// One request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pull {
    pub(crate) from: PeerId,
    /// Pages that came before.
    pub(crate) page: usize,
    pub(crate) since_ms: u64,
}

/// How often in a row a peer gave nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Refusals {
    count: u32,
    not_before_ms: u64,
}

impl<Id: Ord> Pulls<Id> {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self {
            in_flight: BTreeMap::new(),
            taken_from: BTreeSet::new(),
            refusals: BTreeMap::new(),
            refresh_at_ms: now_ms + FIRST_REFRESH_MS,
            refresh_pause_ms: FIRST_REFRESH_MS,
        }
    }

    /// Those of `near` to ask for their table now: two, and another for each that is slow. Whoever refused least comes first.
    pub(crate) fn to_ask<'a>(&self, now_ms: u64, near: impl Iterator<Item = &'a PeerId>) -> Vec<PeerId> {
        let waiting = self.in_flight.values().filter(|pull| now_ms < pull.since_ms + SLOW_AFTER_MS).count();
        let missing = TABLES.saturating_sub(self.taken_from.len() + waiting);
        let room = missing.min(AT_ONCE.saturating_sub(self.in_flight.len()));
        if room == 0 {
            return Vec::new();
        }
        let refused = |peer: &PeerId| self.refusals.get(peer).copied().unwrap_or_default();
        let asked = |peer: &PeerId| self.in_flight.values().any(|pull| pull.from == *peer);
        let mut askable: Vec<PeerId> = near
            .filter(|peer| !self.taken_from.contains(peer) && !asked(peer))
            .filter(|peer| now_ms >= refused(peer).not_before_ms)
            .copied()
            .collect();
        askable.sort_by_key(|peer| refused(peer).count);
        askable.truncate(room);
        askable
    }

    /// A page was asked for.
    pub(crate) fn asked(&mut self, id: Id, pull: Pull) {
        self.in_flight.insert(id, pull);
    }

    /// A request ended, one way or the other.
    pub(crate) fn ended(&mut self, id: &Id) -> Option<Pull> {
        self.in_flight.remove(id)
    }

    /// The whole table of `from` was taken.
    pub(crate) fn taken(&mut self, from: PeerId) {
        self.refusals.remove(&from);
        self.taken_from.insert(from);
    }

    /// `from` gave no table, and is asked again later.
    pub(crate) fn refused(&mut self, now_ms: u64, from: PeerId) {
        let refusals = self.refusals.entry(from).or_default();
        let pause = FIRST_PAUSE_MS.saturating_mul(1 << refusals.count.min(10)).min(LONGEST_PAUSE_MS);
        *refusals = Refusals { count: refusals.count + 1, not_before_ms: now_ms + pause };
    }

    /// A neighbour is gone, with `left` others remaining. Who is alone joins anew with the next.
    pub(crate) fn lost(&mut self, peer: &PeerId, left: usize) {
        self.in_flight.retain(|_, pull| pull.from != *peer);
        self.refusals.remove(peer);
        if left == 0 {
            self.taken_from.clear();
        }
    }

    /// Whether it is time to look whether gossip has missed something: soon after the start, then less and less often.
    /// `jitter` is in 0..1.
    pub(crate) fn refresh(&mut self, now_ms: u64, jitter: f64) -> bool {
        if now_ms < self.refresh_at_ms {
            return false;
        }
        self.refresh_pause_ms = (self.refresh_pause_ms * 4).min(REFRESH_MS);
        self.refresh_at_ms = now_ms + (self.refresh_pause_ms as f64 * (0.75 + jitter / 2.0)) as u64;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(count: usize) -> Vec<PeerId> {
        (0..count).map(|_| PeerId::random()).collect()
    }

    fn ask(pulls: &mut Pulls<usize>, now_ms: u64, near: &[PeerId]) -> Vec<PeerId> {
        let chosen = pulls.to_ask(now_ms, near.iter());
        for from in &chosen {
            let id = near.iter().position(|peer| peer == from).unwrap();
            pulls.asked(id, Pull { from: *from, page: 0, since_ms: now_ms });
        }
        chosen
    }

    #[test]
    fn two_tables_are_taken_and_no_more() {
        let (near, mut pulls) = (near(5), Pulls::new(0));
        assert_eq!(ask(&mut pulls, 0, &near), near[..2]);
        assert!(ask(&mut pulls, 1, &near).is_empty());
        for id in 0..2 {
            let pull = pulls.ended(&id).unwrap();
            pulls.taken(pull.from);
        }
        assert!(ask(&mut pulls, 10_000, &near).is_empty());
    }

    #[test]
    fn a_slow_peer_does_not_keep_others_from_being_asked() {
        let (near, mut pulls) = (near(9), Pulls::new(0));
        ask(&mut pulls, 0, &near);
        assert_eq!(ask(&mut pulls, SLOW_AFTER_MS, &near), near[2..4]);
        assert!(ask(&mut pulls, 9 * SLOW_AFTER_MS, &near).is_empty(), "four are enough");
    }

    #[test]
    fn who_refuses_is_asked_again_in_a_moment_and_then_less_and_less_often() {
        let (near, mut pulls) = (near(1), Pulls::new(0));
        let mut asked_at = Vec::new();
        for now_ms in 0..10_000 {
            if !ask(&mut pulls, now_ms, &near).is_empty() {
                asked_at.push(now_ms);
                pulls.ended(&0);
                pulls.refused(now_ms, near[0]);
            }
        }
        assert_eq!(asked_at, [0, 250, 750, 1750, 3750, 7750]);
    }

    #[test]
    fn others_are_asked_before_one_that_refused() {
        let (near, mut pulls) = (near(3), Pulls::new(0));
        pulls.refused(0, near[0]);
        assert_eq!(ask(&mut pulls, 60_000, &near), near[1..3]);
    }

    #[test]
    fn who_lost_everybody_takes_the_table_anew() {
        let (near, mut pulls) = (near(1), Pulls::<usize>::new(0));
        pulls.taken(near[0]);
        assert!(pulls.to_ask(0, near.iter()).is_empty());
        pulls.lost(&near[0], 0);
        assert_eq!(pulls.to_ask(0, near.iter()), near);
    }

    #[test]
    fn looks_for_what_was_missed_become_rare() {
        let mut pulls = Pulls::<usize>::new(0);
        let looks: Vec<u64> = (0..200_000).filter(|now_ms| pulls.refresh(*now_ms, 0.5)).collect();
        assert_eq!(looks, [5_000, 25_000, 85_000, 145_000]);
    }
}
