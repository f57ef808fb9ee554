//! Lists that lie, contracts that changed, strings that never end: what each comes to.

use alloy_primitives::{Address, B256, U256};
use lightclient::guard::Unexpected;
use lightclient::livepeer::layout::{
    bonding_manager as bm, controller, data, field, proxy, rounds_manager as rm, service_registry as sr,
    ticket_broker as tb,
};
use lightclient::livepeer::{Ask, BadPool, BadText, Contracts, Hint, Part, Pool, Read, Target, Unreadable};
use lightclient::state::Account;
use protocol::amount::Word;

use crate::world::{World, contracts, who};

/// An L1 block in round 18 of [`World::new`].
const BLOCK: u64 = 736;

const MEMBERS: [(Address, u128); 3] =
    [(Address::repeat_byte(1), 300), (Address::repeat_byte(2), 200), (Address::repeat_byte(3), 200)];

fn with_pool() -> (World, Contracts) {
    let contracts = contracts();
    let mut world = World::new(&contracts);
    world.pool(&contracts, &MEMBERS);
    (world, contracts)
}

fn read_pool(world: &World, contracts: &Contracts) -> Result<Pool, Unreadable> {
    lightclient::livepeer::pool::read(world, contracts)
}

/// Reads the pool as a driver does, from a list of members; gives the round trips too.
fn drive(world: &World, contracts: &Contracts, members: &[Address]) -> (Pool, usize) {
    let hint = Hint { members: members.to_vec(), ..Hint::default() };
    world.fetch(&Ask::Pool.keys(contracts, &hint));
    let mut trips = 1;
    loop {
        match read_pool(world, contracts) {
            Ok(pool) => return (pool, trips),
            Err(error) => world.fetch(error.wanted().unwrap_or_else(|| panic!("{error}"))),
        }
        trips += 1;
        assert!(trips < 10);
    }
}

fn addresses(pool: &Pool) -> Vec<Address> {
    pool.members.iter().map(|member| member.address).collect()
}

#[test]
fn a_true_list_of_members_takes_one_round_trip() {
    let (world, contracts) = with_pool();
    let (pool, trips) = drive(&world.fetch_only(), &contracts, &MEMBERS.map(|m| m.0));
    assert_eq!((addresses(&pool), trips), (MEMBERS.map(|m| m.0).to_vec(), 1));
}

#[test]
fn a_member_that_a_list_hides_is_found_and_the_lie_is_named() {
    let (world, contracts) = with_pool();
    let listed = [who(1), who(3)];
    let (pool, trips) = drive(&world.fetch_only(), &contracts, &listed);
    assert_eq!((addresses(&pool), trips), (MEMBERS.map(|m| m.0).to_vec(), 2));
    assert_eq!(pool.difference(&listed).hidden, [who(2)]);
}

#[test]
fn a_member_that_a_list_invents_is_not_in_the_pool_and_the_lie_is_named() {
    let (world, contracts) = with_pool();
    let listed = [who(1), who(2), who(3), who(0x66)];
    let (pool, trips) = drive(&world.fetch_only(), &contracts, &listed);
    assert_eq!((pool.members.len(), trips), (3, 1));
    assert_eq!(pool.difference(&listed).invented, [who(0x66)]);
}

#[test]
fn a_pool_is_found_from_both_ends_without_any_list() {
    let (mut world, contracts) = with_pool();
    let members: Vec<_> = (1..=12).map(|i| (who(i), 100 - u128::from(i))).collect();
    world.pool(&contracts, &members);
    let (pool, trips) = drive(&world.fetch_only(), &contracts, &[]);
    assert_eq!(pool.members.len(), 12);
    assert!(trips <= 8, "{trips}");
}

#[test]
fn an_empty_pool_is_a_pool() {
    let contracts = contracts();
    let pool = read_pool(&World::new(&contracts), &contracts).unwrap();
    assert_eq!((pool.members.len(), pool.max_size), (0, 100));
}

#[test]
fn a_list_that_skips_a_member_is_refused() {
    let (mut world, contracts) = with_pool();
    world.set_address(contracts.bonding_manager, bm::node(who(1)).next(), who(3));
    world.set_address(contracts.bonding_manager, bm::node(who(3)).prev(), who(1));
    let error = read_pool(&world, &contracts).unwrap_err();
    assert_eq!(error, BadPool::Hidden { size: 3, found: 2 }.into());
}

#[test]
fn a_list_with_one_member_too_many_is_refused() {
    let (mut world, contracts) = with_pool();
    world.set(contracts.bonding_manager, bm::POOL_SIZE, 2);
    let error = read_pool(&world, &contracts).unwrap_err();
    assert_eq!(error, BadPool::Invented { size: 2, next: who(3) }.into());
}

