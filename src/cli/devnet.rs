//! `livemesh devnet`: a small Ethereum with an Arbitrum and Livepeer's contracts on it, on this machine alone, until Ctrl-C.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use fixtures::devnet::livepeer::Funded;
use fixtures::devnet::{Config, Devnet, Settings, l1};
use lightclient::forks::{Fork, Preset};
use serde_json::{Value, json};

use crate::cli::{Failure, demo};
use crate::node;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Port of the beacon chain on 127.0.0.1; L1 and L2 follow on the next two. 0 takes any three
    #[arg(long, default_value_t = 9596, value_name = "PORT")]
    port: u16,
    /// Time from block to block: of L1, each of which has several of L2
    #[arg(long, visible_alias = "block-time", default_value = "200ms", value_parser = parse_slot_time, value_name = "TIME")]
    slot_time: u64,
    /// All keys, accounts and hashes follow from it
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Slots that have passed when it starts
    #[arg(long, default_value_t = 100, value_name = "SLOTS", conflicts_with = "genesis")]
    history: u64,
    /// Seconds since 1970 at slot 0: with it and the seed, two devnets are the same
    #[arg(long, value_name = "SECONDS")]
    genesis: Option<u64>,
    /// Forks and their first epochs, the first one at 0
    #[arg(long, default_value = "electra:0,fulu:10", value_delimiter = ',', value_parser = parse_fork)]
    forks: Vec<(u64, Fork)>,
    /// Sizes of the beacon chain: minimal has 8 slots an epoch and 32 in a committee, mainnet 32 and 512
    #[arg(long, value_enum, default_value_t = Size::Minimal)]
    preset: Size,
    /// Members of Livepeer's pool at the start, 0 to 100
    #[arg(long, default_value_t = 5, value_name = "NUMBER")]
    orchestrators: u64,
    /// Leave it to others to begin rounds and to call rewards
    #[arg(long)]
    no_keeper: bool,
    /// Keep the chains here, so that the next start goes on with them
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Length of a Livepeer round in L1 blocks
    #[arg(long, default_value_t = 50, value_name = "BLOCKS")]
    round_length: u64,
    /// L1 blocks until an assertion about L2 is confirmed
    #[arg(long, default_value_t = 20, value_name = "BLOCKS")]
    confirm_period: u64,
    /// Ends when standard input closes, so that a parent's death ends it too
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

/// See [`Args::preset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Size {
    Minimal,
    Mainnet,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let watch_stdin = args.until_stdin_closes;
    let devnet = Devnet::start(args.config()).await?;
    if json {
        println!("{}", describe(&devnet));
    } else {
        introduce(&devnet);
    }
    tokio::select! {
        () = node::stop_signal() => {}
        () = node::stdin_closed(), if watch_stdin => {}
    }
    devnet.stop().await;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn config(self) -> Config {
        let preset = match self.preset {
            Size::Minimal => Preset::MINIMAL,
            Size::Mainnet => Preset::MAINNET,
        };
        let settings = Settings {
            seed: self.seed,
            preset,
            forks: self.forks,
            slot_ms: self.slot_time,
            round_length: self.round_length,
            orchestrators: self.orchestrators,
            keeper: !self.no_keeper,
            confirm_period: self.confirm_period,
            ..Settings::default()
        };
        Config {
            settings,
            port: self.port,
            genesis_time: self.genesis,
            history: self.history,
            data_dir: self.data_dir,
            ..Config::default()
        }
    }
}

/// All that a program needs to follow it; `livemesh chain --network FILE` reads it too.
fn describe(devnet: &Devnet) -> Value {
    let mut ready = devnet.network();
    ready["checkpoint_slot"] = json!(devnet.checkpoint_slot);
    ready["slot_ms"] = json!(devnet.settings.slot_ms);
    ready["round_length"] = json!(devnet.settings.round_length);
    ready["keeper"] = json!(devnet.settings.keeper);
    ready["accounts"] = devnet.accounts.iter().map(account).collect();
    json!({ "ready": ready })
}

fn account(funded: &Funded) -> Value {
    json!({ "role": funded.role, "address": funded.address, "secret": funded.secret })
}

fn introduce(devnet: &Devnet) {
    let Devnet { beacon_url, l1_url, l2_url, checkpoint, checkpoint_slot, .. } = devnet;
    println!("beacon      {beacon_url}");
    println!("L1          {l1_url}   (chain {})", l1::CHAIN_ID);
    println!("L2          {l2_url}   (chain {})", devnet.contracts.chain_id);
    println!("checkpoint  {checkpoint}   (slot {checkpoint_slot})");
    println!("rollup      {}", devnet.rollup.address);
    println!("controller  {}", devnet.contracts.controller);
    let Settings { slot_ms, round_length, keeper, .. } = &devnet.settings;
    println!(
        "rounds      {round_length} blocks of {slot_ms} ms, begun by {}",
        if *keeper { "itself" } else { "you" }
    );
    println!("accounts    with 1000 ether and 100000 LPT each; their keys are known to all");
    for Funded { address, secret, .. } in devnet.accounts.iter().filter(|funded| funded.role == "account") {
        println!("            {address}  {secret}");
    }
    println!("follow it   {}", sync_line(devnet));
    println!("Ctrl-C ends it");
}

fn sync_line(devnet: &Devnet) -> String {
    let Devnet { beacon_url, l1_url, l2_url, checkpoint, .. } = devnet;
    format!(
        "livemesh chain sync --network devnet --checkpoint {checkpoint} --beacon {beacon_url} --l1 {l1_url} --l2 {l2_url}"
    )
}

/// A time of a millisecond or more, in milliseconds.
fn parse_slot_time(text: &str) -> Result<u64, String> {
    match u64::try_from(demo::parse_time(text)?.as_millis()) {
        Ok(ms) if ms > 0 => Ok(ms),
        _ => Err(format!("{text} is no time from slot to slot: write 200ms or 12s")),
    }
}

/// `electra:3`: a fork and its first epoch.
fn parse_fork(text: &str) -> Result<(u64, Fork), String> {
    let (name, epoch) =
        text.split_once(':').ok_or_else(|| format!("{text:?} is not of the form FORK:EPOCH"))?;
    let fork = name.parse::<Fork>().map_err(|e| e.to_string())?;
    let epoch = epoch.parse().map_err(|_| format!("{epoch:?} is no epoch"))?;
    Ok((epoch, fork))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_times_and_forks_are_read() {
        assert_eq!(parse_slot_time("200ms"), Ok(200));
        assert_eq!(parse_slot_time("12s"), Ok(12_000));
        assert!(parse_slot_time("0ms").is_err());
        assert_eq!(parse_fork("gloas:7"), Ok((7, Fork::Gloas)));
        assert!(parse_fork("gloas").is_err());
    }
}
