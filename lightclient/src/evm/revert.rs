//! Why a contract reverts, as Solidity encodes it.

use std::fmt;

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{Panic, Revert as Reason, SolError};

/// Longest reason that is kept, bytes: the contracts' own are shorter than a line.
const MAX_REASON: usize = 256;

/// A contract's reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Revert {
    /// `require(.., "reason")`: `Error(string)`.
    Reason(String),
    /// Checked arithmetic, an array's bounds and the like: `Panic(uint256)`.
    Panic(U256),
    /// An error of the contract's own, ABI-encoded; its first four bytes name it.
    Custom(Bytes),
    /// None.
    Silent,
}

impl Revert {
    /// Reads what a reverted call returned.
    #[must_use]
    pub fn decode(output: &[u8]) -> Self {
        if output.is_empty() {
            return Self::Silent;
        }
        if let Ok(Reason { reason }) = Reason::abi_decode(output) {
            return Self::Reason(shorten(reason));
        }
        match Panic::abi_decode(output) {
            Ok(Panic { code }) => Self::Panic(code),
            Err(_) => Self::Custom(Bytes::copy_from_slice(&output[..output.len().min(MAX_REASON)])),
        }
    }
}

fn shorten(mut reason: String) -> String {
    if reason.len() > MAX_REASON {
        let end = (0..=MAX_REASON).rev().find(|&i| reason.is_char_boundary(i)).unwrap_or(0);
        reason.truncate(end);
    }
    reason
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reason(reason) => write!(f, "{reason:?}"),
            Self::Panic(code) => match code.saturating_to::<u64>() {
                0x11 => f.write_str("arithmetic overflow (panic 0x11)"),
                0x12 => f.write_str("division by zero (panic 0x12)"),
                other => write!(f, "panic {other:#x}"),
            },
            Self::Custom(data) => write!(f, "error {data}"),
            Self::Silent => f.write_str("without a reason"),
        }
    }
}
