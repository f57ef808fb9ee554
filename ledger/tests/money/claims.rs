//! What the ledger promises, one claim a test.

use std::fs;
use std::path::{Path, PathBuf};

use alloy_primitives::{B256, U256, U512};
use ledger::books::{Balance, Misfit};
use ledger::export::{Format, export};
use ledger::{CommitError, Config, Ledger, OpenError, SegmentsError, bench};
use protocol::Wei;
use protocol::payments::Entry;
use protocol::payments::entry::{Redemption, Side};
use protocol::tickets::credit::Credit;

use ledger::bench::load;

fn filled(dir: &Path, commits: u64) -> Ledger {
    filled_with(dir, commits, Config::default())
}

/// Small files, so that balances are carried forward often.
const SMALL: Config = Config { segment: 64 << 10, group_every: ledger::GROUP_EVERY };

fn filled_with(dir: &Path, commits: u64, config: Config) -> Ledger {
    let (ledger, opened) = Ledger::open_with(dir, config).unwrap();
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
    assert_eq!(opened.entries, load::entries(1500));
    let sums = ledger.reconcile().unwrap();
    assert_eq!((sums.entries, sums.accounts), (load::entries(1500), 2));
    let account = ledger.account(Side::Recipient, load::session(1499)).unwrap();
    let cost = Credit::of_work(1_300_000, load::PRICE);
    assert_eq!(account.balance(), Balance::Left(load::worth().less(cost).times(500)));
    assert_eq!(ledger.totals(Side::Recipient).tickets, 1500);
    assert_eq!(ledger.by_day(Side::Recipient).values().map(|day| day.tickets).sum::<u64>(), 1500);
    assert_eq!(ledger.high_water(Side::Recipient, load::rand_hash(1499)), Some(499));
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

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "journal"));
    files.sort();
    files
}

#[test]
fn a_start_reads_the_balance_and_what_follows_it_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled_with(dir.path(), 1500, SMALL));
    let files = files(dir.path());
    assert!(files.len() > 5, "{}", files.len());
    let (ledger, opened) = Ledger::open_with(dir.path(), SMALL).unwrap();
    assert_eq!(opened.entries, load::entries(1500));
    assert!(opened.replayed < 1200, "{} were read again", opened.replayed);
    ledger.reconcile().unwrap();
    drop(ledger);
    // Everything else that is no journal may be lost: nothing is slower for it.
    fs::remove_file(dir.path().join("promised")).unwrap();
    let (ledger, opened) = Ledger::open_with(dir.path(), SMALL).unwrap();
    assert!(opened.replayed < 1200, "{} were read again", opened.replayed);
    ledger.reconcile().unwrap();
    drop(ledger);
    fs::remove_file(&files[2]).unwrap();
    let (ledger, _) = Ledger::open_with(dir.path(), SMALL).unwrap();
    assert_eq!(ledger.totals(Side::Recipient).works, 1500, "the balance still knows of them");
    let error = ledger.each(0, |_, _| ()).unwrap_err();
    assert!(matches!(error, SegmentsError::Gap { .. }), "but they cannot be listed: {error}");
}

#[test]
fn a_file_without_its_balance_is_read_with_the_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled_with(dir.path(), 300, SMALL));
    // As a kill leaves it that comes when a file is begun.
    fs::write(dir.path().join(format!("{:020}.journal", load::entries(300))), b"").unwrap();
    let (ledger, opened) = Ledger::open_with(dir.path(), SMALL).unwrap();
    assert_eq!(opened.entries, load::entries(300));
    assert!(opened.replayed > 0);
    let commits = (300..900).map(load::commit);
    bench::appends(&ledger, commits, 8).unwrap();
    drop(ledger);
    let (ledger, _) = Ledger::open_with(dir.path(), SMALL).unwrap();
    ledger.reconcile().unwrap();
}

#[test]
fn a_damaged_balance_is_an_error_and_never_another_sum() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled_with(dir.path(), 1500, SMALL));
    let last = files(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    bytes[100] ^= 1;
    fs::write(&last, &bytes).unwrap();
    Ledger::open_with(dir.path(), SMALL).unwrap_err();
    assert_eq!(fs::read(&last).unwrap(), bytes, "nothing was changed");
}

