//! A wallet that is killed again and again between signing, sending and inclusion: no nonce is used twice, no transaction is
//! lost, none is sent twice. The test runs itself as the process that is killed; what stands between that and the chain says
//! when.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use serde_json::Value;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use wallet::{Id, Settings, Until, Wallet};

use super::net::{CHAIN, devnet, forward, gift, heard, held, key, say, settings, stranger, url};

const FOLDER: &str = "LIVEMESH_TEST_WALLET";
const SERVER: &str = "LIVEMESH_TEST_SERVER";
const KEY: &str = "LIVEMESH_TEST_KEY";
const JOBS: &str = "LIVEMESH_TEST_JOBS";
/// Jobs that are under way at once.
const AT_ONCE: usize = 4;
/// Longest life, and longest last one, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a life ends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Moment {
    /// Signed and on disk; nobody has seen it.
    Unsent,
    /// The chain has it, and the wallet does not know.
    Unanswered,
    /// The wallet knows that the chain has it; it is in no block.
    Sent,
    /// The wallet was told that it is in a block.
    Included,
}

const MOMENTS: [Moment; 4] = [Moment::Unsent, Moment::Unanswered, Moment::Sent, Moment::Included];

/// Stands between a wallet and the chain, and falls silent at a moment.
#[derive(Debug, Default)]
struct Gate {
    until: Mutex<Option<Moment>>,
    silent: Notify,
    state: Mutex<Passed>,
}

#[derive(Debug, Default)]
struct Passed {
    shut: bool,
    /// Transactions that reached the chain.
    sent: BTreeSet<String>,
    /// Those whose receipt was passed on.
    included: BTreeSet<String>,
}

impl Gate {
    fn open(&self, until: Option<Moment>) {
        *self.until.lock().unwrap() = until;
        self.state.lock().unwrap().shut = false;
    }

    fn is_shut(&self) -> bool {
        self.state.lock().unwrap().shut
    }

    /// Whether the moment is now; then nothing passes any more.
    fn shuts(&self, moment: Moment) -> bool {
        let mut until = self.until.lock().unwrap();
        let now = *until == Some(moment);
        if now {
            *until = None;
            self.state.lock().unwrap().shut = true;
            self.silent.notify_one();
        }
        now
    }

    async fn pass(&self, stream: TcpStream, behind: &str) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let asked = heard(&mut stream).await?;
        let what = asked["params"][0].as_str().unwrap_or_default().to_owned();
        let sends = asked["method"] == "eth_sendRawTransaction";
        let fresh = sends && !self.state.lock().unwrap().sent.contains(&what);
        if self.is_shut() || fresh && self.shuts(Moment::Unsent) {
            return self.wait_for_the_end(stream).await;
        }
        let told = forward(behind, &asked).await?;
        if fresh {
            self.state.lock().unwrap().sent.insert(what.clone());
        }
        if self.is_shut() || fresh && self.shuts(Moment::Unanswered) {
            return self.wait_for_the_end(stream).await;
        }
        say(&mut stream, &told).await?;
        let receipt = asked["method"] == "eth_getTransactionReceipt" && told["result"] != Value::Null;
        let told = receipt && self.state.lock().unwrap().included.insert(what);
        let _now = fresh && self.shuts(Moment::Sent) || told && self.shuts(Moment::Included);
        Some(())
    }

    /// Holds a connection as a process that hangs would, until the other side is gone.
    async fn wait_for_the_end(&self, mut stream: BufReader<TcpStream>) -> Option<()> {
        heard(&mut stream).await.map(drop)
    }
}

/// Serves a gate to the chain.
async fn gate(behind: &str) -> (Arc<Gate>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let (gate, behind) = (Arc::new(Gate::default()), behind.to_owned());
    let serving = Arc::clone(&gate);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (gate, behind) = (Arc::clone(&serving), behind.clone());
            tokio::spawn(async move { gate.pass(stream, &behind).await });
        }
    });
    (gate, server)
}

/// Few are followed at a time: what lies six blocks deep is final here.
fn quick() -> Settings {
    Settings { settled_after: 6, poll_included: Duration::from_millis(200), ..settings(1) }
}

/// The process that is killed: does all jobs, also those that an earlier life began.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other half of the tests below"]
async fn worker() {
    let var = std::env::var;
    let (Ok(folder), Ok(server), Ok(secret), Ok(jobs)) = (var(FOLDER), var(SERVER), var(KEY), var(JOBS))
    else {
        return;
    };
    let (secret, jobs): (B256, usize) = (secret.parse().unwrap(), jobs.parse().unwrap());
    let endpoints = vec![url(&server)];
    let wallet = Wallet::open(Path::new(&folder), CHAIN, key(secret), endpoints, None, quick()).unwrap();
    let _under_way = wallet.resume();
    let jobs: Vec<String> = (0..jobs).map(|job| job.to_string()).collect();
    for jobs in jobs.chunks(AT_ONCE) {
        let mut ids: Vec<Id> = Vec::new();
        for job in jobs {
            ids.push(wallet.send(gift(job, stranger(7))).await.unwrap());
        }
        for id in ids {
            assert!(wallet.wait(id, Until::Sequenced).await.unwrap().success);
        }
    }
}

fn start(folder: &Path, server: &str, secret: B256, jobs: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["killed::worker", "--exact", "--ignored"])
        .env(FOLDER, folder)
        .env(SERVER, server)
        .env(KEY, secret.to_string())
        .env(JOBS, jobs.to_string())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn killed(kills: usize) {
    let (devnet, dir) = (devnet().await, tempfile::tempdir().unwrap());
    let jobs = kills * 2;
    let secret = devnet.with(|world| world.livepeer.funded[0].secret);
    let (gate, server) = gate(&devnet.l2_url).await;
    let (began, mut ends) = (Instant::now(), BTreeMap::<Moment, usize>::new());
    for kill in 0..kills {
        let moment = MOMENTS[kill % MOMENTS.len()];
        gate.open(Some(moment));
        let mut life = start(dir.path(), &server, secret, jobs);
        tokio::select! {
            () = gate.silent.notified() => {}
            ended = life.wait() => panic!("life {kill} ended before {moment:?}: {ended:?}"),
            () = tokio::time::sleep(PATIENCE) => panic!("life {kill} does not come to {moment:?}"),
        }
        life.kill().await.unwrap();
        *ends.entry(moment).or_default() += 1;
    }
    gate.open(None);
    let mut last = start(dir.path(), &server, secret, jobs);
    assert!(tokio::time::timeout(PATIENCE, last.wait()).await.unwrap().unwrap().success());
    let account = key(secret).address();
    let nonce = devnet.with(|world| world.standing(account).nonce);
    let sent = gate.state.lock().unwrap().sent.len();
    println!(
        "killed {ends:?} in {:?}: {jobs} jobs, {sent} transactions seen by the chain, nonce {nonce}, {} effects",
        began.elapsed(),
        held(&devnet, stranger(7)),
    );
    assert_eq!(held(&devnet, stranger(7)), jobs as u64, "each happened once");
    assert_eq!((sent, nonce), (jobs, jobs as u64), "no nonce was wasted or used by another transaction");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_is_killed_twenty_times_does_everything_once() {
    killed(20).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes"]
async fn a_wallet_that_is_killed_a_hundred_times_does_everything_once() {
    killed(100).await;
}
