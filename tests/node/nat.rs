//! Whole nodes behind NATs: a broadcaster in one home, an orchestrator in another, two public nodes that relay.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fixtures::nat::{Kind, NatLab};
use fixtures::wan::Namespace;
use serde_json::Value;

use crate::world::{LIVEMESH, PATIENCE, ffmpeg, succeeded};

/// How often a node is asked.
const LOOK: Duration = Duration::from_millis(200);
/// Length of the stream, seconds. Small pictures: what is tried is the way, on machines that are busy too.
const SECONDS: u32 = 16;

/// One lab at a time: each has a single orchestrator, and a segment is lost when that one has no processor for 8 s.
static LAB: Mutex<()> = Mutex::new(());

/// A node in a namespace, killed on drop, and what it logs.
struct Node<'a> {
    home: &'a Namespace,
    child: Child,
    log: Receiver<String>,
}

impl<'a> Node<'a> {
    fn start(home: &'a Namespace, dir: &Path, roles: &str, more: &[&str]) -> Self {
        let data = dir.join(home.name());
        let mut command = home.command(LIVEMESH);
        command.args(["node", "--allow-unstaked", "--no-mdns", "--network", "nat", "--log", "info"]);
        command.args(["--control", "0.0.0.0:4935", "--media", "0.0.0.0:4936", "--roles", roles]);
        command.arg("--data-dir").arg(data).args(more);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (to, log) = channel();
        let said = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        Self { home, child, log }
    }

    /// What `livemesh` says of this node.
    fn asked(&self, args: &[&str]) -> Value {
        let said = self.home.command(LIVEMESH).args(args).args(["--json", "--log", "off"]).output().unwrap();
        serde_json::from_slice(&said.stdout).unwrap_or_default()
    }

    /// Waits until it is connected to somebody else's node that transcodes.
    fn sees_an_orchestrator(&self) {
        let started = Instant::now();
        let near = |node: &Value| {
            let transcodes =
                node["roles"].as_array().is_some_and(|r| r.iter().any(|role| role == "orchestrator"));
            transcodes && node["is_self"] != true && !node["rtt_ms"].is_null()
        };
        while !self.asked(&["peers"]).as_array().is_some_and(|nodes| nodes.iter().any(near)) {
            assert!(started.elapsed() < PATIENCE, "the orchestrator was not found");
            std::thread::park_timeout(LOOK);
        }
    }

    /// Waits until it logs `words`.
    fn logs(&self, words: &str) {
        let started = Instant::now();
        while let Ok(line) = self.log.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            if line.contains(words) {
                return;
            }
        }
        panic!("it never said {words:?}");
    }

    /// Publishes `clip` and returns what became of each segment.
    fn publishes(&self, clip: &Path) -> Vec<String> {
        let mut publisher = self.home.command("ffmpeg");
        publisher.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-i"]).arg(clip);
        publisher.args(["-c", "copy", "-f", "flv", "rtmp://127.0.0.1:1935/live/far"]);
        succeeded("ffmpeg", &publisher.output().unwrap());
        let started = Instant::now();
        loop {
            let traces = self.asked(&["explain", "far", "--last", "1000"]);
            let outcome = |trace: &Value| trace["outcome"].as_str().unwrap_or("in work").to_lowercase();
            let all: Vec<String> = traces.as_array().into_iter().flatten().map(outcome).collect();
            let ended = all.len() as u32 >= SECONDS / 2 - 1 && !all.iter().any(|one| one == "in work");
            if ended || started.elapsed() > PATIENCE {
                let lost = |trace: &&Value| outcome(trace) != "complete";
                traces.as_array().into_iter().flatten().filter(lost).for_each(|trace| println!("{trace:#}"));
                return all;
            }
            std::thread::park_timeout(LOOK);
        }
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        // `ip netns exec` becomes the node. It fails for one that has ended, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Streams between two homes behind such routers, once `ready` says that they have met: what became of each segment, bytes
/// that the source has, and bytes that came to public hosts meanwhile. Nothing where the lab cannot be built.
fn stream(kinds: [Kind; 2], ready: impl Fn(&Node<'_>)) -> Option<(Vec<String>, u64, u64)> {
    let _alone = LAB.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = NatLab::new(kinds).map_err(|why| println!("skipped: {why}")).ok()?;
    let dir = tempfile::tempdir().unwrap();
    let clip = clip(dir.path());
    let at = |ip: Ipv4Addr| format!("/ip4/{ip}/udp/4935/quic-v1");
    let (first, second) = (NatLab::PUBLIC.to_string(), NatLab::SECOND.to_string());
    let joining = ["--bootstrap", &at(NatLab::PUBLIC)];
    let public = ["--no-rtmp", "--external", &first];
    let _first = Node::start(&lab.public, dir.path(), "broadcaster", &public);
    let also = ["--no-rtmp", "--external", &second, joining[0], joining[1]];
    let _second = Node::start(&lab.second, dir.path(), "broadcaster", &also);
    let working = ["--no-rtmp", joining[0], joining[1]];
    let _orchestrator = Node::start(&lab.homes[0], dir.path(), "orchestrator", &working);
    let broadcaster = Node::start(&lab.homes[1], dir.path(), "broadcaster", &joining);
    broadcaster.sees_an_orchestrator();
    ready(&broadcaster);
    let before = lab.through_public_hosts().unwrap();
    let outcomes = broadcaster.publishes(&clip);
    let through = lab.through_public_hosts().unwrap() - before;
    let source = std::fs::metadata(&clip).unwrap().len();
    println!("{kinds:?}: {outcomes:?}, source of {source} bytes, {through} bytes came to public hosts");
    Some((outcomes, source, through))
}

fn clip(dir: &Path) -> PathBuf {
    let path = dir.join("clip.mp4");
    let picture = format!("testsrc2=s=426x240:r=15:d={SECONDS},noise=alls=20:allf=t");
    let output = ffmpeg(&["-f", "lavfi", "-i", &picture])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-keyint_min", "30", "-b:v", "2M"])
        .args(["-sc_threshold", "0", "-pix_fmt", "yuv420p"])
        .arg(&path)
        .output();
    succeeded("ffmpeg", &output.unwrap());
    path
}

#[test]
fn a_stream_between_two_cones_loses_nothing_and_passes_no_relay() {
    let met = |node: &Node<'_>| node.logs("met through both NATs");
    let Some((outcomes, source, through)) = stream([Kind::Cone, Kind::Cone], met) else { return };
    assert!(outcomes.len() as u32 >= SECONDS / 2 - 1 && outcomes.iter().all(|one| one == "complete"));
    assert!(through < source / 4, "{through} bytes came to public hosts, the source has {source}");
}

#[test]
fn a_stream_to_a_symmetric_side_loses_nothing_and_passes_a_relay() {
    let Some((outcomes, source, through)) = stream([Kind::Symmetric, Kind::Cone], |_| {}) else { return };
    assert!(outcomes.len() as u32 >= SECONDS / 2 - 1 && outcomes.iter().all(|one| one == "complete"));
    assert!(through > source, "{through} bytes came to public hosts, the source has {source}");
}
