//! `livemesh stake`: keys, and what people do with stake. What is typed becomes calls of the contracts; `act` says what they
//! will do, asks and sends. Knows no transaction and no proof.

use std::process::ExitCode;

use alloy_primitives::{Address, U256};
use clap::{Args as Flags, Subcommand};
use protocol::chain::call::Bonding;
use protocol::chain::{Call, Chain};
use protocol::math::PPM;
use protocol::pool::Hint;
use protocol::written::{self, Amount};
use protocol::{Lpt, Wei};

use crate::cli::Failure;

pub(in crate::cli) mod act;
mod certify;
mod follow;
mod keys;
mod newest;
pub(in crate::cli) mod register;
mod rehearse;
mod status;

use act::{AccountArgs, Act};
use register::{Terms, bond, register, set_cuts};

#[derive(Debug, Flags)]
pub(crate) struct Args {
    #[command(flatten)]
    account: AccountArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Makes, imports or lists keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Shows the stake of an address: its own, what it could withdraw, and what it is as an orchestrator
    Status {
        /// The address [default: --from]
        address: Option<Address>,
    },
    /// Becomes an orchestrator: stakes with oneself, sets cuts and where it serves. Typed again, it goes on with what is missing
    Register {
        /// Stake that it shall have at least, such as 1000LPT; max adds all tokens in hand
        #[arg(value_parser = written::lpt)]
        amount: Amount<Lpt>,
        /// Part of rewards that is kept, such as 10%
        #[arg(long, value_parser = ppm)]
        reward_cut: U256,
        /// Part of fees that is shared with delegators, such as 50%
        #[arg(long, value_parser = ppm)]
        fee_share: U256,
        /// Where it serves, such as https://example.org:8935
        #[arg(long, value_name = "URI")]
        service_uri: Option<String>,
    },
    /// Changes an orchestrator's cuts, address or reward caller
    Set {
        /// Part of rewards that is kept
        #[arg(long, value_parser = ppm)]
        reward_cut: Option<U256>,
        /// Part of fees that is shared
        #[arg(long, value_parser = ppm)]
        fee_share: Option<U256>,
        /// Where it serves
        #[arg(long, value_name = "URI")]
        service_uri: Option<String>,
        /// Who may call reward() for it besides itself
        #[arg(long, value_name = "ADDRESS")]
        reward_caller: Option<Address>,
    },
    /// Stakes with an orchestrator, and allows the contract to take the tokens where it may not yet
    Bond {
        /// Stake, such as 12.5LPT or max
        #[arg(value_parser = written::lpt)]
        amount: Amount<Lpt>,
        /// The orchestrator
        #[arg(long, value_name = "ADDRESS")]
        to: Address,
    },
    /// Moves all stake to another orchestrator
    Move {
        /// The orchestrator
        #[arg(long, value_name = "ADDRESS")]
        to: Address,
    },
    /// Takes stake out of work; it can be withdrawn some rounds later
    Unbond {
        /// Stake, such as 12.5LPT or max
        #[arg(value_parser = written::lpt)]
        amount: Amount<Lpt>,
    },
    /// Puts the stake of a lock back to work
    Rebond {
        /// Number of the lock
        lock: u64,
        /// The orchestrator, for who has no stake at work any more
        #[arg(long, value_name = "ADDRESS")]
        to: Option<Address>,
    },
    /// Takes out what is free
    #[command(subcommand)]
    Withdraw(Withdraw),
    /// Claims what was earned
    Claim,
    /// Lets a node speak for a stake: signed by the staking key, which may stay cold
    Certify(Box<certify::Args>),
    /// Shows transactions that are under way, and follows them
    Pending,
}

#[derive(Debug, Subcommand)]
enum Withdraw {
    /// The stake of a lock
    Stake {
        /// Number of the lock
        lock: u64,
    },
    /// Fees
    Fees {
        /// How much, such as 0.1ETH or max
        #[arg(value_parser = written::wei)]
        amount: Amount<Wei>,
    },
}

