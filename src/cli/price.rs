//! `livemesh price`: prices as people think of them. One file a subcommand.

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::Failure;

mod capacity;
mod offers;
pub(in crate::cli) mod rungs;
mod show;
mod suggest;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what this node asks and pays, and what that is for a minute of each rung
    Show(Box<show::Args>),
    /// Suggests what to ask: by what the mesh asks now, and what this machine can do
    Suggest(Box<suggest::Args>),
}

pub(crate) async fn run(command: Command, json: bool) -> Result<ExitCode, Failure> {
    match command {
        Command::Show(args) => show::run(&args, json)?,
        Command::Suggest(args) => suggest::run(*args, json).await?,
    }
    Ok(ExitCode::SUCCESS)
}
