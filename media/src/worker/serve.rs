//! The child: one job at a time from standard input, answers on standard output, words for people on standard error.

use std::fs::{self, File};
use std::io::{self, BufWriter, Stdout, Write};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;

use super::messages::{Fault, Head, Isolation, Request, Response};
use super::{demux, file, frame, remux, sandbox};
use crate::transcode::{Backend, CpuBackend, Job, TranscodeError, warm_up};

/// Buffered answers: many packets are small.
pub(super) type Out = BufWriter<Stdout>;
const OUT_BYTES: usize = 256 * 1024;

/// A job that could not be done.
pub(super) struct JobError {
    pub(super) fault: Fault,
    pub(super) message: String,
}

/// The worker process: serves jobs until standard input ends. With a regular file there, demultiplexes that instead.
///
/// Standard input and output belong to the protocol; nothing else may read or write them.
#[must_use]
pub fn run() -> ExitCode {
    sandbox::tune_memory();
    sandbox::yield_to_the_node();
    let backend = CpuBackend::new();
    warm_up(&backend);
    let mut out = BufWriter::with_capacity(OUT_BYTES, io::stdout());
    let served = match standard_file() {
        Some(input) => file::serve(input, &mut out),
        None => serve(&backend, &mut out),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "the worker stops: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Standard input when it is a regular file.
fn standard_file() -> Option<File> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    file.metadata().is_ok_and(|meta| meta.is_file()).then_some(file)
}

fn serve(backend: &CpuBackend, out: &mut Out) -> io::Result<()> {
    let mut input = io::stdin();
    let Some((Request::Setup { memory }, _)) = frame::read(&mut input)? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "started by something that is not livemesh"));
    };
    frame::write(out, &Response::Hello(sandbox::enter(memory)), &[])?;
    for (request, body) in requests()? {
        let done = panic::catch_unwind(AssertUnwindSafe(|| perform(backend, request, &body, out)));
        let done = done.unwrap_or_else(|_| Ok(Err(internal("the worker panicked"))))?;
        let last =
            done.unwrap_or_else(|JobError { fault, message }| Some(Response::Failed { fault, message }));
        if let Some(last) = last {
            frame::write(out, &last, &[])?;
        }
    }
    Ok(())
}

/// Reads ahead on a thread of its own, so that the end of standard input, which is the end of the node, ends a running job too.
fn requests() -> io::Result<mpsc::IntoIter<(Request, Bytes)>> {
    let (sender, receiver) = mpsc::sync_channel(0);
    let read = move || {
        let mut input = io::stdin();
        while let Ok(Some(request)) = frame::read(&mut input) {
            if sender.send(request).is_err() {
                break;
            }
        }
        std::process::exit(0)
    };
    thread::Builder::new().name("requests".into()).spawn(read)?;
    Ok(receiver.into_iter())
}

/// Does one job. The outer error is that of a broken pipe; the inner one goes to the node. `None` when the answer is written.
fn perform(
    backend: &CpuBackend,
    request: Request,
    body: &Bytes,
    out: &mut Out,
) -> io::Result<Result<Option<Response>, JobError>> {
    Ok(match request {
        Request::Setup { .. } => Err(internal("already set up")),
        Request::Probe => Ok(Some(Response::Capabilities(backend.capabilities()))),
        Request::SelfTest => Ok(Some(Response::Isolation(try_everything()))),
        Request::Transcode { ladder, limits } => {
            return transcode(backend, &Job { segment: body.clone(), ladder, limits }, out);
        }
        Request::Demux => return file::packets(demux::Demux::memory(body.clone()), out),
        Request::Remux { target, video } => match remux::remux(body, video, target) {
            Ok(file) => {
                frame::write(out, &Response::File, &file)?;
                Ok(None)
            }
            Err(error) => Err(error),
        },
    })
}

fn transcode(
    backend: &CpuBackend,
    job: &Job,
    out: &mut Out,
) -> io::Result<Result<Option<Response>, JobError>> {
    let mut written = Ok(());
    let stats = backend.transcode(job, &mut |rendition| {
        let head = Response::Rendition { index: rendition.index, frames: rendition.frames };
        if written.is_ok() {
            written = frame::write(out, &head, &rendition.bytes);
        }
    });
    written?;
    Ok(stats.map(|stats| Some(Response::Transcoded(stats))).map_err(|error| JobError {
        fault: match error {
            TranscodeError::Input(_) => Fault::Input,
            TranscodeError::Deadline(_) => Fault::Deadline,
            _ => Fault::Internal,
        },
        message: error.to_string(),
    }))
}

/// Tries what a taken-over worker would try.
fn try_everything() -> Isolation {
    Isolation {
        files_refused: File::open("/etc/passwd").is_err()
            && fs::read_dir("/").is_err()
            && File::create(std::env::temp_dir().join("livemesh-worker-escaped")).is_err(),
        network_refused: UdpSocket::bind("127.0.0.1:0").is_err(),
        programs_refused: Command::new("/bin/true").spawn().is_err(),
    }
}

pub(super) fn internal(message: &str) -> JobError {
    JobError { fault: Fault::Internal, message: message.into() }
}

/// One packet's frame; `Head` has no form for those that only an ingest makes.
pub(super) fn write_packet(out: &mut Out, packet: crate::packet::Packet) -> io::Result<()> {
    Head::part(packet).map_or(Ok(()), |(head, data)| frame::put(out, &Response::Packet(head), &data))
}
