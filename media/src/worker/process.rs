//! One child process as the node sees it: started, spoken to, killed when this value is dropped.

use std::fs::File;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::error::WorkerError;
use super::frame;
use super::messages::{Protections, Request, Response};
use super::pool::WorkerConfig;

/// How long a worker may take to load its libraries and close itself off.
const START: Duration = Duration::from_secs(20);
/// How long the exit code of a worker whose pipe has closed is waited for.
const EXIT: Duration = Duration::from_secs(2);
/// Pieces of standard error that are passed on from one worker: one that babbles fills no log.
const MAX_PIECES: usize = 200;
/// Length of a piece, bytes.
const PIECE: usize = 512;

/// A running worker.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// `None` for a worker whose standard input is a file.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    last_words: Arc<Mutex<String>>,
    /// What it closed itself off with.
    pub(super) protections: Protections,
    /// Jobs done so far.
    pub(super) jobs: u32,
}

impl Process {
    /// Starts a worker that takes jobs.
    pub(super) async fn start(config: &WorkerConfig) -> Result<Self, WorkerError> {
        let mut process = Self::spawn(config, Stdio::piped())?;
        process.request(&Request::Setup { memory: config.memory }, &[]).await?;
        process.greet().await?;
        Ok(process)
    }

    /// Starts a worker that demultiplexes a file.
    pub(super) async fn start_file(config: &WorkerConfig, file: File) -> Result<Self, WorkerError> {
        let mut process = Self::spawn(config, Stdio::from(file))?;
        process.greet().await?;
        Ok(process)
    }

    fn spawn(config: &WorkerConfig, stdin: Stdio) -> Result<Self, WorkerError> {
        let start = |source| WorkerError::Start { program: config.program.clone(), source };
        let mut child = Command::new(&config.program)
            .args(&config.args)
            .env_clear()
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let no_pipe = || start(io::Error::other("it has no pipes"));
        let stdout = child.stdout.take().ok_or_else(no_pipe)?;
        let stderr = child.stderr.take().ok_or_else(no_pipe)?;
        let last_words = Arc::new(Mutex::new(String::new()));
        tokio::spawn(pass_on(stderr, child.id(), Arc::clone(&last_words)));
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: BufReader::with_capacity(256 * 1024, stdout),
            child,
            last_words,
            protections: Protections::default(),
            jobs: 0,
        })
    }

    async fn greet(&mut self) -> Result<(), WorkerError> {
        match timeout(START, self.receive()).await.map_err(|_| WorkerError::Deadline(START))?? {
            (Response::Hello(protections), _) => {
                self.protections = protections;
                Ok(())
            }
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Process id while it lives.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends a job. A worker that reads no more has died.
    pub(super) async fn request(&mut self, request: &Request, body: &[Bytes]) -> Result<(), WorkerError> {
        let sent = match &mut self.stdin {
            Some(stdin) => frame::send(stdin, request, body).await,
            None => Err(io::Error::other("this worker reads a file")),
        };
        match sent {
            Err(error)
                if error.kind() == io::ErrorKind::InvalidInput
                    || error.kind() == io::ErrorKind::InvalidData =>
            {
                Err(WorkerError::Input(format!("the job is too large for a worker: {error}")))
            }
            Err(_) => Err(self.crashed().await),
            Ok(()) => Ok(()),
        }
    }

    /// The next answer.
    pub(super) async fn receive(&mut self) -> Result<(Response, Bytes), WorkerError> {
        match frame::receive(&mut self.stdout).await {
            Ok(answer) => Ok(answer),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(WorkerError::Protocol(error.to_string()))
            }
            Err(_) => Err(self.crashed().await),
        }
    }

    async fn crashed(&mut self) -> WorkerError {
        let status = match timeout(EXIT, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its pipe closed".into(),
        };
        let last_words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        WorkerError::Crashed { status, last_words }
    }
}

/// An answer that does not belong to the job.
pub(super) fn unexpected(answer: &Response) -> WorkerError {
    let text: String = format!("{answer:?}").chars().take(100).collect();
    WorkerError::Protocol(format!("an unexpected answer: {text}"))
}

/// Passes what a worker writes to standard error on to the log, within bounds, and keeps the last of it.
async fn pass_on(mut stderr: impl AsyncRead + Unpin, pid: Option<u32>, last_words: Arc<Mutex<String>>) {
    let mut piece = [0; PIECE];
    let mut passed = 0;
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        let text = String::from_utf8_lossy(&piece[..length]);
        let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if passed < MAX_PIECES {
            tracing::debug!(pid, "worker: {text}");
        }
        passed += 1;
        *last_words.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}
