//! What a person meets first: the first start, mistakes, and the commands that look around.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::world::{LIVEMESH, World};

fn livemesh(args: &[&str]) -> (bool, String, String) {
    let output = Command::new(LIVEMESH).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_first_start_makes_an_identity_that_only_its_owner_can_read_and_keeps_it() {
    let world = World::with(0).await;
    let first = world.start("node", &["--no-rtmp"]).await;
    let id = first.json("/api/v1/state").await["node"]["peer_id"].clone();
    assert!(first.interrupt().await);
    let mode = std::fs::metadata(world.path("node/node-key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = world.start("node", &["--no-rtmp"]).await;
    assert_eq!(second.json("/api/v1/state").await["node"]["peer_id"], id);
    assert!(second.interrupt().await);
}

#[test]
fn a_misspelt_key_flag_or_variable_is_refused_with_a_suggestion() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("livemesh.toml");
    std::fs::write(&file, "[mesh]\nbootstarp = []\n").unwrap();
    let (ok, _, said) = livemesh(&["config", "check", "--config", file.to_str().unwrap()]);
    assert!(!ok && said.contains("did you mean bootstrap"), "{said}");
    let (ok, _, said) = livemesh(&["node", "--bootstarp", "x"]);
    assert!(!ok && said.contains("--bootstrap"), "{said}");
    let output =
        Command::new(LIVEMESH).args(["config", "check"]).env("LIVEMESH_BOOTSTARP", "x").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("LIVEMESH_BOOTSTRAP"));
}

#[test]
fn a_node_that_would_need_stake_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, _, said) = livemesh(&["node", "--data-dir", dir.path().to_str().unwrap()]);
    assert!(!ok && said.contains("--allow-unstaked") && said.contains("[chain]"), "{said}");
}

#[tokio::test]
async fn peers_lists_the_orchestrators_and_the_doctor_finds_a_working_sandboxed_worker() {
    let world = World::with(2).await;
    let broadcaster = world.broadcaster(&[]).await;
    let api = broadcaster.http("");
    let all_known = async |node: &crate::world::Node| {
        let nodes = node.json("/api/v1/state").await["mesh"]["nodes"].as_array()?.len();
        (nodes == 3).then_some(())
    };
    broadcaster.until("both orchestrators", all_known).await;
    let (ok, out, _) =
        tokio::task::spawn_blocking(move || livemesh(&["peers", "--api", &api, "--json"])).await.unwrap();
    let peers: serde_json::Value = serde_json::from_str(&out).unwrap();
    let orchestrators = peers.as_array().unwrap().iter().filter(|p| p["roles"][0] == "orchestrator").count();
    assert!(ok && orchestrators == 2, "{out}");

    let mut args = vec!["doctor".to_owned(), "--json".to_owned()];
    args.extend(world.common("doctor"));
    args.push("--no-rtmp".into());
    let output = Command::new(LIVEMESH).args(args).output().unwrap();
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |what: &str| findings.as_array().unwrap().iter().find(|f| f["what"] == what).unwrap().clone();
    assert_eq!(of("H.264 encoder")["verdict"], "good");
    assert_eq!(of("sandbox")["verdict"], "good", "{}", of("sandbox"));
}
