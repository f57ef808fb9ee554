//! `livemesh transcode`: an HLS ladder of a file, made on this machine by the same parts that a mesh runs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::Failure;
use crate::cli::broadcast::{name_of, publish, report};
use crate::config::{NodeArgs, Role};
use crate::ingest::file::{FileSource, Pace};
use crate::node;

/// No segment is given up: nobody is waiting live.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A video file with H.264
    file: PathBuf,
    /// Where the playlists and segments go
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Ladder as Livepeer's JSON profiles [default: 240p, 360p, 480p, 720p]
    #[arg(long, value_name = "FILE")]
    profiles: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let private = tempdir()?;
    let loopback = "127.0.0.1:0".parse()?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let node_args = NodeArgs {
        data_dir: Some(private.clone()),
        roles: Some(vec![Role::Broadcaster, Role::Orchestrator]),
        control: Some(loopback),
        media: Some(loopback),
        http: Some(loopback),
        no_rtmp: true,
        no_mdns: true,
        allow_unstaked: true,
        profiles: args.profiles,
        record: Some(args.output),
        capacity: Some(u32::try_from(cores).unwrap_or(1)),
        ..NodeArgs::default()
    };
    let mut config = node_args.resolve()?;
    config.broadcast.patience = Some(PATIENCE);
    let node = node::start(config).await?;
    let source = FileSource {
        stream: name_of(&args.file)?,
        path: args.file,
        pace: Pace::AsFastAsPossible,
        repeat: false,
    };
    let summary = publish(node, source, json).await;
    let _ = std::fs::remove_dir_all(private);
    report(&summary?, json)
}

fn tempdir() -> Result<PathBuf, Failure> {
    let dir = std::env::temp_dir().join(format!("livemesh-transcode-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}
