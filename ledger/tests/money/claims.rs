//! What the ledger promises, one claim a test.

use std::fs;
use std::time::Instant;

use alloy_primitives::{B256, U256, U512};
use ledger::books::{Balance, Misfit};
use ledger::export::{Format, export};
use ledger::{CommitError, Config, IndexState, Ledger, OpenError, SegmentsError, bench};
use protocol::Wei;
use protocol::payments::Entry;
use protocol::payments::entry::{Redemption, Side};
use protocol::tickets::credit::Credit;

use crate::load;

fn filled(dir: &std::path::Path, commits: u64) -> Ledger {
    let (ledger, opened) = Ledger::open(dir).unwrap();
    let first = load::commits(opened.entries);
    let measured = bench::appends(&ledger, (first..first + commits).map(load::commit), 256).unwrap();
    assert_eq!(measured.commits, commits);
    ledger
}

#[test]
fn what_was_committed_is_there_after_a_restart_and_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 1500));
    let (ledger, opened) = Ledger::open(dir.path()).unwrap();
    assert_eq!((opened.entries, opened.replayed), (load::entries(1500), 0));
    let sums = ledger.reconcile().unwrap();
    assert_eq!((sums.entries, sums.accounts), (load::entries(1500), 2));
    let account = ledger.account(Side::Recipient, load::session(1499)).unwrap();
    let cost = Credit::of_work(1_300_000, load::PRICE);
    assert_eq!(account.balance(), Balance::Left(load::worth().less(cost).times(500)));
    assert_eq!(ledger.totals(Side::Recipient).tickets, 1500);
    assert_eq!(ledger.by_day(Side::Recipient).values().map(|day| day.tickets).sum::<u64>(), 1500);
    assert_eq!(ledger.high_water(Side::Recipient, load::rand_hash(1499)), Some(499));
    assert_eq!(ledger.oldest_open(), 0);
}

#[test]
fn no_ticket_is_credited_twice_not_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 10));
    let (ledger, _) = Ledger::open(dir.path()).unwrap();
    let refused = ledger.commit(vec![load::accepted(10), load::accepted(3)]).wait().unwrap_err();
    assert!(matches!(refused, CommitError::Misfit { at: 1, why: Misfit::NonceTwice { nonce: 3, .. } }));
    assert_eq!(ledger.entries(), load::entries(10), "the first of the two is not in either");
    ledger.commit(load::commit(10)).wait().unwrap();
}

#[test]
fn work_at_another_price_than_the_accounts_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 1);
    let Entry::Debit(mut work) = load::debit(1) else { unreachable!() };
    work.cost.0 += U512::from(1);
    let refused = ledger.commit(vec![Entry::Debit(work)]).wait().unwrap_err();
    assert!(matches!(refused, CommitError::Misfit { at: 0, why: Misfit::Price { .. } }));
}

#[test]
fn a_winner_is_open_until_it_is_redeemed_and_again_after_a_reorganisation() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 1);
    let winner = load::winner(1);
    let (ticket, transaction) = (winner.id(), B256::repeat_byte(5));
    let step = |step| vec![Entry::Redemption { ticket, step, at_ms: 1 }];
    let redeemed = |wei: u64, transaction| Redemption::Redeemed {
        transaction,
        block: 9,
        from_deposit: Wei(U256::from(wei)),
        from_reserve: Wei(U256::ZERO),
        gas: Wei(U256::from(7)),
    };
    ledger.commit(vec![Entry::Winner(winner)]).wait().unwrap();
    assert_eq!(ledger.open_winners().len(), 1);
    let above = ledger.commit(step(redeemed(1001, transaction))).wait().unwrap_err();
    assert!(matches!(above, CommitError::Misfit { why: Misfit::AboveFace(_), .. }));
    ledger.commit(step(redeemed(1000, transaction))).wait().unwrap();
    ledger.commit(step(redeemed(1000, transaction))).wait().unwrap();
    assert_eq!(ledger.reconcile().unwrap().redeemed, Wei(U256::from(1000)), "seen twice, paid once");
    let twice = ledger.commit(step(redeemed(1000, B256::ZERO))).wait().unwrap_err();
    assert!(matches!(twice, CommitError::Misfit { why: Misfit::Redeemed(_), .. }));
    assert!(ledger.open_winners().is_empty());
    ledger.commit(step(Redemption::Reopened)).wait().unwrap();
    assert_eq!(ledger.open_winners().len(), 1);
    assert_eq!(ledger.reconcile().unwrap().redeemed, Wei(U256::ZERO));
}

