//! Why a worker gave no result, by what the caller does next.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::Failed;

use super::messages::Fault;

/// Why a worker gave no result.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Nobody can do this job: the bytes are to blame.
    #[error("{0}")]
    Input(String),
    /// The worker said that it cannot, and the bytes are not to blame.
    #[error("{0}")]
    Internal(String),
    /// The job took too long; its worker was killed.
    #[error("not done after {} ms: the worker was stopped", .0.as_millis())]
    Deadline(Duration),
    /// The worker died, twice in a row.
    #[error("the worker died ({status}) and so did the one that repeated the job{}", said(.last_words))]
    Crashed {
        /// Exit code or signal.
        status: String,
        /// The last that it wrote to standard error.
        last_words: String,
    },
    /// The worker answered what no worker answers; it was killed.
    #[error("the worker broke the protocol: {0}")]
    Protocol(String),
    /// The worker cannot be started.
    #[error("cannot start the worker {program:?}: {source}")]
    Start {
        /// Path of the program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Whoever waited for the results is gone.
    #[error("nobody waits for the results any more")]
    Cancelled,
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(", its last words: {words}") }
}

impl WorkerError {
    pub(super) fn from_fault(fault: Fault, message: String, wall: Duration) -> Self {
        match fault {
            Fault::Input => Self::Input(message),
            Fault::Deadline => Self::Deadline(wall),
            Fault::Internal => Self::Internal(message),
        }
    }

    pub(super) const fn is_crash(&self) -> bool {
        matches!(self, Self::Crashed { .. })
    }
}

impl From<WorkerError> for Failed {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Input(what) => Self::Input(what),
            other => Self::Internal(other.to_string()),
        }
    }
}
