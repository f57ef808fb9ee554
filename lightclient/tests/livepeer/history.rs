//! Every round of a scripted history of the contracts, written into storage slot by slot and read back: orchestrators,
//! delegators with what they could claim, and the pool.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use lightclient::livepeer::layout::{bonding_manager as bm, field, rounds_manager as rm};
use lightclient::livepeer::{Ask, Contracts, Hint, Unreadable};
use serde_json::Value;

use crate::world::{World, contracts};

const TRACE: &str = include_str!("../../../protocol/tests/vectors/trace_scripted.json");

fn word(value: &Value) -> U256 {
    U256::from_str_radix(value.as_str().unwrap(), 10).unwrap()
}

struct History {
    trace: Value,
    contracts: Contracts,
}

impl History {
    fn new() -> Self {
        Self { trace: serde_json::from_str(TRACE).unwrap(), contracts: contracts() }
    }

    fn who(&self, name: &str) -> Address {
        self.trace["addresses"][name].as_str().unwrap().parse().unwrap()
    }

    fn set(&self, world: &mut World, slot: alloy_primitives::B256, value: &Value) {
        world.slots.insert((self.contracts.bonding_manager, slot), word(value));
    }

    /// Writes a snapshot as the contract would have stored it.
    fn write(&self, world: &mut World, step: &Value) {
        let (state, round) = (&step["state"], word(&step["globals"]["currentRound"]));
        world.slots.insert((self.contracts.rounds_manager, rm::LAST_LENGTH_UPDATE_ROUND), round);
        world.set(self.contracts.rounds_manager, rm::LAST_LENGTH_UPDATE_START_BLOCK, 0);
        world.slots.insert((self.contracts.rounds_manager, rm::LAST_INITIALIZED_ROUND), round);
        for (name, d) in state["delegators"].as_object().unwrap() {
            self.write_delegator(world, name, d);
        }
        for (name, t) in state["transcoders"].as_object().unwrap() {
            self.write_orchestrator(world, name, t);
        }
        for (name, pools) in state["earningsPools"].as_object().unwrap() {
            for (round, pool) in pools.as_object().unwrap() {
                let slots = bm::transcoder(self.who(name)).earnings(round.parse().unwrap());
                let words = [
                    slots.total_stake(),
                    slots.reward_cut(),
                    slots.fee_share(),
                    slots.reward_factor(),
                    slots.fee_factor(),
                ];
                words
                    .into_iter()
                    .zip(pool.as_array().unwrap())
                    .for_each(|(slot, v)| self.set(world, slot, v));
            }
        }
        self.write_pool(world, state["pool"].as_array().unwrap());
    }

    fn write_delegator(&self, world: &mut World, name: &str, d: &Value) {
        let slots = bm::delegator(self.who(name));
        self.set(world, slots.bonded(), &d["bondedAmount"]);
        self.set(world, slots.fees(), &d["fees"]);
        self.set(world, slots.delegated(), &d["delegatedAmount"]);
        self.set(world, slots.start_round(), &d["startRound"]);
        self.set(world, slots.last_claim_round(), &d["lastClaimRound"]);
        self.set(world, slots.next_lock_id(), &d["nextUnbondingLockId"]);
        let delegate = d["delegate"].as_str().filter(|name| self.trace["addresses"][*name].is_string());
        let delegate = delegate.map(|name| self.who(name)).unwrap_or_default();
        world.set_address(self.contracts.bonding_manager, slots.delegate(), delegate);
        let open = d["locks"].as_object().unwrap();
        for id in 0..d["nextUnbondingLockId"].as_str().unwrap().parse().unwrap() {
            let (slot, zero) = (slots.lock(id), Value::from("0"));
            let lock = open.get(&id.to_string());
            self.set(world, slot, lock.map_or(&zero, |lock| &lock[0]));
            self.set(world, field(slot, 1), lock.map_or(&zero, |lock| &lock[1]));
        }
    }

    fn write_orchestrator(&self, world: &mut World, name: &str, t: &Value) {
        let slots = bm::transcoder(self.who(name));
        let words = [
            (slots.last_reward_round(), "lastRewardRound"),
            (slots.reward_cut(), "rewardCut"),
            (slots.fee_share(), "feeShare"),
            (slots.last_stake_update_round(), "lastActiveStakeUpdateRound"),
            (slots.activation_round(), "activationRound"),
            (slots.deactivation_round(), "deactivationRound"),
            (slots.active_cumulative_rewards(), "activeCumulativeRewards"),
            (slots.cumulative_rewards(), "cumulativeRewards"),
            (slots.cumulative_fees(), "cumulativeFees"),
            (slots.last_fee_round(), "lastFeeRound"),
        ];
        words.into_iter().for_each(|(slot, field)| self.set(world, slot, &t[field]));
    }

    fn write_pool(&self, world: &mut World, pool: &[Value]) {
        let member = |m: &Value| (self.who(m[0].as_str().unwrap()), word(&m[1]).to::<u128>());
        let members: Vec<_> = pool.iter().map(member).collect();
        let windows: BTreeMap<_, _> = world
            .slots
            .iter()
            .filter(|((_, slot), _)| members.iter().any(|m| *slot == bm::transcoder(m.0).activation_round()))
            .map(|(key, word)| (*key, *word))
            .collect();
        world.pool(&self.contracts, &members);
        world.slots.extend(windows);
    }
}

