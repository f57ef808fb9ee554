//! `livemesh bench lightclient`: what proving costs, beside bare `blst` doing the work that nobody can leave out, in one run.
//! Committees of 512 real keys, real signatures, tries as deep as mainnet's. Both sides of a ratio run in turn and each counts
//! with its quickest time, so that a busy machine favours nobody.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::cli::Failure;
use crate::cli::contest::{quickest, rounded};

mod bare;
mod chain;
mod http;
mod memory;
mod tries;

use chain::Chain;

/// Periods to catch up: 14 days, the age at which a checkpoint is too old.
const PERIODS: u64 = 13;
/// How often the whole catch-up is repeated; its CPU time is divided by this.
const CATCH_UPS: u32 = 8;

/// Options of `livemesh bench lightclient`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Times that each side runs, in turn
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    runs: u32,
    /// Follows the chain in this folder and says what memory that took; started by the benchmark
    #[arg(long, value_name = "FOLDER", hide = true)]
    memory_of: Option<PathBuf>,
    /// Follows the network that this file describes, over HTTP, and says what memory that took; started by the benchmark
    #[arg(long, value_name = "FILE", hide = true)]
    memory_over_http: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    finality_update_ratio_blst: f64,
    update_ratio_blst: f64,
    storage_proof_us: f64,
    catch_up_13_periods_ms: f64,
    rss_added_mb: f64,
    /// With sources over HTTP and everything else that a running client has.
    rss_added_http_mb: f64,
}

/// Figures for people, which the report leaves out.
struct Beside {
    finality_us: f64,
    update_us: f64,
    storage_nodes: usize,
    pool_ms: f64,
    pool_slots: usize,
    catch_up_bytes: usize,
}

/// Runs `bench lightclient`.
///
/// # Errors
/// When the light client refuses its own honest chain, or the measuring process cannot be started.
pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    if let Some(folder) = args.memory_of {
        println!("{}", memory::follow(&folder)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(network) = args.memory_over_http {
        println!("{}", http::follow(network).await?);
        return Ok(ExitCode::SUCCESS);
    }
    let measured = tokio::task::spawn_blocking(move || measure(args.runs).map_err(|why| why.to_string()));
    let (mut report, beside) = measured.await??;
    report.rss_added_http_mb = rounded(http::memory().await?);
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report, &beside);
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(runs: u32) -> Result<(Report, Beside), Failure> {
    let chain = Chain::of_periods(PERIODS)?;
    let (finality, update) = (ratio_of_finality(&chain, runs)?, ratio_of_update(&chain, runs)?);
    let storage = tries::mainnet_path();
    let pool = tries::pool();
    let [one] = quickest(runs, [&mut || storage.verify()]);
    let [all] = quickest(runs.min(50), [&mut || pool.verify()]);
    let before = cpu_time()?;
    for _ in 0..CATCH_UPS {
        chain.catch_up()?;
    }
    let catch_up = (cpu_time()? - before) / CATCH_UPS;
    let report = Report {
        finality_update_ratio_blst: rounded(finality[0].as_secs_f64() / finality[1].as_secs_f64()),
        update_ratio_blst: rounded(update[0].as_secs_f64() / update[1].as_secs_f64()),
        storage_proof_us: rounded(one.as_secs_f64() * 1e6),
        catch_up_13_periods_ms: rounded(catch_up.as_secs_f64() * 1e3),
        rss_added_mb: rounded(memory::of(&chain, &pool)?),
        rss_added_http_mb: f64::NAN,
    };
    let beside = Beside {
        finality_us: finality[0].as_secs_f64() * 1e6,
        update_us: update[0].as_secs_f64() * 1e6,
        storage_nodes: storage.bundle.nodes.len(),
        pool_ms: all.as_secs_f64() * 1e3,
        pool_slots: pool.slots(),
        catch_up_bytes: chain.bytes(),
    };
    Ok((report, beside))
}

/// Our finality update, and the signature alone.
fn ratio_of_finality(chain: &Chain, runs: u32) -> Result<[Duration; 2], Failure> {
    let store = chain.store_after(&chain.updates)?;
    let signers = chain::next_committee(chain.updates.last().ok_or("no update")?)?;
    let signature =
        bare::Signed::of(&chain.spec, signers, &chain.finality.attested, &chain.finality.aggregate);
    Ok(quickest(
        runs,
        [
            &mut || {
                drop(store.verify_finality_update(&chain.spec, &chain.finality, chain.now).expect("honest"))
            },
            &mut || assert!(signature.verify(), "an honest signature"),
        ],
    ))
}

/// Our update with the next committee, and the signature and the tree hash of the committee alone.
fn ratio_of_update(chain: &Chain, runs: u32) -> Result<[Duration; 2], Failure> {
    let (update, before) = chain.updates.split_last().ok_or("no update")?;
    let store = chain.store_after(before)?;
    let signers = chain::next_committee(before.last().ok_or("one update only")?)?;
    let signature = bare::Signed::of(&chain.spec, signers, &update.attested, &update.aggregate);
    let next = chain::next_committee(update)?;
    assert_eq!(bare::committee_root(next), next.root(), "one tree, two ways");
    Ok(quickest(
        runs,
        [&mut || drop(store.verify_update(&chain.spec, update, chain.now).expect("honest")), &mut || {
            assert!(signature.verify(), "an honest signature");
            std::hint::black_box(bare::committee_root(next));
        }],
    ))
}

/// CPU time of this thread, as the kernel's scheduler counts it.
fn cpu_time() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let spent = text.split_whitespace().next().ok_or("an empty schedstat")?.parse()?;
    Ok(Duration::from_nanos(spent))
}

fn print(report: &Report, beside: &Beside) {
    let goal =
        |figure: f64, goal: f64| format!("goal {goal} {}", if figure <= goal { "met" } else { "missed" });
    let finality = report.finality_update_ratio_blst;
    println!(
        "finality update            {finality:.3} x bare blst ({:.0} us)  {}",
        beside.finality_us,
        goal(finality, 1.3)
    );
    let update = report.update_ratio_blst;
    println!(
        "update with next committee {update:.3} x bare blst and one tree hash ({:.0} us)  {}",
        beside.update_us,
        goal(update, 1.5)
    );
    println!(
        "one account and slot       {:.1} us over {} trie nodes  {}",
        report.storage_proof_us,
        beside.storage_nodes,
        goal(report.storage_proof_us, 60.0)
    );
    println!(
        "a pool of 100, {} slots   {:.2} ms  {}",
        beside.pool_slots,
        beside.pool_ms,
        goal(beside.pool_ms, 10.0)
    );
    println!(
        "catching up {PERIODS} periods     {:.1} ms of CPU, {} bytes",
        report.catch_up_13_periods_ms, beside.catch_up_bytes
    );
    println!("memory added               {:.1} MB  {}", report.rss_added_mb, goal(report.rss_added_mb, 15.0));
    println!("  with sources over HTTP   {:.1} MB", report.rss_added_http_mb);
}
