//! A client that is killed without warning, a hundred times, while it syncs and writes: its state always
//! opens, and never falls behind what it had said to be durable. The test runs itself as the process that is
//! killed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lightclient::consensus::Store;
use lightclient::source::{Answer, BeaconClaim, Form};
use lightclient::store::Disk;
use lightclient::sync::{Checkpoint, Clock, Config, LightClient, Offered, Trust};
use rand::Rng;

#[path = "support/forge.rs"]
mod forge;

use forge::Forge;

const KILLS: usize = 100;
/// How the child is told where to keep its state.
const FOLDER: &str = "LIGHTCLIENT_CRASH_FOLDER";
/// A write that is under way.
const TEMPORARY: &str = "light.state.tmp";
/// First word of a line by which the child says that a finalized slot is on disk.
const DURABLE: &str = "durable";
/// Slots of the chain: far more than 100 short lives can finalize.
const HORIZON: u64 = 10_000_000;

fn claim(bytes: Vec<u8>) -> BeaconClaim {
    BeaconClaim { form: Form::Ssz { fork: "electra".to_owned() }, bytes: bytes.into() }
}

fn config(forge: &Forge, folder: &Path) -> Config {
    let trust = Trust::Given(Checkpoint { root: forge.header(8).root(), slot: None });
    let mut config = Config::new(forge.spec.clone(), trust);
    config.data_dir = Some(folder.to_owned());
    config.clock = Clock::set_to(forge.time_at(HORIZON));
    config.freshness.max_age = Duration::from_secs(u64::MAX / 1000);
    config
}

mod serving {
    use std::sync::Arc;

    use async_trait::async_trait;
    use lightclient::source::{Answer, Ask, Fault, Source, SourceError};

    use super::{Forge, claim};

    /// Serves bootstraps and updates of the forged chain.
    pub(crate) struct Forged(pub(crate) Arc<Forge>);

    impl std::fmt::Debug for Forged {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("forged")
        }
    }

    #[async_trait]
    impl Source for Forged {
        fn name(&self) -> &str {
            "forged"
        }

        fn can(&self, _: &Ask) -> bool {
            true
        }

        async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError> {
            match ask {
                Ask::Bootstrap { .. } => Ok(Answer::Bootstrap(claim(self.0.bootstrap(8).encode_ssz()))),
                Ask::Update { period } => Ok(Answer::Update(claim(self.0.update(*period).encode_ssz()))),
                _ => Err(SourceError { by: "forged".into(), fault: Fault::NotHere("not now".to_owned()) }),
            }
        }
    }
}

/// Lives until it is killed: follows updates period by period, and between them finality updates, and says
/// what is durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "it is the process that the other test kills"]
async fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let forge = std::sync::Arc::new(Forge::new(6000));
    let source = std::sync::Arc::new(serving::Forged(std::sync::Arc::clone(&forge)));
    let client = LightClient::start(config(&forge, &PathBuf::from(folder)), vec![source]).unwrap();
    let mut events = client.events();
    let say = |slot: u64| {
        println!("{DURABLE} {slot}");
        std::io::stdout().flush().unwrap();
    };
    if let Some(head) = client.status().finalized {
        say(head.slot);
    }
    loop {
        let lightclient::sync::Event::Finalized(head) = events.recv().await.unwrap() else { continue };
        say(head.slot);
        // What gossip would bring: finality of the same and the next epochs, each written as well.
        for epoch in 1..4 {
            let slot = head.slot + forge::SHOWN_AFTER + 8 * epoch;
            let update = claim(forge.finality(slot).encode_ssz());
            if client.offer(&Answer::Finality(update)).await != Offered::Advanced {
                break;
            }
        }
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills a child at a random moment, before or after its first word, or just when it has begun to write
/// (`in_write`); returns all that it said, and its last words on the error stream.
fn live_and_die(folder: &Path, in_write: bool) -> (Vec<u64>, String) {
    let mut child = spawn(folder);
    let (first, began) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let slot = |line: String| line.split_once(DURABLE).and_then(|(_, slot)| slot.trim().parse().ok());
        let said = stdout.lines().map_while(Result::ok).filter_map(slot);
        said.inspect(|_: &u64| _ = first.send(())).collect()
    });
    let waits_for_word = in_write || rand::rng().random_ratio(3, 4);
    let longest = if waits_for_word { 120_000 } else { 15_000 };
    let patience = Duration::from_micros(rand::rng().random_range(0..longest));
    if waits_for_word {
        began.recv_timeout(Duration::from_secs(60)).expect("a child that begins");
    }
    let _ = mpsc::channel::<()>().1.recv_timeout(patience);
    let deadline = Instant::now() + Duration::from_secs(5);
    while in_write && !folder.join(TEMPORARY).exists() && Instant::now() < deadline {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    (reader.join().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_hundred_kills_take_no_finalized_slot_back() {
    let folder = tempfile::tempdir().unwrap();
    let spec = Forge::new(6000).spec;
    let (mut promised, mut grew, mut silent, mut torn) = (0, 0, 0, 0);
    for kill in 0..KILLS {
        let (said, errors) = live_and_die(folder.path(), kill % 3 == 0);
        assert!(!errors.contains("panicked"), "kill {kill}: {errors}");
        assert!(said.is_sorted(), "kill {kill}: {said:?}");
        if let Some(first) = said.first() {
            assert!(*first >= promised, "kill {kill}: began at {first}, {promised} was durable");
        } else {
            silent += 1;
        }
        let last = said.last().copied().unwrap_or(0);
        grew += usize::from(last > promised);
        promised = promised.max(last);
        torn += usize::from(folder.path().join(TEMPORARY).exists());
        let opened = Disk::open(folder.path(), spec.genesis_validators_root).unwrap();
        assert_eq!(opened.warning, None, "kill {kill}");
        let Some(saved) = opened.saved else {
            assert_eq!(promised, 0, "kill {kill}: nothing on disk, and {promised} was durable");
            continue;
        };
        let store = Store::decode(&spec, &saved.consensus).unwrap();
        assert_eq!(store.finalized().slot(), saved.finalized_slot());
        assert!(
            saved.finalized_slot() >= promised,
            "kill {kill}: {} after {promised}",
            saved.finalized_slot()
        );
    }
    println!(
        "{KILLS} kills, {grew} of lives that finalized more, {silent} before the first word, {torn} in the middle of a write; finalized slot \
         {promised}: never taken back, never a state that did not open"
    );
    assert!(grew > KILLS / 5 && torn > 0);
}
