//! The pool: a few workers kept warm, a job each at a time, a fresh one for each that was lost.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::{Hash, Rendition};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::timeout;

use super::error::WorkerError;
use super::messages::{Isolation, Protections, Request, Response};
use super::process::{Process, unexpected};
use super::sandbox::DEFAULT_MEMORY;
use crate::packet::Packet;
use crate::transcode::ffi::Target;
use crate::transcode::{Capabilities, Job, Stats};

/// Time beyond a job's own limit before its worker is killed: the worker watches the limit too, and can say more.
const GRACE: Duration = Duration::from_millis(500);
/// What a job that only moves bytes may take.
const MOVE: Duration = Duration::from_secs(30);
/// Longest silence of a worker that reads a file.
const FILE_SILENCE: Duration = Duration::from_secs(30);
/// Jobs after which a worker is replaced, so that nothing a job left behind stays for long.
const JOBS_PER_WORKER: u32 = 1000;
/// Packets that one pushed file may hold: the longest segment with audio holds a tenth of it.
const MAX_PACKETS: usize = 50_000;

/// How workers are started.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The program: `livemesh` itself.
    pub program: PathBuf,
    /// Its arguments: `worker`.
    pub args: Vec<OsString>,
    /// Workers that run at the same time, at least 1.
    pub count: usize,
    /// Address space of one worker, bytes.
    pub memory: u64,
}

impl WorkerConfig {
    /// `count` workers of `program` started with `args`, with the usual memory.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, args: Vec<OsString>, count: usize) -> Self {
        Self { program: program.into(), args, count, memory: DEFAULT_MEMORY }
    }
}

/// A pool of worker processes. Cheap to clone; the last clone ends the processes.
#[derive(Clone, Debug)]
pub struct Workers {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    config: WorkerConfig,
    permits: Semaphore,
    idle: Mutex<Vec<Process>>,
}

/// A worker while it has a job. Dropped without having been returned, it is killed.
struct Lease<'a> {
    process: Process,
    pool: &'a Pool,
    _permit: &'a SemaphorePermit<'a>,
}

impl Lease<'_> {
    /// The job is over and the worker is well.
    fn done(mut self) {
        self.process.jobs += 1;
        if self.process.jobs < JOBS_PER_WORKER {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.process);
        }
    }
}

