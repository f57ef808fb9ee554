//! `livemesh config check`: reads the configuration as a node would, and says what it means.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use crate::cli::Failure;
use crate::config::NodeArgs;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Says whether the configuration can be used, and prints what it means
    Check(NodeArgs),
}

pub(crate) fn run(command: &Command, json: bool) -> Result<ExitCode, Failure> {
    let Command::Check(args) = command;
    let config = args.resolve()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&config)?);
        return Ok(ExitCode::SUCCESS);
    }
    match args.file() {
        Some(path) => println!("{}: good", path.display()),
        None => println!("no configuration file: defaults, flags and environment"),
    }
    let text = toml::to_string_pretty(&serde_json::to_value(&config)?)?;
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}
