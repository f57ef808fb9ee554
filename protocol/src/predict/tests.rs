//! Forecasts of a small world, and that what they say is what then happens.

use alloy_primitives::B256;

use super::*;
use crate::chain::call::{Rounds, Token};
use crate::chain::{Genesis, Head};

const LENGTH: u64 = 100;
const FIRST: Address = Address::repeat_byte(1);
const SECOND: Address = Address::repeat_byte(2);
const DELEGATOR: Address = Address::repeat_byte(3);
const NEWCOMER: Address = Address::repeat_byte(4);

fn lpt(n: u64) -> U256 {
    U256::from(n) * U256::from(10).pow(U256::from(18))
}

struct World(Chain);

impl World {
    /// Two orchestrators, which fill the pool, and a delegator of the first; all have claimed long ago.
    fn new() -> Self {
        let holders = [FIRST, SECOND, DELEGATOR, NEWCOMER];
        let genesis = Genesis {
            round_length: LENGTH,
            num_active_transcoders: U256::from(2),
            lpt: holders.iter().map(|who| (*who, lpt(1_000))).collect(),
            ..Genesis::default()
        };
        let mut world = Self(Chain::new(&genesis, Head::default()).unwrap());
        world.round(1);
        for who in holders {
            let spender = world.0.addresses.bonding_manager;
            world.0.apply(who, U256::ZERO, Call::Token(Token::Approve(spender, U256::MAX))).unwrap();
        }
        for (who, to, stake) in [(FIRST, FIRST, 600), (SECOND, SECOND, 300), (DELEGATOR, FIRST, 100)] {
            world.does(who, bond(stake, to));
        }
        world.round(2);
        world.round(3);
        world
    }

    fn round(&mut self, round: u64) {
        self.0.advance(Head { number: round * LENGTH, parent_hash: B256::repeat_byte(9), timestamp: round });
        self.0.apply(FIRST, U256::ZERO, Call::Rounds(Rounds::InitializeRound)).unwrap();
    }

    fn does(&mut self, who: Address, call: Bonding) {
        self.0.apply(who, U256::ZERO, Call::Bonding(call)).unwrap();
    }

    fn says(&self, who: Address, call: Bonding) -> Result<Forecast, Revert> {
        predict(&self.0, who, U256::ZERO, Call::Bonding(call))
    }
}

const fn none() -> Hint {
    Hint { prev: Address::ZERO, next: Address::ZERO }
}

fn bond(stake: u64, to: Address) -> Bonding {
    Bonding::Bond(lpt(stake), to, none(), none())
}

#[test]
fn what_is_said_is_what_happens() {
    let mut world = World::new();
    world.does(FIRST, Bonding::Reward(none()));
    let forecast = world.says(DELEGATOR, bond(50, FIRST)).unwrap();
    let told = forecast.effects.iter().find_map(|effect| match effect {
        Effect::Stake { after, .. } => Some(*after),
        _ => None,
    });
    let Call::Bonding(call) = forecast.call else { panic!("another call") };
    world.does(DELEGATOR, call);
    assert_eq!(told, Some(held(&world.0, DELEGATOR).unwrap().stake));
    assert!(forecast.warnings.is_empty(), "{:?}", forecast.warnings);
}

#[test]
fn claiming_before_the_rounds_reward_is_said_with_what_it_loses() {
    let mut world = World::new();
    let forecast = world.says(DELEGATOR, Bonding::ClaimEarnings(U256::ZERO)).unwrap();
    let Some(Warning::ClaimBeforeReward { orchestrator: FIRST, loses }) = forecast.warnings.first() else {
        panic!("{:?}", forecast.warnings)
    };
    let before = held(&world.0, DELEGATOR).unwrap().stake.0;
    world.does(FIRST, Bonding::Reward(none()));
    assert_eq!(held(&world.0, DELEGATOR).unwrap().stake.0, before + loses.0);
    let afterwards = world.says(DELEGATOR, Bonding::ClaimEarnings(U256::ZERO)).unwrap();
    assert_eq!(afterwards.warnings, [Warning::Nothing], "what was earned is there without a claim");
}