impl Workers {
    /// Starts all workers.
    ///
    /// # Errors
    /// When the program cannot be started or does not answer as a worker does.
    pub async fn start(config: WorkerConfig) -> Result<Self, WorkerError> {
        let count = config.count.max(1);
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            idle.push(Process::start(&config).await?);
        }
        let pool = Pool { config, permits: Semaphore::new(count), idle: Mutex::new(idle) };
        Ok(Self { pool: Arc::new(pool) })
    }

    /// What the workers that wait for a job closed themselves off with; the weakest of them counts.
    #[must_use]
    pub fn protections(&self) -> Protections {
        let idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let all = |of: fn(&Protections) -> bool| !idle.is_empty() && idle.iter().all(|p| of(&p.protections));
        Protections { limits: all(|p| p.limits), landlock: all(|p| p.landlock), seccomp: all(|p| p.seccomp) }
    }

    /// Process ids of the workers that wait for a job.
    #[must_use]
    pub fn idle_pids(&self) -> Vec<u32> {
        let idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.iter().filter_map(Process::id).collect()
    }

    /// Transcodes one segment; renditions go to `out` as they are made, each once. The job's wall-clock limit counts from when
    /// a worker is free. Dropping the future kills the worker; so does dropping the receiver of `out`.
    ///
    /// # Errors
    /// [`WorkerError`]; renditions already handed out stay good.
    pub async fn transcode(&self, job: Job, out: mpsc::Sender<Rendition>) -> Result<Stats, WorkerError> {
        let mut made = vec![false; job.ladder.0.len()];
        let permit = self.pool.permit().await;
        let wall = job.limits.wall;
        let twice = async {
            match self.transcode_once(&permit, &job, &out, &mut made).await {
                Err(error) if error.is_crash() => self.transcode_once(&permit, &job, &out, &mut made).await,
                result => result,
            }
        };
        timeout(wall + GRACE, twice).await.unwrap_or(Err(WorkerError::Deadline(wall)))
    }

    async fn transcode_once(
        &self,
        permit: &SemaphorePermit<'_>,
        job: &Job,
        out: &mpsc::Sender<Rendition>,
        made: &mut [bool],
    ) -> Result<Stats, WorkerError> {
        let mut lease = self.pool.lease(permit).await?;
        let request = Request::Transcode { ladder: job.ladder.clone(), limits: job.limits };
        lease.process.request(&request, std::slice::from_ref(&job.segment)).await?;
        let mut told = vec![false; made.len()];
        loop {
            let answer = tokio::select! {
                answer = lease.process.receive() => answer?,
                () = out.closed() => return Err(WorkerError::Cancelled),
            };
            match answer {
                (Response::Rendition { index, frames }, bytes) => {
                    let (Some(spec), Some(told)) = (job.ladder.0.get(index), told.get_mut(index)) else {
                        return Err(WorkerError::Protocol(format!("rendition {index} of {}", made.len())));
                    };
                    if frames > job.limits.max_frames || std::mem::replace(told, true) {
                        return Err(WorkerError::Protocol(format!(
                            "rendition {index} twice, or of {frames} pictures"
                        )));
                    }
                    if !std::mem::replace(&mut made[index], true) {
                        let rendition = rendition(index, frames, spec.pixels(), bytes).await?;
                        out.send(rendition).await.map_err(|_| WorkerError::Cancelled)?;
                    }
                }
                (Response::Transcoded(stats), _) if told.iter().all(|&told| told) => {
                    lease.done();
                    return Ok(stats);
                }
                (Response::Failed { fault, message }, _) => {
                    lease.done();
                    return Err(WorkerError::from_fault(fault, message, job.limits.wall));
                }
                (other, _) => return Err(unexpected(&other)),
            }
        }
    }

    /// Takes a pushed file (MPEG-TS or MP4; Matroska and FLV too) apart: H.264 with 4-byte lengths, raw AAC, parameters before
    /// what they apply to, times as the file has them.
    ///
    /// # Errors
    /// [`WorkerError::Input`] names another codec and says what to publish.
    pub async fn demux(&self, file: Bytes) -> Result<Vec<Packet>, WorkerError> {
        match self.ask(Request::Demux, vec![file]).await? {
            (packets, Response::Done, _) => Ok(packets),
            (_, other, _) => Err(unexpected(&other)),
        }
    }

    /// Takes a file on disk apart, of any length, in a process of its own; packets come as fast as `out` is emptied.
    ///
    /// # Errors
    /// As [`Workers::demux`]; what was sent before stays good.
    pub async fn demux_file(&self, file: File, out: mpsc::Sender<Packet>) -> Result<(), WorkerError> {
        if !file.metadata().is_ok_and(|meta| meta.is_file()) {
            return Err(WorkerError::Input("not a regular file: only these can be read as video".into()));
        }
        let mut process = Process::start_file(&self.pool.config, file).await?;
        loop {
            let answer = timeout(FILE_SILENCE, process.receive()).await;
            match answer.map_err(|_| WorkerError::Deadline(FILE_SILENCE))?? {
                (Response::Packet(head), data) => {
                    out.send(head.join(data)).await.map_err(|_| WorkerError::Cancelled)?;
                }
                (Response::Done, _) => return Ok(()),
                (Response::Failed { fault, message }, _) => {
                    return Err(WorkerError::from_fault(fault, message, FILE_SILENCE));
                }
                (other, _) => return Err(unexpected(&other)),
            }
        }
    }

    /// Puts a video segment and, where there is one, an audio segment (both fragmented MP4) into one file with the same
    /// absolute times.
    ///
    /// # Errors
    /// [`WorkerError::Input`] when one of them cannot be read.
    pub async fn remux(
        &self,
        video: Bytes,
        audio: Option<Bytes>,
        target: Target,
    ) -> Result<Bytes, WorkerError> {
        let request = Request::Remux { target, video: video.len() };
        let body = [Some(video), audio].into_iter().flatten().collect();
        match self.ask(request, body).await? {
            (_, Response::File, file) => Ok(file),
            (_, other, _) => Err(unexpected(&other)),
        }
    }

    /// What this machine's workers can do.
    ///
    /// # Errors
    /// When no worker answers.
    pub async fn probe(&self) -> Result<Capabilities, WorkerError> {
        match self.ask(Request::Probe, Vec::new()).await? {
            (_, Response::Capabilities(capabilities), _) => Ok(capabilities),
            (_, other, _) => Err(unexpected(&other)),
        }
    }

    /// Has a worker try to leave its sandbox, and says what was refused.
    ///
    /// # Errors
    /// When no worker answers.
    pub async fn self_test(&self) -> Result<Isolation, WorkerError> {
        match self.ask(Request::SelfTest, Vec::new()).await? {
            (_, Response::Isolation(isolation), _) => Ok(isolation),
            (_, other, _) => Err(unexpected(&other)),
        }
    }

    /// A job whose results are few enough to wait for: packets, and what comes last. Repeated once after a crash.
    async fn ask(
        &self,
        request: Request,
        body: Vec<Bytes>,
    ) -> Result<(Vec<Packet>, Response, Bytes), WorkerError> {
        let permit = self.pool.permit().await;
        let twice = async {
            match self.ask_once(&permit, &request, &body).await {
                Err(error) if error.is_crash() => self.ask_once(&permit, &request, &body).await,
                result => result,
            }
        };
        timeout(MOVE, twice).await.unwrap_or(Err(WorkerError::Deadline(MOVE)))
    }

    async fn ask_once(
        &self,
        permit: &SemaphorePermit<'_>,
        request: &Request,
        body: &[Bytes],
    ) -> Result<(Vec<Packet>, Response, Bytes), WorkerError> {
        let mut lease = self.pool.lease(permit).await?;
        lease.process.request(request, body).await?;
        let mut packets = Vec::new();
        loop {
            match lease.process.receive().await? {
                (Response::Packet(head), data) if packets.len() < MAX_PACKETS => {
                    packets.push(head.join(data))
                }
                (Response::Packet(_), _) => {
                    return Err(WorkerError::Input(format!(
                        "more than {MAX_PACKETS} packets: push shorter segments"
                    )));
                }
                (Response::Failed { fault, message }, _) => {
                    lease.done();
                    return Err(WorkerError::from_fault(fault, message, MOVE));
                }
                (last, bytes) => {
                    lease.done();
                    return Ok((packets, last, bytes));
                }
            }
        }
    }
}

impl Pool {
    async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("the semaphore is never closed")
    }

    /// A worker, warm or fresh. The permit says that one may run.
    async fn lease<'a>(&'a self, permit: &'a SemaphorePermit<'a>) -> Result<Lease<'a>, WorkerError> {
        loop {
            let warm = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let process = match warm {
                Some(process) if process.id().is_none() => continue,
                Some(process) => process,
                None => Process::start(&self.config).await?,
            };
            return Ok(Lease { process, pool: self, _permit: permit });
        }
    }
}

/// Hashes on a thread where that may take a while: nothing that a worker says of its bytes is believed.
async fn rendition(index: usize, frames: u32, pixels: u64, bytes: Bytes) -> Result<Rendition, WorkerError> {
    let hashed = bytes.clone();
    let hash = tokio::task::spawn_blocking(move || Hash::of(&hashed)).await;
    let hash =
        hash.map_err(|error| WorkerError::Internal(format!("the rendition could not be hashed: {error}")))?;
    Ok(Rendition { index, frames, pixels: u64::from(frames) * pixels, bytes, hash })
}
