//! Packets of a file to the node, as fast as it takes them and no faster.

use std::fs::File;
use std::io;

use super::demux::Demux;
use super::messages::Response;
use super::serve::{JobError, Out, write_packet};
use super::{frame, sandbox};

/// Demultiplexes the file that is this process's standard input, then ends.
pub(super) fn serve(file: File, out: &mut Out) -> io::Result<()> {
    frame::write(out, &Response::Hello(sandbox::enter(sandbox::DEFAULT_MEMORY)), &[])?;
    let last = packets(Demux::file(file), out)?;
    let last = last.unwrap_or_else(|JobError { fault, message }| Some(Response::Failed { fault, message }));
    last.map_or(Ok(()), |last| frame::write(out, &last, &[]))
}

/// Writes all packets. The outer error is that of a broken pipe, when the node wants no more.
pub(super) fn packets(
    demux: Result<Demux, JobError>,
    out: &mut Out,
) -> io::Result<Result<Option<Response>, JobError>> {
    let mut demux = match demux {
        Ok(demux) => demux,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        match demux.next() {
            Ok(Some(packet)) => write_packet(out, packet)?,
            Ok(None) => return Ok(Ok(Some(Response::Done))),
            Err(error) => return Ok(Err(error)),
        }
    }
}
