//! What a store learns, keeps and forgets.

use alloy_primitives::B256;

use super::super::{Applied, Store, StoreError, Verified};
use super::world::World;
use crate::forks::{Fork, Preset};

const CHANGED: Applied =
    Applied { finalized: true, optimistic: true, committee: true, rotated: false, stale: false };

#[test]
fn an_update_finalizes_and_brings_the_next_committee_in_every_fork() {
    for fork in Fork::ALL.into_iter().skip(1) {
        let world = World::of(fork);
        let mut store = world.store();
        assert_eq!(world.apply(&mut store, &world.update(24, 16)), CHANGED, "{fork}");
        assert_eq!((store.finalized().slot(), store.optimistic().slot()), (16, 24));
        assert!(store.knows_next_committee() && store.current_period() == 0);
    }
}

#[test]
fn a_committee_of_mainnets_size_leads_over_a_period() {
    let world = World::sized(Fork::Fulu, Preset::MAINNET);
    let mut store = world.store();
    for (slot, finalized, count) in [(200, 100, 512), (300, 200, 507), (8300, 8200, 342), (8400, 8300, 341)] {
        let mut update = world.update(slot, finalized);
        world.sign(&mut update, count);
        let applied = world.apply(&mut store, &update);
        assert_eq!((applied.finalized, applied.rotated), (count > 341, slot == 8300), "{slot}");
    }
    assert_eq!(
        (store.current_period(), store.finalized().slot(), store.optimistic().slot()),
        (1, 8200, 8400)
    );
    let again = Store::decode(&world.chain, &store.encode()).unwrap();
    assert_eq!(again.encode(), store.encode());
}

#[test]
fn committees_rotate_when_their_period_is_finalized() {
    let world = World::of(Fork::Electra);
    let mut store = world.store_that_knows();
    let next = store.next_committee().unwrap().root();
    let applied = world.apply(&mut store, &world.update(80, 72));
    assert_eq!(applied, Applied { rotated: true, ..CHANGED });
    assert_eq!((store.current_period(), store.current_committee().root()), (1, next));
}

#[test]
fn less_than_two_thirds_finalize_nothing() {
    let world = World::of(Fork::Electra);
    let mut store = world.store();
    for (count, finalizes) in [(21, false), (22, true)] {
        let mut update = world.update(24, 16);
        world.sign(&mut update, count);
        let applied = world.apply(&mut store, &update);
        assert_eq!((applied.finalized, applied.committee), (finalizes, finalizes), "{count} of 32");
    }
}

#[test]
fn a_few_members_cannot_move_the_optimistic_header() {
    let world = World::of(Fork::Electra);
    let mut store = world.store_that_knows();
    for (slot, count, moves) in [(30, 16, false), (31, 17, true), (30, 32, false)] {
        let mut update = world.update(slot, 16);
        world.sign(&mut update, count);
        assert_eq!(world.apply(&mut store, &update).optimistic, moves, "{count} at {slot}");
    }
    assert_eq!(store.optimistic().slot(), 31);
}

#[test]
fn without_finality_a_store_stays_where_it_is_for_ever() {
    let world = World::of(Fork::Electra);
    let mut store = world.store_that_knows();
    for slot in [40, 60, 70, 100, 126] {
        let mut update = world.update(slot, 16);
        update.finality = None;
        world.apply(&mut store, &update);
    }
    assert_eq!((store.finalized().slot(), store.optimistic().slot()), (16, 126));
    assert_eq!(
        store.best_update().unwrap().attested.slot(),
        40,
        "the oldest of the best is kept, and forces nothing"
    );
}

#[test]
fn the_best_update_is_forgotten_when_finality_moves() {
    let world = World::of(Fork::Electra);
    let mut store = world.store_that_knows();
    let mut update = world.update(40, 16);
    update.finality = None;
    world.apply(&mut store, &update);
    assert!(store.best_update().is_some());
    world.apply(&mut store, &world.update(48, 40));
    assert!(store.best_update().is_none());
}

#[test]
fn what_was_verified_before_the_store_moved_is_verified_again() {
    let world = World::of(Fork::Electra);
    let mut store = world.store();
    let early = store.verify_update(&world.chain, &world.update(32, 24), 33).unwrap();
    world.apply(&mut store, &world.update(24, 16));
    let before = store.encode();
    assert_eq!(store.apply(early), Applied { stale: true, ..Applied::default() });
    assert_eq!(store.encode(), before);
    assert!(world.apply(&mut store, &world.update(32, 24)).finalized);
}

#[test]
fn parts_of_an_update_say_the_same_as_the_whole() {
    let world = World::of(Fork::Gloas);
    let update = world.update(24, 16);
    let (mut whole, mut parts) = (world.store(), world.store());
    world.apply(&mut whole, &update);
    let optimistic =
        parts.verify_optimistic_update(&world.chain, &update.to_optimistic_update(), 25).unwrap();
    assert!(optimistic.finalized().is_none() && optimistic.participants() == 32);
    assert!(parts.apply(optimistic).optimistic);
    let finality = parts.verify_finality_update(&world.chain, &update.to_finality_update(), 25).unwrap();
    assert_eq!(finality.finalized().map(|header| header.slot()), Some(16));
    assert!(parts.apply(finality).finalized && !parts.knows_next_committee());
    let update = parts.verify_update(&world.chain, &update, 25).map(Verified::into_inner);
    assert!(update.is_ok(), "a missing committee is news even in an old header");
    assert_eq!(parts.finalized(), whole.finalized());
    assert_eq!(parts.proof().unwrap(), whole.proof().unwrap());
}

#[test]
fn it_asks_for_the_period_that_it_cannot_check_without() {
    let world = World::of(Fork::Electra);
    let store = world.store();
    assert_eq!(store.needs_update(&world.chain, 30), Some(0));
    let store = world.store_that_knows();
    assert_eq!(
        [30, 127, 128, 1000].map(|slot| store.needs_update(&world.chain, slot)),
        [None, None, Some(1), Some(1)]
    );
}

#[test]
fn bytes_of_another_version_network_or_length_are_no_store() {
    let world = World::of(Fork::Electra);
    let bytes = world.store_that_knows().encode();
    assert!(Store::decode(&world.chain, &bytes).is_ok());
    assert_eq!(Store::decode(&world.chain, &[]).unwrap_err(), StoreError::Damaged("version"));
    let newer = [&[9], &bytes[1..]].concat();
    assert_eq!(Store::decode(&world.chain, &newer).unwrap_err(), StoreError::Version(9));
    let mut other = world.chain.clone();
    other.genesis_validators_root = B256::ZERO;
    assert!(matches!(Store::decode(&other, &bytes).unwrap_err(), StoreError::OtherNetwork(_)));
    for length in 0..bytes.len() {
        assert!(Store::decode(&world.chain, &bytes[..length]).is_err(), "{length}");
    }
    assert!(Store::decode(&world.chain, &[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn any_flipped_byte_of_a_store_is_harmless_or_noticed() {
    let world = World::of(Fork::Electra);
    let bytes = world.store_that_knows().encode();
    for at in (0..bytes.len()).filter(|at| *at < 1200 || at % 16 == 0) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x80;
        if let Ok(store) = Store::decode(&world.chain, &flipped) {
            assert_eq!(store.encode(), flipped, "{at}");
        }
    }
}
