//! `livemesh explain`: the way of the last segments of a stream.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use actors::dispatcher::trace::{Ask, SegmentTrace, TraceOutcome};

use crate::cli::Failure;
use crate::cli::api::{self, Api};
use crate::http::state::{MeshNode, State};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The stream
    stream: protocol::StreamId,
    /// Only the last segments
    #[arg(long, default_value_t = 10, value_name = "N")]
    last: usize,
    #[command(flatten)]
    api: api::ApiArgs,
}

pub(crate) async fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    let api = Api::new(&args.api.api)?;
    let traces: Vec<SegmentTrace> = api.get(&format!("/api/v1/streams/{}/explain", args.stream)).await?;
    let last = &traces[traces.len().saturating_sub(args.last)..];
    if json {
        println!("{}", serde_json::to_string_pretty(last)?);
    } else {
        last.iter().for_each(print);
        let state: State = api.get("/api/v1/state").await?;
        state.mesh.nodes.iter().filter(|node| !node.is_self).for_each(print_refused);
    }
    Ok(ExitCode::SUCCESS)
}

/// Who is not asked, for want of proven stake or because it cannot be paid.
fn print_refused(node: &MeshNode) {
    if let Some(stake) = node.stake.as_ref().filter(|stake| !stake.admitted) {
        println!("{} is not asked: {}", &node.key[..node.key.len().min(8)], stake.words);
    } else if let Some(unpaid) = &node.unpaid {
        println!("{} is not asked: {unpaid}", &node.key[..node.key.len().min(8)]);
    }
}

fn print(trace: &SegmentTrace) {
    let outcome = match (trace.outcome, trace.latency_ms) {
        (Some(TraceOutcome::Complete), Some(ms)) => format!("complete after {ms} ms"),
        (Some(TraceOutcome::Missing), Some(ms)) => format!("given up with a rung missing after {ms} ms"),
        (Some(TraceOutcome::SourceOnly), _) => "nothing to make: the source is below the lowest rung".into(),
        _ => "in work".into(),
    };
    println!(
        "{}/{}  {} ms, {} kB: {outcome}",
        trace.stream,
        trace.seq,
        trace.duration_ms,
        trace.bytes / 1000
    );
    trace.asks.iter().for_each(|ask| print_ask(ask, trace.renditions.len()));
    for rung in &trace.renditions {
        let by = rung.by.map_or_else(|| "missing".into(), |peer| format!("by {}", &peer.to_string()[..8]));
        let at = rung.at_ms.map_or_else(String::new, |ms| format!(" at {ms} ms, {} kB", rung.bytes / 1000));
        println!("    {:<8} {by}{at}", rung.name);
    }
}

/// One who was asked, and for what, unless that was all of the ladder's `rungs`.
fn print_ask(ask: &Ask, rungs: usize) {
    let step = |name: &str, at: Option<u64>| at.map(|ms| format!(", {name} {ms} ms")).unwrap_or_default();
    println!(
        "  {}{} asked{} at {} ms{}{}{}{}",
        &ask.peer.to_string()[..8],
        if ask.hedge { " (hedge)" } else { "" },
        if ask.rungs.len() < rungs { format!(" for {}", ask.rungs.join(", ")) } else { String::new() },
        ask.asked_ms,
        step("accepted", ask.accepted_ms),
        step("first rendition", ask.first_rendition_ms),
        step("ended", ask.ended_ms),
        if ask.won { ", used" } else { "" },
    );
    println!("    why: {}", ask.why);
    if let Some(outcome) = &ask.outcome {
        println!("    {outcome}");
    }
}
