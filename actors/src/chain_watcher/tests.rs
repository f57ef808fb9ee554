//! Claims about the watcher's core, in virtual time against a chain that the test moves.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, U256};
use protocol::amount::Word;
use protocol::{Lpt, Round, Wei};

use super::alarm::{Cause, Leaving};
use super::core::{Config, Core, Effect, MOST_WATCHED};
use super::view::{ChainView, L1Head, Member, RoundFacts, SourceHealth, Tier};
use crate::ports::chain::{Ask, Called, ChainFault, Duty, DutyFault, Health, Reading};

const SLOT_MS: u64 = 12_000;
const LENGTH: u64 = 6377;
const START_MS: u64 = 1_700_000_000_000;

fn who(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn member(stake: u64, last_reward: u64) -> Member {
    Member {
        stake: U256::from(stake),
        active: true,
        in_pool: true,
        reward_cut: 100_000,
        fee_share: 500_000,
        service_uri: None,
        last_reward_round: Round(last_reward),
    }
}

/// A chain with a clock: its present is what the sequencer has, and what is proven is some blocks older.
struct World {
    block: u64,
    behind: u64,
    members: BTreeMap<Address, Member>,
    last_initialized: u64,
    limit: u64,
    balance: u64,
    leaving: Vec<(Address, Leaving)>,
    reachable: bool,
    /// Keys that the wallets ever sent a transaction for, and how often each was asked.
    sent: BTreeMap<String, u32>,
    /// Transactions that vanish after the wallet said that they were in a block.
    vanish: u32,
}

impl World {
    /// Round 100 has just begun and is initialized; three orchestrators.
    fn new() -> Self {
        Self {
            block: 100 * LENGTH,
            behind: 5,
            members: [(who(1), member(300, 99)), (who(2), member(200, 99)), (who(3), member(100, 99))].into(),
            last_initialized: 100,
            limit: 3,
            balance: 1_000_000,
            leaving: Vec::new(),
            reachable: true,
            sent: BTreeMap::new(),
            vanish: 0,
        }
    }

    fn now(&self) -> u64 {
        START_MS + self.block * SLOT_MS
    }

    fn health(&self) -> Health {
        let block = self.block - self.behind;
        let head = L1Head { block: self.block, at_ms: self.now(), slot_ms: SLOT_MS };
        Health { anchor: Some(block * 48), l1: Some(head), ..Health::default() }
    }

    fn read(&self, ask: &Ask) -> Result<Reading, ChainFault> {
        if !self.reachable {
            return Err(ChainFault::NotNow("nobody answers".into()));
        }
        let block = self.block - self.behind;
        let number = block / LENGTH;
        let round = RoundFacts {
            number: Round(number),
            initialized: self.last_initialized >= number,
            last_initialized: Round(self.last_initialized),
            start_block: number * LENGTH,
            length: LENGTH,
            l1_block: block,
            locked: false,
            paused: false,
            inflation: Word(U256::from(300_000)),
            supply: Some(Lpt(U256::from(1200))),
            active_stake: Lpt(U256::from(600)),
            mintable: Lpt::default(),
            minted: Lpt::default(),
            target_participation: Word::default(),
        };
        Ok(Reading {
            tier: Tier::Pending { l1_blocks: 300 },
            l1_slot: block,
            l2_block: block * 48,
            at_ms: START_MS + block * SLOT_MS,
            round,
            members: self.members.clone().into_iter().collect(),
            pool_limit: self.limit,
            own: ask.own.map(|own| (true, self.members.get(&own).cloned().unwrap_or(member(0, 0)))),
            balance: Some(Wei(U256::from(self.balance))),
            leaving: self.leaving.clone(),
        })
    }

    fn call(&mut self, duty: Duty, by: Address) -> Result<Called, DutyFault> {
        *self.sent.entry(duty.key(by)).or_default() += 1;
        if self.vanish > 0 {
            self.vanish -= 1;
            return Ok(Called::Done("in block 7, by one source".into()));
        }
        match duty {
            Duty::Initialize { round } if self.last_initialized >= round.0 => {
                return Ok(Called::NotNeeded("round already initialized".into()));
            }
            Duty::Initialize { round } => self.last_initialized = round.0,
            Duty::Reward { round, own } => {
                let member = self.members.get_mut(&own).unwrap();
                assert!(member.last_reward_round < round, "the contract reverts a second reward");
                member.last_reward_round = round;
            }
        }
        Ok(Called::Done("in block 8".into()))
    }
}

fn config(own: Option<u8>) -> Config {
    Config {
        own: own.map(who),
        watched: Vec::new(),
        slot_ms: SLOT_MS,
        stale_after_ms: 6 * 3_600_000,
        eviction_percent: 5,
    }
}

/// A node with the key of orchestrator `own`.
struct Node {
    core: Core,
    own: Address,
    /// Whether its calls arrive.
    wallet: bool,
}

impl Node {
    fn of(own: u8) -> Self {
        Self {
            core: Core::new(config(Some(own)), Some(who(own)), ChainView::default()),
            own: who(own),
            wallet: true,
        }
    }

    fn watching(own: u8) -> Self {
        Self { core: Core::new(config(Some(own)), None, ChainView::default()), own: who(own), wallet: true }
    }

    /// The process dies and comes back with nothing.
    fn restart(&mut self) {
        self.core = Core::new(config(Some(self.own.0[0])), Some(self.own), ChainView::default());
    }

    fn look(&mut self, world: &mut World) {
        let mut effects = self.core.on_health(world.now(), world.health());
        while let Some(effect) = effects.pop() {
            effects.extend(match effect {
                Effect::Read(ask) => self.core.on_reading(world.now(), world.read(&ask)),
                Effect::Call(duty, _) if self.wallet => {
                    let end = world.call(duty, self.own);
                    self.core.on_called(world.now(), duty, end)
                }
                Effect::Call(duty, _) => {
                    let fault = DutyFault::Passing("no endpoint answers".into());
                    self.core.on_called(world.now(), duty, Err(fault))
                }
            });
        }
    }

    fn alarm(&self, kind: &str) -> Option<&Cause> {
        self.core.view().alarms.iter().map(|alarm| &alarm.cause).find(|cause| cause.kind() == kind)
    }
}

fn run(world: &mut World, nodes: &mut [Node], blocks: u64) {
    for _ in 0..blocks {
        world.block += 1;
        nodes.iter_mut().for_each(|node| node.look(world));
    }
}

#[test]
fn a_reward_is_called_once_in_the_first_tenth_of_the_round() {
    let (mut world, mut nodes) = (World::new(), [Node::of(1), Node::of(2), Node::of(3)]);
    run(&mut world, &mut nodes, LENGTH / 10 + 20);
    let keys: Vec<_> = (1..=3).map(|n| (format!("reward/100/{}", who(n)), 1)).collect();
    assert_eq!(world.sent, keys.into_iter().collect());
}

#[test]
fn a_restart_after_the_call_and_before_its_proof_asks_for_the_same_transaction() {
    let (mut world, mut nodes) = (World::new(), [Node::of(1)]);
    world.behind = 300;
    while world.sent.is_empty() {
        run(&mut world, &mut nodes, 1);
    }
    // What is proven is an hour old and does not show it yet. The key makes the wallet send nothing new.
    world.members.get_mut(&who(1)).unwrap().last_reward_round = Round(99);
    nodes[0].restart();
    run(&mut world, &mut nodes, 200);
    assert_eq!(world.sent.keys().collect::<Vec<_>>(), [&format!("reward/100/{}", who(1))]);
}

#[test]
fn a_reward_that_vanished_is_called_again_once_a_later_block_does_not_show_it() {
    let (mut world, mut nodes) = (World::new(), [Node::of(1)]);
    world.vanish = 1;
    run(&mut world, &mut nodes, LENGTH / 10 + 60);
    assert_eq!(world.sent.into_values().collect::<Vec<_>>(), [2]);
    let outcomes: Vec<_> = nodes[0].core.view().duties.iter().map(|note| note.outcome.clone()).collect();
    assert_eq!(outcomes, ["done", "lost", "done"]);
    assert_eq!(nodes[0].core.view().own.as_ref().unwrap().facts.last_reward_round, Round(100));
}

#[test]
fn who_cannot_send_tries_all_round_long_and_is_told_at_four_fifths() {
    let (mut world, mut nodes) = (World::new(), [Node::of(1)]);
    nodes[0].wallet = false;
    run(&mut world, &mut nodes, LENGTH * 79 / 100);
    assert!(nodes[0].alarm("reward_missing").is_none());
    run(&mut world, &mut nodes, LENGTH * 2 / 100);
    assert!(matches!(nodes[0].alarm("reward_missing"), Some(Cause::RewardMissing { percent: 80.., .. })));
    assert!(nodes[0].core.view().duties.len() < 4, "the same failure is one line of the log");
    nodes[0].wallet = true;
    run(&mut world, &mut nodes, LENGTH / 50 + 70);
    assert!(nodes[0].alarm("reward_missing").is_none());
    assert_eq!(world.sent.into_values().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_node_without_a_key_calls_nothing_and_is_told_all_the_same() {
    let (mut world, mut nodes) = (World::new(), [Node::watching(1)]);
    run(&mut world, &mut nodes, LENGTH * 81 / 100);
    assert!(world.sent.is_empty());
    assert!(nodes[0].alarm("reward_missing").is_some());
}

#[test]
fn nothing_is_called_without_gas_and_that_is_told() {
    let (mut world, mut nodes) = (World::new(), [Node::of(1)]);
    world.balance = 0;
    run(&mut world, &mut nodes, LENGTH / 10 + 20);
    assert!(world.sent.is_empty());
    assert!(nodes[0].alarm("no_gas").is_some());
    world.balance = 1_000_000;
    run(&mut world, &mut nodes, 100);
    assert_eq!(world.sent.len(), 1);
    assert!(nodes[0].alarm("no_gas").is_none());
}

#[test]
fn with_every_source_gone_the_last_state_is_served_and_grows_old() {
    let (mut world, mut nodes) = (World::new(), [Node::of(1)]);
    run(&mut world, &mut nodes, 10);
    let known = nodes[0].core.view().known.unwrap();
    world.reachable = false;
    let last = world.health();
    for _ in 0..2000 {
        world.block += 1;
        let effects = nodes[0].core.on_health(world.now(), last.clone());
        if effects.iter().any(|effect| matches!(effect, Effect::Read(_))) {
            let fault = ChainFault::NotNow("nobody answers".into());
            nodes[0].core.on_reading(world.now(), Err(fault));
        }
    }
    let view = nodes[0].core.view();
    assert_eq!((view.members.len(), view.known.unwrap()), (3, known));
    assert!(view.age_ms(world.now()).unwrap() > 6 * 3_600_000);
    assert!(matches!(nodes[0].alarm("stale"), Some(Cause::Stale { age_ms: 21_600_000.. })));
}

#[test]
fn a_reading_of_an_older_block_is_not_taken() {
    let (mut world, mut nodes) = (World::new(), [Node::of(1)]);
    run(&mut world, &mut nodes, 10);
    let known = nodes[0].core.view().known;
    world.block -= 6;
    let mut older = world.read(&Ask::default()).unwrap();
    older.members.clear();
    nodes[0].core.on_reading(world.now() + 1, Ok(older));
    assert_eq!((nodes[0].core.view().known, nodes[0].core.view().members.len()), (known, 3));
}

#[test]
fn a_round_is_initialized_by_one_of_a_hundred() {
    let mut world = World::new();
    world.members = (1..=100).map(|n| (who(n), member(u64::from(n), 100))).collect();
    world.limit = 100;
    world.last_initialized = 99;
    let mut nodes: Vec<Node> = (1..=100).map(Node::of).collect();
    run(&mut world, &mut nodes, 60);
    assert_eq!(world.last_initialized, 100);
    let callers: BTreeSet<_> = world.sent.keys().filter(|key| key.starts_with("initialize/")).collect();
    assert!((1..=2).contains(&callers.len()), "{callers:?}");
}

#[test]
fn a_round_is_initialized_in_the_end_though_only_the_last_in_turn_lives() {
    for own in [1, 2, 3] {
        let mut world = World::new();
        world.last_initialized = 99;
        run(&mut world, &mut [Node::of(own)], 40);
        assert_eq!(world.last_initialized, 100, "{own}");
    }
}

#[test]
fn reads_are_bounded_whatever_the_chain_does() {
    let (mut world, mut core, mut reads) =
        (World::new(), Core::new(config(None), None, ChainView::default()), 0);
    for _ in 0..1000 {
        world.block += 1;
        for _ in 0..10 {
            for effect in core.on_health(world.now(), world.health()) {
                if let Effect::Read(ask) = effect {
                    reads += 1;
                    core.on_reading(world.now(), world.read(&ask));
                }
            }
        }
    }
    assert!((240..=251).contains(&reads), "{reads}");
}

#[test]
fn stake_near_the_pools_last_is_told_only_when_the_pool_is_full() {
    let (mut world, mut nodes) = (World::new(), [Node::of(2)]);
    world.members.get_mut(&who(2)).unwrap().stake = U256::from(104);
    run(&mut world, &mut nodes, 10);
    assert!(matches!(nodes[0].alarm("near_eviction"), Some(Cause::NearEviction { percent: 5, .. })));
    world.limit = 4;
    run(&mut world, &mut nodes, 10);
    assert!(nodes[0].alarm("near_eviction").is_none());
}

#[test]
fn an_own_orchestrator_that_is_no_longer_active_is_told() {
    let (mut world, mut nodes) = (World::new(), [Node::of(2)]);
    let own = world.members.get_mut(&who(2)).unwrap();
    (own.active, own.in_pool) = (false, false);
    run(&mut world, &mut nodes, 700);
    assert!(matches!(nodes[0].alarm("inactive"), Some(Cause::Inactive { in_pool: false, .. })));
    assert!(world.sent.is_empty(), "and it is not rewarded");
}

#[test]
fn who_is_watched_and_takes_money_out_is_told_each_by_itself() {
    let (mut world, mut nodes) = (World::new(), [Node::of(1)]);
    world.leaving = vec![
        (who(7), Leaving::Unlocks { withdraw_round: Round(107) }),
        (who(8), Leaving::Unbonds { amount: Lpt(U256::from(5)), withdraw_round: Round(107) }),
    ];
    run(&mut world, &mut nodes, 5);
    let leaving = nodes[0].core.view().alarms.iter().filter(|alarm| alarm.cause.kind() == "leaving");
    assert_eq!(leaving.count(), 2);
}

#[test]
fn an_unknown_target_is_told_from_its_beginning_and_takes_nothing_away() {
    let (mut world, mut nodes) = (World::new(), [Node::of(1)]);
    run(&mut world, &mut nodes, 10);
    let since = world.now() + 1;
    for later in [1, 100_000] {
        let fault = ChainFault::UnknownTarget("slot 7 of the Controller".into());
        nodes[0].core.on_reading(world.now() + later, Err(fault));
    }
    let alarm = &nodes[0].core.view().alarms[0];
    assert_eq!((alarm.cause.kind(), alarm.since_ms), ("unknown_target", since));
    assert_eq!(nodes[0].core.view().members.len(), 3);
}

#[test]
fn a_lie_keeps_its_first_words_while_the_source_is_in_disgrace() {
    let mut core = Core::new(config(None), None, ChainView::default());
    let health = |fault: &str| Health {
        sources: vec![SourceHealth {
            name: "l2 example".into(),
            standing: "liar".into(),
            answers: 0,
            failures: 0,
            lies: 1,
            lag_slots: None,
            latency_ms: None,
            last_fault: Some(fault.into()),
        }],
        ..Health::default()
    };
    core.on_health(1, health("a proof that fails"));
    core.on_health(2, health("a timeout"));
    assert!(core.view().alarms[0].cause.to_string().contains("source l2 example lied: a proof that fails"));
}

#[test]
fn the_watch_list_is_bounded_and_keeps_the_newest() {
    let mut core = Core::new(config(None), None, ChainView::default());
    (0..=u8::MAX).for_each(|n| core.on_watch(&[who(n)]));
    let effects = core.on_health(1, World::new().health());
    let Some(Effect::Read(ask)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!((ask.watched.len(), ask.watched.last()), (MOST_WATCHED, Some(&who(u8::MAX))));
}

#[test]
fn a_reward_that_was_included_and_reverted_gets_another_transaction() {
    let (mut world, mut node) = (World::new(), Node::of(1));
    let mut attempts = Vec::new();
    for _ in 0..LENGTH / 10 + 100 {
        world.block += 1;
        let mut effects = node.core.on_health(world.now(), world.health());
        while let Some(effect) = effects.pop() {
            effects.extend(match effect {
                Effect::Read(ask) => node.core.on_reading(world.now(), world.read(&ask)),
                Effect::Call(duty, attempt) => {
                    attempts.push(attempt);
                    let end = if attempts.len() < 3 {
                        Err(DutyFault::Reverted("out of gas".into()))
                    } else {
                        world.call(duty, who(1))
                    };
                    node.core.on_called(world.now(), duty, end)
                }
            });
        }
    }
    assert_eq!(attempts, [0, 1, 2]);
}
