//! The journal beside two stores that could have been used in its place, under the same torture: kills, damaged pages, a full disk,
//! a million records. Each store runs in a process of its own, because that is what is killed and what may panic.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ledger::journal::Journal;

const STORE: &str = "LIVEMESH_TEST_STORE";
const PLACE: &str = "LIVEMESH_TEST_STORE_AT";
const TABLE: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("records");
/// Length of a record, bytes.
const RECORD: usize = 200;

/// What keeps numbered records, each group on disk when `append` returns.
trait Store {
    /// Gives every record that is there, in order.
    fn open(dir: &Path, each: &mut dyn FnMut(&[u8])) -> Result<Self, String>
    where
        Self: Sized;
    fn append(&mut self, first: u64, records: &[Vec<u8>]) -> Result<(), String>;
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Store for Journal {
    fn open(dir: &Path, each: &mut dyn FnMut(&[u8])) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(text)?;
        Self::open(&dir.join("journal"), each).map(|(journal, _)| journal).map_err(text)
    }

    fn append(&mut self, _: u64, records: &[Vec<u8>]) -> Result<(), String> {
        records.iter().try_for_each(|record| self.append(record)).map_err(text)?;
        self.commit().map_err(text)
    }
}

impl Store for sled::Db {
    fn open(dir: &Path, each: &mut dyn FnMut(&[u8])) -> Result<Self, String> {
        let config = sled::Config::new().path(dir).cache_capacity(64 << 20).flush_every_ms(None);
        let db = config.open().map_err(text)?;
        db.iter().try_for_each(|pair| pair.map(|(_, record)| each(&record))).map_err(text)?;
        Ok(db)
    }

    fn append(&mut self, first: u64, records: &[Vec<u8>]) -> Result<(), String> {
        let mut batch = sled::Batch::default();
        for (number, record) in (first..).zip(records) {
            batch.insert(&number.to_be_bytes(), record.as_slice());
        }
        self.apply_batch(batch).map_err(text)?;
        self.flush().map(drop).map_err(text)
    }
}

impl Store for redb::Database {
    fn open(dir: &Path, each: &mut dyn FnMut(&[u8])) -> Result<Self, String> {
        use redb::{ReadableDatabase, ReadableTable};
        fs::create_dir_all(dir).map_err(text)?;
        let db = Self::create(dir.join("db")).map_err(text)?;
        let begun = db.begin_write().map_err(text)?;
        drop(begun.open_table(TABLE).map_err(text)?);
        begun.commit().map_err(text)?;
        let table = db.begin_read().map_err(text)?.open_table(TABLE).map_err(text)?;
        for pair in table.iter().map_err(text)? {
            each(pair.map_err(text)?.1.value());
        }
        Ok(db)
    }

    fn append(&mut self, first: u64, records: &[Vec<u8>]) -> Result<(), String> {
        let begun = self.begin_write().map_err(text)?;
        {
            let mut table = begun.open_table(TABLE).map_err(text)?;
            for (number, record) in (first..).zip(records) {
                table.insert(number, record.as_slice()).map_err(text)?;
            }
        }
        begun.commit().map_err(text)
    }
}

fn record(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(RECORD / 8)
}

/// Opens, says how many records are there as they were written, and goes on appending if it may; says each group that is done.
fn work<S: Store>(dir: &Path) {
    let (mut count, mut wrong, begun) = (0, 0, Instant::now());
    let opened = S::open(dir, &mut |bytes| {
        wrong += u64::from(bytes != record(count));
        count += 1;
    });
    let mut store = match opened {
        Ok(store) => store,
        Err(why) => return println!("refused {why}"),
    };
    println!("opened {count} wrong {wrong} in {}", begun.elapsed().as_millis());
    let group: u64 = std::env::var("LIVEMESH_TEST_GROUP").unwrap().parse().unwrap();
    let until: u64 = std::env::var("LIVEMESH_TEST_UNTIL").unwrap().parse().unwrap();
    let (from, begun) = (count, Instant::now());
    while count < until {
        let records: Vec<_> = (count..count + group).map(record).collect();
        if let Err(why) = store.append(count, &records) {
            println!("full {why}");
            // Held open, as a node would, until it is killed.
            std::thread::park();
        }
        count += group;
        println!("acknowledged {count}");
    }
    println!("rate {:.0}", (count - from) as f64 / begun.elapsed().as_secs_f64());
    std::io::stdout().flush().unwrap();
    if until > 0 {
        std::thread::park();
    }
}

#[test]
#[ignore = "the other half of the test below"]
fn worker() {
    let (Ok(store), Ok(dir)) = (std::env::var(STORE), std::env::var(PLACE)) else { return };
    let dir = Path::new(&dir);
    match store.as_str() {
        "journal" => work::<Journal>(dir),
        "sled" => work::<sled::Db>(dir),
        _ => work::<redb::Database>(dir),
    }
}

/// The process that has the store.
struct Worker {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    opened: Option<u64>,
    wrong: u64,
    took: u64,
    acknowledged: u64,
    rate: u64,
    refused: Option<String>,
    full: bool,
}

