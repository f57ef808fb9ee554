//! `livemesh vote`: proposals to the treasury and polls. A proposal is known by what it would do and why, so whoever queues or
//! executes it says both again; its number is their hash. What endpoints' simulation refuses is not sent.

use std::process::ExitCode;

use alloy_primitives::{Address, U256, keccak256};
use clap::Subcommand;
use protocol::chain::call::{Action, Governor, Polls};
use protocol::chain::governor::proposal_id;
use protocol::chain::{Call, Chain};
use protocol::votes::Support;
use protocol::{Lpt, Wei, written};

use crate::cli::Failure;
use crate::cli::stake::act::{AccountArgs, Act};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    account: AccountArgs,
    #[command(subcommand)]
    what: What,
}

/// A payment out of the treasury, and why.
#[derive(clap::Args, Clone, Debug)]
struct Payment {
    /// Who is paid
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
    /// LPT that are paid
    #[arg(long, value_name = "LPT", value_parser = written::exact_lpt, required_unless_present = "eth")]
    lpt: Option<Lpt>,
    /// Ether that is paid
    #[arg(long, value_name = "ETH", value_parser = written::exact_wei)]
    eth: Option<Wei>,
    /// Why, exactly as proposed
    #[arg(long, value_name = "TEXT")]
    description: String,
}

/// See [`What::Cast`].
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Choice {
    /// Against it
    Against,
    /// For it
    For,
    /// Neither, but counted
    Abstain,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Proposes a payment out of the treasury; takes 100 LPT of stake
    Propose(Payment),
    /// Votes on a proposal
    Cast {
        /// Its number
        proposal: U256,
        /// The vote
        #[arg(value_enum)]
        choice: Choice,
        /// Why, for everybody to read
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Queues a proposal that has won
    Queue(Payment),
    /// Carries out a proposal that is queued
    Execute(Payment),
    /// Votes in a poll over the protocol: 0 is yes, 1 is no
    Poll {
        /// The poll's address
        poll: Address,
        /// The choice
        choice: u8,
    },
}

impl Payment {
    fn actions(&self, state: &Chain) -> Vec<Action> {
        let lpt = self.lpt.map(|amount| Action::pay_lpt(state.addresses.token, self.to, amount.0));
        let eth = self.eth.map(|amount| Action::pay_eth(self.to, amount.0));
        lpt.into_iter().chain(eth).collect()
    }

    fn says(&self, verb: &str, state: &Chain) -> String {
        let id = proposal_id(&self.actions(state), keccak256(&self.description));
        let amounts = [self.lpt.map(|a| a.to_string()), self.eth.map(|a| a.to_string())];
        let amounts: Vec<String> = amounts.into_iter().flatten().collect();
        format!("{verb} proposal {id}: {} to {}, {:?}", amounts.join(" and "), self.to, self.description)
    }
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let act = Act::open(&args.account, json).await?;
    let state = act.situation(&[]).await?;
    let hash = |payment: &Payment| keccak256(&payment.description);
    let (call, says) = match &args.what {
        What::Propose(p) => {
            (Governor::Propose(p.actions(&state), p.description.clone()), p.says("make", &state))
        }
        What::Queue(p) => (Governor::Queue(p.actions(&state), hash(p)), p.says("queue", &state)),
        What::Execute(p) => (Governor::Execute(p.actions(&state), hash(p)), p.says("carry out", &state)),
        What::Cast { proposal, choice, reason } => {
            let support = match choice {
                Choice::Against => Support::Against,
                Choice::For => Support::For,
                Choice::Abstain => Support::Abstain,
            };
            let says = format!("vote {choice:?} in proposal {proposal}");
            (Governor::CastVote(*proposal, support as u8, reason.clone()), says)
        }
        What::Poll { poll, choice } => {
            let call = Call::Polls(Polls::Vote(*poll, U256::from(*choice)));
            act.run_blind(&state, call, &format!("vote {choice} in the poll at {poll}")).await?;
            act.close().await;
            return Ok(ExitCode::SUCCESS);
        }
    };
    act.run_blind(&state, Call::Governor(call), &says).await?;
    act.close().await;
    Ok(ExitCode::SUCCESS)
}