#[test]
fn an_index_that_is_gone_or_damaged_is_made_again_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 300));
    let index = dir.path().join("index");
    for round in 0..5 {
        let db = index.join("db");
        let mut bytes = fs::read(&db).unwrap();
        let length = bytes.len();
        match round {
            0 => fs::remove_dir_all(&index).unwrap(),
            1 => fs::write(&db, vec![0xa5; length]).unwrap(),
            2 => fs::write(index.join("conf"), b"nonsense").unwrap(),
            3 => {
                for at in (0..length).step_by(97) {
                    bytes[at] ^= 0x55;
                }
                fs::write(&db, bytes).unwrap();
            }
            _ => fs::write(&db, &bytes[..length / 3]).unwrap(),
        }
        let (ledger, opened) = Ledger::open(dir.path()).unwrap();
        println!("round {round}: replayed {} of {}, {:?}", opened.replayed, opened.entries, opened.index);
        assert_eq!(opened.entries, load::entries(300));
        ledger.reconcile().unwrap();
    }
}

#[test]
fn entries_that_the_index_has_seen_and_the_journal_lost_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 300));
    let file = dir.path().join(format!("{:020}.journal", 0));
    let length = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length - 5000).unwrap();
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Segments(SegmentsError::Shorter { .. })), "{error}");
    assert_eq!(fs::metadata(&file).unwrap().len(), length - 5000, "nothing was changed");
    fs::remove_file(&file).unwrap();
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Segments(SegmentsError::Shorter { .. })), "never empty: {error}");
}

#[test]
fn files_are_bounded_and_one_that_is_missing_between_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { segment: 64 << 10, ..Config::default() };
    let (ledger, _) = Ledger::open_with(dir.path(), config).unwrap();
    bench::appends(&ledger, (0..1000).map(load::commit), 8).unwrap();
    ledger.reconcile().unwrap();
    drop(ledger);
    let mut files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "journal"));
    files.sort();
    assert!(files.len() > 5, "{}", files.len());
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (_, opened) = Ledger::open(dir.path()).unwrap();
    assert_eq!(opened.replayed, load::entries(1000));
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    fs::remove_file(&files[2]).unwrap();
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Segments(SegmentsError::Gap { .. })), "{error}");
}

#[test]
fn a_second_process_does_not_touch_a_ledger_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 3);
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Segments(SegmentsError::Locked(_))), "{error}");
    ledger.commit(load::commit(3)).wait().unwrap();
    drop(ledger);
    let (_, opened) = Ledger::open(dir.path()).unwrap();
    assert_eq!(opened.index, IndexState::Good);
}

#[test]
fn an_export_lists_every_amount_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 20);
    let reason = "=cmd, \"quoted\"".to_owned();
    let ticket = load::winner(1).id();
    let (secret, recipient) = (B256::repeat_byte(0x5e), alloy_primitives::Address::repeat_byte(2));
    let entries = vec![
        Entry::ParamsSecret { recipient, secret },
        Entry::Winner(load::winner(1)),
        Entry::Redemption { ticket, step: Redemption::Dropped { reason }, at_ms: 5 },
    ];
    ledger.commit(entries).wait().unwrap();
    let (mut csv, mut json) = (Vec::new(), Vec::new());
    assert_eq!(export(dir.path(), Format::Csv, &mut csv).unwrap(), load::entries(20) + 3);
    export(dir.path(), Format::Json, &mut json).unwrap();
    let (csv, json) = (String::from_utf8(csv).unwrap(), String::from_utf8(json).unwrap());
    let sum: U512 = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|row| row["credit_in"].as_str().map(|credit| credit.parse::<U512>().unwrap()))
        .sum();
    assert_eq!(sum, load::worth().times(20).0, "the lines add up to what the books say");
    assert!(csv.contains("\"'=cmd, \"\"quoted\"\"\""), "{csv}");
    for text in [&csv, &json] {
        assert!(!text.contains("5e5e5e") && !text.contains("987654321") && !text.contains("3ade68b1"));
    }
}

#[test]
#[ignore = "writes a million entries"]
fn a_million_entries_open_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let ledger = filled(dir.path(), 500_000);
    println!("written in {:?}", begun.elapsed());
    drop(ledger);
    let begun = Instant::now();
    let (ledger, opened) = Ledger::open(dir.path()).unwrap();
    println!("{} entries, closed well, open in {:?}", opened.entries, begun.elapsed());
    drop(ledger);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let begun = Instant::now();
    let (ledger, opened) = Ledger::open(dir.path()).unwrap();
    println!("{} replayed without an index in {:?}", opened.replayed, begun.elapsed());
    let begun = Instant::now();
    ledger.reconcile().unwrap();
    println!("reconciled in {:?}", begun.elapsed());
}
