//! A chain that is not ours: what another implementation says to a wallet. Needs npm, so only on request.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use alloy_primitives::{B256, Bytes, U256, hex};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use wallet::{Call, Progress, Settings, SimulateError, Until, Wallet, WalletError};

use super::net::{forward, gift, key, settings, stranger, url};

const PACKAGE: &str = "@foundry-rs/anvil@1.7.1";
const BINARY: &str = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
const CHAIN: u64 = 31_337;
/// The first key of the test mnemonic that all development chains share.
const KEY: B256 = B256::new(hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"));
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the program is; installed on first use.
async fn program() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("anvil");
    if !place.join(BINARY).exists() {
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("package.json"), "{\"private\":true}").unwrap();
        let npm = Command::new("npm")
            .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", PACKAGE])
            .current_dir(&place)
            .status();
        assert!(npm.await.expect("npm is installed (apt-get install npm)").success());
    }
    place.join(BINARY)
}

/// A running chain and where it listens; ends with what is given.
async fn start() -> (Child, String) {
    let mut child = Command::new(program().await)
        .args(["--host", "127.0.0.1", "--port", "0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(address) = line.strip_prefix("Listening on ") {
            let server = format!("http://{address}");
            // Somebody must read on, or it stops when the pipe is full.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (child, server);
        }
    }
    panic!("anvil does not say where it listens")
}

async fn ask(server: &str, method: &str, params: Value) -> Value {
    let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    forward(server, &asked).await.unwrap()["result"].clone()
}

/// Code that reverts with this reason, whatever it is asked: copies the words behind it and gives them back.
fn refuses(reason: &str) -> Bytes {
    let mut words = [0; 96];
    words[31] = 32;
    words[63] = u8::try_from(reason.len()).unwrap();
    words[64..64 + reason.len()].copy_from_slice(reason.as_bytes());
    [&hex!("6064600c60003960646000fd")[..], &hex!("08c379a0"), &words].concat().into()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "installs anvil from npm"]
async fn another_chain_sends_follows_replaces_and_refuses_alike() {
    let ((_anvil, server), dir) = (start().await, tempfile::tempdir().unwrap());
    let settings = Settings { escalate_after: Duration::from_millis(500), settled_after: 10, ..settings(1) };
    let wallet = Wallet::open(dir.path(), CHAIN, key(KEY), vec![url(&server)], None, settings).unwrap();
    let first = wallet.send(gift("a", stranger(1))).await.unwrap();
    let outcome = wallet.wait(first, Until::Sequenced).await.unwrap();
    assert!(outcome.success && outcome.gas_used == 21_000);

    // Nothing is included for a while: more is offered under the same nonce.
    ask(&server, "evm_setAutomine", json!([false])).await;
    let second = wallet.send(gift("b", stranger(1))).await.unwrap();
    let mut events = Box::pin(wallet.follow(second));
    let replaced = async {
        while let Some(progress) = events.next().await {
            if let Progress::Replaced { hash, .. } = progress {
                return hash;
            }
        }
        panic!("it ended")
    };
    let dearer = tokio::time::timeout(PATIENCE, replaced).await.unwrap();
    ask(&server, "evm_setAutomine", json!([true])).await;
    ask(&server, "anvil_mine", json!(["0x14"])).await;
    let outcome =
        tokio::time::timeout(PATIENCE, wallet.wait(second, Until::Sequenced)).await.unwrap().unwrap();
    assert!(outcome.success);
    println!("replaced by {dearer}, included {}", outcome.hash);
    assert_eq!(ask(&server, "eth_getBalance", json!([stranger(1), "latest"])).await, json!("0x2"));

    // What would revert is not sent, and the contract's reason is told.
    let refusing = stranger(0x44);
    ask(&server, "anvil_setCode", json!([refusing, refuses("caller must be bonded")])).await;
    let call = Call { to: refusing, value: U256::ZERO, data: Bytes::new(), gas_limit: None };
    let told = wallet.simulate(&call).await;
    assert_eq!(told, Err(SimulateError::Reverts("caller must be bonded".to_owned())));
    let refused = wallet.send(gift("c", refusing)).await;
    assert!(matches!(refused, Err(WalletError::Simulate(SimulateError::Reverts(_)))));
    let all = wallet.follow(first).collect::<Vec<_>>();
    let all = tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert!(matches!(all.last(), Some(Progress::Settled(_))), "{all:?}");
}
