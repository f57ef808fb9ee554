//! A ledger whose process is killed under load, again and again, its unfinished tail and its index damaged between, and its disk
//! full: what was acknowledged is there, and everything adds up.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ledger::{CommitError, IndexState, Ledger, OpenError, SegmentsError};
use protocol::payments::entry::Side;

use crate::load;

const PLACE: &str = "LIVEMESH_TEST_LEDGER";
const IN_FLIGHT: &str = "LIVEMESH_TEST_IN_FLIGHT";

/// The child: goes on where the ledger ends, and says each commit that was acknowledged.
#[test]
#[ignore = "the other half of the tests below"]
fn payee() {
    let Ok(dir) = std::env::var(PLACE) else { return };
    let (ledger, opened) = Ledger::open(Path::new(&dir)).unwrap();
    let mut next = load::commits(opened.entries);
    let in_flight: usize = std::env::var(IN_FLIGHT).unwrap().parse().unwrap();
    let mut waiting = std::collections::VecDeque::new();
    let mut out = std::io::stdout();
    loop {
        waiting.push_back((next, ledger.commit(load::commit(next))));
        next += 1;
        if waiting.len() < in_flight {
            continue;
        }
        let (number, committed) = waiting.pop_front().unwrap();
        match committed.wait() {
            Ok(()) => writeln!(out, "acknowledged {}", number + 1).unwrap(),
            Err(CommitError::Disk(why)) => {
                writeln!(out, "refused {why}").unwrap();
                return;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

struct Payee {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    acknowledged: u64,
    refused: Option<String>,
}

impl Payee {
    fn start(dir: &Path, in_flight: u32) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["killed::payee", "--exact", "--ignored", "--nocapture"])
            .env(PLACE, dir)
            .env(IN_FLIGHT, in_flight.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, acknowledged: 0, refused: None }
    }

    /// False at the end of what it says.
    fn hear(&mut self) -> bool {
        let Some(Ok(line)) = self.lines.next() else { return false };
        if let Some((_, number)) = line.split_once("acknowledged ") {
            self.acknowledged = number.trim().parse().unwrap_or(self.acknowledged);
        }
        if let Some((_, why)) = line.split_once("refused ") {
            self.refused = Some(why.to_owned());
        }
        true
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while self.hear() {}
    }
}

/// Numbers that look like chance and are the same at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below.max(1)
    }
}

fn last_file(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|kind| kind == "journal")).max().unwrap()
}

/// Where the last group of a journal begins, and the end of the commits that were acknowledged, whichever is later: nobody was
/// told of what lies behind, and a machine that stops may leave anything there.
fn unpromised(file: &Path, acknowledged: u64) -> u64 {
    let bytes = fs::read(file).unwrap();
    let (mut at, mut group, mut promised) = (24, 24, 24);
    while let Some(head) = bytes.get(at..at + 8) {
        let word = u32::from_le_bytes(head[..4].try_into().unwrap());
        let end = at + 8 + (word & 0x7fff_ffff) as usize;
        if word == 0 || end > bytes.len() {
            break;
        }
        if word >> 31 == 1 {
            group = at;
        }
        let first = u64::from_le_bytes(bytes[at + 9..at + 17].try_into().unwrap());
        if first < load::entries(acknowledged) {
            promised = end;
        }
        at = end;
    }
    group.max(promised) as u64
}

