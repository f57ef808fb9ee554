//! Pending stake and fees of every account after every new round of a scripted history of 39 rounds.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use alloy_primitives::U256;
use protocol::amount::{Lpt, Wei};
use protocol::earnings::{Accrued, Claimed, Earnings, Factors, pending};
use protocol::rounds::Round;
use serde_json::Value;
use std::collections::BTreeMap;

fn word(value: &Value) -> U256 {
    U256::from_str_radix(value.as_str().unwrap(), 10).unwrap()
}

fn round(value: &Value) -> Round {
    Round::from_word(word(value))
}

/// Factors of every orchestrator and round as far as the history has shown them, and in which round it did: a snapshot is
/// taken when a round begins, so what a round came to is in a later one. (A round that nobody began has none: what the round
/// before it came to was never written down.)
#[derive(Default)]
struct Pools(BTreeMap<(String, u64), (Factors, Round)>);

impl Pools {
    fn learn(&mut self, state: &Value, now: Round) {
        for (orchestrator, rounds) in state["earningsPools"].as_object().unwrap() {
            for (number, pool) in rounds.as_object().unwrap() {
                let factors = Factors { reward: word(&pool[3]), fee: word(&pool[4]) };
                self.0.insert((orchestrator.clone(), number.parse().unwrap()), (factors, now));
            }
        }
    }

    fn at(&self, orchestrator: &str, round: Round) -> Factors {
        self.0.get(&(orchestrator.to_owned(), round.0)).map(|(factors, _)| *factors).unwrap_or_default()
    }

    /// Whether what `round` came to is known by `now`.
    fn knows(&self, orchestrator: &str, round: Round, now: Round) -> bool {
        let seen = self.0.get(&(orchestrator.to_owned(), round.0)).map(|(_, seen)| *seen);
        round == Round(0) || round == now || seen.is_some_and(|seen| seen > round)
    }
}

fn accrued(state: &Value, pools: &Pools, name: &str, claimed: Round, now: Round) -> Accrued {
    let orchestrator = state["delegators"][name]["delegate"].as_str().unwrap();
    let t = &state["transcoders"][orchestrator];
    let (rewarded, paid) = (round(&t["lastRewardRound"]), round(&t["lastFeeRound"]));
    let own = Earnings { stake: Lpt(word(&t["cumulativeRewards"])), fees: Wei(word(&t["cumulativeFees"])) };
    Accrued {
        start: pools.at(orchestrator, claimed),
        now: pools.at(orchestrator, now),
        last_reward: (rewarded, pools.at(orchestrator, rewarded).reward),
        last_fee: (paid, pools.at(orchestrator, paid).fee),
        commission: (orchestrator == name).then_some(own),
    }
}

#[test]
fn pending_stake_and_fees_of_every_account_are_the_contracts() {
    let trace: Value = serde_json::from_str(include_str!("vectors/trace_scripted.json")).unwrap();
    let (mut pools, mut rounds, mut values, mut unwritten) = (Pools::default(), 0, 0, 0);
    for step in trace["steps"].as_array().unwrap().iter().filter(|s| s["state"].is_object()) {
        let (state, now) = (&step["state"], round(&step["globals"]["currentRound"]));
        pools.learn(state, now);
        rounds += 1;
        for (name, want) in step["pending"].as_object().unwrap() {
            let held = &state["delegators"][name];
            let orchestrator = held["delegate"].as_str().unwrap();
            let t = &state["transcoders"][orchestrator];
            let needs = [&held["lastClaimRound"], &t["lastRewardRound"], &t["lastFeeRound"]];
            if !needs.iter().all(|needed| pools.knows(orchestrator, round(needed), now)) {
                unwritten += 2;
                continue;
            }
            let claimed = Claimed {
                earnings: Earnings {
                    stake: Lpt(word(&held["bondedAmount"])),
                    fees: Wei(word(&held["fees"])),
                },
                round: round(&held["lastClaimRound"]),
            };
            let got = pending(claimed, &accrued(state, &pools, name, claimed.round, now), now).unwrap();
            assert_eq!((got.stake.0, got.fees.0), (word(&want[0]), word(&want[1])), "{name} in round {now}");
            values += 2;
        }
    }
    println!(
        "trace: {rounds} rounds, {values} values, {unwritten} hang on a round whose end was not written down"
    );
    assert_eq!(rounds, 39);
    assert!(values > 500, "{values}");
    assert!(unwritten < values / 10, "{unwritten}");
}