impl Worker {
    /// Appends groups of so many records until there are `until`.
    fn start(store: &str, dir: &Path, group: u64, until: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["worker", "--exact", "--ignored", "--nocapture"])
            .env(STORE, store)
            .env(PLACE, dir)
            .env("LIVEMESH_TEST_GROUP", group.to_string())
            .env("LIVEMESH_TEST_UNTIL", until.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (opened, wrong, took, acknowledged, rate) = (None, 0, 0, 0, 0);
        Self { child, lines, opened, wrong, took, acknowledged, rate, refused: None, full: false }
    }

    fn hear(&mut self) -> bool {
        let Some(Ok(line)) = self.lines.next() else { return false };
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
        match words
            .iter()
            .position(|word| ["opened", "acknowledged", "rate", "refused", "full"].contains(word))
        {
            Some(at) if words[at] == "opened" => {
                self.opened = Some(number(at + 1));
                (self.wrong, self.took) = (number(at + 3), number(at + 5));
            }
            Some(at) if words[at] == "acknowledged" => self.acknowledged = number(at + 1),
            Some(at) if words[at] == "rate" => self.rate = number(at + 1),
            Some(at) if words[at] == "refused" => self.refused = Some(line),
            Some(_) => self.full = true,
            None => {}
        }
        true
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
        while self.hear() {}
    }
}

/// What is in a store, asked by a process of its own; none when it ends without a word.
fn look(store: &str, dir: &Path) -> Worker {
    let mut worker = Worker::start(store, dir, 1, 0);
    while worker.hear() {}
    worker.child.wait().unwrap();
    worker
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place)
        } else {
            _ = fs::copy(entry.path(), place).unwrap()
        }
    }
}

fn largest(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn kills(store: &str, dir: &Path) -> String {
    let (mut said, mut lost) = (0, 0);
    for round in 0..50 {
        let mut worker = Worker::start(store, dir, 16, u64::MAX);
        (0..20 + 7 * (round % 11)).for_each(|_| _ = worker.hear());
        worker.kill();
        said = said.max(worker.acknowledged);
        let there = look(store, dir);
        assert_eq!(there.wrong, 0, "{store}");
        let found = there.opened.unwrap_or(0);
        lost += said - said.min(found);
        said = found;
    }
    format!("50 kills: {lost} of {said} acknowledged records lost")
}

/// Half a kilobyte of the file's end zeroed, which no store with one copy can make good: what counts is that it says so.
fn damage(store: &str, dir: &Path, scratch: &Path) -> String {
    let whole = look(store, dir).opened.unwrap();
    let (mut fine, mut fewer, mut wrong, mut refused, mut died) = (0, 0, 0, 0, 0);
    for trial in 0..24_u64 {
        let place = scratch.join(format!("{store}-{trial}"));
        copy(dir, &place);
        let path = largest(&place);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        let at = length.saturating_sub(512 + trial * 2731);
        file.write_all_at(&[0; 512], at).unwrap();
        let there = look(store, &place);
        match there.opened {
            Some(_) if there.wrong > 0 => wrong += 1,
            Some(count) if count < whole => fewer += 1,
            Some(_) => fine += 1,
            None if there.refused.is_some() => refused += 1,
            None => died += 1,
        }
        fs::remove_dir_all(place).unwrap();
    }
    format!(
        "24 damaged pages: {fine} unharmed, {refused} refused with an error, {died} panicked, {fewer} opened with fewer records, \
         {wrong} with wrong ones"
    )
}

fn full_disk(store: &str) -> String {
    let disk = tempfile::tempdir().unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(disk.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        return "full disk: skipped: no right to mount a small disk here".to_owned();
    }
    let dir = disk.path().join("store");
    let mut worker = Worker::start(store, &dir, 16, u64::MAX);
    while !worker.full && worker.hear() {}
    let refused = worker.full;
    worker.kill();
    // As much room as somebody who is told frees first.
    let larger = Command::new("mount").args(["-o", "remount,size=64m"]).arg(disk.path()).status();
    assert!(larger.unwrap().success());
    let there = look(store, &dir);
    let end = if refused { "said so" } else { "died" };
    let found = there.opened.map_or_else(|| "does not open".to_owned(), |count| format!("{count} found"));
    let _ = Command::new("umount").arg("-l").arg(disk.path()).status();
    format!("full disk: {end}, {} acknowledged, {found}, {} wrong", worker.acknowledged, there.wrong)
}

fn million(store: &str, dir: &Path) -> String {
    let mut worker = Worker::start(store, dir, 64, 1_000_000);
    while worker.rate == 0 && worker.hear() {}
    worker.kill();
    let there = look(store, dir);
    let bytes: u64 = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    format!(
        "a million records: {} appended a second in groups of 64, {} MB, after a kill open and read in {:?}",
        worker.rate,
        bytes >> 20,
        Duration::from_millis(there.took)
    )
}

#[test]
#[ignore = "takes minutes, and says how stores fare rather than failing"]
fn how_a_journal_and_two_stores_fare() {
    for store in ["journal", "sled", "redb"] {
        let dir = tempfile::tempdir().unwrap();
        let (killed, large) = (dir.path().join("killed"), dir.path().join("large"));
        println!("{store}: {}", kills(store, &killed));
        println!("{store}: {}", damage(store, &killed, dir.path()));
        println!("{store}: {}", full_disk(store));
        println!("{store}: {}", million(store, &large));
    }
}