#[test]
fn a_newcomer_hears_whom_it_pushes_out_and_one_with_too_little_that_it_earns_nothing() {
    let world = World::new();
    let forecast = world.says(NEWCOMER, bond(301, NEWCOMER)).unwrap();
    assert_eq!(forecast.warnings, [Warning::Evicts { orchestrator: SECOND }]);
    let enters = Effect::Place { orchestrator: NEWCOMER, before: None, after: Some(2), stake: Lpt(lpt(301)) };
    assert!(forecast.effects.contains(&enters), "{:?}", forecast.effects);
    let forecast = world.says(NEWCOMER, bond(300, NEWCOMER)).unwrap();
    assert_eq!(forecast.warnings, [Warning::OutsidePool { orchestrator: NEWCOMER, least: Lpt(lpt(300)) }]);
    let forecast = world.says(NEWCOMER, bond(5, DELEGATOR)).unwrap();
    assert_eq!(forecast.warnings, [Warning::NoOrchestrator { address: DELEGATOR }]);
}

#[test]
fn unbonding_all_resigns_an_orchestrator_and_says_so() {
    let world = World::new();
    let all = world.says(FIRST, Bonding::Unbond(lpt(600), none())).unwrap();
    assert!(all.warnings.contains(&Warning::Resigns { others: Lpt(lpt(100)) }), "{:?}", all.warnings);
    assert!(
        all.warnings.contains(&Warning::RewardFirst) && all.warnings.contains(&Warning::Locked { rounds: 7 })
    );
    let part = world.says(FIRST, Bonding::Unbond(lpt(599), none())).unwrap();
    assert!(!part.warnings.iter().any(|warning| matches!(warning, Warning::Resigns { .. })));
    let lock = Effect::Lock { id: 0, amount: Lpt(lpt(599)), withdraw_round: Round(10) };
    assert!(part.effects.contains(&lock));
}

#[test]
fn what_must_fail_is_refused_in_the_contracts_words() {
    let mut world = World::new();
    let refused = |world: &World, who, call| world.says(who, call).unwrap_err();
    assert_eq!(refused(&world, NEWCOMER, Bonding::Unbond(lpt(1), none())), Revert::NotBonded);
    assert_eq!(refused(&world, DELEGATOR, Bonding::Reward(none())), Revert::NotActive);
    assert_eq!(refused(&world, FIRST, bond(1, SECOND)), Revert::OrchestratorMayNotMove);
    assert_eq!(refused(&world, DELEGATOR, bond(901, FIRST)), Revert::TransferExceedsBalance);
    assert_eq!(refused(&world, DELEGATOR, Bonding::WithdrawStake(U256::ZERO)), Revert::InvalidLock);
    world.does(DELEGATOR, Bonding::Unbond(lpt(10), none()));
    assert_eq!(refused(&world, DELEGATOR, Bonding::WithdrawStake(U256::ZERO)), Revert::WithdrawTooEarly);
    let uninitialized = Head { number: 4 * LENGTH, parent_hash: B256::ZERO, timestamp: 4 };
    world.0.advance(uninitialized);
    assert_eq!(refused(&world, DELEGATOR, bond(1, FIRST)), Revert::RoundNotInitialized);
}

#[test]
fn hints_are_the_neighbours_after_the_call() {
    let world = World::new();
    let forecast = world.says(SECOND, bond(500, SECOND)).unwrap();
    let Call::Bonding(Bonding::Bond(.., new)) = forecast.call else { panic!("another call") };
    assert_eq!(new, Hint { prev: Address::ZERO, next: FIRST });
    let round = Call::Rounds(Rounds::InitializeRound);
    assert_eq!(predict(&world.0, FIRST, U256::ZERO, round).unwrap_err(), Revert::RoundAlreadyInitialized);
}

#[test]
fn naming_a_reward_caller_is_something_and_naming_it_again_is_nothing() {
    let mut world = World::new();
    let named = Bonding::SetRewardCaller(NEWCOMER);
    assert_eq!(world.says(FIRST, named).unwrap().warnings, []);
    world.does(FIRST, named);
    assert_eq!(world.says(FIRST, named).unwrap().warnings, [Warning::Nothing]);
}
