//! Proven state through the mesh: a node with servers, one that knows only that node, and a command that knows only the second.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::world::{LIVEMESH, Node, PATIENCE, World, succeeded};

/// A chain on this machine, and two files that describe it: with and without where it can be asked.
struct Chain {
    _devnet: Child,
    whole: PathBuf,
    bare: PathBuf,
}

impl Chain {
    async fn start(world: &World) -> Self {
        let mut devnet = Command::new(LIVEMESH)
            .args(["devnet", "--json", "--port", "0", "--log", "warn"])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(devnet.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let mut said: Value = serde_json::from_str(&line).unwrap();
        let (whole, bare) = (world.path("whole.json"), world.path("bare.json"));
        std::fs::write(&whole, &line).unwrap();
        let network = said["ready"].as_object_mut().unwrap();
        for server in ["beacon", "l1", "l2"] {
            assert!(network.remove(server).is_some());
        }
        std::fs::write(&bare, said.to_string()).unwrap();
        Self { _devnet: devnet, whole, bare }
    }
}

/// Starts a node that follows the chain of this file.
async fn node(world: &World, name: &str, network: &Path, more: &[&str]) -> Node {
    let config = world.path(&format!("{name}.toml"));
    std::fs::write(&config, format!("[chain]\nnetwork = {:?}\n", network.display().to_string())).unwrap();
    let config = config.display().to_string();
    let mut args = vec!["--roles", "broadcaster", "--no-rtmp", "--config", &config];
    args.extend(more);
    world.start(name, &args).await
}

/// Runs `livemesh chain` with state of its own.
async fn chain(world: &World, name: &str, network: &Path, args: &[&str]) -> Output {
    accepting(world, "pending:0", name, network, args).await
}

async fn accepting(world: &World, accept: &str, name: &str, network: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(LIVEMESH);
    command.args(["chain", "--json", "--log", "warn", "--accept", accept, "--data-dir"]);
    command.arg(world.path(name)).arg("--network").arg(network).args(args).stdin(Stdio::null());
    tokio::time::timeout(2 * PATIENCE, command.output()).await.unwrap().unwrap()
}

fn read(output: &Output) -> Value {
    succeeded("livemesh chain", output);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn proven_state_reaches_those_who_know_one_peer_and_a_checkpoint() {
    let world = World::with(0).await;
    let network = Chain::start(&world).await;
    let first = node(&world, "first", &network.whole, &[]).await;
    let known = first.ready["control"][0].as_str().unwrap().to_owned();
    let second = node(&world, "second", &network.bare, &["--bootstrap", &known]).await;
    let second = second.ready["control"][0].as_str().unwrap();
    let peer = ["--peer", second, "--mesh", "test"];

    let served = read(&chain(&world, "served", &network.whole, &["read", "pool"]).await);
    let through = [&peer[..], &["read", "pool"]].concat();
    // All that a command without servers can ask has only what it was told by a node without servers.
    let relayed = read(&chain(&world, "relayed", &network.bare, &through).await);
    assert_eq!(relayed["value"], served["value"]);
    assert_eq!(relayed["value"]["pool"]["members"].as_array().unwrap().len(), 5);
    assert!(relayed["proof"]["l1_slot"].as_u64().unwrap() > 0, "{relayed}");

    // The whole file names servers too; who names a peer asks the peer.
    let status = read(&chain(&world, "asked", &network.whole, &[&peer[..], &["status"]].concat()).await);
    let sources = status["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 1, "{status}");
    assert!(sources[0]["name"].as_str().unwrap().starts_with("peer "), "{status}");
    println!("round trips of a status through one peer: {}", sources[0]["health"]["answers"]);

    // The node keeps its directory for itself: a command beside it reads a copy, and says so.
    let beside = chain(&world, "first", &network.whole, &["read", "round"]).await;
    let said = String::from_utf8_lossy(&beside.stderr).into_owned();
    assert!(said.contains("belongs to a running light client (process "), "{said}");
    assert!(read(&beside)["value"]["round"]["initialized"].as_bool().unwrap());
}

#[tokio::test]
async fn a_bundle_proves_at_its_own_tier_and_a_sequenced_one_says_what_no_file_can_show() {
    let world = World::with(0).await;
    let network = Chain::start(&world).await;
    let whole: Value = serde_json::from_slice(&std::fs::read(&network.whole).unwrap()).unwrap();
    let manager = whole["ready"]["contracts"]["bonding_manager"].as_str().unwrap();
    let file = world.path("bundle").display().to_string();
    let prove = ["proof", manager, "0", "--out", &file];
    for (accept, tier) in [("pending:0", "pending"), ("sequenced:1", "sequenced")] {
        let proven = read(&accepting(&world, accept, tier, &network.whole, &prove).await);
        // Whoever checks it has nobody to ask.
        let verified = read(&accepting(&world, "confirmed", tier, &network.bare, &["verify", &file]).await);
        assert_eq!((&proven["proof"]["tier"], &verified["proof"]["tier"]), (&tier.into(), &tier.into()));
        assert_eq!((&proven["slots"], &proven["account"]), (&verified["slots"], &verified["account"]));
        let unshown = verified["proof"]["unshown"].as_str().unwrap_or_default();
        assert_eq!(unshown.contains("cannot be seen in a file"), tier == "sequenced", "{verified}");
    }
}
