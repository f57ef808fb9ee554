//! One honest object changed in one way after another: every check catches its own.

use std::collections::BTreeSet;

use alloy_primitives::B256;

use super::super::types::{ExecAnchor, Header, NextCommittee, PublicKey, Update};
use super::super::{Reject, Store, Which};
use super::world::{World, committee};
use crate::forks::Fork;

/// Changes the update in every way that a check looks for, and says what each is refused with.
fn refusals(world: &World) -> Vec<Reject> {
    let store = world.store_that_knows();
    let honest = world.update(40, 32);
    let refuse = |change: &dyn Fn(&mut Update)| {
        let mut update = honest.clone();
        change(&mut update);
        store.verify_update(&world.chain, &update, 41).unwrap_err()
    };
    vec![
        refuse(&|update| update.aggregate.bits = vec![0xff; 64]),
        refuse(&|update| update.aggregate.bits = vec![0; 4]),
        refuse(&|update| update.signature_slot = 42),
        refuse(&|update| update.signature_slot = 40),
        refuse(&|update| update.finality.as_mut().unwrap().header.beacon.slot = 41),
        refuse(&|update| update.attested.beacon.body_root = B256::ZERO),
        refuse(&|update| update.finality.as_mut().unwrap().header.beacon.body_root = B256::ZERO),
        refuse(&|update| {
            update.attested.beacon.slot = 15;
            update.finality = None;
        }),
        refuse(&|update| clear(&mut update.finality.as_mut().unwrap().branch)),
        refuse(&|update| update.finality.as_mut().unwrap().header.beacon.slot = 0),
        refuse(&|update| update.finality.as_mut().unwrap().branch[2] = B256::ZERO),
        refuse(&|update| clear(&mut update.next_committee.as_mut().unwrap().branch)),
        refuse(&|update| update.next_committee.as_mut().unwrap().committee.pubkeys.truncate(31)),
        refuse(&|update| update.next_committee.as_mut().unwrap().committee = committee(2)),
        refuse(&|update| update.next_committee.as_mut().unwrap().branch[2] = B256::ZERO),
        refuse(&|update| update.aggregate.bits[0] ^= 1),
        refuse(&|update| update.attested.beacon.proposer_index += 1),
        later_period(world, &store),
        wrong_root(world),
        wrong_committee(world),
        wrong_execution(world),
        short_committee(world),
        bad_key(world),
    ]
}

fn clear(branch: &mut [B256]) {
    branch.fill(B256::ZERO);
}

fn later_period(world: &World, store: &Store) -> Reject {
    store.verify_update(&world.chain, &world.update(136, 128), 137).unwrap_err()
}

fn wrong_root(world: &World) -> Reject {
    Store::bootstrap(&world.chain, B256::ZERO, &world.bootstrap(8)).unwrap_err()
}

fn wrong_committee(world: &World) -> Reject {
    let mut bootstrap = world.bootstrap(8);
    bootstrap.committee = committee(1);
    Store::bootstrap(&world.chain, bootstrap.header.root(), &bootstrap).unwrap_err()
}

fn wrong_execution(world: &World) -> Reject {
    let mut bootstrap = world.bootstrap(8);
    bootstrap.header.exec = ExecAnchor::HashOnly(B256::repeat_byte(1));
    Store::bootstrap(&world.chain, bootstrap.header.root(), &bootstrap).unwrap_err()
}

fn short_committee(world: &World) -> Reject {
    let mut bootstrap = world.bootstrap(8);
    bootstrap.committee.pubkeys.pop();
    Store::bootstrap(&world.chain, bootstrap.header.root(), &bootstrap).unwrap_err()
}

fn bad_key(world: &World) -> Reject {
    let mut keys = committee(0);
    keys.aggregate_pubkey = PublicKey::repeat_byte(0x80);
    let bootstrap = world.bootstrap_with(8, keys);
    let store = Store::bootstrap(&world.chain, bootstrap.header.root(), &bootstrap).unwrap();
    store.verify_update(&world.chain, &world.update(24, 16), 25).unwrap_err()
}

