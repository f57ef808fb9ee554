//! Work by proven stake: who has it gets segments, who does not yet have it waits for its round, who has none gets nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use fixtures::devnet::livepeer::{account, secret};
use fixtures::devnet::{Config, Devnet, Settings};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::world::{LIVEMESH, Node, PATIENCE, World, succeeded};

const SLOT_MS: u64 = 200;
/// L1 blocks: half a minute, so that what happens within a round is seen within it.
const ROUND_LENGTH: u64 = 140;
/// How long a whole round and what follows it may take to be seen.
const A_ROUND: Duration = Duration::from_secs(240);

/// A chain with one orchestrator, and a mesh that knows no other way to trust.
struct Town {
    world: World,
    devnet: Devnet,
    network: PathBuf,
    password: PathBuf,
}

/// An account of the chain whose key lies in a keystore here.
struct Staker {
    address: Address,
}

impl Town {
    async fn new() -> Self {
        let settings = Settings {
            slot_ms: SLOT_MS,
            round_length: ROUND_LENGTH,
            orchestrators: 1,
            ..Settings::default()
        };
        let devnet = Devnet::start(Config { settings, ..Config::default() }).await.unwrap();
        let world = World::with(0).await;
        let network = devnet.network();
        let file = world.path("network.json");
        std::fs::write(&file, network.to_string()).unwrap();
        let password = private(&world.path("password"), "correct horse");
        Self { world, devnet, network: file, password }
    }

    /// The first account of a role, with its key in the keystore.
    fn staker(&self, role: &str) -> Staker {
        let (seed, at) = (self.devnet.settings.seed, 0);
        let key: B256 = secret(seed, role, at);
        let plain = private(&self.world.path(&format!("{role}.hex")), &hex::encode(key));
        let keystore = wallet::Keystore::open(&self.world.path("keystore")).unwrap();
        keystore.import(&plain, &wallet::Password::from_file(&self.password).unwrap()).unwrap();
        Staker { address: account(seed, role, at) }
    }

    /// Runs `livemesh stake` with a staker's key.
    async fn stake(&self, staker: &Staker, args: &[&str]) {
        let mut command = Command::new(LIVEMESH);
        command.arg("stake").args(args).args(["--json", "--log", "warn", "--from"]);
        command.arg(staker.address.to_string()).arg("--keystore").arg(self.world.path("keystore"));
        command.arg("--password-file").arg(&self.password).stdin(Stdio::null());
        let output = tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        succeeded("livemesh stake", &output);
    }

    /// Gives a node its staker's certificate before its first start.
    async fn certify(&self, staker: &Staker, node: &str) {
        let (dir, chain) = (self.world.path(node), self.devnet.contracts.chain_id.to_string());
        let dir = dir.to_str().unwrap();
        self.stake(staker, &["certify", "--data-dir", dir, "--chain-id", &chain]).await;
    }

