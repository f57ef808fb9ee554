//! `livemesh economics`: what inflation, supply and stake come to, rounds ahead. Takes proven state where a chain is named,
//! assumptions by flag for the rest, and says which is which. Knows no rule: those are `protocol::economics`.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use protocol::economics::{Step, simulate};
use serde_json::json;

use crate::cli::Failure;
use crate::cli::chain::open::PeerArgs;
use crate::config::chain::ChainArgs;

mod figures;
mod plot;
mod start;

use figures::{Figures, lpt};
use start::{Flags, Start};

/// Most rounds that are simulated: sixty years.
const MAX_ROUNDS: u32 = 25_000;
/// Lines of the table, unless more are asked for.
const LINES: u32 = 24;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulates rounds ahead, from proven state (with --network) or from assumptions
    Simulate(Box<Args>),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Rounds ahead; 412 are a year
    #[arg(long, default_value_t = 412, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_ROUNDS)))]
    rounds: u32,
    /// Prints every so many rounds
    #[arg(long, value_name = "ROUNDS")]
    every: Option<u32>,
    /// Draws inflation, supply and yields
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    peers: PeerArgs,
}

pub(crate) async fn run(command: Command, json: bool) -> Result<ExitCode, Failure> {
    let Command::Simulate(args) = command;
    let start = start::find(&args.flags, &args.chain, &args.peers, json).await?;
    let steps: Vec<Step> =
        simulate(&start.assumptions).take(args.rounds as usize).collect::<Result<_, _>>().map_err(
            |error| format!("these assumptions lead where the contracts stop: {error}; use smaller numbers"),
        )?;
    let figures = Figures::new(&start);
    if let Some(path) = &args.svg {
        std::fs::write(path, plot::draw(&steps, &figures))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let every = args.every.unwrap_or_else(|| args.rounds.div_ceil(LINES)).max(1);
    let shown = steps.iter().filter(|step| step.round % every == 0 || step.round == args.rounds);
    if json {
        print_json(&start, shown, &figures)?;
    } else {
        print_table(&start, shown, &figures);
        print_end(&steps, &start, &figures);
        if let Some(path) = &args.svg {
            println!("drawn in {}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json<'a>(
    start: &Start,
    steps: impl Iterator<Item = &'a Step>,
    figures: &Figures,
) -> Result<(), Failure> {
    let rounds: Vec<_> = steps
        .map(|step| {
            let mut line = json!(step);
            line["orchestrator_yield_percent"] = json!(figures.orchestrator_yield(step));
            line["delegator_yield_percent"] = json!(figures.delegator_yield(step));
            line
        })
        .collect();
    let value = json!({ "from": start.from, "assumptions": start.told, "rounds_a_year": figures.rounds_a_year, "rounds": rounds });
    println!("{}", serde_json::to_string_pretty(&value)?);
    Ok(())
}

fn print_table<'a>(start: &Start, steps: impl Iterator<Item = &'a Step>, figures: &Figures) {
    println!("{}", start.from);
    for (name, value) in start.told.as_object().into_iter().flatten() {
        println!("  {name:<24} {}", value.as_str().unwrap_or_default());
    }
    println!(
        "\n{:>6} {:>11} {:>7} {:>15} {:>15} {:>14} {:>13} {:>13} {:>9} {:>9}",
        "ROUND",
        "INFLATION",
        "BONDED",
        "SUPPLY",
        "TREASURY",
        "ORCHESTRATOR",
        "ITS FEES",
        "DELEGATOR",
        "YIELD O",
        "YIELD D"
    );
    for step in steps {
        println!(
            "{:>6} {:>10.5}% {:>6.2}% {:>15} {:>15} {:>14} {:>9} ETH {:>13} {:>8.2}% {:>8.2}%",
            step.round,
            figures::percent_of_billion(step.inflation_ppb),
            figures::percent_of_billion(step.participation_ppb),
            lpt(step.supply.0, 0),
            lpt(step.treasury.0, 0),
            lpt(step.orchestrator.stake.0, 2),
            lpt(step.orchestrator.fees.0, 4),
            lpt(step.delegator.stake.0, 3),
            figures.orchestrator_yield(step),
            figures.delegator_yield(step),
        );
    }
}

/// The last round to the wei.
fn print_end(steps: &[Step], start: &Start, figures: &Figures) {
    let Some(last) = steps.last() else { return };
    println!("\nafter {} rounds ({:.1} days), exactly:", last.round, figures.days(last.round));
    println!("  supply        {}", last.supply);
    println!("  treasury      {}", last.treasury);
    println!("  orchestrator  {}, and {} in fees", last.orchestrator.stake, last.orchestrator.fees);
    println!("  delegator     {}, and {} in fees", last.delegator.stake, last.delegator.fees);
    println!(
        "It began with {} of supply. Yields are rewards alone: what stake has grown by until then, brought to a year.\n\
         Every orchestrator is taken to call for its reward in every round.",
        start.assumptions.network.supply
    );
}