fn kind(reject: &Reject) -> String {
    let text = format!("{reject:?}");
    text.split([' ', '(']).next().unwrap().to_owned()
}

#[test]
fn every_check_refuses_what_it_is_for() {
    let all = [
        "CommitteeSize",
        "NoParticipants",
        "FromTheFuture",
        "SignedTooEarly",
        "FinalizedTooLate",
        "Execution",
        "OtherPeriod",
        "NothingNew",
        "FinalityWithoutBranch",
        "GenesisFinality",
        "FinalityBranch",
        "CommitteeWithoutBranch",
        "OtherCommittee",
        "NextCommitteeBranch",
        "BadKey",
        "Signature",
        "WrongRoot",
        "CurrentCommitteeBranch",
    ];
    for fork in [Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu, Fork::Gloas] {
        let found: BTreeSet<String> = refusals(&World::of(fork)).iter().map(kind).collect();
        assert_eq!(found, all.iter().map(|name| (*name).to_owned()).collect(), "{fork}");
    }
}

#[test]
fn a_refusal_says_which_check_failed_and_with_what() {
    let world = World::of(Fork::Electra);
    let texts: Vec<String> = refusals(&world).iter().map(ToString::to_string).collect();
    assert!(
        texts.contains(&"nothing new: attests slot 15, and slot 16 is finalized".to_owned()),
        "{texts:#?}"
    );
    assert!(texts.contains(&"signed in slot 42, but it is slot 41: check this machine's clock".to_owned()));
    assert!(
        texts.contains(&"the signature of 31 members of period 0 over slot 40 does not verify".to_owned())
    );
    assert!(texts.iter().all(|text| !text.is_empty()));
}

#[test]
fn old_early_and_out_of_reach_are_no_lies() {
    let world = World::of(Fork::Electra);
    let honest: BTreeSet<String> = refusals(&world).iter().filter(|why| !why.is_lie()).map(kind).collect();
    let expected = ["BadKey", "FromTheFuture", "NothingNew", "OtherPeriod"];
    assert_eq!(honest, expected.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn the_header_that_lies_is_named() {
    let world = World::of(Fork::Gloas);
    let named: Vec<Which> = refusals(&world)
        .into_iter()
        .filter_map(|why| if let Reject::Execution { which, .. } = why { Some(which) } else { None })
        .collect();
    assert_eq!(named, [Which::Attested, Which::Finalized, Which::Trusted]);
}

#[test]
fn zeros_for_finality_at_genesis_are_honest_and_finalize_nothing() {
    for fork in [Fork::Altair, Fork::Electra, Fork::Gloas] {
        let world = World::of(fork);
        let mut store = world.store();
        let update = world.update_over(24, Header::default());
        let again = Update::decode_ssz(&world.chain, fork, &update.encode_ssz()).unwrap();
        let verified = store.verify_update(&world.chain, &again, 25).unwrap();
        assert!(verified.finalized().is_none());
        let applied = store.apply(verified);
        assert!(!applied.finalized && applied.optimistic && applied.committee, "{applied:?}");
    }
}

#[test]
fn a_committee_of_another_update_does_not_fit_this_header() {
    let world = World::of(Fork::Electra);
    let (mut update, other) = (world.update(24, 16), world.update(80, 72));
    update.next_committee = other.next_committee.map(|next| NextCommittee { ..next });
    let why = world.store().verify_update(&world.chain, &update, 25).unwrap_err();
    assert!(matches!(why, Reject::NextCommitteeBranch { .. }), "{why}");
}

#[test]
fn a_fork_that_the_schedule_misses_makes_nobody_a_liar() {
    let (ours, theirs) = (World::of(Fork::Fulu), World::of(Fork::Gloas));
    let why = ours.store().verify_update(&ours.chain, &theirs.update(24, 16), 25).unwrap_err();
    assert!(
        matches!(why, Reject::LaterFork { slot: 24, ours: Fork::Fulu, theirs: Fork::Gloas, .. }),
        "{why}"
    );
    assert!(!why.is_lie() && why.to_string().contains("update this program"));
}
