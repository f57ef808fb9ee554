//! `livemesh vote`: proposals to the treasury, and polls. A proposal is known by what it would do and why, so whoever queues or
//! executes it says both again; its number is their hash. What can be counted from proven state is.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use alloy_primitives::{Address, U256, keccak256};
use clap::Subcommand;
use protocol::chain::call::{Action, Governor, Polls};
use protocol::chain::governor::proposal_id;
use protocol::chain::{Call, Chain};
use protocol::votes::Support;
use protocol::{Lpt, Wei, written};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::chain::open::{Opened, show};
use crate::cli::stake::act::{AccountArgs, Act};

mod logs;
mod polls;
pub(in crate::cli) mod proposals;

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
    /// Lists the newest proposals
    List,
    /// Shows a proposal: how far it is, its tally and quorum, what --from votes with
    Show {
        /// Its number
        proposal: U256,
    },
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
    /// Polls over the protocol
    #[command(subcommand)]
    Poll(Poll),
}

#[derive(Debug, Subcommand)]
enum Poll {
    /// Lists polls that endpoints know of
    List,
    /// Shows a poll with its tally by stake
    Show {
        /// The poll's address
        poll: Address,
    },
    /// Makes a poll; takes 100 LPT of stake
    Create {
        /// What it is about, usually the IPFS name of a document
        about: String,
    },
    /// Votes in a poll
    Cast {
        /// The poll's address
        poll: Address,
        /// The vote
        #[arg(value_enum)]
        choice: YesNo,
    },
}

/// See [`Poll::Cast`].
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum YesNo {
    /// For it: choice 0
    Yes,
    /// Against it: choice 1
    No,
}

impl Payment {
    fn actions(&self, state: &Chain) -> Vec<Action> {
        let lpt = self.lpt.map(|amount| Action::pay_lpt(state.addresses.token, self.to, amount.0));
        let eth = self.eth.map(|amount| Action::pay_eth(self.to, amount.0));
        lpt.into_iter().chain(eth).collect()
    }

    fn id(&self, state: &Chain) -> U256 {
        proposal_id(&self.actions(state), keccak256(&self.description))
    }

    fn says(&self, verb: &str, state: &Chain) -> String {
        let amounts = [self.lpt.map(|a| a.to_string()), self.eth.map(|a| a.to_string())];
        let amounts: Vec<String> = amounts.into_iter().flatten().collect();
        let (id, amounts) = (self.id(state), amounts.join(" and "));
        format!("{verb} proposal {id}: {amounts} to {}, {:?}", self.to, self.description)
    }
}

impl What {
    /// What it sends, with the proposals that are looked at before.
    fn call(&self, state: &Chain) -> Option<(U256, Governor, String)> {
        let hash = |payment: &Payment| keccak256(&payment.description);
        Some(match self {
            Self::Propose(p) => {
                let call = Governor::Propose(p.actions(state), p.description.clone());
                (p.id(state), call, p.says("make", state))
            }
            Self::Queue(p) => {
                (p.id(state), Governor::Queue(p.actions(state), hash(p)), p.says("queue", state))
            }
            Self::Execute(p) => {
                (p.id(state), Governor::Execute(p.actions(state), hash(p)), p.says("carry out", state))
            }
            Self::Cast { proposal, choice, reason } => {
                let support = match choice {
                    Choice::Against => Support::Against,
                    Choice::For => Support::For,
                    Choice::Abstain => Support::Abstain,
                };
                let call = Governor::CastVote(*proposal, support as u8, reason.clone());
                (*proposal, call, format!("vote {choice:?} in proposal {proposal}"))
            }
            Self::List | Self::Show { .. } | Self::Poll(_) => return None,
        })
    }
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let Args { account, what } = args;
    match &what {
        What::List | What::Show { .. } | What::Poll(Poll::List | Poll::Show { .. }) => {
            let opened = account.read_chain(json).await?;
            let found = look(&opened, &what, account.from).await;
            opened.stop().await;
            print(&found?, json)?;
        }
        What::Poll(Poll::Create { about }) => {
            let act = Act::open(&account, json).await?;
            let call = Call::Polls(Polls::Create(about.clone().into_bytes().into()));
            let state = act.situation(&[]).await?;
            act.run(state, vec![call], &format!("make a poll about {about:?}")).await?;
            act.close().await;
        }
        What::Poll(Poll::Cast { poll, choice }) => {
            let act = Act::open(&account, json).await?;
            let call = Call::Polls(Polls::Vote(*poll, U256::from(*choice as u8)));
            let state = act.situation(&[]).await?;
            act.run_blind(&state, call, &format!("vote {choice:?} in the poll at {poll}")).await?;
            act.close().await;
        }
        What::Propose(_) | What::Cast { .. } | What::Queue(_) | What::Execute(_) => {
            govern(&account, &what, json).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a vote or a step of a proposal, foreseen by proven state.
async fn govern(account: &AccountArgs, what: &What, json: bool) -> Result<(), Failure> {
    let act = Act::open(account, json).await?;
    let first = act.situation(&[]).await?;
    if let Some((id, call, says)) = what.call(&first) {
        let state = act.ballot(&[id]).await?;
        act.run(state, vec![Call::Governor(call)], &says).await?;
    }
    act.close().await;
    Ok(())
}

async fn look(opened: &Opened, what: &What, me: Option<Address>) -> Result<Value, Failure> {
    Ok(match what {
        What::Show { proposal } => {
            let mut found = proposals::read(opened, me, Some(*proposal)).await?;
            with(found.pop().unwrap_or_default(), opened)
        }
        What::Poll(Poll::List) => json!({ "polls": polls::list(opened).await?, "known": UNPROVEN }),
        What::Poll(Poll::Show { poll }) => with(polls::show(opened, *poll).await?, opened),
        _ => {
            let found = proposals::read(opened, me, None).await?;
            with(json!({ "proposals": found, "list": UNPROVEN }), opened)
        }
    })
}

/// What a list is worth.
const UNPROVEN: &str = "by endpoints' logs; that none is missing is not proven";

fn with(mut value: Value, opened: &Opened) -> Value {
    value["known"] = json!(opened.known());
    value
}

fn print(value: &Value, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string_pretty(value)?);
        return Ok(());
    }
    for one in ["proposals", "polls"].iter().filter_map(|list| value[*list].as_array()).flatten() {
        show(one);
        println!();
    }
    let rest: serde_json::Map<String, Value> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !matches!(name.as_str(), "proposals" | "polls"))
        .map(|(name, v)| (name.clone(), v.clone()))
        .collect();
    show(&Value::Object(rest));
    Ok(())
}
