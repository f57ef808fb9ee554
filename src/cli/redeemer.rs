//! `livemesh redeemer`: redeems winning tickets that nodes hand over, until Ctrl-C, with a key that holds only gas.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use actors::redeemer::messages::Standing;
use serde_json::json;

use crate::cli::Failure;
use crate::config::redeemer::RedeemerArgs;
use crate::node::stop_signal;
use crate::redeemer::{self, Running};

/// Exit code when it could not be kept alive.
const GAVE_UP: u8 = 70;
/// How often it is looked whether there is something to say.
const LOOK: Duration = Duration::from_secs(2);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    redeemer: RedeemerArgs,
    /// Ends when standard input closes, so that a parent's death ends it too
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let running = redeemer::start(crate::config::redeemer(&args.redeemer)?).await?;
    introduce(&running, json);
    let mut fatal = running.fatal.clone();
    let code = tokio::select! {
        () = stop_signal() => ExitCode::SUCCESS,
        () = crate::node::stdin_closed(), if args.until_stdin_closes => ExitCode::SUCCESS,
        () = report(&running, json) => ExitCode::SUCCESS,
        Ok(why) = fatal.wait_for(Option::is_some) => {
            let why = why.clone().unwrap_or_default();
            tracing::error!("{why}: the redeemer ends, so that whoever started it starts it anew");
            ExitCode::from(GAVE_UP)
        }
    };
    running.stop().await;
    Ok(code)
}

fn introduce(running: &Running, json: bool) {
    let ready = &running.ready;
    if json {
        return println!("{}", json!({ "ready": ready }));
    }
    println!("redeemer  {}", ready.peer_id);
    println!("for       {} on {}", ready.recipient, ready.chain);
    println!("gas from  {}", ready.key);
    println!("nodes     write this into [orchestrator]: redeemer = \"{}\"", ready.address);
    println!("Ctrl-C ends it");
}

/// Says how it goes, whenever that has changed.
async fn report(running: &Running, json: bool) {
    let mut last = Standing::default();
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(now) = running.standing().await.filter(|now| *now != last) else { continue };
        last = now;
        let line = if json {
            json!({ "standing": said(&now) }).to_string()
        } else {
            let Standing { waiting, face, in_flight, redeemed, earned, gas, expired, dropped } = now;
            format!(
                "{waiting} wait ({face}), {in_flight} under way, {redeemed} redeemed ({earned}, gas {gas}), {expired} expired, {dropped} dropped"
            )
        };
        // Whoever read it may have gone; the tickets have not.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// Amounts in wei.
fn said(standing: &Standing) -> serde_json::Value {
    let Standing { waiting, face, in_flight, redeemed, earned, gas, expired, dropped } = standing;
    json!({
        "waiting": waiting, "face": face, "in_flight": in_flight, "redeemed": redeemed, "earned": earned,
        "gas": gas, "expired": expired, "dropped": dropped,
    })
}
