//! `livemesh stake`: what an orchestrator does with its stake.

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::Failure;

mod certify;

/// See [`crate::cli::Command::Stake`].
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lets a node speak for a stake: signed by the staking key, which may stay cold
    Certify(certify::Args),
}

pub(crate) fn run(command: &Command, json: bool) -> Result<ExitCode, Failure> {
    match command {
        Command::Certify(args) => certify::run(args, json),
    }
}
