//! `livemesh broadcast`: goes live with a file, or with whatever is published to this node.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use actors::publisher::StreamState;
use protocol::StreamId;
use serde::Serialize;

use crate::cli::Failure;
use crate::cli::node::{introduce, until_stopped};
use crate::cli::terminal::StatusLine;
use crate::config::{NodeArgs, Role};
use crate::ingest::file::{self, FileSource, Pace};
use crate::node::{self, Node};

/// How often the status line changes.
const STATUS: Duration = Duration::from_millis(500);
/// How long a file at full speed waits for the mesh, segment by segment.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Publishes this file instead of waiting for a publisher
    file: Option<PathBuf>,
    /// Name of the stream [default: the file's name]
    #[arg(long, requires = "file")]
    stream: Option<StreamId>,
    /// As fast as the mesh can, instead of at the video's own pace
    #[arg(long, requires = "file")]
    fast: bool,
    /// Begins again at the file's end
    #[arg(long = "loop", requires = "file")]
    repeat: bool,
    #[command(flatten)]
    node: NodeArgs,
}

/// What became of a file.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    stream: StreamId,
    segments: u64,
    missing: u64,
    seconds: f64,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let mut node_args = args.node.clone();
    node_args.roles.get_or_insert_with(|| vec![Role::Broadcaster]);
    let mut config = node_args.resolve()?;
    let Some(path) = &args.file else {
        let node = node::start(config).await?;
        introduce(&node, json)?;
        return Ok(until_stopped(node, false).await);
    };
    let stream = args.stream.clone().map_or_else(|| name_of(path), Ok)?;
    if args.fast {
        config.broadcast.patience = Some(PATIENCE);
    }
    let node = node::start(config).await?;
    introduce(&node, json)?;
    let pace = if args.fast { Pace::AsFastAsPossible } else { Pace::RealTime };
    let source = FileSource { path: path.clone(), stream, pace, repeat: args.repeat };
    let summary = publish(node, source, json).await?;
    report(&summary, json)
}

/// Publishes a file, waits until its last segment has appeared, and stops the node.
pub(crate) async fn publish(node: Node, source: FileSource, quiet: bool) -> Result<Summary, Failure> {
    let (stream, started) = (source.stream.clone(), std::time::Instant::now());
    let mut line = StatusLine::new(quiet);
    let gate = node.gate.clone().ok_or("this node does not broadcast")?;
    let mut file = Box::pin(file::publish(gate, node.workers.clone(), source));
    let mut stop = Box::pin(node::stop_signal());
    let mut tick = tokio::time::interval(STATUS);
    let mut stopped = false;
    let ended = loop {
        tokio::select! {
            ended = &mut file => break ended,
            () = &mut stop => {
                stopped = true;
                break Ok(());
            }
            _ = tick.tick() => line.set(&status(&node, &stream)),
        }
    };
    drop(file);
    // The last segments may still be in work; Ctrl-C does not wait for them longer than a node's stop does.
    while !stopped && !has_ended(&node, &stream) {
        tokio::select! {
            () = &mut stop => stopped = true,
            _ = tick.tick() => line.set(&status(&node, &stream)),
        }
    }
    let library = node.library.clone();
    node.stop().await;
    line.end();
    ended?;
    let info = library.streams().into_iter().find(|s| s.id == stream).ok_or("nothing was published")?;
    Ok(Summary {
        stream,
        segments: info.next_seq,
        missing: info.missing,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Prints what became of a file; failure when something is missing.
pub(crate) fn report(summary: &Summary, json: bool) -> Result<ExitCode, Failure> {
    if json {
        println!("{}", serde_json::to_string(summary)?);
    } else {
        println!(
            "{}: {} segments in {:.1} s, {} renditions missing",
            summary.stream, summary.segments, summary.seconds, summary.missing
        );
    }
    Ok(if summary.segments > 0 && summary.missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn has_ended(node: &Node, stream: &StreamId) -> bool {
    let streams = node.library.streams();
    streams.iter().find(|s| s.id == *stream).is_none_or(|s| s.state == StreamState::Ended)
}

fn status(node: &Node, stream: &StreamId) -> String {
    let Some(info) = node.library.streams().into_iter().find(|s| s.id == *stream) else {
        return format!("{stream}: waiting for the first segment");
    };
    let latency = node
        .traces
        .latency(stream)
        .map_or_else(String::new, |(p50, p99)| format!("  latency p50 {p50} p99 {p99} ms"));
    format!("{stream}: {} segments{latency}  missing {}", info.next_seq, info.missing)
}

/// A stream's name from a file's: what cannot be in a name becomes a dash.
pub(crate) fn name_of(path: &Path) -> Result<StreamId, Failure> {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = stem.trim_start_matches('.').chars().map(allowed).take(StreamId::MAX_LEN).collect();
    Ok(name.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_gives_a_name() {
        assert_eq!(name_of(Path::new("/x/My holiday (1).mp4")).unwrap().as_str(), "My-holiday--1-");
    }
}
