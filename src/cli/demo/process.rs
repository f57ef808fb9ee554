//! One node of the demo, or its devnet, as a process of its own: started, killed, started again, stopped in order.

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

/// What a node is started with, each time alike.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Where it is configured to follow a chain; without one it works with anybody.
    pub(crate) config: Option<PathBuf>,
}

/// Where the demo's processes keep their files. Removed at the end.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    program: PathBuf,
    network: String,
    logs: bool,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Attended {
    name: String,
    child: Child,
    /// It ends when this closes, so that none is left behind when the demo is killed.
    _lifeline: Option<ChildStdin>,
}

/// A running node.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    plan: Plan,
    process: Attended,
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

    /// A place of its own for a process.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// This very program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Starts a node and waits until it is ready.
    pub(crate) async fn start(&self, plan: Plan, bootstrap: &[String]) -> Result<NodeProcess, Failure> {
        self.start_at(plan, bootstrap, ("127.0.0.1:0", "127.0.0.1:0")).await
    }

    async fn start_at(
        &self,
        plan: Plan,
        bootstrap: &[String],
        (control, media): (&str, &str),
    ) -> Result<NodeProcess, Failure> {
        let name = plan.name.as_str();
        let mut command = Command::new(&self.program);
        command
            .args(["node", "--json", "--until-stdin-closes", "--no-mdns", "--name", name])
            .args(["--network", &self.network, "--control", control, "--media", media])
            .arg("--data-dir")
            .arg(self.path(name))
            .args(bootstrap.iter().flat_map(|addr| ["--bootstrap", addr]));
        match &plan.config {
            Some(config) => command.arg("--config").arg(config),
            None => command.arg("--allow-unstaked"),
        };
        match plan.role {
            Role::Orchestrator => {
                command.args(["--roles", "orchestrator", "--no-rtmp", "--http", "127.0.0.1:0"])
            }
            Role::Broadcaster { port } => command
                .args(["--roles", "broadcaster", "--rtmp", "127.0.0.1:0", "--http"])
                .arg(format!("127.0.0.1:{}", free_or_any(port))),
        };
        let (process, line) = self.attend(name, command, START).await?;
        let ready = serde_json::from_str::<FirstLine>(&line)?.ready;
        Ok(NodeProcess { plan, process, ready })
    }

    /// Starts a process that says one line when it is ready, and gives that line.
    pub(crate) async fn attend(
        &self,
        name: &str,
        mut command: Command,
        within: Duration,
    ) -> Result<(Attended, String), Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if self.logs { Stdio::inherit() } else { self.log_file(name)? })
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let _lifeline = child.stdin.take();
        let line = self.first_line(name, &mut child, within).await?;
        Ok((Attended { name: name.into(), child, _lifeline }, line))
    }

    async fn first_line(&self, name: &str, child: &mut Child, within: Duration) -> Result<String, Failure> {
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(within, lines.next_line()).await;
        // Keep the pipe open: a node that prints to a closed one would die of it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        match line {
            Ok(Ok(Some(text))) => Ok(text),
            Ok(_) => Err(format!("{name} ended at once: {}", self.last_words(name)).into()),
            Err(_) => {
                let late = within.as_secs();
                Err(format!("{name} was not ready after {late} s: {}", self.last_words(name)).into())
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
    /// What it was started as.
    pub(crate) fn name(&self) -> &str {
        &self.plan.name
    }

    /// See [`Attended::memory`].
    pub(crate) fn memory(&self) -> Option<(String, f64)> {
        self.process.memory()
    }

    /// As a power cut would.
    pub(crate) async fn kill(&mut self) {
        let _ = self.process.child.kill().await;
    }

    /// Starts it again with the same key and the same addresses. Whoever knew its HTTP address has to ask for it anew.
    pub(crate) async fn restart(&mut self, home: &Home, bootstrap: &[String]) -> Result<(), Failure> {
        let Ready { control_addr, media, .. } = self.ready.clone();
        *self = home.start_at(self.plan.clone(), bootstrap, (&control_addr, &media)).await?;
        Ok(())
    }

    /// See [`Attended::stop`].
    pub(crate) async fn stop(self) {
        self.process.stop().await;
    }
}

impl Attended {
    /// Its name, and the megabytes that it and its workers hold; `None` while it is down.
    pub(crate) fn memory(&self) -> Option<(String, f64)> {
        Some((self.name.clone(), resident(self.child.id()?) as f64 / 1e6))
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