/// Damages what was not promised, in one of several ways; says which.
fn tear(dir: &Path, acknowledged: u64, dice: &mut Dice) -> &'static str {
    let path = last_file(dir);
    let from = unpromised(&path, acknowledged);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    let at = from + dice.roll(length - from);
    let garbage = |count: u64, dice: &mut Dice| (0..count).map(|_| dice.roll(256) as u8).collect::<Vec<_>>();
    match dice.roll(5) {
        0 => "left",
        1 => {
            file.set_len(at).unwrap();
            "truncated"
        }
        2 => {
            file.write_all_at(&vec![0; (length - at) as usize + 4096], at).unwrap();
            "zeroed"
        }
        3 => {
            file.write_all_at(&garbage(length - at + 512, dice), at).unwrap();
            "garbled"
        }
        _ => {
            let db = dir.join("index/db");
            let Ok(file) = OpenOptions::new().read(true).write(true).open(&db) else { return "left" };
            let length = file.metadata().unwrap().len();
            let at = length.saturating_sub(1 + dice.roll(1 << 16));
            file.write_all_at(&garbage(512.min(length - at), dice), at).unwrap();
            "index garbled"
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_two_hundred_kills_and_torn_tails() {
    let dir = tempfile::tempdir().unwrap();
    let (mut said, mut slowest, mut dice) = (0, Duration::ZERO, Dice(5));
    let mut tally = std::collections::BTreeMap::<&str, u32>::new();
    for round in 0..200 {
        let mut payee = Payee::start(dir.path(), 64);
        for _ in 0..=dice.roll(300) {
            assert!(payee.hear(), "the child ended by itself in round {round}");
        }
        payee.kill();
        said = said.max(payee.acknowledged);
        *tally.entry(tear(dir.path(), said, &mut dice)).or_default() += 1;
        let begun = Instant::now();
        let (ledger, opened) = Ledger::open(dir.path()).unwrap_or_else(|error| {
            // The index saw a commit that was on disk, not yet told to anybody, and then torn away: said, not hidden.
            assert!(matches!(error, OpenError::Segments(SegmentsError::Shorter { .. })), "{error}");
            *tally.entry("refused, and opened without the index").or_default() += 1;
            fs::remove_dir_all(dir.path().join("index")).unwrap();
            Ledger::open(dir.path()).unwrap()
        });
        slowest = slowest.max(begun.elapsed());
        if opened.cut.is_some() {
            *tally.entry("tails cut").or_default() += 1;
        }
        if matches!(opened.index, IndexState::Rebuilt { .. } | IndexState::Missing { .. }) {
            *tally.entry("indexes made again").or_default() += 1;
        }
        let found = load::commits(opened.entries);
        assert_eq!(opened.entries, load::entries(found), "commits are whole");
        assert!(found >= said, "{said} commits were acknowledged, {found} are there");
        assert_eq!(ledger.totals(Side::Recipient).works, found);
        if round % 20 == 19 {
            ledger.reconcile().unwrap();
        }
        said = found;
    }
    println!("200 kills, {said} commits, none lost, slowest open {slowest:?}, {tally:?}");
}

/// A small disk of its own.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing_that_it_acknowledged() {
    let Some(disk) = Disk::new(12) else {
        println!("no right to mount a small disk here: not tried");
        return;
    };
    let dir = disk.0.path().join("ledger");
    let (mut said, mut refused, mut dice) = (0, 0, Dice(9));
    for round in 0..20 {
        let ballast = disk.0.path().join("ballast");
        // One at a time: a commit after a refused one may find room, and the load counts on an unbroken row.
        let mut payee = Payee::start(&dir, 1);
        let heard = 20 + dice.roll(200);
        let mut count = 0;
        while payee.hear() && payee.refused.is_none() {
            count += 1;
            if count == heard {
                // All that is free, to the last page.
                let mut file = fs::File::create(&ballast).unwrap();
                while file.write_all(&[1; 4096]).is_ok() {}
            }
        }
        refused += u32::from(payee.refused.is_some());
        payee.kill();
        said = said.max(payee.acknowledged);
        let (ledger, opened) = Ledger::open(&dir).unwrap();
        let found = load::commits(opened.entries);
        assert!(found >= said, "round {round}: {said} commits were acknowledged, {found} are there");
        fs::remove_file(&ballast).unwrap();
        ledger.commit(load::commit(found)).wait().unwrap();
        ledger.reconcile().unwrap();
        said = found + 1;
    }
    println!("20 times full, refused {refused} times, {said} commits, none lost");
    assert!(refused > 0);
}
