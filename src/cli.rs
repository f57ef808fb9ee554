//! The command line: one file a subcommand.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::NodeArgs;

mod api;
mod bench_lightclient;
mod bench_mesh;
mod bench_tickets;
mod bench_transcode;
mod broadcast;
mod chain;
mod config;
mod contest;
mod demo;
mod devnet;
mod doctor;
mod economics;
mod explain;
mod node;
mod peers;
mod price;
mod redeemer;
mod reward;
mod round;
mod stake;
mod terminal;
mod tickets;
mod transcode;
mod vote;

/// A peer-to-peer mesh that turns one live video into every format that viewers need.
#[derive(Debug, Parser)]
#[command(name = "livemesh", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Prints results as JSON, for scripts
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What is logged, such as info or debug,quinn=warn
    #[arg(long, global = true, env = "LIVEMESH_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
    /// How logs look
    #[arg(long, global = true, env = "LIVEMESH_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// See [`Cli::log_format`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a node until Ctrl-C
    Node(node::Args),
    /// Goes live: a file, or whatever is published to this node
    Broadcast(broadcast::Args),
    /// Makes an HLS ladder of a file on this machine, without a mesh
    Transcode(transcode::Args),
    /// Measures this machine against the best alternative, in one run
    #[command(subcommand)]
    Bench(Bench),
    /// Lists the nodes that a running node knows
    Peers(api::ApiArgs),
    /// Says for the last segments of a stream who was asked, why, and how long each step took
    Explain(explain::Args),
    /// Shows everything on one machine: three orchestrators, a broadcaster and a publisher
    Demo(demo::Args),
    /// Runs a small Ethereum with an Arbitrum and Livepeer on it, for trying things out
    Devnet(devnet::Args),
    /// Follows Ethereum and Arbitrum by proofs, and reads Livepeer's state without trusting any provider
    Chain(chain::Args),
    /// Stakes: keys, orchestrators, delegation, withdrawal
    Stake(Box<stake::Args>),
    /// Shows the round, or begins it
    Round(Box<round::Args>),
    /// Calls for an orchestrator's reward
    Reward(Box<reward::Args>),
    /// Votes over the treasury and the protocol
    Vote(Box<vote::Args>),
    /// Says what inflation, supply and stake come to, rounds ahead
    #[command(subcommand)]
    Economics(economics::Command),
    /// Money for tickets: funds, unlocks and withdraws it, and shows what was sent and earned
    Tickets(Box<tickets::Args>),
    /// Shows prices as people think of them, or suggests one
    #[command(subcommand)]
    Price(Box<price::Command>),
    /// Redeems the winning tickets of an orchestrator, apart from its node and its keys
    Redeemer(Box<redeemer::Args>),
    /// Checks what this machine has and lacks
    Doctor(NodeArgs),
    /// Looks at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// The sandboxed process that touches strangers' bytes; started by nodes
    #[command(hide = true)]
    Worker,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// CPU and memory next to one whole-file ffmpeg process
    Transcode(bench_transcode::Args),
    /// Proofs from a signature down to a slot next to bare blst
    Lightclient(bench_lightclient::Args),
    /// Segment round trip and throughput next to raw quinn
    Mesh(bench_mesh::MeshArgs),
    /// Tickets next to bare signatures, the ledger, and what paying adds to a segment
    Tickets(bench_tickets::Args),
    /// Segments over an emulated WAN next to libp2p streams, CUBIC, BBR and TCP; needs network namespaces
    Wan(bench_mesh::WanArgs),
    /// One process of the benchmark over a WAN
    #[command(hide = true)]
    Endpoint(bench_mesh::EndpointArgs),
}

/// Why a command came to nothing, in words for the terminal.
pub(crate) type Failure = Box<dyn std::error::Error>;

impl Cli {
    /// Runs the command.
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let json = self.json;
        match self.command {
            Command::Node(args) => node::run(&args, json).await,
            Command::Broadcast(args) => broadcast::run(args, json).await,
            Command::Transcode(args) => transcode::run(args, json).await,
            Command::Bench(Bench::Transcode(args)) => bench_transcode::run(args, json).await,
            Command::Bench(Bench::Lightclient(args)) => bench_lightclient::run(args, json).await,
            Command::Bench(Bench::Mesh(args)) => bench_mesh::run(args, json).await,
            Command::Bench(Bench::Tickets(args)) => bench_tickets::run(args, json).await,
            Command::Bench(Bench::Wan(args)) => bench_mesh::run_wan(args, json).await,
            Command::Bench(Bench::Endpoint(args)) => bench_mesh::run_endpoint(args).await,
            Command::Peers(args) => peers::run(&args, json).await,
            Command::Explain(args) => explain::run(&args, json).await,
            Command::Demo(args) => demo::run(args, json).await,
            Command::Devnet(args) => devnet::run(args, json).await,
            Command::Chain(args) => chain::run(args, json).await,
            Command::Stake(args) => stake::run(*args, json).await,
            Command::Round(args) => round::run(*args, json).await,
            Command::Reward(args) => reward::run(*args, json).await,
            Command::Vote(args) => vote::run(*args, json).await,
            Command::Economics(command) => economics::run(command, json).await,
            Command::Tickets(args) => tickets::run(*args, json).await,
            Command::Price(command) => price::run(*command, json).await,
            Command::Redeemer(args) => redeemer::run(*args, json).await,
            Command::Doctor(args) => doctor::run(&args, json).await,
            Command::Config(command) => config::run(&command, json),
            // Handled before any runtime exists.
            Command::Worker => Ok(ExitCode::FAILURE),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// What clap checks only in debug builds, and only of the subcommand that is run.
    #[test]
    fn every_subcommand_can_be_parsed() {
        Cli::command().debug_assert();
    }
}
