use std::net::SocketAddr;

use protocol::record::Roles;

use super::*;
use crate::Identity;
use crate::wire::{Reach, Signed};

const NOW: u64 = 1_800_000_000_000;

struct Node {
    identity: Identity,
    addr: SocketAddr,
}

fn node(n: u16) -> Node {
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    Node { identity: Identity::from_seed(seed), addr: format!("10.0.{}.1:4000", n % 200).parse().unwrap() }
}

impl Node {
    fn at(mut self, addr: &str) -> Self {
        self.addr = addr.parse().unwrap();
        self
    }

    fn key(&self) -> PeerKey {
        self.identity.peer_key()
    }

    fn says(&self, sequence: u64, expires: u64) -> Verified<NodeRecord> {
        let record = NodeRecord {
            peer: self.key(),
            sequence,
            expires,
            control: vec![self.addr],
            media: vec![],
            roles: Roles::default(),
            work: None,
            certificate: None,
        };
        Signed::new(&record, &Reach::default(), &self.identity, "t").unwrap().verify("t", NOW).unwrap()
    }

    fn valid(&self, sequence: u64) -> Verified<NodeRecord> {
        self.says(sequence, NOW / 1000 + 60)
    }

    fn leaves(&self, sequence: u64) -> Verified<NodeRecord> {
        self.says(sequence, sequence / 1000)
    }
}

fn roster(capacity: usize) -> Roster {
    Roster::new(capacity, [3; 32])
}

#[test]
fn a_newer_record_replaces_an_older_one_and_never_the_other_way() {
    let (mut roster, a) = (roster(9), node(1));
    assert_eq!(roster.insert(NOW, a.valid(NOW)), Ok(Change::Joined));
    assert_eq!(roster.insert(NOW, a.valid(NOW + 2)), Ok(Change::Updated));
    assert_eq!(roster.insert(NOW, a.valid(NOW + 1)), Err(Unchanged::Old));
    assert_eq!(roster.insert(NOW, a.valid(NOW + 2)), Err(Unchanged::Old));
    assert_eq!(roster.get(a.key()).unwrap().record().sequence, NOW + 2);
}

#[test]
fn a_node_that_left_cannot_be_replayed_back() {
    let (mut roster, a) = (roster(9), node(1));
    roster.insert(NOW, a.valid(NOW)).unwrap();
    assert_eq!(roster.insert(NOW, a.leaves(NOW + 5)), Ok(Change::Left));
    assert!(roster.get(a.key()).is_none() && roster.view(NOW).records.is_empty());
    assert_eq!(roster.insert(NOW, a.valid(NOW)), Err(Unchanged::Old));
    assert_eq!(roster.insert(NOW, a.valid(NOW + 6)), Ok(Change::Joined));
}

#[test]
fn a_key_that_changes_without_pause_is_not_followed() {
    let (mut roster, a) = (roster(9), node(1));
    let taken = (0..100).filter(|n| roster.insert(NOW, a.valid(NOW + n)).is_ok()).count();
    assert_eq!(taken as u32, FROM_KEY.burst);
    assert_eq!(roster.insert(NOW + FROM_KEY.every_ms, a.valid(NOW + 200)), Ok(Change::Updated));
}

#[test]
fn a_record_counts_until_it_expires() {
    let (mut roster, a) = (roster(9), node(1));
    roster.insert(NOW, a.valid(NOW)).unwrap();
    assert_eq!(roster.view(NOW + 59_999).records.len(), 1);
    assert_eq!(roster.view(NOW + 60_000).records.len(), 0);
    assert_eq!(roster.expire(NOW + 59_999), vec![]);
    assert_eq!(roster.expire(NOW + 60_000), vec![a.key()]);
    assert!(roster.is_empty() && roster.crowds.is_empty());
}

#[test]
fn a_crowd_from_one_place_displaces_only_itself() {
    let mut roster = roster(20);
    let honest: Vec<Node> = (0..10).map(node).collect();
    for a in &honest {
        roster.insert(NOW, a.valid(NOW)).unwrap();
    }
    for n in 1000..1100 {
        let _ = roster.insert(NOW, node(n).at("66.6.6.6:1").valid(NOW));
    }
    assert_eq!(roster.len(), 20);
    assert!(honest.iter().all(|a| roster.get(a.key()).is_some()));
    let late = node(11);
    assert_eq!(roster.insert(NOW, late.valid(NOW)), Ok(Change::Joined));
}

#[test]
fn who_stays_in_a_full_roster_does_not_depend_on_the_order_of_arrival() {
    let crowd: Vec<Node> = (0..60).map(|n| node(n).at("66.6.6.6:1")).collect();
    let fill = |nodes: &mut dyn Iterator<Item = &Node>| {
        let mut roster = roster(10);
        for a in nodes {
            let _ = roster.insert(NOW, a.valid(NOW));
        }
        roster.view(NOW)
    };
    assert_eq!(fill(&mut crowd.iter()), fill(&mut crowd.iter().rev()));
}

#[test]
fn who_has_proven_stake_is_displaced_by_nobody_and_finds_room() {
    let mut roster = roster(20);
    let staked: Vec<Node> = (0..10).map(|n| node(n).at("66.6.6.6:1")).collect();
    for a in &staked[..5] {
        roster.insert(NOW, a.valid(NOW)).unwrap();
    }
    roster.prefer(staked.iter().map(Node::key).collect());
    for n in 1000..1100 {
        let _ = roster.insert(NOW, node(n).at("66.6.6.6:1").valid(NOW));
    }
    for a in &staked[5..] {
        assert_eq!(roster.insert(NOW, a.valid(NOW)), Ok(Change::Joined));
    }
    assert_eq!(roster.len(), 20);
    assert!(staked.iter().all(|a| roster.get(a.key()).is_some()));
    // The pool changes: those who lost their stake are ordinary again.
    roster.prefer(BTreeSet::new());
    for n in 2000..3000 {
        let _ = roster.insert(NOW, node(n).at("66.6.6.6:1").valid(NOW));
    }
    assert!(staked.iter().any(|a| roster.get(a.key()).is_none()));
    assert_eq!(roster.crowds.values().sum::<usize>(), 20);
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let mut roster = roster(4096);
    let total = ROSTER_PAGE_RECORDS + 7;
    for n in 0..total as u16 {
        roster.insert(NOW, node(n).valid(NOW)).unwrap();
    }
    let (first, more) = roster.page(None);
    assert!(more && first.len() == ROSTER_PAGE_RECORDS);
    let last = Signed(first.last().unwrap().clone()).verify("t", NOW).unwrap().record().peer;
    let (second, more) = roster.page(Some(last));
    assert!(!more && second.len() == 7 && !first.contains(&second[0]));
}

#[test]
fn a_view_finds_a_node_by_its_key() {
    let mut roster = roster(9);
    let nodes: Vec<Node> = (0..5).map(node).collect();
    for a in &nodes {
        roster.insert(NOW, a.valid(NOW)).unwrap();
    }
    let view = roster.view(NOW);
    assert!(nodes.iter().all(|a| view.get(a.key()).unwrap().peer == a.key()));
    assert!(view.get(PeerKey([9; 32])).is_none());
}
