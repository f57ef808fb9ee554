//! `livemesh peers`: who is in the mesh, as a running node sees it.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use crate::cli::Failure;
use crate::cli::api::{Api, ApiArgs};
use crate::http::state::State;

pub(crate) async fn run(args: &ApiArgs, json: bool) -> Result<ExitCode, Failure> {
    let state: State = Api::new(&args.api)?.get("/api/v1/state").await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&state.mesh.nodes)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{:<18} {:<14} {:<12} {:>8} {:>6} {:>22} {:>6}",
        "NAME", "PEER", "ROLES", "RTT", "LOAD", "PRICE", "SCORE"
    );
    for node in &state.mesh.nodes {
        let rtt = node.rtt_ms.map_or_else(|| "-".into(), |ms| format!("{ms:.1} ms"));
        let avoided =
            node.avoided_for_ms.map_or_else(String::new, |ms| format!("  avoided for {} s", ms / 1000));
        let this = if node.is_self { "  this node" } else { "" };
        println!(
            "{:<18} {:<14} {:<12} {:>8} {:>6} {:>22} {:>6.2}{this}{avoided}",
            node.name,
            short(&node.peer_id),
            node.roles.join(","),
            rtt,
            format!("{}/{}", node.load, node.capacity),
            node.price,
            node.score,
        );
        if let Some(stake) = &node.stake {
            println!("{:<18} {}: {}", "", if stake.admitted { "stake" } else { "not asked" }, stake.words);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The end of a peer id: all of them begin alike.
pub(crate) fn short(peer_id: &str) -> String {
    let tail: String = peer_id.chars().rev().take(8).collect();
    format!("..{}", tail.chars().rev().collect::<String>())
}
