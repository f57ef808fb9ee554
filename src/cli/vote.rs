//! `livemesh vote`: proposals to the treasury, and polls. A proposal is known by what it would do and why, so whoever queues or
//! executes it says both again, or its number, which is their hash and finds them. What can be counted from proven state is.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use alloy_primitives::{Address, U256, keccak256};
use clap::Subcommand;
use protocol::chain::abi::Proposed;
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

/// A proposal that there is, by its number or by its words.
#[derive(clap::Args, Clone, Debug)]
struct Which {
    /// Its number; its words are then looked up, and proven by it
    #[arg(conflicts_with_all = ["to", "lpt", "eth", "description"])]
    proposal: Option<U256>,
    /// Who is paid
    #[arg(long, value_name = "ADDRESS", required_unless_present = "proposal")]
    to: Option<Address>,
    /// LPT that are paid
    #[arg(long, value_name = "LPT", value_parser = written::exact_lpt, required_unless_present_any = ["eth", "proposal"])]
    lpt: Option<Lpt>,
    /// Ether that is paid
    #[arg(long, value_name = "ETH", value_parser = written::exact_wei)]
    eth: Option<Wei>,
    /// Why, exactly as proposed
    #[arg(long, value_name = "TEXT", required_unless_present = "proposal")]
    description: Option<String>,
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
    Queue(Which),
    /// Carries out a proposal that is queued
    Execute(Which),
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
    fn words(&self, state: &Chain) -> Proposed {
        let lpt = self.lpt.map(|amount| Action::pay_lpt(state.addresses.token, self.to, amount.0));
        let eth = self.eth.map(|amount| Action::pay_eth(self.to, amount.0));
        let actions: Vec<Action> = lpt.into_iter().chain(eth).collect();
        let id = proposal_id(&actions, keccak256(&self.description));
        Proposed { id, actions, description: self.description.clone() }
    }
}

impl Which {
    /// Its words, where they were said.
    fn payment(&self) -> Option<Payment> {
        let Self { lpt, eth, .. } = *self;
        Some(Payment { to: self.to?, lpt, eth, description: self.description.clone()? })
    }
}

impl What {
    /// What a proposal says that is made or carried on.
    async fn words(&self, opened: &Opened, state: &Chain) -> Result<Option<Proposed>, Failure> {
        let which = match self {
            Self::Propose(payment) => return Ok(Some(payment.words(state))),
            Self::Queue(which) | Self::Execute(which) => which,
            _ => return Ok(None),
        };
        Ok(Some(match (which.proposal, which.payment()) {
            (Some(id), _) => proposals::words(opened, state.addresses.governor, id).await?,
            (None, Some(payment)) => payment.words(state),
            (None, None) => return Err("which proposal? give its number, or all of its words".into()),
        }))
    }

    /// What it sends and what that is in words, with the proposal that is looked at before.
    fn call(&self, state: &Chain, words: Option<Proposed>) -> Option<(U256, Governor, String)> {
        if let Self::Cast { proposal, choice, reason } = self {
            let support = match choice {
                Choice::Against => Support::Against,
                Choice::For => Support::For,
                Choice::Abstain => Support::Abstain,
            };
            let call = Governor::CastVote(*proposal, support as u8, reason.clone());
            return Some((*proposal, call, format!("vote {choice:?} in proposal {proposal}")));
        }
        let words = words?;
        let does: Vec<String> = words.actions.iter().map(|action| proposals::does(state, action)).collect();
        let says = |verb| {
            format!("{verb} proposal {}: it {}, {:?}", words.id, does.join(" and "), words.description)
        };
        let hash = keccak256(&words.description);
        let (says, call) = match self {
            Self::Propose(_) => {
                (says("make"), Governor::Propose(words.actions.clone(), words.description.clone()))
            }
            Self::Queue(_) => (says("queue"), Governor::Queue(words.actions.clone(), hash)),
            _ => (says("carry out"), Governor::Execute(words.actions.clone(), hash)),
        };
        Some((words.id, call, says))
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
    let words = what.words(act.opened(), &first).await?;
    if let Some((id, call, says)) = what.call(&first, words) {
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn which(line: &[&str]) -> Result<Which, String> {
        #[derive(Parser)]
        struct Cli {
            #[command(subcommand)]
            what: What,
        }
        let cli = Cli::try_parse_from([&["vote", "queue"], line].concat()).map_err(|bad| bad.to_string())?;
        let What::Queue(which) = cli.what else { return Err("another command".into()) };
        Ok(which)
    }

    #[test]
    fn a_proposal_is_named_by_its_number_or_by_all_of_its_words() {
        let words =
            ["--to", "0x00000000000000000000000000000000000000aa", "--lpt", "10LPT", "--description", "why"];
        let by_number = which(&["7"]).unwrap();
        assert!(by_number.proposal == Some(U256::from(7)) && by_number.payment().is_none());
        let by_words = which(&words).unwrap();
        assert!(by_words.proposal.is_none() && by_words.payment().is_some());
        assert!(which(&[&["7"], &words[..]].concat()).unwrap_err().contains("cannot be used with"));
        assert!(which(&words[..4]).unwrap_err().contains("--description"));
        assert!(which(&[]).is_err());
    }
}