fn ppm(text: &str) -> Result<U256, String> {
    written::share(text, PPM).map_err(|bad| bad.to_string())
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let Args { account, what } = args;
    match what {
        What::Certify(args) => return certify::run(&args, &account, json).await,
        What::Keys(command) => keys::run(&command, &account, json)?,
        What::Status { address } => status::run(&account, address, json).await?,
        What::Pending => follow::pending(&account, json).await?,
        what => {
            let act = Act::open(&account, json).await?;
            let mut state = act.situation(&named(&what)).await?;
            if let What::Register { service_uri: Some(_), .. } = &what {
                act.read_service_uri(&mut state).await?;
            }
            let (calls, says) = calls(what, &state, act.me)?;
            act.run(state, calls, &says).await?;
            act.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Orchestrators that a command names.
fn named(what: &What) -> Vec<Address> {
    match what {
        What::Bond { to, .. } | What::Move { to } => vec![*to],
        What::Rebond { to, .. } => to.iter().copied().collect(),
        _ => Vec::new(),
    }
}

/// The calls that do it, and what that is in words.
fn calls(what: What, state: &Chain, me: Address) -> Result<(Vec<Call>, String), Failure> {
    let none = Hint::default();
    let one = |call: Bonding, says: String| Ok((vec![Call::Bonding(call)], says));
    let held = state.bonding.pending(me, state.current_round()?)?;
    match what {
        What::Bond { amount, to } => {
            let amount = amount.of(Lpt(state.token.balances.at(&me)));
            Ok((bond(state, me, amount, to), format!("stake {amount} with {to}")))
        }
        What::Register { amount, reward_cut, fee_share, service_uri } => {
            let all = held.stake.0.saturating_add(state.token.balances.at(&me));
            let stake = amount.of(Lpt(all));
            let terms = Terms { stake, reward_cut, fee_share, service_uri };
            Ok((register(state, me, terms)?, format!("become an orchestrator with {stake}")))
        }
        What::Set { reward_cut, fee_share, service_uri, reward_caller } => {
            let t = state.bonding.transcoders.at(&me);
            let mut calls = Vec::new();
            if reward_cut.is_some() || fee_share.is_some() {
                let (cut, share) = (reward_cut.unwrap_or(t.reward_cut), fee_share.unwrap_or(t.fee_share));
                calls.extend(set_cuts(state, me, cut, share)?);
            }
            calls.extend(service_uri.map(Call::SetServiceUri));
            calls.extend(reward_caller.map(|caller| Call::Bonding(Bonding::SetRewardCaller(caller))));
            if calls.is_empty() {
                return Err(
                    "nothing to set: give --reward-cut, --fee-share, --service-uri or --reward-caller".into(),
                );
            }
            Ok((calls, "change the orchestrator's settings".into()))
        }
        What::Move { to } => {
            one(Bonding::Bond(U256::ZERO, to, none, none), format!("move all stake to {to}"))
        }
        What::Unbond { amount } => {
            let amount = amount.of(held.stake);
            one(Bonding::Unbond(amount.0, none), format!("take {amount} out of work"))
        }
        What::Rebond { lock, to: None } => {
            one(Bonding::Rebond(U256::from(lock), none), format!("put lock {lock} back to work"))
        }
        What::Rebond { lock, to: Some(to) } => one(
            Bonding::RebondFromUnbonded(to, U256::from(lock), none),
            format!("put lock {lock} to work with {to}"),
        ),
        What::Withdraw(Withdraw::Stake { lock }) => {
            one(Bonding::WithdrawStake(U256::from(lock)), format!("withdraw the stake of lock {lock}"))
        }
        What::Withdraw(Withdraw::Fees { amount }) => {
            let amount = amount.of(held.fees);
            one(Bonding::WithdrawFees(me, amount.0), format!("withdraw {amount} of fees"))
        }
        What::Claim => one(Bonding::ClaimEarnings(U256::ZERO), "claim what was earned".into()),
        What::Keys(_) | What::Status { .. } | What::Certify(_) | What::Pending => {
            Ok((Vec::new(), String::new()))
        }
    }
}
