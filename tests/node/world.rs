//! A mesh of processes for one test. Everything that it starts ends with it.

use std::path::{Path, PathBuf};
use std::process::{Command as Now, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The program under test.
pub(crate) const LIVEMESH: &str = env!("CARGO_BIN_EXE_livemesh");
/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A directory and a network of its own.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    bootstrap: Vec<String>,
    orchestrators: Vec<Node>,
}

/// A running node.
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) ready: Value,
}

impl World {
    /// Starts `orchestrators` orchestrators that know each other.
    pub(crate) async fn with(orchestrators: usize) -> Self {
        let mut world =
            Self { dir: tempfile::tempdir().unwrap(), bootstrap: Vec::new(), orchestrators: Vec::new() };
        for n in 0..orchestrators {
            let node =
                world.start(&format!("orchestrator-{n}"), &["--roles", "orchestrator", "--no-rtmp"]).await;
            world.know(&node);
            world.orchestrators.push(node);
        }
        world
    }

    /// Starts a broadcaster.
    pub(crate) async fn broadcaster(&self, args: &[&str]) -> Node {
        let mut all = vec!["--roles", "broadcaster", "--rtmp", "127.0.0.1:0"];
        all.extend(args);
        self.start("broadcaster", &all).await
    }

    /// Starts a node and waits until it is ready.
    pub(crate) async fn start(&self, name: &str, args: &[&str]) -> Node {
        let mut command = Command::new(LIVEMESH);
        command.args(["node", "--json"]).args(self.common(name)).args(args);
        ready(name, command).await
    }

    /// Starts a node that works with proven stake alone.
    pub(crate) async fn start_staked(&self, name: &str, args: &[&str]) -> Node {
        let mut command = Command::new(LIVEMESH);
        command.args(["node", "--json"]).args(self.confined(name)).args(args);
        ready(name, command).await
    }

    /// From now on nodes begin with this one.
    pub(crate) fn know(&mut self, node: &Node) {
        self.bootstrap.push(node.ready["control"][0].as_str().unwrap().to_owned());
    }

    /// Arguments of a node in this world that works with anybody.
    pub(crate) fn common(&self, name: &str) -> Vec<String> {
        let mut args = self.confined(name);
        args.push("--allow-unstaked".to_owned());
        args
    }

    /// Arguments that keep a node on loopback and in this world.
    fn confined(&self, name: &str) -> Vec<String> {
        let loopback = "127.0.0.1:0".to_owned();
        let mut args: Vec<String> =
            ["--no-mdns", "--log", "warn", "--network", "test"].map(String::from).to_vec();
        for flag in ["--control", "--media", "--http"] {
            args.extend([flag.to_owned(), loopback.clone()]);
        }
        args.extend(["--data-dir".to_owned(), self.path(name).display().to_string()]);
        args.extend(self.bootstrap.iter().flat_map(|addr| ["--bootstrap".to_owned(), addr.clone()]));
        args
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a clip of moving pictures with sound, key frames every `gop` pictures of 30 a second.
    pub(crate) fn clip(&self, name: &str, size: &str, seconds: u32, gop: u32) -> PathBuf {
        let path = self.path(name);
        let (picture, gop) = (format!("testsrc2=s={size}:r=30:d={seconds}"), gop.to_string());
        let sound = format!("sine=f=440:beep_factor=4:r=48000:d={seconds}");
        let output = ffmpeg(&["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", &gop, "-keyint_min", &gop])
            .args(["-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest"])
            .arg(&path)
            .output();
        succeeded("ffmpeg", &output.unwrap());
        path
    }
}

impl Node {
    pub(crate) fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.ready["http"].as_str().unwrap())
    }

    pub(crate) fn rtmp(&self, stream: &str) -> String {
        format!("rtmp://{}/live/{stream}", self.ready["rtmp"].as_str().unwrap())
    }

    /// Gets a page; `None` unless it is there.
    pub(crate) async fn get(&self, path: &str) -> Option<String> {
        let reply = reqwest::get(self.http(path)).await.ok()?;
        if !reply.status().is_success() {
            return None;
        }
        reply.text().await.ok()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await.unwrap_or_default()).unwrap_or_default()
    }

    /// Publishes a file with ffmpeg, at its own pace, to its end.
    pub(crate) async fn publish(&self, clip: &Path, stream: &str) {
        let mut publisher = Command::new("ffmpeg");
        publisher.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-i"]).arg(clip);
        publisher.args(["-c", "copy", "-f", "flv", &self.rtmp(stream)]).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, publisher.output()).await.unwrap().unwrap();
        succeeded("ffmpeg", &output);
    }

    /// As Ctrl-C does; returns whether it ended well.
    pub(crate) async fn interrupt(mut self) -> bool {
        let pid = self.child.id().unwrap().to_string();
        assert!(Now::new("kill").args(["-INT", &pid]).status().unwrap().success());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().success()
    }

    /// Waits until `found` finds something.
    pub(crate) async fn until<T>(&self, what: &str, mut found: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(it) = found(self).await {
                    return it;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }
}

/// Runs a node and waits until it is ready.
pub(crate) async fn ready(name: &str, mut command: Command) -> Node {
    let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
    let line = first.unwrap_or_else(|| panic!("{name} ended before it was ready"));
    let mut told: Value = serde_json::from_str(&line).unwrap();
    Node { child, ready: told["ready"].take() }
}

/// An ffmpeg that asks nothing and says only what is wrong.
pub(crate) fn ffmpeg(args: &[&str]) -> Now {
    let mut command = Now::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "warning", "-nostdin", "-y"]).args(args);
    command
}

pub(crate) fn succeeded(what: &str, output: &Output) {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}
