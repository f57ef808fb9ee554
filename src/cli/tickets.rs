//! `livemesh tickets`: the money that tickets are paid with, and what a node keeps of the money that it sent and earned. What is
//! typed becomes calls of the ticket broker; `stake::act` says what they will do, asks and sends. One file a subcommand.

use std::process::ExitCode;

use alloy_primitives::Address;
use clap::Subcommand;
use protocol::Round;
use protocol::chain::call::Broker;
use protocol::chain::{Call, Chain};

use crate::cli::Failure;
use crate::cli::stake::act::{AccountArgs, Act};

mod burn;
mod export;
mod fund;
mod status;
mod sums;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    account: AccountArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Adds to deposit and reserve: what a use needs, or so much
    Fund(fund::Args),
    /// Begins to take deposit and reserve out: paid streams stop, and some rounds later they can be withdrawn
    Unlock {
        /// Cancels it: tickets are taken again
        #[arg(long)]
        cancel: bool,
    },
    /// Takes out deposit and reserve, once they are unlocked
    Withdraw,
    /// Shows deposit and reserve, and how long they last
    Status {
        /// The address [default: --from]
        address: Option<Address>,
    },
    /// Lists every amount in and out, as CSV or JSON lines; the node may be running
    Export(export::Args),
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let Args { account, what } = args;
    match what {
        What::Export(args) => return export::run(args, json).await,
        What::Status { address } => status::run(&account, address, json).await?,
        What::Fund(args) => fund::run(&args, &account, json).await?,
        What::Unlock { cancel: false } => {
            take_out(&account, Broker::Unlock, "unlock deposit and reserve", json).await?;
        }
        What::Unlock { cancel: true } => {
            take_out(&account, Broker::CancelUnlock, "keep deposit and reserve after all", json).await?;
        }
        What::Withdraw => {
            take_out(&account, Broker::Withdraw, "withdraw deposit and reserve", json).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One of the steps by which money leaves the broker.
async fn take_out(account: &AccountArgs, call: Broker, says: &str, json: bool) -> Result<(), Failure> {
    let act = Act::open(account, json).await?;
    let done = async {
        let state = act.purse().await?.state;
        if let (Broker::Withdraw, Some(round)) = (&call, locked_until(&state, act.me)) {
            let wait = act.wait(&state, round);
            return Err(format!("they are locked until round {round}, {wait}: nothing was sent").into());
        }
        act.run(state, vec![Call::Broker(call)], says).await
    };
    let done = done.await;
    act.close().await;
    done
}

/// The round for which an unlocking account waits.
fn locked_until(state: &Chain, me: Address) -> Option<Round> {
    let round = state.broker.senders.at(&me).withdraw_round;
    let now = state.current_round().ok()?;
    (round > now).then_some(round)
}
