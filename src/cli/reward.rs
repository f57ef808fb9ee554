//! `livemesh reward`: what an orchestrator's reward of this round comes to, and calling for it.

use std::process::ExitCode;

use alloy_primitives::Address;
use clap::Subcommand;
use protocol::chain::Call;
use protocol::chain::call::Bonding;
use protocol::pool::Hint;

use crate::cli::Failure;
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
    /// Calls for the reward of this round; with --dry-run only says what it would be
    Call {
        /// The orchestrator, for its reward caller [default: --from]
        #[arg(long = "for", value_name = "ADDRESS")]
        orchestrator: Option<Address>,
    },
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let What::Call { orchestrator } = args.what;
    let act = Act::open(&args.account, json).await?;
    let state = act.situation(orchestrator.as_slice()).await?;
    let (call, says) = match orchestrator {
        Some(who) if who != act.me => (
            Bonding::RewardForTranscoder(who, Hint::default()),
            format!("call for this round's reward of {who}"),
        ),
        _ => (Bonding::Reward(Hint::default()), "call for this round's reward".to_owned()),
    };
    act.run(state, vec![Call::Bonding(call)], &says).await?;
    act.close().await;
    Ok(ExitCode::SUCCESS)
}
