//! `livemesh round`: which round it is, and beginning one that nobody has begun.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use clap::Subcommand;
use lightclient::livepeer::Ask;
use protocol::chain::Call;
use protocol::chain::call::Rounds;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::chain::open::show;
use crate::cli::stake::act::{AccountArgs, Act};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    account: AccountArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// Shows the round
    Show,
    /// Begins the round: anybody may, once
    Init,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    match args.what {
        What::Show => {
            let opened = args.account.read_chain(json).await?;
            let value = json!({ "round": opened.read(&Ask::Round).await?, "known": opened.known() });
            if json {
                println!("{}", serde_json::to_string_pretty(&value)?);
            } else {
                show(&value);
            }
            opened.stop().await;
        }
        What::Init => {
            let act = Act::open(&args.account, json).await?;
            let state = act.situation(&[]).await?;
            act.run(state, vec![Call::Rounds(Rounds::InitializeRound)], "begin the round").await?;
            act.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}
