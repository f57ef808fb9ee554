//! What the structure promises by leaving out, checked.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it measured"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may depend on whom, lowest first. `fixtures` is for tests, benchmarks and the demo only.
const ARROWS: [(&str, &[&str]); 9] = [
    ("livemesh-protocol", &[]),
    ("livemesh-media", &["livemesh-protocol"]),
    ("livemesh-actors", &["livemesh-protocol", "livemesh-media"]),
    ("livemesh-p2p", &["livemesh-protocol"]),
    ("livemesh-lightclient", &["livemesh-protocol"]),
    ("livemesh-ledger", &["livemesh-protocol"]),
    ("livemesh-wallet", &["livemesh-protocol", "livemesh-ledger"]),
    (
        "livemesh-fixtures",
        &["livemesh-protocol", "livemesh-media", "livemesh-p2p", "livemesh-lightclient", "livemesh-ledger"],
    ),
    (
        "livemesh",
        &[
            "livemesh-protocol",
            "livemesh-media",
            "livemesh-actors",
            "livemesh-p2p",
            "livemesh-lightclient",
            "livemesh-ledger",
            "livemesh-wallet",
            "livemesh-fixtures",
        ],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = [
        "src",
        "actors/src",
        "media/src",
        "p2p/src",
        "protocol/src",
        "lightclient/src",
        "ledger/src",
        "wallet/src",
        "fixtures/src",
    ]
    .map(|d| root().join(d))
    .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 50);
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Code without comments, line by line.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn crates_depend_downwards_only() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), ARROWS.len(), "a new crate needs its place in ARROWS");
    for package in packages {
        let from = package["name"].as_str().unwrap();
        let allowed =
            ARROWS.iter().find(|(name, _)| *name == from).unwrap_or_else(|| panic!("{from} has no place")).1;
        let normal = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        for to in normal.filter_map(|d| d["name"].as_str()).filter(|to| to.starts_with("livemesh")) {
            assert!(allowed.contains(&to), "{from} may not depend on {to}");
        }
    }
}

#[test]
fn a_core_never_waits_and_never_reads_a_clock() {
    let parts = |p: &Path| p.parent().is_some_and(|folder| folder.ends_with("core"));
    for path in sources().iter().filter(|p| p.ends_with("core.rs") || parts(p)) {
        for line in code(path) {
            for banned in [".await", "Instant::now", "SystemTime::now", "thread_rng", "rand::rng()"] {
                assert!(!line.contains(banned), "{}: {banned} in {line}", name(path));
            }
        }
    }
}

#[test]
fn unsafe_code_lives_where_it_may() {
    let may =
        ["media/src/transcode/ffi", "media/src/worker/sandbox", "media/src/worker/process", "fixtures/src/"];
    for path in sources() {
        let allowed = may.iter().any(|place| name(&path).starts_with(place));
        let found = code(&path).iter().any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
        assert!(allowed || !found, "{} has unsafe code", name(&path));
    }
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    for path in sources() {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            !["common", "utils", "util", "helpers", "manager", "misc", "mod"].contains(&stem.as_str()),
            "{}",
            name(&path)
        );
    }
}

#[test]
fn every_module_says_first_what_lives_there() {
    for path in sources().iter().filter(|path| !path.ends_with("tests.rs")) {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("//!"), "{} begins without a doc comment", name(path));
    }
}

#[test]
fn configuration_is_read_in_one_place() {
    let may = ["src/config.rs", "src/cli/", "media/src/bin", "media/src/worker", "fixtures/"];
    for path in sources() {
        let reads = code(&path).iter().any(|line| line.contains("env::var"));
        assert!(
            !reads || may.iter().any(|place| name(&path).starts_with(place)),
            "{} reads the environment",
            name(&path)
        );
    }
}

/// Requests that one actor sends to another are answered before it goes on; a circle of them could wait for ever.
#[test]
fn no_actor_waits_for_one_that_waits_for_it() {
    let actors = root().join("actors/src");
    let names: Vec<String> = fs::read_dir(&actors)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("messages.rs").exists())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(names.len() >= 6, "{names:?}");
    let sends_to = |from: &String| -> Vec<String> {
        let text = code(&actors.join(from).join("actor.rs")).join("\n");
        let used = |to: &&String| *to != from && text.contains(&format!("crate::{to}::messages"));
        names.iter().filter(used).cloned().collect()
    };
    for start in &names {
        let (mut seen, mut next) = (Vec::new(), sends_to(start));
        while let Some(actor) = next.pop() {
            assert!(actor != *start, "{start} waits for itself, through {seen:?}");
            if !seen.contains(&actor) {
                next.extend(sends_to(&actor));
                seen.push(actor);
            }
        }
    }
    assert!(
        sends_to(&"segmenter".to_owned()).contains(&"dispatcher".to_owned()),
        "the search finds what is there"
    );
}
