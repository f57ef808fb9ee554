//! Whom to connect to, and when to try again.
//!
//! In flow the time, the roster and who is connected; out flow names and addresses to dial. Pure: no socket, no clock, and
//! its randomness is handed in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use libp2p::Multiaddr;
use protocol::{Hash, PeerKey};
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::limits::MAX_WANTED;
use crate::roster::Roster;

/// First pause after a failed dial, milliseconds; it doubles.
const FIRST_PAUSE_MS: u64 = 250;
/// Longest pause between two dials of one peer, milliseconds.
const LONGEST_PAUSE_MS: u64 = 30_000;
/// Longest pause between two dials of a bootstrap address, milliseconds: nothing is worse than being alone.
const LONGEST_BOOTSTRAP_PAUSE_MS: u64 = 5_000;
/// A dial that neither succeeded nor failed by then counts as failed, milliseconds.
const LOST_AFTER_MS: u64 = 15_000;
/// Dials started at once: a joiner's handshakes must not compete with each other for long.
const AT_ONCE: usize = 4;

/// Dialing decisions of one node.
#[derive(Debug)]
pub(crate) struct Dialer {
    me: PeerKey,
    degree: usize,
    peers: BTreeMap<PeerKey, Attempt>,
    bootstrap: Vec<Bootstrap>,
    wanted: VecDeque<PeerKey>,
}

/// An address that a person gave.
#[derive(Debug)]
struct Bootstrap {
    addr: Multiaddr,
    attempt: Attempt,
    /// Who was there when it was last reached.
    peer: Option<PeerKey>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Attempt {
    failures: u32,
    not_before_ms: u64,
    /// Since when a dial is under way.
    dialing_ms: Option<u64>,
}

impl Attempt {
    fn is_due(&self, now_ms: u64) -> bool {
        self.dialing_ms.is_none_or(|since| now_ms >= since + LOST_AFTER_MS) && now_ms >= self.not_before_ms
    }

    fn failed(&mut self, now_ms: u64, longest_ms: u64, jitter: f64) {
        let pause = FIRST_PAUSE_MS.saturating_mul(1 << self.failures.min(10)).min(longest_ms);
        self.failures += 1;
        self.dialing_ms = None;
        self.not_before_ms = now_ms + (pause as f64 * (0.75 + jitter / 2.0)) as u64;
    }
}

impl Dialer {
    pub(crate) fn new(me: PeerKey, degree: usize, bootstrap: Vec<Multiaddr>) -> Self {
        let entry = |addr| Bootstrap { addr, attempt: Attempt::default(), peer: None };
        let bootstrap = bootstrap.into_iter().map(entry).collect();
        Self { me, degree, peers: BTreeMap::new(), bootstrap, wanted: VecDeque::new() }
    }

    /// Keeps a connection to `peer` until it is not wanted any more; the one that was asked for longest ago gives way.
    pub(crate) fn want(&mut self, peer: PeerKey) {
        self.unwant(peer);
        if self.wanted.len() >= MAX_WANTED {
            self.wanted.pop_front();
        }
        self.wanted.push_back(peer);
    }

    pub(crate) fn unwant(&mut self, peer: PeerKey) {
        self.wanted.retain(|other| *other != peer);
    }

    pub(crate) fn is_wanted(&self, peer: PeerKey) -> bool {
        self.wanted.contains(&peer)
    }

    /// Peers to dial now: those wanted, and as many of the roster as are missing to the degree. `outbound` of the `connected`
    /// were dialed by this node: two thirds of the degree must be, so that nobody surrounds it by dialing it.
    pub(crate) fn peers_to_dial(
        &mut self,
        now_ms: u64,
        roster: &Roster,
        connected: &BTreeSet<PeerKey>,
        outbound: usize,
        rng: &mut impl Rng,
    ) -> Vec<PeerKey> {
        let due = |peers: &BTreeMap<PeerKey, Attempt>, key: &PeerKey| {
            *key != self.me && !connected.contains(key) && peers.get(key).is_none_or(|a| a.is_due(now_ms))
        };
        let mut chosen: Vec<PeerKey> =
            self.wanted.iter().filter(|key| due(&self.peers, key)).copied().collect();
        let dialing = self.peers.values().filter(|attempt| attempt.dialing_ms.is_some()).count();
        let missing = self.degree.saturating_sub(connected.len() + dialing);
        let missing_outbound = (self.degree * 2 / 3).saturating_sub(outbound + dialing);
        let room = missing.max(missing_outbound).min(AT_ONCE.saturating_sub(dialing));
        if room > 0 {
            let known = roster.iter().map(|verified| verified.record());
            let reachable = known.filter(|record| !record.control.is_empty()).map(|record| record.peer);
            let candidates = reachable.filter(|key| due(&self.peers, key) && !chosen.contains(key)).collect();
            chosen.extend(self.sample(candidates, room, rng));
        }
        for key in &chosen {
            self.peers.entry(*key).or_default().dialing_ms = Some(now_ms);
        }
        chosen
    }