    /// Becomes an orchestrator, as people do: early in a round, because its end is closed to newcomers.
    async fn register(&self, staker: &Staker) {
        let early =
            || self.devnet.with(|world| world.l1.chain.next_number()) % ROUND_LENGTH < ROUND_LENGTH / 4;
        let wait = async {
            while !early() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(A_ROUND, wait).await.unwrap();
        let (network, dir) = (self.network.to_str().unwrap(), self.world.path("staking"));
        let mut args = vec!["register", "20000LPT", "--reward-cut", "10%", "--fee-share", "50%", "--yes"];
        args.extend(["--network", network, "--accept", "pending:0", "--data-dir", dir.to_str().unwrap()]);
        self.stake(staker, &args).await;
    }

    async fn start(&self, name: &str, args: &[&str]) -> Node {
        let config = self.world.path(&format!("{name}.toml"));
        std::fs::write(&config, format!("[chain]\nnetwork = {:?}\naccept = 'pending:0'\n", self.network))
            .unwrap();
        let config = config.display().to_string();
        let all: Vec<&str> = ["--config", &config].iter().chain(args).copied().collect();
        self.world.start_staked(name, &all).await
    }

    async fn orchestrator(&self, name: &str) -> Node {
        self.start(name, &["--roles", "orchestrator", "--no-rtmp"]).await
    }

    /// The last moment at which a round had surely not begun, Unix milliseconds.
    async fn before(&self, round: u64) -> u64 {
        let begun = || self.devnet.with(|world| world.livepeer.chain.current_round()).unwrap().0 >= round;
        let wait = async {
            let mut before = 0;
            loop {
                let now = now_ms();
                if begun() {
                    return before;
                }
                before = now;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(A_ROUND, wait).await.unwrap()
    }
}

/// Publishes a file over and over, at its own pace, until it is dropped.
fn publish(clip: &Path, node: &Node) -> Child {
    let mut publisher = Command::new("ffmpeg");
    publisher
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i"])
        .arg(clip);
    publisher.args(["-c", "copy", "-f", "flv", &node.rtmp("s")]).kill_on_drop(true).spawn().unwrap()
}

async fn key(node: &Node) -> String {
    node.json("/api/v1/state").await["node"]["key"].as_str().unwrap().to_owned()
}

/// When a node was asked for work: Unix milliseconds, and whether it was the one whose answer counted.
fn asks(traces: &Value, peer: &str) -> Vec<(u64, bool)> {
    let traces = traces.as_array().cloned().unwrap_or_default();
    let asks = traces.iter().flat_map(|trace| {
        let cut = trace["cut_unix_ms"].as_u64().unwrap();
        let asks = trace["asks"].as_array().cloned().unwrap_or_default();
        asks.into_iter().map(move |ask| (cut, ask))
    });
    let of_peer = asks.filter(|(_, ask)| ask["peer"] == peer);
    of_peer.map(|(cut, ask)| (cut + ask["asked_ms"].as_u64().unwrap(), ask["won"] == true)).collect()
}

/// What the broadcaster says of the stake behind a node.
async fn told(broadcaster: &Node, peer: &str) -> Option<(bool, String)> {
    let state = broadcaster.json("/api/v1/state").await;
    let node = state["mesh"]["nodes"].as_array()?.iter().find(|node| node["key"] == peer)?.clone();
    let stake = &node["stake"];
    Some((stake["admitted"].as_bool()?, stake["words"].as_str()?.to_owned()))
}

async fn traces(broadcaster: &Node) -> Value {
    broadcaster.json("/api/v1/streams/s/explain").await
}

fn private(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path.to_owned()
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bonded_orchestrator_gets_its_first_segment_when_its_round_has_begun_and_who_has_no_stake_gets_none()
 {
    let mut town = Town::new().await;
    let (active, newcomer) = (town.staker("orchestrator"), town.staker("account"));
    // A certificate of somebody who never stakes.
    let poor = town.staker("owner");
    for (staker, node) in [(&active, "active"), (&newcomer, "newcomer"), (&poor, "poor")] {
        town.certify(staker, node).await;
    }
    let first = town.orchestrator("active").await;
    town.world.know(&first);
    let others = [
        town.orchestrator("newcomer").await,
        town.orchestrator("poor").await,
        town.orchestrator("nobody").await,
    ];
    let broadcaster = town.start("broadcaster", &["--roles", "broadcaster", "--rtmp", "127.0.0.1:0"]).await;
    let mut keys = Vec::new();
    for node in &others {
        keys.push(key(node).await);
    }
    let [late, poor, nobody] = [&keys[0], &keys[1], &keys[2]];
    let active_key = key(&first).await;
    broadcaster
        .until("the active one", async |node| told(node, &active_key).await.filter(|(in_, _)| *in_))
        .await;

    let clip = town.world.clip("clip.mp4", "426x240", 8, 60);
    let _publisher = publish(&clip, &broadcaster);
    broadcaster
        .until("work for the active one", async |node| {
            asks(&traces(node).await, &active_key).iter().any(|(_, won)| *won).then_some(())
        })
        .await;

    town.register(&newcomer).await;
    let at = newcomer.address;
    let from = town.devnet.with(|world| world.livepeer.chain.bonding.transcoders.at(&at).activation_round.0);
    let words = broadcaster
        .until("its bond, proven, and not yet its turn", async |node| {
            let chain = node.json("/api/v1/chain").await;
            let members = chain["members"].as_array()?.clone();
            let it = members
                .into_iter()
                .find(|one| one["address"].as_str().unwrap().parse::<Address>() == Ok(at))?;
            assert!(it["active"] == false || chain["round"]["number"].as_u64() >= Some(from), "{it}");
            told(node, late).await.filter(|_| it["in_pool"] == true)
        })
        .await;
    println!("while it waits for round {from}: {words:?}");
    let before = town.before(from).await;
    let early = asks(&traces(&broadcaster).await, late);
    assert!(early.iter().all(|(at, _)| *at > before), "asked before round {from}: {early:?}");

    broadcaster
        .until("its turn", async |node| told(node, late).await.filter(|(admitted, _)| *admitted))
        .await;
    assert!(first.interrupt().await);
    broadcaster
        .until("work for the newcomer", async |node| {
            asks(&traces(node).await, late).iter().any(|(_, won)| *won).then_some(())
        })
        .await;
    let all = traces(&broadcaster).await;
    assert!(asks(&all, late).iter().all(|(at, _)| *at > before), "asked before round {from}");
    for (who, why) in [(poor, "is not active"), (nobody, "no certificate")] {
        assert_eq!(asks(&all, who), [], "{who} gets nothing");
        let (admitted, words) = told(&broadcaster, who).await.unwrap();
        assert!(!admitted && words.contains(why), "{words}");
    }
    let missing = broadcaster.json("/api/v1/state").await["streams"][0]["missing"].as_u64();
    assert_eq!(missing, Some(0));
    assert!(broadcaster.interrupt().await);
    town.devnet.stop().await;
}

#[tokio::test]
#[ignore = "twenty seconds of 720p through four nodes want a machine for themselves"]
async fn a_demo_with_stake_misses_nothing_and_believes_nobody() {
    let mut command = Command::new(LIVEMESH);
    command.args(["demo", "--port", "0", "--for", "20s", "--json", "--log", "warn"]).kill_on_drop(true);
    let output = tokio::time::timeout(2 * PATIENCE, command.output()).await.unwrap().unwrap();
    succeeded("livemesh demo", &output);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{report}");
    assert_eq!((report["missing"].as_u64(), report["rpc_trusted"].as_u64()), (Some(0), Some(0)), "{report}");
    assert!(report["proven_reads"].as_u64() > Some(0) && report["round"].as_u64() > Some(3000), "{report}");
    let rewards = report["rewards"].as_object().unwrap();
    assert!(rewards.len() == 3 && rewards.values().all(|lpt| lpt.as_str().unwrap() != "0"), "{report}");
}
