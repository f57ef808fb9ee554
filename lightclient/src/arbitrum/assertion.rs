//! What an assertion commits to, and its hash. The preimage comes from an `AssertionCreated` log of anybody: it needs no
//! receipt proof, because only the true one hashes to what the contract stores (nitro-contracts `RollupLib.assertionHash`).

use alloy_primitives::{B256, hex, keccak256};
use alloy_sol_types::{SolEvent, SolValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

mod abi {
    #![allow(
        missing_docs,
        clippy::too_many_arguments,
        reason = "made by a macro from the contract's own words"
    )]

    alloy_sol_types::sol! {
        struct GlobalState { bytes32[2] bytes32Vals; uint64[2] u64Vals; }
        struct AssertionState { GlobalState globalState; uint8 machineStatus; bytes32 endHistoryRoot; }
        struct ConfigData {
            bytes32 wasmModuleRoot;
            uint256 requiredStake;
            address challengeManager;
            uint64 confirmPeriodBlocks;
            uint64 nextInboxPosition;
        }
        struct BeforeStateData { bytes32 prevPrevAssertionHash; bytes32 sequencerBatchAcc; ConfigData configData; }
        struct AssertionInputs {
            BeforeStateData beforeStateData;
            AssertionState beforeState;
            AssertionState afterState;
        }
        event AssertionCreated(
            bytes32 indexed assertionHash,
            bytes32 indexed parentAssertionHash,
            AssertionInputs assertion,
            bytes32 afterInboxBatchAcc,
            uint256 inboxMaxCount,
            bytes32 wasmModuleRoot,
            uint256 requiredStake,
            address challengeManager,
            uint64 confirmPeriodBlocks
        );
    }
}

/// Topic of `AssertionCreated`; the second topic is the assertion's hash, the third its parent's.
pub const CREATED: B256 = abi::AssertionCreated::SIGNATURE_HASH;
/// `MachineStatus.FINISHED`: the machine ran to the end of a block; only then is there a header.
const FINISHED: u8 = 1;
/// Longest log data that is read, bytes: the event has 800.
const MAX_DATA: usize = 4096;

/// An assertion's preimage, as far as its hash covers it. Its machine has finished: others commit to no header.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Assertion {
    /// Hash of the assertion before it.
    pub parent: B256,
    /// Hash of the last L2 header.
    pub block_hash: B256,
    /// Root of the tree of messages to L1 in that header.
    pub send_root: B256,
    /// Batches of the sequencer that were read.
    pub inbox_position: u64,
    /// Messages read of the next batch.
    pub position_in_message: u64,
    /// Root of the machine's history.
    pub end_history_root: B256,
    /// Accumulator of the batches that were read.
    pub inbox_acc: B256,
}

/// Why a log is no usable assertion.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum AssertionError {
    /// It is a log of another event, or malformed.
    #[error("not an AssertionCreated log: {0}")]
    Log(String),
    /// The machine stopped in the middle or failed, so there is no header to read.
    #[error("assertion {hash} has machine status {status}, not finished")]
    Unfinished {
        /// The assertion.
        hash: B256,
        /// 0 running, 2 errored.
        status: u8,
    },
    /// The data does not hash to what the log claims.
    #[error("the log's assertion hashes to {found}, it claims {claimed}: the source changed it")]
    Hash {
        /// The log's second topic.
        claimed: B256,
        /// What the data hashes to.
        found: B256,
    },
}

impl Assertion {
    /// keccak-256 of parent, state and inbox accumulator, as the contract computes it.
    #[must_use]
    pub fn hash(&self) -> B256 {
        let state = abi::AssertionState {
            globalState: abi::GlobalState {
                bytes32Vals: [self.block_hash, self.send_root],
                u64Vals: [self.inbox_position, self.position_in_message],
            },
            machineStatus: FINISHED,
            endHistoryRoot: self.end_history_root,
        };
        assertion_hash(self.parent, &state, self.inbox_acc)
    }

    /// Reads an `AssertionCreated` log.
    ///
    /// # Errors
    /// [`AssertionError`] when it is another log, changed, or about an unfinished machine.
    pub fn from_log(topics: &[B256], data: &[u8]) -> Result<Self, AssertionError> {
        if data.len() > MAX_DATA {
            return Err(AssertionError::Log(format!("{} bytes of data", data.len())));
        }
        let log = abi::AssertionCreated::decode_raw_log(topics.iter().copied().take(4), data)
            .map_err(|why| AssertionError::Log(why.to_string()))?;
        let after = &log.assertion.afterState;
        let found = assertion_hash(log.parentAssertionHash, after, log.afterInboxBatchAcc);
        if found != log.assertionHash {
            return Err(AssertionError::Hash { claimed: log.assertionHash, found });
        }
        if after.machineStatus != FINISHED {
            return Err(AssertionError::Unfinished { hash: found, status: after.machineStatus });
        }
        let global = &after.globalState;
        Ok(Self {
            parent: log.parentAssertionHash,
            block_hash: global.bytes32Vals[0],
            send_root: global.bytes32Vals[1],
            inbox_position: global.u64Vals[0],
            position_in_message: global.u64Vals[1],
            end_history_root: after.endHistoryRoot,
            inbox_acc: log.afterInboxBatchAcc,
        })
    }

    /// Reads an entry of an `eth_getLogs` answer.
    ///
    /// # Errors
    /// As [`Self::from_log`].
    pub fn from_rpc_log(log: &Value) -> Result<Self, AssertionError> {
        let fault = |what: &str| AssertionError::Log(format!("{what} is missing or malformed"));
        let topics = log.get("topics").and_then(Value::as_array).filter(|topics| topics.len() <= 4);
        let topics: Option<Vec<B256>> =
            topics.and_then(|topics| topics.iter().map(|topic| topic.as_str()?.parse().ok()).collect());
        let data = log.get("data").and_then(Value::as_str).filter(|data| data.len() <= 2 * MAX_DATA + 2);
        let data = data.and_then(|data| hex::decode(data).ok());
        Self::from_log(&topics.ok_or_else(|| fault("topics"))?, &data.ok_or_else(|| fault("data"))?)
    }
}

fn assertion_hash(parent: B256, after: &abi::AssertionState, inbox_acc: B256) -> B256 {
    let state = keccak256(after.abi_encode());
    keccak256([parent, state, inbox_acc].concat())
}
