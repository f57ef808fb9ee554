//! A journal whose writer is killed again and again: what was said to be committed is there, and nothing else but its successors.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use ledger::journal::Journal;

const PLACE: &str = "LIVEMESH_TEST_JOURNAL";

/// The child: appends numbers in groups of three and says each commit, until it is killed.
#[test]
#[ignore = "the other half of the test below"]
fn writer() {
    let Ok(path) = std::env::var(PLACE) else { return };
    let mut next = 0_u64;
    let (mut journal, _) = Journal::open(Path::new(&path), |_| next += 1).unwrap();
    loop {
        for _ in 0..3 {
            journal.append(&next.to_le_bytes().repeat(200)).unwrap();
            next += 1;
        }
        journal.commit().unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "committed {next}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_said_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut said = 0;
    for round in 0..100 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["writer", "--exact", "--ignored", "--nocapture"])
            .env(PLACE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Different moments of a group, as the scheduler gives them.
        for _ in 0..=round % 7 {
            said = loop {
                let line = lines.next().unwrap().unwrap();
                if let Some((_, number)) = line.split_once("committed ") {
                    break number.trim().parse::<u64>().unwrap();
                }
            };
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("committed ").and_then(|n| n.parse().ok()) {
                said = number;
            }
        }
        let mut found = 0_u64;
        let (journal, _) = Journal::open(&path, |entry| {
            assert_eq!(entry, found.to_le_bytes().repeat(200));
            found += 1;
        })
        .unwrap();
        assert!(found >= said, "{said} were committed, {found} are there");
        drop(journal);
    }
    assert!(said > 300);
}
