//! livemesh: one program, a node of the roles that its configuration names.
//!
//! Parse, build, run, exit code. The worker process leaves before a runtime is built: it must hold nothing that its sandbox
//! would forbid.

mod adapters;
mod chain;
mod cli;
mod config;
mod http;
mod ingest;
mod keys;
mod metrics;
mod node;
mod payments;
mod redeemer;
mod storage;
mod stream;
mod view;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Cli, Command, LogFormat};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Worker) {
        return media::worker::run();
    }
    if let Err(error) = log_to_stderr(&cli) {
        return fail(error.as_ref());
    }
    let system = actix::System::with_tokio_rt(runtime);
    match system.block_on(cli.run()) {
        Ok(code) => code,
        Err(error) => fail(error.as_ref()),
    }
}

/// Actors stay on the system's thread; connections and checks use the others.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("livemesh")
        .build()
        .expect("a machine that cannot start threads cannot run anything")
}

fn log_to_stderr(cli: &Cli) -> Result<(), cli::Failure> {
    let mut filter = EnvFilter::try_new(&cli.log)?;
    if !cli.log.contains("actix") {
        // A stranger who does not speak HTTP is no error of this node.
        filter = filter.add_directive("actix_http::h1::dispatcher=off".parse()?);
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match cli.log_format {
        LogFormat::Text => builder.with_target(false).finish().try_init()?,
        LogFormat::Json => builder.json().finish().try_init()?,
    }
    Ok(())
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::FAILURE
}
