//! Why a wallet does not do what it was asked, by what the caller does next.

use std::io;
use std::path::PathBuf;

use alloy_primitives::U256;
use ledger::journal::JournalError;
use thiserror::Error;

use crate::fees::TooDear;
use crate::pending::{Id, Refused};
use crate::signer::SignError;

/// Why a wallet does not do what it was asked.
#[derive(Debug, Error)]
pub enum WalletError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The directory.
    #[error("cannot make {dir}: {why}")]
    Dir {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// An entry cannot be read, or does not follow from those before it.
    #[error(
        "entry {at} of {path}: {why}; nothing was changed: use the program that wrote it, or restore a backup"
    )]
    History {
        /// The journal.
        path: PathBuf,
        /// Number of the entry, from 0.
        at: u64,
        /// What is wrong.
        why: String,
    },
    /// The intent does not fit what is under way.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No endpoint is configured.
    #[error("no endpoint to send to: configure at least one, better three of different operators")]
    NoEndpoint,
    /// The client for HTTP does not start.
    #[error("HTTP: {0}")]
    Http(String),
    /// Too few endpoints answered alike.
    #[error("{what}: only {agree} of {of} endpoints answered alike, {least} must: {why}")]
    Unreachable {
        /// What was asked.
        what: &'static str,
        /// Endpoints that agree.
        agree: usize,
        /// Endpoints asked.
        of: usize,
        /// Endpoints that must agree.
        least: usize,
        /// What the first that failed says.
        why: String,
    },
    /// The account cannot pay.
    #[error(
        "{needs} wei are needed, value and gas at most, and the account holds {holds}: fund it or lower the limit"
    )]
    Funds {
        /// What the transaction may cost, wei.
        needs: U256,
        /// What is there, wei.
        holds: U256,
    },
    /// Gas is dearer than allowed.
    #[error(transparent)]
    TooDear(#[from] TooDear),
    /// More gas than any transaction may use.
    #[error("it needs {gas} gas, at most {most} are allowed")]
    Gas {
        /// Gas limit that it would have.
        gas: u64,
        /// The bound.
        most: u64,
    },
    /// It would revert, or nobody can say.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// The key.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A higher price is not allowed.
    #[error("transaction {} offers all that it may: allow more, or wait", .0.0)]
    AtCeiling(Id),
    /// Somebody else used the nonce.
    #[error("the nonce of transaction {} was used by one that this wallet did not sign: somebody else has the key, or two \
             wallets use it; what it should have done did not happen", .0.0)]
    Displaced(Id),
    /// Who followed it is gone.
    #[error("transaction {} is not followed any more: the wallet was closed", .0.0)]
    NotFollowed(Id),
    /// Nothing can be proven.
    #[error("nothing can be proven here: run with a light client, or wait only until it is sequenced")]
    Unprovable,
}

/// Why a call would not do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SimulateError {
    /// It would revert.
    #[error("it would be refused: {0}")]
    Reverts(String),
    /// The endpoints say different things.
    #[error("endpoints disagree about what it would do ({0}): remove the one that is wrong, or try again")]
    Disagree(String),
    /// Too few answer.
    #[error("too few endpoints say what it would do: {0}")]
    Unreachable(String),
}