    /// Two of three are the peers nearest to this node by hash, which nobody can arrange for everybody at once; the third is
    /// drawn by lot, which ties the mesh together.
    fn sample(&self, mut candidates: Vec<PeerKey>, count: usize, rng: &mut impl Rng) -> Vec<PeerKey> {
        let mut chosen = Vec::with_capacity(count);
        candidates.sort_by_cached_key(|key| Hash::of(&[self.me.0, key.0].concat()));
        while chosen.len() < count {
            let pick = if chosen.len() % 3 == 2 { candidates.choose(rng) } else { candidates.first() };
            let Some(pick) = pick.copied() else { break };
            candidates.retain(|key| *key != pick);
            chosen.push(pick);
        }
        chosen
    }

    /// Bootstrap addresses to dial now, for ever, while the degree is not reached without them.
    pub(crate) fn bootstrap_to_dial(&mut self, now_ms: u64, connected: &BTreeSet<PeerKey>) -> Vec<Multiaddr> {
        if connected.len() >= self.degree {
            return Vec::new();
        }
        let is_there = |peer: Option<PeerKey>| peer.is_some_and(|key| connected.contains(&key));
        let mut out = Vec::new();
        for entry in self.bootstrap.iter_mut().filter(|e| !is_there(e.peer) && e.attempt.is_due(now_ms)) {
            entry.attempt.dialing_ms = Some(now_ms);
            out.push(entry.addr.clone());
        }
        out
    }

    /// `peer` was found at a bootstrap address.
    pub(crate) fn bootstrap_reached(&mut self, addr: &Multiaddr, peer: PeerKey) {
        if let Some(entry) = self.bootstrap.iter_mut().find(|entry| entry.addr == *addr) {
            (entry.peer, entry.attempt.dialing_ms) = (Some(peer), None);
        }
    }

    /// `peer` turned out to be a node of this mesh: its failures are forgiven.
    pub(crate) fn proved(&mut self, peer: PeerKey) {
        for entry in self.bootstrap.iter_mut().filter(|entry| entry.peer == Some(peer)) {
            entry.attempt = Attempt::default();
        }
    }

    /// Nobody was found at a bootstrap address.
    pub(crate) fn bootstrap_failed(&mut self, now_ms: u64, addr: &Multiaddr, jitter: f64) {
        if let Some(entry) = self.bootstrap.iter_mut().find(|entry| entry.addr == *addr) {
            entry.attempt.failed(now_ms, LONGEST_BOOTSTRAP_PAUSE_MS, jitter);
        }
    }

    /// A bootstrap address is this node's own.
    pub(crate) fn drop_bootstrap(&mut self, addr: &Multiaddr) {
        self.bootstrap.retain(|entry| entry.addr != *addr);
    }

    /// `peer` is connected.
    pub(crate) fn connected(&mut self, peer: PeerKey) {
        self.peers.remove(&peer);
    }

    /// A dial of `peer` failed, or its connection did.
    pub(crate) fn failed(&mut self, now_ms: u64, peer: PeerKey, jitter: f64) {
        self.peers.entry(peer).or_default().failed(now_ms, LONGEST_PAUSE_MS, jitter);
        for entry in self.bootstrap.iter_mut().filter(|entry| entry.peer == Some(peer)) {
            entry.attempt.failed(now_ms, LONGEST_BOOTSTRAP_PAUSE_MS, jitter);
        }
    }

    /// `peer` is not to be dialed for a time.
    pub(crate) fn avoid(&mut self, now_ms: u64, peer: PeerKey, for_ms: u64) {
        let attempt = self.peers.entry(peer).or_default();
        attempt.dialing_ms = None;
        attempt.not_before_ms = now_ms + for_ms;
    }

    /// `peer` says that it is somewhere else now: what failed before means nothing.
    pub(crate) fn moved(&mut self, peer: PeerKey) {
        self.peers.remove(&peer);
    }

    /// Forgets attempts that do not matter any more.
    pub(crate) fn tidy(&mut self, now_ms: u64) {
        self.peers.retain(|_, a| {
            a.dialing_ms.is_some_and(|since| now_ms < since + LOST_AFTER_MS)
                || a.not_before_ms + LONGEST_PAUSE_MS > now_ms
        });
    }
}

#[cfg(test)]
mod tests {
    use libp2p::multiaddr::multiaddr;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::Identity;
    use crate::wire::{Reach, Signed};

    const NOW: u64 = 1_800_000_000_000;

    fn key(n: u8) -> PeerKey {
        Identity::from_seed([n; 32]).peer_key()
    }