#[test]
fn a_list_that_comes_back_to_itself_is_refused() {
    let (mut world, contracts) = with_pool();
    world.set(contracts.bonding_manager, bm::POOL_SIZE, 100);
    world.set_address(contracts.bonding_manager, bm::node(who(3)).next(), who(1));
    assert_eq!(read_pool(&world, &contracts).unwrap_err(), BadPool::Cycle(who(1)).into());
}

#[test]
fn links_that_disagree_are_refused() {
    let (mut world, contracts) = with_pool();
    world.set_address(contracts.bonding_manager, bm::node(who(2)).prev(), who(3));
    let error = BadPool::Unlinked { member: who(2), says: who(3), came_from: who(1) };
    assert_eq!(read_pool(&world, &contracts).unwrap_err(), error.into());
}

#[test]
fn a_tail_that_is_not_last_is_refused() {
    let (mut world, contracts) = with_pool();
    world.set_address(contracts.bonding_manager, bm::POOL_TAIL, who(2));
    let error = BadPool::Tail { tail: who(2), found: who(3) };
    assert_eq!(read_pool(&world, &contracts).unwrap_err(), error.into());
}

#[test]
fn stakes_out_of_order_are_refused() {
    let (mut world, contracts) = with_pool();
    world.set(contracts.bonding_manager, bm::node(who(3)).key(), 201);
    assert_eq!(read_pool(&world, &contracts).unwrap_err(), BadPool::Unsorted(who(3)).into());
}

#[test]
fn a_pool_of_any_claimed_size_costs_no_more_than_its_bound() {
    let (mut world, contracts) = with_pool();
    world.set(contracts.bonding_manager, bm::POOL_SIZE, 1001);
    world.set(contracts.bonding_manager, bm::POOL_MAX_SIZE, u128::from(u64::MAX));
    let error = BadPool::TooLarge { size: 1001, max_size: u64::MAX };
    assert_eq!(read_pool(&world, &contracts).unwrap_err(), error.into());
    world.set(contracts.bonding_manager, bm::POOL_SIZE, u128::MAX);
    assert!(matches!(read_pool(&world, &contracts), Err(Unreadable::TooLarge { .. })));
    let many: Vec<_> = (0..100_000u64).map(|i| Address::left_padding_from(&i.to_be_bytes())).collect();
    let keys = Ask::Pool.keys(&contracts, &Hint { members: many, ..Hint::default() });
    assert!(keys[&contracts.bonding_manager].len() < 4100);
}

#[test]
fn a_swapped_target_is_an_alarm_and_nothing_is_read() {
    let (mut world, contracts) = with_pool();
    let slot = controller::registered("BondingManagerTarget");
    world.set_address(contracts.controller, slot, who(0xee));
    let alarm = Unexpected {
        contract: contracts.controller,
        slot,
        expected: who(0xd0).into_word(),
        found: who(0xee).into_word(),
    };
    let asks = [Ask::Pool, Ask::Orchestrator(who(1)), Ask::Delegator(who(1)), Ask::Inflation];
    for ask in asks {
        let error = ask.read(&world, &contracts, BLOCK).unwrap_err();
        assert_eq!(error, Unreadable::Unexpected(alarm), "{ask:?}");
        assert_eq!(error.wanted(), None);
    }
    assert!(Ask::Round.read(&world, &contracts, BLOCK).is_ok(), "another contract is not concerned");
}

#[test]
fn every_guard_of_every_contract_is_an_alarm_of_its_own() {
    let contracts = contracts();
    let healthy = || World::new(&contracts);
    let mut guards = 0;
    for part in Part::ALL {
        let mut places = vec![(contracts.controller, controller::registered(part.name()))];
        if let Some(target) = part.target() {
            places.push((contracts.controller, controller::registered(target)));
            places.push((contracts.address(part), proxy::CONTROLLER));
            places.push((contracts.address(part), proxy::TARGET_CONTRACT_ID));
        }
        for (contract, slot) in places {
            let mut world = healthy();
            assert_eq!(lightclient::livepeer::guard::check(&world, &contracts, &[part]), Ok(()));
            world.set(contract, slot, 0x77);
            let error = lightclient::livepeer::guard::check(&world, &contracts, &[part]).unwrap_err();
            assert!(
                matches!(error, Unreadable::Unexpected(alarm) if alarm.contract == contract && alarm.slot == slot)
            );
            guards += 1;
        }
    }
    println!("guards: {guards}");
    assert_eq!(guards, 7 + 6 * 3);
}

