//! `livemesh demo`: a devnet, three orchestrators with stake on it, a broadcaster and a publisher as separate processes on one
//! machine.
//!
//! Everything is what a real mesh runs; only the addresses are loopback, and the chain is small and quick. Ends by itself with
//! `--for`, and then exits with 0 only if nothing went missing and nothing about the chain was believed without proof.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::process::Child;
use tokio::time::{Instant, MissedTickBehavior};

use crate::cli::Failure;
use crate::cli::api::Api;
use crate::cli::terminal::StatusLine;

mod chain;
mod clip;
mod curve;
mod paid;
mod process;
mod rounds;
mod tally;

use chain::Chain;
use curve::Curve;
use process::{Home, NodeProcess, Plan, Role};
use rounds::Rounds;
use tally::Tally;

/// Name of the demo's stream.
const STREAM: &str = "demo";
/// Name of its publisher's node.
const BROADCASTER: &str = "broadcaster";
/// How often the broadcaster is asked how it goes.
const POLL: Duration = Duration::from_millis(500);
/// How long a killed orchestrator stays away.
const AWAY: Duration = Duration::from_secs(1);
/// How long to wait for segments in flight at the end.
const LAST_SEGMENTS: Duration = Duration::from_secs(15);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Streams this file, looped, instead of a generated one
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Ends after this time, such as 30s or 5m [default: at Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    length: Option<Duration>,
    /// Kills an orchestrator with SIGKILL this often, in turn, and starts it again a second later
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    kill_every: Option<Duration>,
    /// Orchestrators
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    orchestrators: u8,
    /// HTTP port of the broadcaster, whose page shows everything; 0 takes a free one
    #[arg(long, default_value_t = 8935)]
    port: u16,
    /// Draws the memory of all processes into this SVG file
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    /// Without stake: no chain runs, and the broadcaster works with any orchestrator
    #[arg(long)]
    no_chain: bool,
    /// Shows what the processes log
    #[arg(long)]
    logs: bool,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let mut line = StatusLine::new(json);
    let home = Home::new(args.logs)?;
    let mut stop = Box::pin(crate::node::stop_signal());
    let clip = clip::prepare(args.input.as_deref(), &mut line).await?;
    let chain = found(&args, &home, json, &mut line).await?;

    line.set("starting orchestrators");
    let orchestrators = start_orchestrators(&args, &home, chain.is_some()).await?;
    let bootstrap: Vec<String> = orchestrators.iter().flat_map(|o| o.ready.control.clone()).collect();
    line.set("starting the broadcaster");
    let role = Role::Broadcaster { port: args.port };
    let broadcaster = home.start(plan(&home, BROADCASTER, role, chain.is_some()), &bootstrap).await?;
    let page = format!("http://{}/", broadcaster.ready.http);
    let rtmp = broadcaster.ready.rtmp.as_deref().ok_or("the broadcaster has no RTMP address")?;
    let mut publisher = clip::publish(&clip, rtmp, STREAM, args.logs)?;
    line.end();
    if !json {
        println!("page      {page}");
        println!("playlist  {page}live/{STREAM}/master.m3u8");
        if chain.is_some() {
            println!("chain     {page}api/v1/chain");
        }
        println!("Ctrl-C ends it");
    }

    let api = Api::new(&page)?;
    let mut demo = Demo {
        tally: Tally::new(Instant::now(), chain.as_ref().map(|chain| Rounds::of(&chain.stakers))),
        curve: args.curve.clone().map(Curve::new),
        api,
        broadcaster,
        orchestrators,
        chain,
        victim: 0,
    };
    let ended = demo.watch(&args, &mut stop, &mut publisher, &mut line, &home, &bootstrap).await;
    line.set("ending: publisher, then segments in flight, then the nodes");
    let _ = publisher.start_kill();
    demo.last_segments().await;
    line.end();
    if let Some(curve) = &demo.curve {
        curve.write()?;
    }
    let Demo { tally, broadcaster, orchestrators, chain, .. } = demo;
    // First who pays: it makes the books agree with those that are still there.
    broadcaster.stop().await;
    let names: Vec<String> = orchestrators.iter().map(|node| node.name().to_owned()).collect();
    futures::future::join_all(orchestrators.into_iter().map(NodeProcess::stop)).await;
    ended?;
    let mut report = tally.report();
    if let Some(chain) = chain {
        chain.stop().await;
        report.paid = Some(paid::read(&home, BROADCASTER, &names, tally.receipts())?);
    }
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lets the orchestrators stake, unless it is to go without.
async fn found(
    args: &Args,
    home: &Home,
    json: bool,
    line: &mut StatusLine,
) -> Result<Option<Chain>, Failure> {
    if args.no_chain {
        return Ok(None);
    }
    line.set("founding a chain: orchestrators register, a delegator delegates, a round begins");
    let began = Instant::now();
    let chain = Chain::start(home, args.orchestrators, BROADCASTER).await?;
    line.end();
    if !json {
        let took = began.elapsed().as_secs_f64();
        for staker in &chain.stakers {
            println!("stake     {:<16} {}   ({})", staker.name, staker.stake, staker.address());
        }
        println!("          registered by signed transactions on a chain of this machine, in {took:.1} s");
    }
    Ok(Some(chain))
}

/// The first one alone, so that the others have somebody to begin with.
async fn start_orchestrators(args: &Args, home: &Home, staked: bool) -> Result<Vec<NodeProcess>, Failure> {
    let plan = |n: u8| plan(home, &format!("orchestrator-{n}"), Role::Orchestrator, staked);
    let first = home.start(plan(1), &[]).await?;
    let known = first.ready.control.clone();
    let others = (2..=args.orchestrators).map(|n| home.start(plan(n), &known));
    let others = futures::future::try_join_all(others).await?;
    Ok(std::iter::once(first).chain(others).collect())
}

fn plan(home: &Home, name: &str, role: Role, staked: bool) -> Plan {
    Plan { name: name.to_owned(), role, config: staked.then(|| chain::config_of(home, name)) }
}

struct Demo {
    tally: Tally,
    curve: Option<Curve>,
    api: Api,
    broadcaster: NodeProcess,
    orchestrators: Vec<NodeProcess>,
    chain: Option<Chain>,
    victim: usize,
}

impl Demo {
    /// Runs until the time is up, Ctrl-C, or the publisher's end.
    async fn watch(
        &mut self,
        args: &Args,
        stop: &mut (impl Future<Output = ()> + Unpin),
        publisher: &mut Child,
        line: &mut StatusLine,
        home: &Home,
        bootstrap: &[String],
    ) -> Result<(), Failure> {
        let end = args.length.map(|length| Instant::now() + length);
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut next_kill = args.kill_every.map(|every| Instant::now() + every);
        let mut next_return: Option<Instant> = None;
        loop {
            tokio::select! {
                () = &mut *stop => return Ok(()),
                () = at(end) => return Ok(()),
                status = publisher.wait() => return Err(format!("the publisher ended: {}", status?).into()),
                () = at(next_kill) => {
                    self.orchestrators[self.victim].kill().await;
                    next_return = Some(Instant::now() + AWAY);
                    next_kill = args.kill_every.map(|every| Instant::now() + every);
                }
                () = at(next_return) => {
                    self.orchestrators[self.victim].restart(home, bootstrap).await?;
                    self.victim = (self.victim + 1) % self.orchestrators.len();
                    next_return = None;
                }
                _ = poll.tick() => {
                    self.poll().await;
                    self.draw();
                    line.set(&self.tally.line());
                }
            }
        }
    }

    async fn poll(&mut self) {
        let at = |node: &NodeProcess| (node.name().to_owned(), node.ready.http.clone());
        let orchestrators: Vec<_> = self.orchestrators.iter().map(at).collect();
        self.tally.poll(&self.api, STREAM, &orchestrators).await;
    }

    fn draw(&mut self) {
        let nodes = std::iter::once(&self.broadcaster).chain(&self.orchestrators);
        let devnet = self.chain.iter().filter_map(|chain| chain.process().memory());
        let memory: Vec<(String, f64)> = nodes.filter_map(NodeProcess::memory).chain(devnet).collect();
        if let Some(curve) = &mut self.curve {
            curve.sample(&memory);
        }
    }

    async fn last_segments(&mut self) {
        let deadline = Instant::now() + LAST_SEGMENTS;
        tokio::time::sleep(POLL).await;
        loop {
            self.poll().await;
            if self.tally.is_settled() || Instant::now() > deadline {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// `30s`, `5m`, `1h`, or seconds.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let number: f64 = number.parse().map_err(|_| format!("{text} is no time; write 30s, 5m or 1h"))?;
    let seconds = match unit {
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "ms" => number / 1000.0,
        _ => return Err(format!("{unit} is no unit of time; use s, m or h")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(parse_time("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_time("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_time("250ms"), Ok(Duration::from_millis(250)));
        assert!(parse_time("soon").is_err() && parse_time("5d").is_err() && parse_time("-1s").is_err());
    }
}