    fn roster_of(count: u8) -> Roster {
        let mut roster = Roster::new(100, [0; 32]);
        for n in 1..=count {
            let identity = Identity::from_seed([n; 32]);
            let record = protocol::NodeRecord {
                peer: identity.peer_key(),
                sequence: NOW,
                expires: NOW / 1000 + 60,
                control: vec!["10.0.0.1:1".parse().unwrap()],
                media: vec![],
                roles: Default::default(),
                work: None,
                certificate: None,
            };
            let signed = Signed::new(&record, &Reach::default(), &identity, "t").unwrap();
            roster.insert(NOW, signed.verify("t", NOW).unwrap()).unwrap();
        }
        roster
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    #[test]
    fn a_node_connects_to_its_degree_and_not_to_everybody() {
        let (roster, mut dialer, mut rng) = (roster_of(40), Dialer::new(key(1), 6, vec![]), rng());
        let mut connected = BTreeSet::new();
        for round in 0..20 {
            let now = NOW + round * 100;
            for peer in dialer.peers_to_dial(now, &roster, &connected, connected.len(), &mut rng) {
                dialer.connected(peer);
                connected.insert(peer);
            }
        }
        assert_eq!(connected.len(), 6);
        assert!(!connected.contains(&key(1)));
    }

    #[test]
    fn a_node_that_everybody_dials_still_chooses_some_itself() {
        let (roster, mut dialer, mut rng) = (roster_of(40), Dialer::new(key(1), 6, vec![]), rng());
        let inbound: BTreeSet<PeerKey> = (2..30).map(key).collect();
        assert_eq!(dialer.peers_to_dial(NOW, &roster, &inbound, 0, &mut rng).len(), 4);
    }

    #[test]
    fn a_failed_peer_is_tried_again_later_and_later() {
        let (roster, mut dialer, mut rng) = (roster_of(2), Dialer::new(key(1), 6, vec![]), rng());
        let alone = BTreeSet::new();
        let mut tries = 0;
        for second in 0..100 {
            for peer in dialer.peers_to_dial(NOW + second * 1000, &roster, &alone, 0, &mut rng) {
                dialer.failed(NOW + second * 1000, peer, 0.5);
                tries += 1;
            }
        }
        assert!((6..=10).contains(&tries), "{tries}");
        dialer.moved(key(2));
        assert_eq!(dialer.peers_to_dial(NOW + 100_000, &roster, &alone, 0, &mut rng), [key(2)]);
    }

    #[test]
    fn a_wanted_peer_is_dialed_whatever_the_degree() {
        let (roster, mut dialer, mut rng) = (roster_of(9), Dialer::new(key(1), 1, vec![]), rng());
        dialer.want(key(5));
        let connected = BTreeSet::from([key(2)]);
        assert_eq!(dialer.peers_to_dial(NOW, &roster, &connected, 1, &mut rng), [key(5)]);
        dialer.unwant(key(5));
        assert!(!dialer.is_wanted(key(5)));
    }

    #[test]
    fn bootstrap_is_dialed_for_ever_while_alone() {
        let addr = multiaddr!(Ip4([127, 0, 0, 1]), Udp(1u16), QuicV1);
        let mut dialer = Dialer::new(key(1), 6, vec![addr.clone()]);
        let (alone, with_two) = (BTreeSet::new(), BTreeSet::from([key(2), key(3)]));
        let mut tries = 0;
        for second in 0..600 {
            for addr in dialer.bootstrap_to_dial(NOW + second * 1000, &alone) {
                dialer.bootstrap_failed(NOW + second * 1000, &addr, 0.5);
                tries += 1;
            }
        }
        assert!((100..=130).contains(&tries), "{tries}");
        dialer.bootstrap_reached(&addr, key(2));
        assert_eq!(dialer.bootstrap_to_dial(NOW + 700_000, &with_two), []);
        assert_eq!(dialer.bootstrap_to_dial(NOW + 700_000, &alone), [addr]);
    }

    #[test]
    fn a_bootstrap_node_that_hangs_up_is_not_dialed_without_pause() {
        let addr = multiaddr!(Ip4([127, 0, 0, 1]), Udp(1u16), QuicV1);
        let (mut dialer, alone) = (Dialer::new(key(1), 6, vec![addr]), BTreeSet::new());
        let dials = |dialer: &mut Dialer, from_ms: u64, proves: bool| {
            let mut count = 0;
            for now_ms in (from_ms..from_ms + 10_000).step_by(50) {
                for addr in dialer.bootstrap_to_dial(now_ms, &alone) {
                    dialer.bootstrap_reached(&addr, key(2));
                    if proves {
                        dialer.proved(key(2));
                    }
                    dialer.failed(now_ms, key(2), 0.5);
                    count += 1;
                }
            }
            count
        };
        assert_eq!(dials(&mut dialer, NOW, false), 6);
        assert_eq!(
            dials(&mut dialer, NOW + 100_000, true),
            40,
            "one that is one of us is tried again at once"
        );
    }
}
