//! The simulation beside the contracts: the same rounds run as transactions of a whole chain end with the same stakes.

use alloy_primitives::{Address, B256};
use serde_json::Value;

use super::*;
use crate::chain::call::{Bonding, Rounds, Token};
use crate::chain::{Call, Chain, Genesis, Head};
use crate::pool::Hint;
use crate::rounds::Round;

const OURS: Address = Address::repeat_byte(1);
const OTHERS: Address = Address::repeat_byte(2);
const DELEGATOR: Address = Address::repeat_byte(3);
const LENGTH: u64 = 100;

fn lpt(n: u64) -> U256 {
    U256::from(n) * U256::from(10).pow(U256::from(18))
}

fn started(treasury_balance_ceiling: U256) -> Chain {
    let holders = [OURS, OTHERS, DELEGATOR];
    let genesis = Genesis {
        round_length: LENGTH,
        treasury_balance_ceiling,
        lpt: holders.iter().map(|who| (*who, lpt(10_000))).collect(),
        ..Genesis::default()
    };
    let mut chain = Chain::new(&genesis, Head::default()).unwrap();
    begin(&mut chain, 1);
    for (who, to, stake) in [(OURS, OURS, 600), (OTHERS, OTHERS, 2_900), (DELEGATOR, OURS, 137)] {
        let spender = chain.addresses.bonding_manager;
        chain.apply(who, U256::ZERO, Call::Token(Token::Approve(spender, U256::MAX))).unwrap();
        staking(&mut chain, who, Bonding::Bond(lpt(stake), to, Hint::default(), Hint::default()));
    }
    staking(&mut chain, OURS, Bonding::Transcoder(U256::from(123_456), U256::from(500_000), Hint::default()));
    chain
}

fn begin(chain: &mut Chain, round: u64) {
    chain.advance(Head { number: round * LENGTH, parent_hash: B256::repeat_byte(9), timestamp: round });
    chain.apply(OURS, U256::ZERO, Call::Rounds(Rounds::InitializeRound)).unwrap();
}

fn staking(chain: &mut Chain, who: Address, call: Bonding) {
    chain.apply(who, U256::ZERO, Call::Bonding(call)).unwrap();
}

fn assumptions(chain: &Chain) -> Assumptions {
    let (minter, bonding) = (&chain.minter, &chain.bonding);
    Assumptions {
        network: Network {
            inflation: Inflation {
                rate: *minter.inflation,
                change: *minter.inflation_change,
                target: *minter.target_bonding_rate,
            },
            supply: Lpt(*chain.token.total_supply),
            treasury: Lpt::default(),
            treasury_cut: *bonding.treasury_reward_cut_rate,
            next_treasury_cut: *bonding.next_round_treasury_reward_cut_rate,
            treasury_ceiling: Lpt(*bonding.treasury_balance_ceiling),
        },
        bonded: Lpt(*bonding.next_round_total_active_stake),
        participation: Participation::Grows,
        orchestrator: Orchestrator {
            stake: Lpt(lpt(737)),
            own: Lpt(lpt(600)),
            reward_cut: U256::from(123_456),
            fee_share: U256::from(500_000),
            fees: Wei::default(),
        },
        delegator: Lpt(lpt(137)),
    }
}

#[test]
fn two_hundred_rounds_end_with_what_the_contracts_end_with() {
    for ceiling in [U256::ZERO, lpt(150)] {
        let mut chain = started(ceiling);
        let mut simulated = simulate(&assumptions(&chain));
        for round in 2..202 {
            begin(&mut chain, round);
            staking(&mut chain, OURS, Bonding::Reward(Hint::default()));
            staking(&mut chain, OTHERS, Bonding::Reward(Hint::default()));
            let step = simulated.next().unwrap().unwrap();
            let now = Round(round);
            assert_eq!(step.supply.0, *chain.token.total_supply, "round {round}");
            assert_eq!(U256::from(step.inflation_ppb), *chain.minter.inflation);
            assert_eq!(step.minted.0, *chain.minter.current_minted_tokens);
            assert_eq!(step.bonded.0, *chain.bonding.current_round_total_active_stake);
            assert_eq!(step.treasury.0, chain.token.balances.at(&chain.addresses.treasury));
            assert_eq!(step.orchestrator_stake.0, chain.bonding.delegators.at(&OURS).delegated_amount);
            assert_eq!(step.orchestrator, chain.bonding.pending(OURS, now).unwrap());
            assert_eq!(step.delegator, chain.bonding.pending(DELEGATOR, now).unwrap());
        }
    }
}

#[test]
fn a_recorded_schedule_of_sixty_rounds_ends_with_its_supply() {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/vectors/inflation.json")).unwrap();
    let word = |value: &Value| U256::from_str_radix(value.as_str().unwrap(), 10).unwrap();
    let mut network = Network {
        inflation: Inflation {
            rate: U256::from(220_500),
            change: U256::from(500),
            target: U256::from(500_000_000),
        },
        supply: Lpt("27654321123456789012345678".parse().unwrap()),
        treasury: Lpt::default(),
        treasury_cut: U256::ZERO,
        next_treasury_cut: U256::ZERO,
        treasury_ceiling: Lpt::default(),
    };
    let schedule = vectors["schedule"].as_array().unwrap();
    for round in schedule {
        let bonded = word(&round["totalBonded"]);
        let mut issue = network.begin(Lpt(bonded)).unwrap();
        for (n, d) in [(3, 10), (1, 3), (1, 7)] {
            let stake = Lpt(bonded * U256::from(n) / U256::from(d));
            network.reward(&mut issue, stake, U256::ZERO).unwrap();
        }
        assert_eq!(network.inflation.rate, word(&round["inflation"]));
        assert_eq!(issue.minted.0, word(&round["minted"]));
        assert_eq!(network.supply.0, word(&round["supplyAfter"]));
    }
    assert_eq!(schedule.len(), 60);
}

#[test]
fn fees_are_shared_as_the_cut_says_and_none_is_made() {
    let mut wanted = assumptions(&started(U256::ZERO));
    let fees = Wei(lpt(1));
    wanted.orchestrator.fees = fees;
    let first = simulate(&wanted).next().unwrap().unwrap();
    // Half to 737 LPT of stake, of which the delegator has 137 and the orchestrator 600 besides its other half.
    let half = fees.0 / U256::from(2);
    let near = |a: U256, b: U256| a.abs_diff(b) < U256::from(1_000);
    assert!(near(first.delegator.fees.0, half * U256::from(137) / U256::from(737)));
    assert!(near(first.orchestrator.fees.0, half + half * U256::from(600) / U256::from(737)));
    assert!(first.delegator.fees.0 + first.orchestrator.fees.0 <= fees.0);
}

#[test]
fn inflation_falls_above_the_target_and_rises_below_it() {
    let mut wanted = assumptions(&started(U256::ZERO));
    let ends = |wanted: &Assumptions| simulate(wanted).nth(99).unwrap().unwrap().inflation_ppb;
    wanted.participation = Participation::Held(U256::from(400_000_000));
    assert_eq!(ends(&wanted), 550_500);
    wanted.participation = Participation::Held(U256::from(600_000_000));
    assert_eq!(ends(&wanted), 450_500);
}

#[test]
fn numbers_on_which_the_contracts_would_panic_end_the_simulation() {
    let mut wanted = assumptions(&started(U256::ZERO));
    wanted.network.supply = Lpt(U256::MAX);
    let mut simulated = simulate(&wanted);
    assert!(simulated.next().unwrap().is_err());
    assert!(simulated.next().is_none());
}