/// Reads as a driver does: fetches what is wanted until the read is whole. Gives the round trips too.
fn drive(world: &World, contracts: &Contracts, ask: &Ask, hint: &Hint, block: u64) -> (Value, usize) {
    world.fetch(&ask.keys(contracts, hint));
    for trips in 1..10 {
        match ask.read(world, contracts, block) {
            Ok(read) => return (serde_json::to_value(read).unwrap(), trips),
            Err(Unreadable::Wanted(keys)) => world.fetch(&keys),
            Err(error) => panic!("{ask:?}: {error}"),
        }
    }
    panic!("{ask:?} never ends")
}

#[test]
fn every_round_of_a_history_reads_as_the_contracts_told_it() {
    let history = History::new();
    let mut world = World::new(&history.contracts).fetch_only();
    let (mut rounds, mut values, mut last_round, mut lost) = (0, 0, 0, Vec::new());
    for step in history.trace["steps"].as_array().unwrap().iter().filter(|step| step["state"].is_object()) {
        history.write(&mut world, step);
        world.fetched = Some(std::cell::RefCell::default());
        let round: u64 = step["globals"]["currentRound"].as_str().unwrap().parse().unwrap();
        // A round that nobody began has no snapshot, so what the one before it came to was never written down.
        if last_round != 0 && round > last_round + 1 {
            lost.push(last_round.to_string());
        }
        last_round = round;
        rounds += 1;
        values += check_pool(&history, &world, step);
        for (name, t) in step["state"]["transcoders"].as_object().unwrap() {
            values += check_orchestrator(&history, &world, name, t);
        }
        for (name, d) in step["state"]["delegators"].as_object().unwrap() {
            let t = &step["state"]["transcoders"][d["delegate"].as_str().unwrap()];
            let needs = [&d["lastClaimRound"], &t["lastRewardRound"], &t["lastFeeRound"]];
            if needs.iter().any(|round| lost.iter().any(|lost| *round == lost)) {
                continue;
            }
            values += check_delegator(&history, &world, name, d, &step["pending"][name]);
        }
    }
    println!("history: {rounds} rounds, {values} values");
    assert_eq!(rounds, 39);
    assert!(values > 3600, "{values}");
}

fn check_pool(history: &History, world: &World, step: &Value) -> usize {
    let want = step["state"]["pool"].as_array().unwrap();
    let members = want.iter().map(|m| history.who(m[0].as_str().unwrap())).collect();
    let hint = Hint { members, ..Hint::default() };
    let (read, trips) = drive(world, &history.contracts, &Ask::Pool, &hint, 0);
    assert_eq!(trips, 1, "a true list takes one round trip");
    let got = read["pool"]["members"].as_array().unwrap();
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert_eq!(got["stake"], want[1]);
        assert_eq!(got["address"], history.who(want[0].as_str().unwrap()).to_string().to_lowercase());
    }
    assert_eq!(read["pool"]["stake"], step["globals"]["nextRoundTotalActiveStake"]);
    2 * got.len() + 1
}

fn check_orchestrator(history: &History, world: &World, name: &str, t: &Value) -> usize {
    let ask = Ask::Orchestrator(history.who(name));
    let (read, _) = drive(world, &history.contracts, &ask, &Hint::default(), 0);
    let got = &read["orchestrator"];
    for (ours, theirs) in [("unclaimed_rewards", "cumulativeRewards"), ("unclaimed_fees", "cumulativeFees")] {
        assert_eq!(got[ours], t[theirs], "{name}");
    }
    for (ours, theirs) in [
        ("last_reward_round", "lastRewardRound"),
        ("reward_cut", "rewardCut"),
        ("fee_share", "feeShare"),
        ("activation_round", "activationRound"),
        ("last_fee_round", "lastFeeRound"),
    ] {
        assert_eq!(got[ours].to_string(), t[theirs].as_str().unwrap(), "{name} {ours}");
    }
    assert_eq!(got["active"], t["active"], "{name}");
    assert_eq!(got["registered"], t["registered"], "{name}");
    9
}

fn check_delegator(history: &History, world: &World, name: &str, d: &Value, pending: &Value) -> usize {
    let ask = Ask::Delegator(history.who(name));
    world.fetch(&ask.keys(&history.contracts, &Hint::default()));
    let (read, trips) = drive(world, &history.contracts, &ask, &Hint::default(), 0);
    assert!(trips <= 3, "{trips}");
    let got = &read["delegator"];
    for (ours, theirs) in [("bonded", "bondedAmount"), ("fees", "fees"), ("delegated", "delegatedAmount")] {
        assert_eq!(got[ours], d[theirs], "{name} {ours}");
    }
    assert_eq!(got["start_round"].to_string(), d["startRound"].as_str().unwrap());
    assert_eq!(got["status"], d["status"].as_str().unwrap().to_lowercase(), "{name}");
    let zero = Value::from("0");
    let pending = [pending.get(0).unwrap_or(&zero), pending.get(1).unwrap_or(&zero)];
    assert_eq!([&got["pending"]["stake"], &got["pending"]["fees"]], pending, "{name}");
    let locks = got["locks"].as_array().unwrap();
    let want = d["locks"].as_object().unwrap();
    assert_eq!(locks.len(), want.len(), "{name}: {locks:?}");
    for lock in locks {
        assert_eq!(lock["amount"], want[&lock["id"].to_string()][0]);
    }
    7 + locks.len()
}
