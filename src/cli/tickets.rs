//! `livemesh tickets`: what a node keeps of the money that it sent and earned. One file a subcommand.

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::Failure;

mod export;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists every amount in and out, as CSV or JSON lines; the node may be running
    Export(export::Args),
}

pub(crate) async fn run(command: Command, json: bool) -> Result<ExitCode, Failure> {
    match command {
        Command::Export(args) => export::run(args, json).await,
    }
}
