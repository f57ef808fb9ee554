//! What a simulation begins with: flags over proven state over the parameters of Arbitrum One in 2026.

use alloy_primitives::{Address, U256};
use lightclient::livepeer::{self, Ask, Read};
use protocol::chain::Genesis;
use protocol::economics::{Assumptions, Network, Orchestrator, Participation};
use protocol::inflation::Inflation;
use protocol::math::{PPB, PPM, PRECISE, Precision};
use protocol::{Lpt, Wei, written};
use serde_json::{Value, json};

use super::figures;
use crate::cli::Failure;
use crate::cli::chain::open::{Opened, PeerArgs};
use crate::config::chain::ChainArgs;

/// What may be assumed.
#[derive(clap::Args, Debug)]
pub(super) struct Flags {
    /// Participation is held at this part of the supply, such as 50%; otherwise stake grows by what it earns
    #[arg(long, value_name = "PERCENT", value_parser = ppb)]
    participation: Option<U256>,
    /// Inflation of the last round [default: 0.05%]
    #[arg(long, value_name = "PERCENT", value_parser = ppb)]
    inflation: Option<U256>,
    /// By how much inflation moves a round [default: 0.00005%]
    #[arg(long, value_name = "PERCENT", value_parser = ppb)]
    inflation_change: Option<U256>,
    /// Participation at which inflation stays [default: 50%]
    #[arg(long, value_name = "PERCENT", value_parser = ppb)]
    target: Option<U256>,
    /// All LPT that inflation counts [default: 40000000LPT]
    #[arg(long, value_name = "LPT", value_parser = written::exact_lpt)]
    supply: Option<Lpt>,
    /// Stake at work [default: half of the supply]
    #[arg(long, value_name = "LPT", value_parser = written::exact_lpt)]
    bonded: Option<Lpt>,
    /// The treasury's cut of rewards [default: 10%]
    #[arg(long, value_name = "PERCENT", value_parser = precise)]
    treasury_cut: Option<U256>,
    /// The orchestrator to look at, from proven state
    #[arg(long, value_name = "ADDRESS")]
    orchestrator: Option<Address>,
    /// Stake delegated to the orchestrator, its own included [default: 100000LPT]
    #[arg(long, value_name = "LPT", value_parser = written::exact_lpt)]
    stake: Option<Lpt>,
    /// The orchestrator's own stake [default: a tenth of it]
    #[arg(long, value_name = "LPT", value_parser = written::exact_lpt)]
    own: Option<Lpt>,
    /// Part of rewards that the orchestrator keeps [default: 10%]
    #[arg(long, value_name = "PERCENT", value_parser = ppm)]
    reward_cut: Option<U256>,
    /// Part of fees that it shares with its delegators [default: 50%]
    #[arg(long, value_name = "PERCENT", value_parser = ppm)]
    fee_share: Option<U256>,
    /// Fees that the orchestrator is paid a round [default: 0.01ETH]
    #[arg(long, value_name = "ETH", value_parser = written::exact_wei)]
    fees: Option<Wei>,
    /// Stake of the delegator, with this orchestrator [default: 1000LPT, or less where it has less]
    #[arg(long, value_name = "LPT", value_parser = written::exact_lpt)]
    delegator: Option<Lpt>,
}

fn points(text: &str, precision: Precision) -> Result<U256, String> {
    written::share(text, precision).map_err(|bad| bad.to_string())
}

fn ppb(text: &str) -> Result<U256, String> {
    points(text, PPB)
}

fn ppm(text: &str) -> Result<U256, String> {
    points(text, PPM)
}

fn precise(text: &str) -> Result<U256, String> {
    points(text, PRECISE)
}

/// Where a simulation begins, and how that is known.
pub(super) struct Start {
    pub(super) assumptions: Assumptions,
    pub(super) round_length: u64,
    /// Where the numbers come from, in words.
    pub(super) from: String,
    /// Every assumption, for people.
    pub(super) told: Value,
}

/// What was proven.
struct Seen {
    inflation: livepeer::Inflation,
    orchestrator: Option<livepeer::Orchestrator>,
    round: livepeer::Round,
    treasury: Lpt,
    known: String,
}

pub(super) async fn find(
    flags: &Flags,
    chain: &ChainArgs,
    peers: &PeerArgs,
    json: bool,
) -> Result<Start, Failure> {
    let seen = if chain.network.is_some() { Some(see(flags, chain, peers, json).await?) } else { None };
    if seen.is_none() && flags.orchestrator.is_some() {
        return Err(
            "--orchestrator is read from a chain: name it with --network, or give --stake and --own".into()
        );
    }
    from(flags, seen.as_ref())
}

async fn see(flags: &Flags, chain: &ChainArgs, peers: &PeerArgs, json: bool) -> Result<Seen, Failure> {
    let opened = Opened::new(chain, peers, json).await?;
    let Read::Round(round) = opened.read(&Ask::Round).await? else {
        return Err("the light client read something else than a round".into());
    };
    let Read::Inflation(inflation) = opened.read(&Ask::Inflation).await? else {
        return Err("the light client read something else than inflation".into());
    };
    let orchestrator = match flags.orchestrator {
        None => None,
        Some(address) => match opened.read(&Ask::Orchestrator(address)).await? {
            Read::Orchestrator(read) if read.registered => Some(*read),
            _ => return Err(format!("{address} is not an orchestrator").into()),
        },
    };
    let state = opened.situation(Address::ZERO, &[], None).await?;
    let treasury = Lpt(state.token.balances.at(&state.addresses.treasury));
    let known = opened.known();
    opened.stop().await;
    Ok(Seen { inflation: *inflation, orchestrator, round, treasury, known })
}

