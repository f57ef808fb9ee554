//! A committee that signs two histories is found out, and honest histories never accuse anybody.

use alloy_primitives::B256;

use super::super::conflict;
use super::world::World;
use crate::forks::Fork;

#[test]
fn two_blocks_finalized_in_one_slot_are_evidence() {
    let world = World::of(Fork::Electra);
    let store = world.store_that_knows();
    let twin = world.header(16, B256::repeat_byte(2));
    let update = world.update_over(40, twin.clone());
    let verified = store.verify_update(&world.chain, &update, 41).unwrap();
    let evidence = store.contradicted_by(&verified).unwrap();
    assert_eq!((evidence.ours.slot(), evidence.theirs.finality.as_ref().unwrap().header.clone()), (16, twin));
    assert_eq!(evidence.our_proof.as_ref(), store.proof());
}

#[test]
fn a_minority_or_the_same_history_is_none() {
    let world = World::of(Fork::Electra);
    let store = world.store_that_knows();
    let mut update = world.update_over(40, world.header(16, B256::repeat_byte(2)));
    world.sign(&mut update, 21);
    assert!(store.contradicted_by(&store.verify_update(&world.chain, &update, 41).unwrap()).is_none());
    for update in [world.update(40, 16), world.update(40, 32)] {
        assert!(store.contradicted_by(&store.verify_update(&world.chain, &update, 41).unwrap()).is_none());
    }
}

#[test]
fn neighbours_conflict_unless_one_is_on_top_of_the_other() {
    let world = World::of(Fork::Electra);
    let older = world.header(16, B256::ZERO);
    let mut younger = world.header(17, B256::ZERO);
    assert!(conflict(&older, &younger) && conflict(&younger, &older));
    younger.beacon.parent_root = older.root();
    assert!(!conflict(&older, &younger));
    assert!(!conflict(&older, &older) && !conflict(&older, &world.header(18, B256::ZERO)));
}
