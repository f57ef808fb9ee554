//! `livemesh bench mesh` and `livemesh bench wan`: what the media plane costs, and what it does on links that are far away,
//! lossy or narrow. Prints ratios beside figures, because figures hold for one machine.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use clap::Args;
use fixtures::lab::bench::{Plan, Row, Share, rows, share};
use fixtures::lab::goals::Outcome;
use fixtures::lab::stage::Player;
use fixtures::lab::{LabError, Part, Transport, mesh, play};

use crate::cli::Failure;
use crate::cli::contest::show_goal;
use crate::node::stop_signal;

/// Options of `livemesh bench mesh`.
#[derive(Debug, Args)]
pub(crate) struct MeshArgs {
    /// Size of a segment, bytes.
    #[arg(long, default_value_t = 1_000_000)]
    bytes: usize,
    /// Segments to send.
    #[arg(long, default_value_t = 200)]
    count: usize,
}

/// Options of `livemesh bench wan`. Needs the right to make network namespaces.
#[derive(Debug, Args)]
pub(crate) struct WanArgs {
    /// Segments that count for each line of the table.
    #[arg(long, default_value_t = 12)]
    segments: u32,
    /// Contracted rate of our controller, Mbit/s.
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// What losses are drawn from: the same seed loses the same packets' places.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Only our own transport, without those that it is compared with.
    #[arg(long)]
    only_ours: bool,
}

/// One process of `livemesh bench wan`; started by it.
#[derive(Debug, Args)]
pub(crate) struct EndpointArgs {
    /// The part to play, as JSON.
    part: String,
}

/// Size of a segment on the long link, bytes: 2 s at 8 Mbit/s.
const WAN_SEGMENT: usize = 2_000_000;
/// Rates of the links that two flows share, Mbit/s.
const SHARED: [u64; 2] = [20, 100];

/// Exit code after SIGINT or SIGTERM, as shells know it.
const INTERRUPTED: i32 = 130;

/// Runs `bench mesh`.
///
/// # Errors
/// [`LabError`] when a segment did not get through.
pub(crate) async fn run(args: MeshArgs, json: bool) -> Result<ExitCode, Failure> {
    let report = mesh::measure(args.bytes, args.count).await?;
    if json {
        println!("{}", serde_json::json!(report));
        return Ok(ExitCode::SUCCESS);
    }
    let ms = report.segment_overhead_ms;
    println!(
        "segment of {} bytes through two nodes, no transcode: p50 {:.2} ms, p99 {:.2} ms",
        args.bytes, ms.p50, ms.p99
    );
    println!(
        "throughput {:.0} MB/s, plain quinn {:.0} MB/s: ratio {:.2}; plain quinn whose receiver hashes: ratio {:.2}",
        report.megabytes_per_second,
        report.quinn_megabytes_per_second,
        report.throughput_ratio_quinn,
        report.throughput_ratio_quinn_hashing
    );
    println!("one core hashes {:.0} MB/s", report.keccak_megabytes_per_second);
    Ok(ExitCode::SUCCESS)
}

/// Runs `bench wan`: this program is started again in the namespaces as `bench endpoint`.
///
/// # Errors
/// [`LabError`] where namespaces are not to be had.
pub(crate) async fn run_wan(args: WanArgs, json: bool) -> Result<ExitCode, Failure> {
    let program = std::env::current_exe()?;
    let others = [Transport::Libp2p, Transport::Cubic, Transport::Bbr, Transport::Tcp];
    let plan = Plan {
        player: Player::new(&program, &["bench", "endpoint"]),
        transports: [Transport::Paced]
            .into_iter()
            .chain(others)
            .take(if args.only_ours { 1 } else { 5 })
            .collect(),
        losses: vec![0.0, 0.002, 0.01],
        bytes: WAN_SEGMENT,
        segments: args.segments,
        bits_per_second: args.rate * 1_000_000,
        seed: args.seed,
    };
    let contest = tokio::task::spawn_blocking(move || contest(&plan, json));
    let outcome = tokio::select! {
        done = contest => done.map_err(LabError::new)??,
        () = stop_signal() => {
            fixtures::wan::sweep();
            // The contest's own thread cannot be called back from what it waits for.
            std::process::exit(INTERRUPTED);
        }
    };
    if json {
        println!("{}", serde_json::json!(outcome));
    } else {
        outcome.goals.iter().for_each(show_goal);
    }
    Ok(ExitCode::SUCCESS)
}

/// Plays one part of `bench wan`.
///
/// # Errors
/// [`LabError`] when the part is not one, or was cut short.
pub(crate) async fn run_endpoint(args: EndpointArgs) -> Result<ExitCode, Failure> {
    let part: Part = serde_json::from_str(&args.part).map_err(LabError::new)?;
    if let Some(report) = play(part).await? {
        println!("{}", serde_json::json!(report));
    }
    Ok(ExitCode::SUCCESS)
}

fn contest(plan: &Plan, quiet: bool) -> Result<Outcome, LabError> {
    let rows = rows(plan, |row| {
        if !quiet {
            show(row);
        }
    })?;
    let mut shares = Vec::new();
    for megabits in SHARED {
        let shared = share(plan, Transport::Paced, megabits)?;
        if !quiet {
            show_share(&shared);
        }
        shares.push(shared);
    }
    Ok(Outcome::new(plan.seed, rows, shares))
}

fn show(row: &Row) {
    let ms = |value: Option<f64>| value.map_or("-".into(), |ms| format!("{ms:.0}"));
    let ratio = |value: Option<f64>| value.map_or("-".into(), |ratio| format!("{ratio:.2}"));
    let percent = |value: Option<f64>| value.map_or("-".into(), |share| format!("{:.2}", share * 100.0));
    println!(
        "{:<7} {:>3} Mbit/s, {} ms, {:>4} % loss: p50 {:>5} ms, p99 {:>5} ms, over lossless {:>5}, sent twice {:>5} %{}",
        format!("{:?}", row.transport).to_lowercase(),
        row.megabits,
        row.rtt_ms,
        row.loss * 100.0,
        ms(row.p50_ms),
        ms(row.p99_ms),
        ratio(row.over_lossless),
        percent(row.retransmitted),
        row.failed.as_ref().map_or(String::new(), |why| format!(" ({why})")),
    );
}

fn show_share(shared: &Share) {
    let [one, other] = shared.mbit_s;
    println!(
        "two flows on {} Mbit/s: {one:.1} and {other:.1} Mbit/s, Jain index {:.3}",
        shared.megabits, shared.jain
    );
}
