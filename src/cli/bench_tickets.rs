//! `livemesh bench tickets`: what paying costs. Tickets are checked and made beside bare signatures of the faster of two
//! libraries, entries go into a ledger on this disk, and segments are paid through the actors of both sides.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use fixtures::lab::goals::{Goal, Side};
use ledger::Ledger;
use ledger::bench::{Measured, appends, bare_flushes, load};
use serde::Serialize;
use tempfile::TempDir;

use crate::cli::Failure;
use crate::cli::contest::{rounded, show_goal};

mod segment;
mod tickets;

/// Where files need no disk.
const MEMORY: &str = "/dev/shm";
/// Commits that wait for the disk at once.
const IN_FLIGHT: usize = 256;
/// Flushes alone that are timed beside those in groups.
const BARE_FLUSHES: u32 = 64;
/// Bytes of one commit of the load.
const COMMIT: usize = 900;

/// Options of `livemesh bench tickets`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Batches of tickets that each side works on, in turn
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    runs: u32,
    /// Commits to the ledger
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    commits: u64,
    /// Segments that are paid
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(5..=100_000))]
    segments: u32,
    /// Where ledgers lie while it runs: the disk that is measured
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    dir: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Tickets checked and credited on one core, over bare recoveries by the faster library.
    validate_ratio_recover: f64,
    validate_per_s: f64,
    /// The faster library.
    recover_by: &'static str,
    recover_per_s: f64,
    /// Tickets made on one core, over bare signatures by the faster library.
    create_ratio_sign: f64,
    create_per_s: f64,
    sign_by: &'static str,
    /// Entries a second, each on disk before it was acknowledged.
    ledger_appends_per_s: f64,
    /// One flush for each commit instead of one for a group, entries a second.
    ledger_appends_per_s_ungrouped: f64,
    /// Order, credit, settling and receipt, both sides, with ledgers in memory.
    segment_overhead_ms_p50: f64,
    segment_overhead_ms_p99: f64,
    /// The same with ledgers on the disk.
    segment_overhead_ms_p99_on_disk: f64,
    /// The disk's part of the half of all segments that is quickest.
    flush_share: f64,
    goals: Vec<Goal>,
}

/// Runs `bench tickets`.
///
/// # Errors
/// When an honest ticket is refused, or the folder cannot be written.
pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let report = measure(args).await?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: Args) -> Result<Report, Failure> {
    let (runs, commits, dir) = (args.runs, args.commits, args.dir.clone());
    let measured = tokio::task::spawn_blocking(move || {
        let tickets = tickets::measure(runs).map_err(|why| why.to_string())?;
        let ledger = ledger_on(&dir, commits).map_err(|why| why.to_string())?;
        Ok::<_, String>((tickets, ledger))
    });
    let (tickets, (entries, flush)) = measured.await??;
    let in_memory = segment::paid(folder(memory().unwrap_or(&args.dir))?.path(), args.segments).await?;
    let on_disk = segment::paid(folder(&args.dir)?.path(), args.segments).await?;
    Ok(report(&tickets, &entries, flush, &in_memory, &on_disk))
}

/// Appends in groups, and what one flush takes.
fn ledger_on(dir: &Path, commits: u64) -> Result<(Measured, Duration), Failure> {
    let folder = folder(dir)?;
    let (ledger, _) = Ledger::open(&folder.path().join("ledger"))?;
    let measured = appends(&ledger, (0..commits).map(load::commit), IN_FLIGHT)?;
    Ok((measured, bare_flushes(folder.path(), COMMIT, BARE_FLUSHES)?))
}

fn memory() -> Option<&'static Path> {
    Some(Path::new(MEMORY)).filter(|place| place.is_dir())
}

fn folder(within: &Path) -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix("livemesh-bench-").tempdir_in(within)
}

fn report(
    tickets: &tickets::Measured,
    entries: &Measured,
    flush: Duration,
    in_memory: &segment::Times,
    on_disk: &segment::Times,
) -> Report {
    let per_s = |each: Duration| rounded(1.0 / each.as_secs_f64());
    let over = |one: Duration, other: Duration| rounded(one.as_secs_f64() / other.as_secs_f64());
    let ms = |time: Duration| rounded(time.as_secs_f64() * 1e3);
    let validate_ratio_recover = over(tickets.recover, tickets.validate);
    let create_ratio_sign = over(tickets.sign, tickets.create);
    let segment_overhead_ms_p99 = ms(in_memory.at(0.99));
    let (without, with) = (in_memory.at(0.5).as_secs_f64(), on_disk.at(0.5).as_secs_f64());
    Report {
        validate_ratio_recover,
        validate_per_s: per_s(tickets.validate),
        recover_by: tickets.recover_by,
        recover_per_s: per_s(tickets.recover),
        create_ratio_sign,
        create_per_s: per_s(tickets.create),
        sign_by: tickets.sign_by,
        ledger_appends_per_s: rounded(entries.per_second()),
        ledger_appends_per_s_ungrouped: rounded(
            entries.entries as f64 / entries.commits as f64 / flush.as_secs_f64(),
        ),
        segment_overhead_ms_p50: ms(in_memory.at(0.5)),
        segment_overhead_ms_p99,
        segment_overhead_ms_p99_on_disk: ms(on_disk.at(0.99)),
        flush_share: rounded((1.0 - without / with).max(0.0)),
        goals: vec![
            Goal::new("checked tickets over bare recovery", Some(validate_ratio_recover), Side::AtLeast, 0.8),
            Goal::new("made tickets over bare signing", Some(create_ratio_sign), Side::AtLeast, 0.8),
            Goal::new(
                "added to a segment, p99, without the disk, ms",
                Some(segment_overhead_ms_p99),
                Side::AtMost,
                2.0,
            ),
        ],
    }
}

fn print(report: &Report) {
    println!(
        "tickets checked and credited  {:.0} a second on one core; {} recovers {:.0} signatures",
        report.validate_per_s, report.recover_by, report.recover_per_s
    );
    println!("tickets made                  {:.0} a second on one core", report.create_per_s);
    println!(
        "entries into the ledger       {:.0} a second in groups, {:.0} with a flush for each commit",
        report.ledger_appends_per_s, report.ledger_appends_per_s_ungrouped
    );
    println!(
        "added to a segment            p50 {:.2} ms, p99 {:.2} ms; p99 on this disk {:.2} ms, {:.0} % of p50 for its flushes",
        report.segment_overhead_ms_p50,
        report.segment_overhead_ms_p99,
        report.segment_overhead_ms_p99_on_disk,
        report.flush_share * 100.0
    );
    report.goals.iter().for_each(show_goal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn a_small_run_has_every_figure_that_is_promised() {
        let dir = tempfile::tempdir().unwrap();
        let args = Args { runs: 10, commits: 200, segments: 5, dir: dir.path().to_owned() };
        let report = serde_json::to_value(measure(args).await.unwrap()).unwrap();
        for name in
            ["validate_ratio_recover", "create_per_s", "ledger_appends_per_s", "segment_overhead_ms_p99"]
        {
            assert!(report[name].as_f64().is_some_and(|figure| figure > 0.0), "{name} in {report}");
        }
        assert_eq!(report["goals"].as_array().unwrap().len(), 3);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left lying about");
    }
}
