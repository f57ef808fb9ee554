//! A million entries, a kill under load, and how long the next start takes, whatever else is gone.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ledger::{Ledger, Opened, bench};
use protocol::payments::entry::Side;

use crate::killed::Payee;
use ledger::bench::load;

/// Commits of two entries and a little more.
const COMMITS: u64 = 500_000;

fn open(dir: &Path) -> (Ledger, Opened, Duration) {
    let begun = Instant::now();
    let (ledger, opened) = Ledger::open(dir).unwrap();
    (ledger, opened, begun.elapsed())
}

#[test]
#[ignore = "writes a million entries"]
fn a_million_entries_open_at_once_after_a_kill_and_with_everything_but_the_journal_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, ..) = open(dir.path());
    let written = bench::appends(&ledger, (0..COMMITS).map(load::commit), 256).unwrap();
    println!("{} entries written, {:.0} a second", written.entries, written.per_second());
    drop(ledger);
    let (mut slowest, mut said) = (Duration::ZERO, COMMITS);
    for round in 0..10 {
        let mut payee = Payee::start(dir.path(), 64);
        (0..200 + 40 * round).for_each(|_| assert!(payee.hear(), "the child ended by itself"));
        payee.kill();
        said = said.max(payee.acknowledged);
        let (ledger, opened, took) = open(dir.path());
        assert!(ledger.totals(Side::Recipient).works >= said);
        println!("killed: {} entries, {} read again, open in {took:?}", opened.entries, opened.replayed);
        slowest = slowest.max(took);
        said = ledger.totals(Side::Recipient).works;
    }
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "journal") {
            fs::remove_file(path).unwrap();
        }
    }
    let (ledger, opened, took) = open(dir.path());
    println!("all but the journal deleted: {} read again, open in {took:?}", opened.replayed);
    slowest = slowest.max(took);
    let begun = Instant::now();
    println!("{} entries recalled in {:?}", ledger.recall().unwrap().len(), begun.elapsed());
    let begun = Instant::now();
    let sums = ledger.reconcile().unwrap();
    println!("{} entries of {} accounts add up, in {:?}", sums.entries, sums.accounts, begun.elapsed());
    println!("slowest open {slowest:?}");
}
