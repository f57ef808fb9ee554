//! The core driven by hand over the captured chain: what it wants, in which order, and when.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::consensus::{Bootstrap, Reject};
use crate::forks::Fork;

const NOW: u64 = 330;

fn bytes(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/minimal-deneb-electra-fulu");
    fs::read(folder.join(name)).unwrap()
}

fn spec() -> Arc<ChainSpec> {
    Arc::new(ChainSpec::from_config_json(&bytes("config.json"), None).unwrap())
}

fn at(spec: &ChainSpec, slot: u64) -> u64 {
    crate::sync::clock::start_of(spec, slot)
}

fn core(seed: u64) -> (Core, u64) {
    let spec = spec();
    let now = at(&spec, NOW);
    let mut core = Core::new(spec, Freshness::default(), true, seed, now);
    let first = Bootstrap::from_json(&core.spec, &bytes("bootstrap_first.json")).unwrap();
    core.trust([first.header.root()]);
    (core, now)
}

/// What the captured chain answers.
fn answer(spec: &ChainSpec, want: Want) -> Item {
    match want {
        Want::Bootstrap { root } => {
            let bootstrap = Bootstrap::from_json(spec, &bytes("bootstrap_first.json")).unwrap();
            Item::Bootstrap { root, bootstrap: Box::new(bootstrap) }
        }
        Want::Update { period } => {
            let update = Update::from_json(spec, &bytes(&format!("update_period_{period}.json"))).unwrap();
            Item::Update(Box::new(update))
        }
        Want::Finality => Item::Finality(Box::new(
            FinalityUpdate::decode_ssz(spec, Fork::Fulu, &bytes("finality_update.ssz")).unwrap(),
        )),
        Want::Optimistic => Item::Optimistic(Box::new(
            OptimisticUpdate::decode_ssz(spec, Fork::Fulu, &bytes("optimistic_update.ssz")).unwrap(),
        )),
    }
}

/// Answers every question until there is none; returns the questions.
fn follow(core: &mut Core, now: u64) -> Vec<Want> {
    let mut asked = Vec::new();
    while let Plan::Ask(want) = core.plan(now) {
        asked.push(want);
        let item = answer(&core.spec.clone(), want);
        match core.judge(now, &item) {
            Ok(checked) => _ = core.accept(now, checked).unwrap(),
            Err(Unfit::Idle) => core.nothing_newer(now, want, "nothing newer".to_owned()),
            Err(Unfit::Rejected(reject)) => panic!("{want:?}: {reject}"),
        }
    }
    asked
}

#[test]
fn a_bootstrap_then_one_update_a_period_then_finality() {
    let (mut core, now) = core(1);
    let Plan::Ask(Want::Bootstrap { root }) = core.plan(now) else { panic!() };
    let mut expected = vec![Want::Bootstrap { root }];
    expected.extend((0..5).map(|period| Want::Update { period }));
    expected.push(Want::Finality);
    assert_eq!(follow(&mut core, now), expected);
    assert_eq!(core.phase(now), Phase::Following);
    assert!(matches!(core.plan(now), Plan::Wait { until_ms } if until_ms > now));
}

#[test]
fn what_is_kept_is_enough_to_go_on_with_one_question() {
    let (mut first, now) = core(1);
    follow(&mut first, now);
    let saved = first.saved().unwrap();
    let (mut second, _) = core(2);
    let store = Store::decode(&second.spec, &saved.consensus).unwrap();
    second.resume(now, store, &saved);
    assert_eq!(follow(&mut second, now), [Want::Finality]);
}

#[test]
fn pauses_double_until_something_changes() {
    let (mut core, now) = core(1);
    let Plan::Ask(want) = core.plan(now) else { panic!() };
    let mut pauses = Vec::new();
    let mut then = now;
    for _ in 0..9 {
        core.failed(then, want, "gone".to_owned());
        let pause = core.pauses[&want].until_ms - then;
        assert!(matches!(core.plan(then), Plan::Wait { .. }));
        pauses.push(pause);
        then += pause;
    }
    assert!(pauses.windows(2).take(5).all(|two| two[1] > two[0]), "{pauses:?}");
    assert!(pauses[8] <= LONGEST_PAUSE_SLOTS * core.spec.slot_ms * 5 / 4, "{pauses:?}");
    core.failed(then, want, "gone".to_owned());
    core.nudge();
    assert_eq!(core.plan(then), Plan::Ask(want), "a new source is asked at once");
}

#[test]
fn clients_fetch_the_update_of_their_period_at_moments_of_their_own() {
    let mut moments = Vec::new();
    for seed in 0..20 {
        let (mut core, now) = core(seed);
        follow(&mut core, now);
        core.draw_committee_time(now);
        let end = at(&core.spec, 384);
        assert!(core.committee_at_ms >= now && core.committee_at_ms < end);
        moments.push(core.committee_at_ms);
    }
    moments.sort_unstable();
    moments.dedup();
    assert!(moments.len() > 15, "{moments:?}");
}

#[test]
fn valid_and_useless_is_told_from_invalid() {
    let (mut core, now) = core(1);
    let finality = answer(&core.spec.clone(), Want::Finality);
    assert_eq!(
        core.judge(now, &finality).unwrap_err(),
        Unfit::Idle,
        "nothing can be told without a bootstrap"
    );
    follow(&mut core, now);
    let old = answer(&core.spec.clone(), Want::Update { period: 5 });
    assert_eq!(core.judge(now, &old).unwrap_err(), Unfit::Idle, "valid, and slot 304 was final before");
    assert!(matches!(
        core.judge(now, &finality).unwrap_err(),
        Unfit::Idle | Unfit::Rejected(Reject::NothingNew { .. })
    ));
}

#[test]
fn halted_is_for_good() {
    let (mut core, now) = core(1);
    core.halt();
    assert_eq!(core.plan(now), Plan::Halted);
    assert_eq!(core.phase(now), Phase::Halted);
}
