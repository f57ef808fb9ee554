//! The formulas against values that the contracts themselves gave, to the last unit.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use alloy_primitives::U256;
use proptest::prelude::*;
use protocol::amount::{Lpt, Wei};
use protocol::earnings::{Accrued, Claimed, Earnings, Factors, claim, fee_factor, pending, reward_factor};
use protocol::math::{Arithmetic, PPB, PPM, PRECISE, Precision};
use protocol::reserve::{Reserve, payable};
use protocol::rounds::{Clock, Round};
use serde_json::Value;

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap()["cases"].as_array().unwrap().clone()
}

fn word(value: &Value) -> U256 {
    U256::from_str_radix(value.as_str().unwrap(), 10).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn words(value: &Value) -> Vec<U256> {
    value.as_array().unwrap().iter().map(word).collect()
}

/// The error that a case names by Solidity's panic.
fn panic_of(case: &Value) -> Arithmetic {
    match case["revert"].as_str().unwrap() {
        "Panic due to OVERFLOW(17)" => Arithmetic::Overflow,
        "Panic due to DIVIDE_BY_ZERO(18)" => Arithmetic::DivisionByZero,
        other => panic!("{other}"),
    }
}

fn expected(case: &Value) -> Result<U256, Arithmetic> {
    if case["ok"].as_bool().unwrap() { Ok(word(&case["out"])) } else { Err(panic_of(case)) }
}

fn precision(function: &str) -> Precision {
    match function.as_bytes()[0] {
        b'p' => PRECISE,
        b'm' => PPM,
        b'n' => PPB,
        other => panic!("{other}"),
    }
}

#[test]
fn shares_at_every_precision_are_the_contracts() {
    let cases = cases(include_str!("vectors/math.json"));
    for case in &cases {
        let function = case["fn"].as_str().unwrap();
        let (p, a) = (precision(function), words(&case["args"]));
        match &function[1..] {
            "3" => assert_eq!(p.part(a[0], a[1], a[2]), expected(case), "{case}"),
            "2" => assert_eq!(p.share(a[0], a[1]), expected(case), "{case}"),
            "p" => assert_eq!(p.points(a[0], a[1]), expected(case), "{case}"),
            "v" => assert_eq!(p.is_share(a[0]), case["out"].as_bool().unwrap(), "{case}"),
            other => panic!("{other}"),
        }
    }
    println!("math: {} cases", cases.len());
    assert_eq!(cases.len(), 120);
}

#[test]
fn factors_and_claims_are_the_contracts() {
    let cases = cases(include_str!("vectors/lip36.json"));
    for case in &cases {
        let a = words(&case["args"]);
        match case["fn"].as_str().unwrap() {
            "crf" => assert_eq!(reward_factor(a[1], Lpt(a[2]), Lpt(a[0])), expected(case), "{case}"),
            "cff" => {
                let previous = Factors { reward: a[2], fee: a[3] };
                assert_eq!(fee_factor(a[1], previous, Wei(a[4]), Lpt(a[0])), expected(case), "{case}");
            }
            "dcs" => {
                let held = Earnings { stake: Lpt(a[4]), fees: Wei(a[5]) };
                let (start, end) = (Factors { reward: a[0], fee: a[1] }, Factors { reward: a[2], fee: a[3] });
                let want = if case["ok"].as_bool().unwrap() {
                    let out = words(&case["out"]);
                    Ok(Earnings { stake: Lpt(out[0]), fees: Wei(out[1]) })
                } else {
                    Err(panic_of(case))
                };
                assert_eq!(claim(held, start, end), want, "{case}");
            }
            other => panic!("{other}"),
        }
    }
    println!("lip36: {} cases", cases.len());
    assert_eq!(cases.len(), 45);
}

#[test]
fn rounds_keep_their_count_through_changes_of_their_length() {
    let cases = cases(include_str!("vectors/rounds.json"));
    let (mut probed, mut changed) = (0, 0);
    for case in &cases {
        let updates = case["updates"].as_array().unwrap();
        let mut clock = Clock { length: 0, lock: 0, since_round: Round(0), since_block: 0 };
        for (i, update) in updates.iter().enumerate() {
            clock = clock.with_length(number(&update["atBlock"]), number(&update["setRoundLength"])).unwrap();
            clock.lock = number(&update["setRoundLockAmount"]);
            changed += 1;
            let after = |p: &&Value| p["afterUpdates"].as_u64() == Some(i as u64 + 1);
            for probe in case["probes"].as_array().unwrap().iter().filter(after) {
                let block = number(&probe["block"]);
                assert_eq!(clock.round_at(block).unwrap(), Round(number(&probe["currentRound"])), "{probe}");
                assert_eq!(
                    clock.start_at(block).unwrap(),
                    number(&probe["currentRoundStartBlock"]),
                    "{probe}"
                );
                assert_eq!(clock.locked_at(block).unwrap(), probe["locked"].as_bool().unwrap(), "{probe}");
                probed += 1;
            }
        }
        assert_eq!(clock.since_round, Round(number(&case["lastRoundLengthUpdateRound"])));
        assert_eq!(clock.since_block, number(&case["lastRoundLengthUpdateStartBlock"]));
    }
    println!("rounds: {} clocks, {changed} changes, {probed} probes", cases.len());
    let all: usize = cases.iter().map(|c| c["probes"].as_array().unwrap().len()).sum();
    assert_eq!((cases.len(), probed), (6, all));
}

#[test]
fn a_clock_without_a_length_is_an_error_and_no_panic() {
    let clock = Clock { length: 0, lock: 0, since_round: Round(0), since_block: 0 };
    assert_eq!(clock.round_at(5), Err(Arithmetic::DivisionByZero));
    assert_eq!(clock.with_length(5, 0), Err(Arithmetic::DivisionByZero));
    let late = Clock { length: 10, lock: 0, since_round: Round(3), since_block: 100 };
    assert_eq!(late.locked_at(99), Err(Arithmetic::Overflow));
    let odd = Clock { lock: 1_000_001, length: 1_000_000, ..late };
    assert_eq!(odd.lock_offset(), Err(Arithmetic::Overflow));
    let far = Clock { since_round: Round(u64::MAX), ..late };
    assert_eq!(far.round_at(u64::MAX), Err(Arithmetic::Overflow));
}

#[test]
fn shares_of_a_reserve_and_what_tickets_are_paid_are_the_contracts() {
    let text = include_str!("vectors/reserve.json");
    let steps = serde_json::from_str::<Value>(text).unwrap()["steps"].as_array().unwrap().clone();
    let mut shares = 0;
    for step in &steps {
        let pool = U256::from(step["after"]["poolSize"].as_str().unwrap().parse::<u64>().unwrap());
        for sender in step["after"]["senders"].as_object().unwrap().values() {
            for seen in sender["claimableAndClaimed"].as_object().unwrap().values() {
                let reserve = Reserve {
                    funds: Wei(word(&sender["reserve"])),
                    claimed: Wei(word(&sender["claimedInCurrentRound"])),
                    claimed_by: Wei(word(&seen[1])),
                };
                match (seen[0].as_str().unwrap(), reserve.share(pool)) {
                    ("0", _) => {} // not active, or nothing left: the share is not asked for
                    ("revert: Panic due to OVERFLOW(17)", got) => assert_eq!(got, Err(Arithmetic::Overflow)),
                    (_, got) => assert_eq!(got, Ok(Wei(word(&seen[0]))), "{step}"),
                }
                shares += usize::from(seen[0] != "0");
            }
        }
    }
    println!("reserve: {} steps, {shares} shares", steps.len());
    assert_eq!(steps.len(), 27);
}

#[test]
fn a_ticket_is_paid_from_the_deposit_first_and_then_from_one_share() {
    let wei = |n: u64| Wei(U256::from(n));
    assert_eq!(payable(wei(10), wei(6), wei(3)), wei(9));
    assert_eq!(payable(wei(10), wei(60), wei(3)), wei(10));
    assert_eq!(payable(Wei(U256::MAX), Wei(U256::MAX), Wei(U256::MAX)), Wei(U256::MAX));
}

fn any_word() -> impl Strategy<Value = U256> {
    prop_oneof![
        Just(U256::ZERO),
        Just(U256::ONE),
        Just(U256::MAX),
        any::<u64>().prop_map(U256::from),
        any::<[u64; 4]>().prop_map(U256::from_limbs),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_numbers_make_a_formula_panic(a in any_word(), b in any_word(), c in any_word(), d in any_word(), n: u64, m: u64) {
        for precision in [PPM, PPB, PRECISE] {
            let _ = precision.part(a, b, c);
        }
        let (from, to) = (Factors { reward: a, fee: b }, Factors { reward: c, fee: d });
        let held = Earnings { stake: Lpt(b), fees: Wei(c) };
        let _ = (reward_factor(a, Lpt(b), Lpt(c)), fee_factor(a, to, Wei(b), Lpt(d)), claim(held, from, to));
        let claimed = Claimed { earnings: held, round: Round(n) };
        let accrued = Accrued {
            start: from,
            now: to,
            last_reward: (Round(m), d),
            last_fee: (Round(m), a),
            commission: Some(held),
        };
        let _ = pending(claimed, &accrued, Round(m));
        let _ = Reserve { funds: Wei(a), claimed: Wei(b), claimed_by: Wei(c) }.share(d);
        prop_assert!(payable(Wei(a), Wei(b), Wei(c)).0 <= a);
        let clock = Clock { length: n, lock: m, since_round: Round(a.saturating_to()), since_block: b.saturating_to() };
        let _ = (clock.locked_at(n), clock.with_length(m, n));
        if let (Ok(round), Ok(start)) = (clock.round_at(m), clock.start_at(m)) {
            prop_assert!(start <= m && m - start < clock.length && round >= clock.since_round);
        }
    }

    /// What two delegators claim is never more than what one with both their stakes would.
    #[test]
    fn rounding_never_gives_away_what_was_not_earned(
        a in 0..u64::MAX, b in 0..u64::MAX, rest in 0..u64::MAX, stake in 1..u64::MAX,
    ) {
        let factor = reward_factor(U256::ZERO, Lpt(U256::from(rest)), Lpt(U256::from(stake))).unwrap();
        let end = Factors { reward: factor, fee: U256::ZERO };
        let after = |n: U256| {
            let held = Earnings { stake: Lpt(n), fees: Wei::default() };
            claim(held, Factors::default(), end).unwrap().stake.0
        };
        let (a, b) = (U256::from(a), U256::from(b));
        prop_assert!(after(a) + after(b) <= after(a + b));
        prop_assert!(after(a) >= a);
    }
}