fn from(flags: &Flags, seen: Option<&Seen>) -> Result<Start, Failure> {
    let genesis = Genesis::default();
    let read = seen.map(|seen| seen.inflation);
    let minted = read.map(|read| read.minted.0).unwrap_or_default();
    let supply = flags.supply.or_else(|| read?.supply.map(|s| Lpt(s.0.saturating_add(minted))));
    let supply = supply.unwrap_or_else(|| tokens(40_000_000));
    let bonded = flags.bonded.or_else(|| read.map(|read| read.next_active_stake));
    let bonded = bonded.unwrap_or(Lpt(supply.0 / U256::from(2)));
    let cut = |read: Option<U256>| flags.treasury_cut.or(read).unwrap_or(genesis.treasury_reward_cut_rate);
    let network = Network {
        inflation: Inflation {
            rate: flags.inflation.or(read.map(|r| r.rate.0)).unwrap_or(genesis.inflation.rate),
            change: flags.inflation_change.or(read.map(|r| r.change.0)).unwrap_or(genesis.inflation.change),
            target: flags
                .target
                .or(read.map(|r| r.target_bonding_rate.0))
                .unwrap_or(genesis.inflation.target),
        },
        supply,
        treasury: seen.map(|seen| seen.treasury).unwrap_or_default(),
        treasury_cut: cut(read.map(|read| read.treasury_cut.0)),
        next_treasury_cut: cut(read.map(|read| read.next_treasury_cut.0)),
        treasury_ceiling: read.map_or(Lpt(genesis.treasury_balance_ceiling), |read| read.treasury_ceiling),
    };
    let orchestrator = orchestrator(flags, seen.and_then(|seen| seen.orchestrator.as_ref()), bonded);
    let delegator = flags
        .delegator
        .unwrap_or_else(|| tokens(1_000).min(Lpt(orchestrator.stake.0.saturating_sub(orchestrator.own.0))));
    check(supply, bonded, &orchestrator, delegator)?;
    let participation = flags.participation.map_or(Participation::Grows, Participation::Held);
    let assumptions = Assumptions { network, bonded, participation, orchestrator, delegator };
    Ok(Start {
        round_length: seen.map_or(genesis.round_length, |seen| seen.round.clock.length.max(1)),
        from: seen.map_or_else(
            || "from assumptions: name a chain with --network to begin with its proven state".to_owned(),
            |seen| format!("from round {}, {}", seen.round.number, seen.known),
        ),
        told: told(&assumptions),
        assumptions,
    })
}

fn orchestrator(flags: &Flags, seen: Option<&livepeer::Orchestrator>, bonded: Lpt) -> Orchestrator {
    let stake = flags.stake.or(seen.map(|o| o.stake)).unwrap_or_else(|| tokens(100_000).min(bonded));
    Orchestrator {
        stake,
        own: flags.own.or(seen.map(|o| o.own_stake)).unwrap_or(Lpt(stake.0 / U256::from(10))),
        reward_cut: flags
            .reward_cut
            .or(seen.map(|o| U256::from(o.reward_cut)))
            .unwrap_or(U256::from(100_000)),
        fee_share: flags.fee_share.or(seen.map(|o| U256::from(o.fee_share))).unwrap_or(U256::from(500_000)),
        fees: flags.fees.unwrap_or(Wei(U256::from(10_000_000_000_000_000_u64))),
    }
}

/// What cannot be is refused before it is computed.
fn check(supply: Lpt, bonded: Lpt, orchestrator: &Orchestrator, delegator: Lpt) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: there can be no such stake"));
    match () {
        () if bonded > supply => wrong("--bonded is more than --supply"),
        () if orchestrator.stake > bonded => wrong("--stake is more than --bonded"),
        () if orchestrator.stake.0.is_zero() => wrong("--stake is nothing"),
        () if orchestrator.own > orchestrator.stake => wrong("--own is more than --stake"),
        () if delegator.0 > orchestrator.stake.0 - orchestrator.own.0 => {
            wrong("--delegator is more than --stake without --own")
        }
        () if !PPM.is_share(orchestrator.reward_cut) || !PPM.is_share(orchestrator.fee_share) => {
            wrong("--reward-cut or --fee-share is more than 100%")
        }
        () => Ok(()),
    }
}

fn told(assumptions: &Assumptions) -> Value {
    let Assumptions { network, bonded, participation, orchestrator, delegator } = assumptions;
    let billion = |parts: U256| format!("{}%", figures::percent_of_billion(parts.saturating_to()));
    let million = |parts: U256| format!("{}%", parts.saturating_to::<u64>() as f64 / 1e4);
    json!({
        "supply": network.supply.to_string(),
        "bonded": bonded.to_string(),
        "participation": match participation {
            Participation::Grows => "grows by what stake earns".to_owned(),
            Participation::Held(part) => format!("held at {}", billion(*part)),
        },
        "inflation": format!(
            "{} of the supply a round, {} up or down around {}",
            billion(network.inflation.rate),
            billion(network.inflation.change),
            billion(network.inflation.target)
        ),
        "treasury": network.treasury.to_string(),
        "treasury_cut": million(network.next_treasury_cut / U256::from(10).pow(U256::from(21))),
        "orchestrator_stake": orchestrator.stake.to_string(),
        "orchestrator_own": orchestrator.own.to_string(),
        "reward_cut": million(orchestrator.reward_cut),
        "fee_share": million(orchestrator.fee_share),
        "fees_a_round": orchestrator.fees.to_string(),
        "delegator": delegator.to_string(),
    })
}

fn tokens(n: u64) -> Lpt {
    Lpt(U256::from(n) * U256::from(1_000_000_000_000_000_000_u64))
}
