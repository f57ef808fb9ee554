//! A full pool over real tries: one hundred orchestrators, proven and read in one round trip.

use std::time::Instant;

use alloy_primitives::{Address, B256, keccak256};
use lightclient::exec::bundle::ProofBundle;
use lightclient::livepeer::{Ask, Hint, Read};

use crate::tries;
use crate::world::{World, contracts};

#[test]
fn a_pool_of_a_hundred_is_proven_whole_in_one_round_trip() {
    let contracts = contracts();
    let member = |i: u32| Address::from_word(keccak256(i.to_be_bytes()));
    let members: Vec<_> = (0..100).map(|i| (member(i), 1_000_000 - u128::from(i))).collect();
    let mut world = World::new(&contracts);
    world.pool(&contracts, &members);
    let mut tries = tries::World::crowded(2_000);
    for ((account, slot), word) in &world.slots {
        tries.set(*account, *slot, *word);
    }
    // Many delegators make the trie as deep as a living one.
    for i in 0..20_000u32 {
        tries.set(
            contracts.bonding_manager,
            keccak256([&b"other"[..], &i.to_be_bytes()].concat()),
            B256::repeat_byte(1),
        );
    }
    let hint = Hint { members: members.iter().map(|m| m.0).collect(), ..Hint::default() };
    let keys = Ask::Pool.keys(&contracts, &hint);
    let (root, answers) = tries.answers(&keys);
    let bundle = ProofBundle::from_answers(&answers);
    let started = Instant::now();
    let state = bundle.verify(root).unwrap();
    let verified = started.elapsed();
    let Read::Pool(pool) = Ask::Pool.read(&state, &contracts, 0).unwrap() else { panic!() };
    let read = started.elapsed() - verified;
    let slots: usize = keys.values().map(std::collections::BTreeSet::len).sum();
    println!(
        "pool of 100: {slots} slots, {} bytes of nodes, verified in {verified:?}, read in {read:?}",
        bundle.size()
    );
    assert_eq!(pool.members.len(), 100);
    assert_eq!(pool.members.iter().map(|m| m.address).collect::<Vec<_>>(), hint.members);
}
