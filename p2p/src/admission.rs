//! How neighbours behave: who is heard, who is cut off, and for how long.
//!
//! In flow times and faults, out flow decisions. It knows a neighbour by its libp2p name and nothing of what it said.
//! Stake does not enter here yet: every identity starts equal.

use std::collections::BTreeMap;

use libp2p::PeerId;

use crate::limits::{Bucket, FROM_NEIGHBOUR, MAX_REMEMBERED, NEWS, PAGES, PROOFS};

/// Points at which a neighbour is cut off.
const CUT_OFF_AT: f64 = 100.0;
/// Points that are forgiven in a second: a full score in ten minutes.
const FORGIVEN_PER_SECOND: f64 = CUT_OFF_AT / 600.0;
/// First exclusion, milliseconds; it doubles with every further one.
const FIRST_BAN_MS: u64 = 30_000;
/// Longest exclusion, milliseconds.
const LONGEST_BAN_MS: u64 = 3_600_000;

/// How bad a fault is, by how many of them are one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Cannot happen to an honest node: garbage, forgeries, sizes beyond the protocol.
    Fatal,
    /// Five are too many: broken answers.
    Serious,
    /// Twenty are too many: slowness, asking too often.
    Slight,
}

/// The conduct of neighbours, bounded in number.
#[derive(Debug, Default)]
pub struct Admission {
    neighbours: BTreeMap<PeerId, Conduct>,
}

#[derive(Debug, Default)]
struct Conduct {
    records: Bucket,
    pages: Bucket,
    proofs: Bucket,
    news: Bucket,
    points: f64,
    at_ms: u64,
    bans: u32,
    banned_until_ms: u64,
}

impl Admission {
    /// Whether a record that `from` passed on is looked at.
    pub fn may_bring_record(&mut self, now_ms: u64, from: PeerId) -> bool {
        self.conduct(now_ms, from).records.take(now_ms, FROM_NEIGHBOUR)
    }

    /// Whether `from` gets a page of the table.
    pub fn may_ask_page(&mut self, now_ms: u64, from: PeerId) -> bool {
        self.conduct(now_ms, from).pages.take(now_ms, PAGES)
    }

    /// Whether a request of `from` for a proof is looked at.
    pub fn may_ask_proof(&mut self, now_ms: u64, from: PeerId) -> bool {
        self.conduct(now_ms, from).proofs.take(now_ms, PROOFS)
    }

    /// Whether news that `from` brings is looked at.
    pub fn may_bring_news(&mut self, now_ms: u64, from: PeerId) -> bool {
        self.conduct(now_ms, from).news.take(now_ms, NEWS)
    }

    /// Notes a fault; says whether the neighbour is to be cut off now.
    pub fn fault(&mut self, now_ms: u64, from: PeerId, fault: Fault) -> bool {
        let conduct = self.conduct(now_ms, from);
        let forgiven = now_ms.saturating_sub(conduct.at_ms) as f64 / 1000.0 * FORGIVEN_PER_SECOND;
        conduct.at_ms = now_ms;
        conduct.points = (conduct.points - forgiven).max(0.0) + fault.points();
        if conduct.points < CUT_OFF_AT {
            return false;
        }
        let ban_ms = FIRST_BAN_MS.saturating_mul(1 << conduct.bans.min(10)).min(LONGEST_BAN_MS);
        conduct.points = 0.0;
        conduct.bans += 1;
        conduct.banned_until_ms = now_ms.saturating_add(ban_ms);
        true
    }

    /// Whether `peer` is excluded.
    #[must_use]
    pub fn is_banned(&self, now_ms: u64, peer: &PeerId) -> bool {
        self.neighbours.get(peer).is_some_and(|conduct| conduct.banned_until_ms > now_ms)
    }

    fn conduct(&mut self, now_ms: u64, peer: PeerId) -> &mut Conduct {
        if !self.neighbours.contains_key(&peer) && self.neighbours.len() >= MAX_REMEMBERED {
            self.forget_one(now_ms);
        }
        self.neighbours.entry(peer).or_insert_with(|| Conduct { at_ms: now_ms, ..Conduct::default() })
    }

    /// Makes room by forgetting whoever has the least against it, and of those the one that was quiet for longest.
    fn forget_one(&mut self, now_ms: u64) {
        let weight = |c: &Conduct| (c.banned_until_ms.max(now_ms), c.points.to_bits(), c.at_ms);
        if let Some(peer) = self.neighbours.iter().min_by_key(|(_, c)| weight(c)).map(|(peer, _)| *peer) {
            self.neighbours.remove(&peer);
        }
    }
}

impl Fault {
    fn points(self) -> f64 {
        match self {
            Self::Fatal => CUT_OFF_AT,
            Self::Serious => CUT_OFF_AT / 5.0,
            Self::Slight => CUT_OFF_AT / 20.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_cuts_off_at_once_and_slowness_after_many_times() {
        let (mut admission, peer, other) = (Admission::default(), PeerId::random(), PeerId::random());
        assert!(admission.fault(0, peer, Fault::Fatal) && admission.is_banned(1, &peer));
        let slights = (0..20).take_while(|_| !admission.fault(0, other, Fault::Slight)).count();
        assert_eq!(slights, 19);
        assert!(admission.is_banned(1, &other));
    }

    #[test]
    fn an_exclusion_ends_and_the_next_is_longer() {
        let (mut admission, peer) = (Admission::default(), PeerId::random());
        admission.fault(0, peer, Fault::Fatal);
        assert!(!admission.is_banned(FIRST_BAN_MS, &peer));
        admission.fault(FIRST_BAN_MS, peer, Fault::Fatal);
        assert!(admission.is_banned(FIRST_BAN_MS * 3 - 1, &peer));
    }

    #[test]
    fn old_faults_are_forgiven() {
        let (mut admission, peer) = (Admission::default(), PeerId::random());
        let cut = (0..100).any(|n| admission.fault(n * 600_000, peer, Fault::Serious));
        assert!(!cut);
    }

    #[test]
    fn a_flood_of_identities_fills_no_memory_and_frees_nobody() {
        let (mut admission, bad) = (Admission::default(), PeerId::random());
        admission.fault(0, bad, Fault::Fatal);
        for _ in 0..2 * MAX_REMEMBERED {
            admission.may_bring_record(0, PeerId::random());
        }
        assert_eq!(admission.neighbours.len(), MAX_REMEMBERED);
        assert!(admission.is_banned(1, &bad));
    }

    #[test]
    fn a_neighbour_that_floods_is_not_heard() {
        let (mut admission, peer) = (Admission::default(), PeerId::random());
        let heard = (0..10_000).filter(|_| admission.may_bring_record(0, peer)).count();
        assert_eq!(heard as u32, FROM_NEIGHBOUR.burst);
    }
}