#[test]
fn accounts_long_closed_are_one_sum_and_every_wei_of_them_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled_with(dir.path(), 9000, SMALL);
    assert!(ledger.accounts().len() < 9, "{} are kept", ledger.accounts().len());
    assert_eq!(ledger.account(Side::Recipient, load::session(0)), None);
    let all = ledger.totals(Side::Recipient);
    assert_eq!((all.accounts, all.works, all.tickets), (9, 9000, 9000));
    assert_eq!(all.credited.0[&load::PRICE.pixels], load::worth().times(9000));
    assert_eq!(
        ledger.by_stream(Side::Recipient).into_values().collect::<Vec<_>>(),
        std::slice::from_ref(&all)
    );
    assert_eq!(
        ledger.by_sender(Side::Recipient).into_values().collect::<Vec<_>>(),
        std::slice::from_ref(&all)
    );
    assert_eq!(ledger.reconcile().unwrap().accounts, 9);
    drop(ledger);
    let (ledger, _) = Ledger::open_with(dir.path(), SMALL).unwrap();
    assert_eq!(ledger.totals(Side::Recipient), all);
    ledger.reconcile().unwrap();
    let mut listed = 0;
    ledger.each(0, |_, _| listed += 1).unwrap();
    assert_eq!(listed, load::entries(9000), "the files keep every line");
    assert_eq!(export(dir.path(), Format::Csv, &mut Vec::new()).unwrap(), load::entries(9000));
}

#[test]
fn who_begins_anew_gets_all_that_matters_and_no_account_of_long_ago() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled_with(dir.path(), 9000, SMALL);
    let (secret, recipient) = (B256::repeat_byte(0x5e), alloy_primitives::Address::repeat_byte(2));
    let (ticket, queued) = (load::winner(3).id(), Redemption::Queued);
    let kept = vec![
        Entry::ParamsSecret { recipient, secret },
        Entry::Winner(load::winner(3)),
        Entry::Redemption { ticket, step: queued, at_ms: 5 },
    ];
    ledger.commit(kept.clone()).wait().unwrap();
    bench::appends(&ledger, (9000..9100).map(load::commit), 8).unwrap();
    let mut all = Vec::new();
    ledger.each(0, |_, entry| all.push(entry.clone())).unwrap();
    let recalled = ledger.recall().unwrap();
    assert_eq!(recalled[..3], kept, "what is remembered word for word comes first");
    let oldest = ledger.accounts().iter().map(|account| account.opened_seq).min().unwrap() as usize;
    let later: Vec<_> = all[oldest..].iter().filter(|entry| !kept.contains(entry)).cloned().collect();
    assert_eq!(recalled[3..], later, "then every line of accounts that matter");
    assert!(recalled.len() + 3000 < all.len(), "{} of {}", recalled.len(), all.len());
}

#[test]
fn an_account_opened_again_under_its_name_is_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 1000);
    ledger.commit(vec![load::opened(999), load::accepted(1000 - 500 + 7)]).wait().unwrap_err();
    ledger.commit(vec![load::opened(999)]).wait().unwrap();
    let account = ledger.account(Side::Recipient, load::session(999)).unwrap();
    assert_eq!((account.works, account.closed_ms), (0, None));
    assert_eq!(ledger.totals(Side::Recipient).works, 1000, "the first one counts on");
    assert_eq!(ledger.reconcile().unwrap().accounts, 2);
    assert_eq!(ledger.recall().unwrap().len(), 1, "and nothing of it is recalled");
}

#[test]
fn entries_that_were_promised_and_are_gone_are_an_error() {
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
fn a_second_process_does_not_touch_a_ledger_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 3);
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Segments(SegmentsError::Locked(_))), "{error}");
    ledger.commit(load::commit(3)).wait().unwrap();
    drop(ledger);
    let (_, opened) = Ledger::open(dir.path()).unwrap();
    assert_eq!(opened.entries, load::entries(4));
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
