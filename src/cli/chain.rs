//! `livemesh chain`: proven state of Ethereum and Arbitrum on the command line. Parses, asks the light client, prints what it
//! says together with how it is known. Knows no proof.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use clap::Subcommand;
use lightclient::livepeer;
use lightclient::sync::{Alarm, LightClient, Phase, Status};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::chain::{Plan, plan};
use crate::cli::Failure;
use crate::cli::terminal::StatusLine;
use crate::config::chain::ChainArgs;

mod copy;
pub(super) mod open;
mod proof;
mod read;
mod session;
mod show;
mod transcript;

use session::{Kept, PeerArgs, Session};

/// How long a command waits until the chain is followed.
const SYNC_WITHIN: Duration = Duration::from_secs(180);
/// How long it waits for L2 state of the wanted tier after that.
const ANCHOR_WITHIN: Duration = Duration::from_secs(60);
/// How long `status` waits before it says how far it came.
const STATUS_WITHIN: Duration = Duration::from_secs(20);
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(100);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    peers: PeerArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Follows the chain until its head is reached, and keeps the state for the next start
    Sync,
    /// Says how the light client and each of its sources stand
    Status,
    /// Reads something of Livepeer's, proven
    Read {
        /// Also runs the contracts' own bytecode over the same proven state, and compares; not on a livemesh devnet, whose
        /// contracts have no code
        #[arg(long)]
        cross_check: bool,
        #[command(subcommand)]
        what: Read,
    },
    /// Proves storage slots of an account
    Proof {
        /// The account
        address: Address,
        /// The slots, as 0x and up to 64 hex digits or as numbers
        #[arg(value_parser = parse_slot)]
        slots: Vec<B256>,
        /// On Ethereum instead of Arbitrum
        #[arg(long)]
        on_l1: bool,
        /// Writes a bundle with everything that others need to check it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Checks a bundle that `proof --out` wrote, without any network
    Verify {
        /// The bundle
        bundle: PathBuf,
    },
}

/// See [`What::Read`].
#[derive(Clone, Copy, Debug, Subcommand)]
enum Read {
    /// The current round
    Round,
    /// All orchestrators of the pool
    Pool,
    /// One orchestrator
    Orchestrator {
        /// Its address
        address: Address,
    },
    /// One delegator, with what it could withdraw
    Delegator {
        /// Its address
        address: Address,
    },
    /// A gateway's deposit and reserve
    Sender {
        /// Its address
        address: Address,
        /// The orchestrator whose share of the reserve is wanted
        claimant: Option<Address>,
    },
    /// Where an orchestrator is reached
    ServiceUri {
        /// Its address
        address: Address,
    },
    /// Inflation
    Inflation,
}