#[test]
fn a_target_known_by_its_code_may_lie_anywhere() {
    let mut contracts = contracts();
    let mut world = World::new(&contracts);
    let code = B256::repeat_byte(0x5a);
    contracts.targets = vec![Target::code(Part::Minter, B256::ZERO), Target::code(Part::RoundsManager, code)];
    let account =
        |code_hash| Some(Account { nonce: 1, balance: U256::ZERO, storage_root: B256::ZERO, code_hash });
    let target = who(0xd1);
    world.accounts.insert(target, account(code));
    assert!(Ask::Round.read(&world, &contracts, BLOCK).is_ok());
    world.accounts.insert(target, account(B256::repeat_byte(0x5b)));
    assert!(matches!(Ask::Round.read(&world, &contracts, BLOCK), Err(Unreadable::Unexpected(_))));
    world.accounts.insert(target, None);
    assert!(matches!(Ask::Round.read(&world, &contracts, BLOCK), Err(Unreadable::Unexpected(_))));
}

#[test]
fn all_targets_known_by_their_code_are_asked_for_at_once() {
    let mut contracts = contracts();
    let mut world = World::default();
    world.guards(&contracts);
    let code_hash = B256::repeat_byte(7);
    for target in &mut contracts.targets {
        *target = Target::code(target.part, code_hash);
    }
    let check = |world: &World| lightclient::livepeer::guard::check(world, &contracts, &Part::ALL);
    let Err(Unreadable::Wanted(keys)) = check(&world) else { panic!() };
    assert_eq!(keys.len(), 6);
    let account = Account { nonce: 1, balance: U256::ZERO, storage_root: B256::ZERO, code_hash };
    world.accounts.extend(keys.into_keys().map(|target| (target, Some(account))));
    assert_eq!(check(&world), Ok(()));
}

#[test]
fn a_string_longer_than_allowed_is_refused_before_its_words_are_fetched() {
    let contracts = contracts();
    let mut world = World::new(&contracts);
    let slot = sr::uri(who(1));
    world.string(contracts.service_registry, slot, &[b'x'; 512]);
    let read = |world: &World| Ask::ServiceUri(who(1)).read(world, &contracts, BLOCK);
    let Read::ServiceUri(found) = read(&world).unwrap() else { panic!() };
    assert_eq!(found.uri.unwrap().len(), 512);
    for bytes in [U256::from(513), U256::MAX >> 1] {
        world.slots.insert((contracts.service_registry, slot), (bytes << 1) | U256::ONE);
        assert_eq!(
            read(&world).unwrap_err(),
            BadText::TooLong { address: who(1), bytes: Word(bytes) }.into()
        );
    }
}

#[test]
fn what_is_no_string_is_refused() {
    let contracts = contracts();
    let mut world = World::new(&contracts);
    let (registry, slot) = (contracts.service_registry, sr::uri(who(1)));
    let read = |world: &World| Ask::ServiceUri(who(1)).read(world, &contracts, BLOCK).unwrap_err();
    for word in [64, 2 * 31 + 1, 254] {
        world.set(registry, slot, word);
        assert!(matches!(read(&world), Unreadable::Text(BadText::Malformed { .. })), "{word}");
    }
    world.string(registry, slot, &[0xff, 0xfe]);
    assert_eq!(read(&world), BadText::NotText(who(1)).into());
    world.string(registry, slot, b"https://o1\x1b[2J");
    assert_eq!(read(&world), BadText::NotText(who(1)).into());
}

#[test]
fn an_orchestrator_with_an_endless_string_is_still_read() {
    let contracts = contracts();
    let mut world = World::new(&contracts);
    world.set(contracts.service_registry, sr::uri(who(1)), u128::MAX);
    world.set(contracts.bonding_manager, bm::delegator(who(1)).delegated(), 5);
    let Read::Orchestrator(o) = Ask::Orchestrator(who(1)).read(&world, &contracts, BLOCK).unwrap() else {
        panic!()
    };
    assert!(matches!((o.service_uri, o.bad_service_uri), (None, Some(BadText::TooLong { .. }))));
    assert_eq!(o.stake.0, U256::from(5));
}

#[test]
fn a_long_string_takes_two_round_trips_and_no_more() {
    let contracts = contracts();
    let mut world = World::new(&contracts);
    world.string(contracts.service_registry, sr::uri(who(1)), &[b'y'; 300]);
    let (world, ask) = (world.fetch_only(), Ask::ServiceUri(who(1)));
    world.fetch(&ask.keys(&contracts, &Hint::default()));
    let error = ask.read(&world, &contracts, BLOCK).unwrap_err();
    let wanted = error.wanted().unwrap();
    assert_eq!(wanted[&contracts.service_registry].len(), 10 - 3);
    assert!(wanted[&contracts.service_registry].contains(&field(data(sr::uri(who(1))), 9)));
    world.fetch(wanted);
    assert!(ask.read(&world, &contracts, BLOCK).is_ok());
}

