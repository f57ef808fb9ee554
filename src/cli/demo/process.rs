//! One node of the demo as a process of its own: started, killed, started again, stopped in order.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::cli::Failure;
use crate::node::Ready;

/// How long a node may take to be ready.
const START: Duration = Duration::from_secs(20);
/// How long a node may take to end in order.
const STOP: Duration = Duration::from_secs(15);

/// What a process does in the demo.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Orchestrator,
    Broadcaster { port: u16 },
}

/// Where the demo's nodes keep their files. Removed at the end.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    program: PathBuf,
    network: String,
    logs: bool,
}

/// A running node.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    name: String,
    role: Role,
    child: Child,
    /// The node ends when this closes, so that none is left behind when the demo is killed.
    _lifeline: Option<ChildStdin>,
    pub(crate) ready: Ready,
}

#[derive(Deserialize)]
struct FirstLine {
    ready: Ready,
}

impl Home {
    pub(crate) fn new(logs: bool) -> Result<Self, Failure> {
        let network = format!("demo-{}", std::process::id());
        let dir = std::env::temp_dir().join(format!("livemesh-{network}"));
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir, program: std::env::current_exe()?, network, logs })
    }

    /// Starts a node and waits until it is ready.
    pub(crate) async fn start(
        &self,
        name: &str,
        role: Role,
        bootstrap: &[String],
    ) -> Result<NodeProcess, Failure> {
        self.start_at(name, role, bootstrap, ("127.0.0.1:0", "127.0.0.1:0")).await
    }

    async fn start_at(
        &self,
        name: &str,
        role: Role,
        bootstrap: &[String],
        (control, media): (&str, &str),
    ) -> Result<NodeProcess, Failure> {
        let mut command = Command::new(&self.program);
        command
            .args(["node", "--json", "--until-stdin-closes", "--allow-unstaked", "--no-mdns", "--name", name])
            .args(["--network", &self.network, "--control", control, "--media", media])
            .arg("--data-dir")
            .arg(self.dir.join(name))
            .args(bootstrap.iter().flat_map(|addr| ["--bootstrap", addr]));
        match role {
            Role::Orchestrator => {
                command.args(["--roles", "orchestrator", "--no-rtmp", "--http", "127.0.0.1:0"])
            }
            Role::Broadcaster { port } => command
                .args(["--roles", "broadcaster", "--rtmp", "127.0.0.1:0", "--http"])
                .arg(format!("127.0.0.1:{}", free_or_any(port))),
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if self.logs { Stdio::inherit() } else { self.log_file(name)? })
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let _lifeline = child.stdin.take();
        let ready = self.first_line(name, &mut child).await?;
        Ok(NodeProcess { name: name.into(), role, child, _lifeline, ready })
    }

    async fn first_line(&self, name: &str, child: &mut Child) -> Result<Ready, Failure> {
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START, lines.next_line()).await;
        // Keep the pipe open: a node that prints to a closed one would die of it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        match line {
            Ok(Ok(Some(text))) => Ok(serde_json::from_str::<FirstLine>(&text)?.ready),
            Ok(_) => Err(format!("{name} ended at once: {}", self.last_words(name)).into()),
            Err(_) => {
                Err(format!("{name} was not ready after {} s: {}", START.as_secs(), self.last_words(name))
                    .into())
            }
        }
    }

    fn log_file(&self, name: &str) -> Result<Stdio, Failure> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path(name))?;
        Ok(file.into())
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    fn last_words(&self, name: &str) -> String {
        let log = std::fs::read_to_string(self.log_path(name)).unwrap_or_default();
        log.lines().last().unwrap_or("it said nothing").to_owned()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl NodeProcess {
    /// Its name, and the megabytes that it and its workers hold; `None` while it is down.
    pub(crate) fn memory(&self) -> Option<(String, f64)> {
        Some((self.name.clone(), resident(self.child.id()?) as f64 / 1e6))
    }

    /// As a power cut would.
    pub(crate) async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }

    /// Starts it again with the same key and the same addresses.
    pub(crate) async fn restart(&mut self, home: &Home, bootstrap: &[String]) -> Result<(), Failure> {
        let Ready { control_addr, media, .. } = self.ready.clone();
        *self = home.start_at(&self.name, self.role, bootstrap, (&control_addr, &media)).await?;
        Ok(())
    }

    /// In order: closing its standard input asks it to end.
    pub(crate) async fn stop(mut self) {
        drop(self._lifeline.take());
        if tokio::time::timeout(STOP, self.child.wait()).await.is_err() {
            tracing::warn!("{} did not end in {} s and is killed", self.name, STOP.as_secs());
            let _ = self.child.kill().await;
        }
    }
}

fn free_or_any(port: u16) -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", port)).map_or(0, |_| port)
}

/// Bytes resident in a process and everything it started.
fn resident(pid: u32) -> u64 {
    let own = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 = own.split(' ').nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * 4096 + children(pid).into_iter().map(resident).sum::<u64>()
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task"));
    let of_task =
        |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let all = tasks.into_iter().flatten().flatten().map(of_task).collect::<Vec<_>>().join(" ");
    all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
