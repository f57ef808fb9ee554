//! `livemesh reward`: what an orchestrator's reward of this round comes to, and calling for it.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use alloy_primitives::{Address, U256};
use clap::Subcommand;
use protocol::chain::Call;
use protocol::chain::call::Bonding;
use protocol::pool::Hint;
use protocol::predict::predict;
use serde_json::json;

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
    /// Shows what this round's reward would be, and who may call for it
    Show {
        /// The orchestrator [default: --from]
        orchestrator: Option<Address>,
    },
    /// Calls for the reward of this round; with --dry-run only says what it would be
    Call {
        /// The orchestrator, for its reward caller [default: --from]
        #[arg(long = "for", value_name = "ADDRESS")]
        orchestrator: Option<Address>,
    },
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    match args.what {
        What::Show { orchestrator } => show(&args.account, orchestrator, json).await?,
        What::Call { orchestrator } => call(&args.account, orchestrator, json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(account: &AccountArgs, who: Option<Address>, json: bool) -> Result<(), Failure> {
    let who = who.or(account.from).ok_or("whose? give an address, or --from")?;
    let opened = account.read_chain(json).await?;
    let state = opened.situation(who, &[], None).await?;
    let known = opened.known();
    opened.stop().await;
    let caller = state.bonding.transcoder_to_reward_caller.at(&who);
    let caller = (!caller.is_zero()).then_some(caller);
    let foreseen = predict(&state, who, U256::ZERO, Call::Bonding(Bonding::Reward(Hint::default())));
    if json {
        let (effects, why) = match &foreseen {
            Ok(forecast) => (Some(&forecast.effects), None),
            Err(revert) => (None, Some(revert.to_string())),
        };
        let value = json!({ "orchestrator": who, "reward_caller": caller, "effects": effects,
            "refused": why, "known": known });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    println!("this round's reward of {who}\n  by state {known}");
    match foreseen {
        Ok(forecast) => forecast.effects.iter().for_each(|effect| println!("  {effect}")),
        Err(revert) => println!("  cannot be called for: {revert}"),
    }
    if let Some(caller) = caller {
        println!("  {caller} may call for it too");
    }
    Ok(())
}

async fn call(account: &AccountArgs, orchestrator: Option<Address>, json: bool) -> Result<(), Failure> {
    let act = Act::open(account, json).await?;
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
    Ok(())
}
