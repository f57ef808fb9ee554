//! `livemesh tickets export`: a ledger as lines, to a file or to standard output. Reads beside a running node and changes nothing.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ledger::export::{ExportError, Format, export};

use crate::cli::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Folder of the ledger: `ledger` in a node's data directory
    #[arg(value_name = "FOLDER")]
    ledger: PathBuf,
    /// How lines look; with --json it is json
    #[arg(long, value_enum, default_value_t = Lines::Csv)]
    format: Lines,
    /// Where they go, instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// See [`Args::format`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Lines {
    /// For spreadsheets, with a head line
    Csv,
    /// One object a line
    Json,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let format = if json || args.format == Lines::Json { Format::Json } else { Format::Csv };
    let written = tokio::task::spawn_blocking(move || write(&args.ledger, format, args.out.as_deref()));
    written.await?.map_err(|why| why.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn write(ledger: &Path, format: Format, out: Option<&Path>) -> Result<(), ExportError> {
    let mut out: Box<dyn Write> = match out {
        Some(path) => Box::new(BufWriter::new(File::create(path)?)),
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    match export(ledger, format, &mut out) {
        // Whoever read the lines had enough of them.
        Err(ExportError::Write(why)) if why.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.map(|_| ()),
    }
}