#[test]
fn with_a_good_guess_every_read_takes_one_round_trip() {
    let (world, contracts) = with_pool();
    let mut world = world;
    world.set_address(contracts.bonding_manager, bm::delegator(who(9)).delegate(), who(1));
    world.set(contracts.bonding_manager, bm::delegator(who(9)).bonded(), 5);
    world.set(contracts.bonding_manager, bm::delegator(who(9)).last_claim_round(), 18);
    world.set(contracts.bonding_manager, bm::transcoder(who(1)).last_reward_round(), 18);
    world.set(contracts.bonding_manager, bm::transcoder(who(1)).last_fee_round(), 18);
    let hint = Hint {
        round: Some(protocol::Round(18)),
        members: MEMBERS.map(|m| m.0).to_vec(),
        delegate: Some(who(1)),
    };
    let asks = [
        Ask::Round,
        Ask::Pool,
        Ask::Orchestrator(who(1)),
        Ask::Delegator(who(9)),
        Ask::Sender { address: who(8), claimant: Some(who(1)) },
        Ask::ServiceUri(who(1)),
        Ask::Inflation,
    ];
    let mut world = world.fetch_only();
    for ask in asks {
        world.fetched = Some(std::cell::RefCell::default());
        world.fetch(&ask.keys(&contracts, &hint));
        assert!(ask.read(&world, &contracts, BLOCK).is_ok(), "{ask:?}");
    }
}

#[test]
fn an_unlocking_sender_is_paid_for_until_its_withdraw_round() {
    let contracts = contracts();
    let mut world = World::new(&contracts);
    let ask = Ask::Sender { address: who(8), claimant: None };
    let lock = |world: &World| {
        let read = ask.read(world, &contracts, BLOCK).unwrap();
        serde_json::to_value(read).unwrap()["sender"]["lock"]["state"].clone()
    };
    for (round, state) in [(0, "locked"), (18, "unlocked"), (19, "unlocking"), (1, "unlocked")] {
        world.set(contracts.ticket_broker, tb::withdraw_round(who(8)), round);
        assert_eq!(lock(&world), state, "{round}");
    }
}

#[test]
fn a_share_is_nothing_for_who_is_inactive_and_unknown_when_the_pool_grew() {
    let (mut world, contracts) = with_pool();
    world.set(contracts.ticket_broker, tb::reserve_funds(who(8)), 900);
    world.set(contracts.ticket_broker, tb::claimed_for_round(who(8), 18), 301);
    world.set(contracts.ticket_broker, tb::claimed_by(who(8), 18, who(1)), 301);
    let share = |world: &World, claimant| {
        let ask = Ask::Sender { address: who(8), claimant: Some(claimant) };
        let Read::Sender(sender) = ask.read(world, &contracts, BLOCK).unwrap() else { panic!() };
        sender.claim.unwrap().share.map(|share| share.0)
    };
    assert_eq!(share(&world, who(1)), Some(U256::from(400 - 301)));
    assert_eq!(share(&world, who(0x55)), Some(U256::ZERO), "never an orchestrator");
    world.set(contracts.bonding_manager, bm::POOL_SIZE, 4);
    assert_eq!(share(&world, who(1)), None, "1201 / 4 = 300 is less than it took");
}

#[test]
fn a_thousand_locks_cost_thirty_two() {
    let contracts = contracts();
    let mut world = World::new(&contracts);
    let d = bm::delegator(who(9));
    world.set(contracts.bonding_manager, d.next_lock_id(), 1000);
    world.set(contracts.bonding_manager, d.lock(999), 5);
    world.set(contracts.bonding_manager, field(d.lock(999), 1), 25);
    let Read::Delegator(read) = Ask::Delegator(who(9)).read(&world, &contracts, BLOCK).unwrap() else {
        panic!()
    };
    assert_eq!((read.locks.len(), read.locks[0].id, read.locks_unread), (1, 999, 968));
}

#[test]
fn words_that_count_nothing_sensible_are_errors_and_no_panics() {
    let (mut world, contracts) = with_pool();
    let broken = [rm::ROUND_LENGTH, rm::LAST_LENGTH_UPDATE_START_BLOCK, rm::LAST_LENGTH_UPDATE_ROUND];
    for slot in broken {
        let before = world.slots.insert((contracts.rounds_manager, slot), U256::MAX).unwrap();
        for ask in [Ask::Round, Ask::Orchestrator(who(1)), Ask::Delegator(who(1))] {
            assert!(ask.read(&world, &contracts, BLOCK).is_err());
        }
        world.slots.insert((contracts.rounds_manager, slot), before);
    }
    world.set(contracts.rounds_manager, rm::ROUND_LENGTH, 0);
    assert!(matches!(Ask::Round.read(&world, &contracts, BLOCK), Err(Unreadable::Arithmetic(_))));
}