impl Read {
    const fn ask(self) -> livepeer::Ask {
        match self {
            Self::Round => livepeer::Ask::Round,
            Self::Pool => livepeer::Ask::Pool,
            Self::Orchestrator { address } => livepeer::Ask::Orchestrator(address),
            Self::Delegator { address } => livepeer::Ask::Delegator(address),
            Self::Sender { address, claimant } => livepeer::Ask::Sender { address, claimant },
            Self::ServiceUri { address } => livepeer::Ask::ServiceUri(address),
            Self::Inflation => livepeer::Ask::Inflation,
        }
    }
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let chain = crate::config::chain(&args.chain)?;
    let peers = &args.peers;
    // Whoever names peers wants to ask them, and not the servers that a network's file happens to name.
    let plan = plan(&chain, peers.peer.is_empty()).await?;
    match args.what {
        What::Sync => sync(plan, peers, json).await?,
        What::Status => status(plan, peers, json).await?,
        What::Read { cross_check, what } => {
            let session = synced(plan, peers, None, json).await?;
            let read = read::run(&session.client, chain.accept, &what.ask(), cross_check, json).await;
            // What was learned on the way is kept, whatever came of the read.
            session.stop().await;
            read?;
        }
        What::Proof { address, slots, on_l1, out } => {
            let wanted = proof::Wanted { address, slots, on_l1, accept: chain.accept };
            proof::run(plan, peers, &wanted, out.as_deref(), json).await?;
        }
        What::Verify { bundle } => proof::verify(plan, &bundle, json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn sync(plan: Plan, peers: &PeerArgs, json: bool) -> Result<(), Failure> {
    let l1 = !peers.peer.is_empty() || plan.sources.iter().any(|source| source.name().starts_with("l1"));
    let l2 = plan.config.rollup.is_some() && l1;
    let session = synced(plan, peers, None, json).await?;
    if l2 {
        anchored(&session.client, ANCHOR_WITHIN).await;
    }
    show::status(&session.client.status(), json)?;
    session.stop().await;
    Ok(())
}

async fn status(plan: Plan, peers: &PeerArgs, json: bool) -> Result<(), Failure> {
    let session = Session::start(plan, peers, None).await?;
    // How far it comes in a moment is what is asked for: not getting there is no failure.
    let _ = tokio::time::timeout(STATUS_WITHIN, session.client.wait_synced()).await;
    anchored(&session.client, STATUS_WITHIN).await;
    show::status(&session.client.status(), json)?;
    session.stop().await;
    Ok(())
}

/// Starts the client and waits until it is at the head, showing how far it is.
async fn synced(plan: Plan, peers: &PeerArgs, kept: Option<&Kept>, quiet: bool) -> Result<Session, Failure> {
    let session = Session::start(plan, peers, kept).await?;
    let client = &session.client;
    let mut line = StatusLine::new(quiet);
    let end = Instant::now() + SYNC_WITHIN;
    loop {
        tokio::select! {
            done = client.wait_synced() => {
                line.end();
                done?;
                break;
            }
            () = sleep(LOOK) => line.set(&show::progress(&client.status())),
        }
        if Instant::now() >= end {
            line.end();
            return Err(unsynced(&client.status()).into());
        }
    }
    Ok(session)
}

/// Why the head was not reached, with what each source said last.
fn unsynced(status: &Status) -> String {
    let mut why = format!("not synced within {} s: {}", SYNC_WITHIN.as_secs(), show::progress(status));
    for source in &status.sources {
        let said = source.last_fault.as_deref().unwrap_or("nothing wrong");
        why.push_str(&format!("\n  {}: {said}", source.name));
    }
    for alarm in &status.alarms {
        why.push_str(&format!("\n  alarm: {alarm}"));
    }
    why.push_str("\nTry another source (--beacon, --peer), or a newer checkpoint (--checkpoint)");
    why
}

/// Waits until L2 state can be read, or an alarm says why it cannot.
async fn anchored(client: &LightClient, limit: Duration) {
    let end = Instant::now() + limit;
    while client.config().rollup.is_some() && Instant::now() < end {
        let status = client.status();
        let hopeless = matches!(status.phase, Phase::Halted | Phase::Bootstrapping)
            || status.alarms.iter().any(|alarm| matches!(alarm, Alarm::Anchor(_) | Alarm::Guard(_)));
        if hopeless || !status.anchors.is_empty() {
            return;
        }
        sleep(LOOK).await;
    }
}

/// A slot as people write it: a number, or hex digits.
fn parse_slot(text: &str) -> Result<B256, String> {
    text.parse::<U256>()
        .map(B256::from)
        .map_err(|_| format!("{text:?} is no slot: write a number or 0x and up to 64 hex digits"))
}

/// Prints one object.
fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// What is printed beside every value.
fn known(anchor: &lightclient::proven::Anchor, now_s: u64) -> serde_json::Value {
    let mut value = json!(anchor);
    value["age_s"] = anchor.age(now_s).into();
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_read_as_people_write_them() {
        assert_eq!(parse_slot("7").unwrap(), B256::with_last_byte(7));
        assert_eq!(parse_slot("0x0a").unwrap(), B256::with_last_byte(10));
        assert!(parse_slot("seven").is_err() && parse_slot(&format!("0x{}", "f".repeat(65))).is_err());
    }
}
