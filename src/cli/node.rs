//! `livemesh node`: a node until Ctrl-C.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use crate::cli::Failure;
use crate::config::NodeArgs;
use crate::node::{self, Node};

/// Exit code when a part could not be kept alive.
const GAVE_UP: u8 = 70;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeArgs,
    /// Ends when standard input closes, so that a parent's death ends it too
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

pub(crate) async fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    let node = node::start(args.node.resolve()?).await?;
    introduce(&node, json)?;
    Ok(until_stopped(node, args.until_stdin_closes).await)
}

/// Says where the node is.
pub(crate) fn introduce(node: &Node, json: bool) -> Result<(), Failure> {
    let ready = &node.ready;
    if json {
        println!("{}", serde_json::json!({ "ready": ready }));
        return Ok(());
    }
    println!("node      {}", ready.peer_id);
    println!("page      http://{}/", ready.http);
    if let Some(rtmp) = &ready.rtmp {
        println!(
            "publish   rtmp://{rtmp}/live/STREAM   (in OBS: server rtmp://{rtmp}/live, stream key STREAM)"
        );
        println!("watch     http://{}/live/STREAM/master.m3u8", ready.http);
    }
    if let Some(network) = &ready.chain {
        println!("chain     {network}   (what is proven: http://{}/api/v1/chain)", ready.http);
    }
    for addr in &ready.control {
        println!("join at   {addr}");
    }
    println!("Ctrl-C ends it");
    Ok(())
}

/// Runs until a signal, the end of standard input, or a part that cannot be kept alive.
pub(crate) async fn until_stopped(node: Node, watch_stdin: bool) -> ExitCode {
    let mut fatal = node.fatal.clone();
    let code = tokio::select! {
        () = node::stop_signal() => ExitCode::SUCCESS,
        () = node::stdin_closed(), if watch_stdin => ExitCode::SUCCESS,
        Ok(why) = fatal.wait_for(Option::is_some) => {
            let why = why.clone().unwrap_or_default();
            tracing::error!("{why}: the node ends, so that whoever started it starts it anew");
            ExitCode::from(GAVE_UP)
        }
    };
    node.stop().await;
    code
}
