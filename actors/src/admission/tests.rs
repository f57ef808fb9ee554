use alloy_primitives::U256;
use protocol::record::Roles;
use protocol::{Round, SignedCertificate};

use super::*;
use crate::chain_watcher::view::{Known, Member, RoundFacts, Tier};

const NOW_MS: u64 = 1_800_000_000_000;
const NOW: u64 = NOW_MS / 1000;
/// A mainnet round, and its blocks.
const LENGTH: u64 = 6377;
const BLOCK_MS: u64 = 12_000;
const DAY_MS: u64 = 86_400_000;

fn staker(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn certificate(node: u8, of: u8) -> Certificate {
    Certificate {
        staker: staker(of),
        peer: PeerKey([node; 32]),
        receipt_key: PeerKey([node; 32]),
        roles: Roles { orchestrator: true, ..Roles::default() },
        not_before: NOW - 100,
        not_after: NOW + 100_000,
        revocation: 1,
    }
}

/// A record with a certificate whose signature was looked at before.
fn record(node: u8, certificate: Option<Certificate>) -> Arc<NodeRecord> {
    Arc::new(NodeRecord {
        peer: PeerKey([node; 32]),
        sequence: NOW_MS,
        expires: NOW + 60,
        control: vec![],
        media: vec![],
        roles: Roles { orchestrator: true, ..Roles::default() },
        work: None,
        certificate: certificate.map(|certificate| SignedCertificate { certificate, signature: [0; 65] }),
    })
}

fn of(node: u8, staker: u8) -> Arc<NodeRecord> {
    record(node, Some(certificate(node, staker)))
}

/// A chain with these stakers in the active set, proven at `NOW_MS`.
fn view(active: &[u8]) -> ChainView {
    let member = |active| Member {
        stake: U256::from(1000),
        active,
        in_pool: true,
        reward_cut: 0,
        fee_share: 0,
        service_uri: None,
        last_reward_round: Round(0),
    };
    ChainView {
        known: Some(Known {
            tier: Tier::Confirmed,
            l1_slot: 1,
            l2_block: 1,
            at_ms: NOW_MS,
            read_at_ms: NOW_MS,
        }),
        round: Some(RoundFacts {
            number: Round(3000),
            initialized: true,
            last_initialized: Round(3000),
            start_block: 1,
            length: LENGTH,
            l1_block: 2,
            locked: false,
            paused: false,
            inflation: Default::default(),
            supply: None,
            active_stake: Lpt::default(),
            mintable: Lpt::default(),
            minted: Lpt::default(),
            target_participation: Default::default(),
        }),
        members: Arc::new(
            (1..=20).map(|n| (staker(n), member(active.contains(&n)))).collect::<BTreeMap<_, _>>(),
        ),
        ..ChainView::default()
    }
}

fn judged(records: &[Arc<NodeRecord>], view: &ChainView, now_ms: u64) -> Standings {
    Standings::judge(records, view, &Revocations::default(), BLOCK_MS, now_ms)
}

fn standing(records: &[Arc<NodeRecord>], view: &ChainView, node: u8) -> Standing {
    judged(records, view, NOW_MS).nodes[&PeerKey([node; 32])].clone()
}

#[test]
fn a_node_whose_staker_is_active_counts_with_that_stake() {
    let stake = standing(&[of(1, 7)], &view(&[7]), 1).unwrap();
    assert_eq!(stake, Stake { staker: staker(7), amount: Lpt(U256::from(1000)), shared_by: 1 });
}

#[test]
fn who_names_no_staker_or_one_that_is_not_active_does_not_count() {
    let nodes = [record(1, None), of(2, 8), of(3, 99)];
    assert_eq!(standing(&nodes, &view(&[7]), 1), Err(Refusal::NoCertificate));
    for node in [2, 3] {
        let refusal = standing(&nodes, &view(&[7]), node).unwrap_err();
        assert!(matches!(refusal, Refusal::NotActive { round: 3000, .. }), "{refusal}");
        let words =
            judged(&nodes, &view(&[7]), NOW_MS).told(PeerKey([node; 32]), NOW_MS + 5000).unwrap().words;
        assert!(words.ends_with("is not active at round 3000, proven 5 s ago"), "{words}");
    }
}

#[test]
fn a_certificate_for_a_verifier_makes_no_orchestrator() {
    let roles = Roles { verifier: true, ..Roles::default() };
    let node = record(1, Some(Certificate { roles, ..certificate(1, 7) }));
    assert_eq!(standing(&[node], &view(&[7]), 1), Err(Refusal::NotForThis));
}

#[test]
fn nobody_counts_before_anything_is_proven() {
    assert_eq!(standing(&[of(1, 7)], &ChainView::default(), 1), Err(Refusal::NothingProven));
}

#[test]
fn what_was_proven_counts_while_stake_stays_locked_and_no_longer() {
    let (nodes, view) = ([of(1, 7)], view(&[7]));
    let peer = PeerKey([1; 32]);
    assert!(judged(&nodes, &view, NOW_MS + 6 * DAY_MS).stake(peer).is_some());
    let later = judged(&nodes, &view, NOW_MS + 7 * DAY_MS);
    assert!(matches!(later.nodes[&peer], Err(Refusal::TooOld { .. })), "{later:?}");
    let told = later.told(peer, NOW_MS + 7 * DAY_MS).unwrap();
    assert!(!told.admitted);
    assert_eq!(told.words, "stake stays locked for 6 days and may be gone, proven 7 days ago");
}

#[test]
fn who_accepts_only_confirmed_state_sees_stake_as_late_as_that_is() {
    let (nodes, mut view) = ([of(1, 7)], view(&[7]));
    let at_ms = NOW_MS - 6 * DAY_MS;
    view.known = view.known.map(|known| Known { at_ms, ..known });
    let stake = |ms| judged(&nodes, &view, ms).stake(PeerKey([1; 32]));
    assert!(stake(NOW_MS + 6 * DAY_MS).is_some() && stake(NOW_MS + 7 * DAY_MS).is_none());
}

#[test]
fn the_age_of_what_was_proven_is_told() {
    let told = judged(&[of(1, 7)], &view(&[7]), NOW_MS).told(PeerKey([1; 32]), NOW_MS + 3 * 3_600_000);
    let words = told.unwrap().words;
    assert!(words.ends_with("active at round 3000, proven 3 h ago"), "{words}");
}

#[test]
fn a_staker_has_its_stake_once_however_many_nodes_it_has() {
    let nodes: Vec<_> = (1..=3).map(|n| of(n, 7)).collect();
    let all = judged(&nodes, &view(&[7]), NOW_MS);
    let shares: Vec<u32> = (1..=3).map(|n| all.stake(PeerKey([n; 32])).unwrap().shared_by).collect();
    assert_eq!(shares, [3, 3, 3]);
}

#[test]
fn of_too_many_nodes_of_one_staker_the_newest_count() {
    let newer = |n: u8| Certificate { not_before: NOW - 100 + u64::from(n), ..certificate(n, 7) };
    let nodes: Vec<_> = (1..=10).map(|n| record(n, Some(newer(n)))).collect();
    let all = judged(&nodes, &view(&[7]), NOW_MS);
    let counted: Vec<u8> = (1..=10).filter(|n| all.stake(PeerKey([*n; 32])).is_some()).collect();
    assert_eq!(counted, [3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(all.nodes[&PeerKey([1; 32])], Err(Refusal::TooMany { staker: staker(7) }));
}

#[test]
fn a_larger_number_voids_every_smaller_one_of_the_same_staker() {
    let mut revocations = Revocations::default();
    assert!(revocations.note(&Certificate { revocation: 5, ..certificate(9, 7) }, NOW));
    assert!(!revocations.note(&certificate(1, 7), NOW), "a smaller one changes nothing");
    let nodes = [of(1, 7), of(2, 8), record(3, Some(Certificate { revocation: 5, ..certificate(3, 7) }))];
    let all = Standings::judge(&nodes, &view(&[7, 8]), &revocations, BLOCK_MS, NOW_MS);
    let revoked = Refusal::Revoked { staker: staker(7), own: 1, newest: 5 };
    assert_eq!(all.nodes[&PeerKey([1; 32])], Err(revoked));
    assert!(all.stake(PeerKey([2; 32])).is_some() && all.stake(PeerKey([3; 32])).is_some());
}

#[test]
fn a_revocation_survives_a_restart_until_all_that_it_voids_has_ended() {
    let mut revocations = Revocations::default();
    let newest = Certificate { revocation: 5, ..certificate(9, 7) };
    revocations.note(&newest, NOW);
    let text = serde_json::to_string(&revocations).unwrap();
    let mut revocations: Revocations = serde_json::from_str(&text).unwrap();
    assert_eq!(revocations.voids(&certificate(1, 7)), Some(5));
    let end = newest.remember_until();
    revocations.note(&Certificate { not_before: end, ..certificate(2, 8) }, end);
    assert_eq!(revocations.voids(&certificate(1, 7)), Some(5));
    revocations.note(&Certificate { not_before: end + 1, ..certificate(2, 9) }, end + 1);
    assert_eq!(revocations.voids(&certificate(1, 7)), None);
}

#[test]
fn no_crowd_of_stakers_fills_the_memory() {
    let mut revocations = Revocations::default();
    for n in 0..3000u64 {
        let staker = Address::left_padding_from(&n.to_be_bytes());
        revocations.note(&Certificate { staker, ..certificate(1, 7) }, NOW);
    }
    assert_eq!(serde_json::to_value(&revocations).unwrap().as_object().unwrap().len(), 1024);
}
