//! Where claims about the chain come from: many sources behind one trait, none of which is trusted.
//!
//! In flows an [`Ask`], out flows an [`Answer`]: bytes and numbers that somebody claims, bounded in size and nothing else.
//! Whether a claim is true is not known here: whoever asks hands [`crowd::Crowd`] the check, and the first answer that
//! verifies wins. A mesh peer is a source like any other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use async_trait::async_trait;
use serde::Serialize;
use thiserror::Error;

use crate::state::Keys;

pub mod beacon;
pub mod budget;
pub mod crowd;
pub mod execution;
pub mod http;
mod rpc;
pub mod score;
pub mod wire;

#[cfg(test)]
mod tests;

/// Which chain is meant.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Ethereum.
    L1,
    /// Arbitrum.
    L2,
}

/// A block of the execution layer. Sources index by either; a proof binds to the state root of the hash.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Block {
    /// Height.
    pub number: u64,
    /// keccak-256 of the header's RLP.
    pub hash: B256,
}

/// Which header is wanted when its hash is not known.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum At {
    /// The newest that the source has.
    Latest,
    /// The one at this height.
    Number(u64),
}

/// What can be asked. Each answer is either addressed by its content or checked on arrival, so anybody may serve it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ask {
    /// The light-client bootstrap of a finalized block (Beacon API `light_client/bootstrap/{root}`).
    Bootstrap {
        /// Root of the beacon block header.
        root: B256,
    },
    /// The best update of one sync-committee period (Beacon API `light_client/updates`, one at a time).
    Update {
        /// The period.
        period: u64,
    },
    /// The newest finality update.
    Finality,
    /// The newest optimistic update.
    Optimistic,
    /// Which block the source takes for finalized. A hint: believed only when independent sources agree.
    Checkpoint,
    /// Parameters of the chain (Beacon API `config/spec` and `beacon/genesis`). A hint for people and devnets.
    Config,
    /// The header of this hash.
    Header {
        /// Which chain.
        layer: Layer,
        /// Hash of the block.
        hash: B256,
    },
    /// A header whose hash is not known yet: a hint.
    HeaderAt {
        /// Which chain.
        layer: Layer,
        /// Which block.
        at: At,
    },
    /// Trie nodes that prove accounts and slots under the state root of a block (EIP-1186).
    Proof {
        /// Which chain.
        layer: Layer,
        /// Of which block.
        block: Block,
        /// Accounts, and slots under each.
        keys: Keys,
    },
    /// Code of this keccak-256.
    Code {
        /// Which chain.
        layer: Layer,
        /// At which block the account has it.
        block: Block,
        /// An account that has it.
        address: Address,
        /// keccak-256 of the code.
        hash: B256,
    },
    /// `AssertionCreated` logs of a rollup contract on L1. The assertion's hash authenticates each.
    Assertions {
        /// The rollup contract.
        rollup: Address,
        /// First L1 block to look at.
        from_block: u64,
        /// Last L1 block to look at.
        to_block: u64,
        /// Only these assertions; all when empty.
        hashes: Vec<B256>,
    },
    /// The proof bundle that was published for an assertion's L2 block.
    Bundle {
        /// The assertion.
        assertion: B256,
    },
    /// Who was in Livepeer's pool at a block, by the events of those who came and went: a hint about which slots to prove.
    Members {
        /// The contract that keeps the pool.
        manager: Address,
        /// At which block of L2.
        block: Block,
    },
    /// What a call returns at a block, without any proof: a hint about which slots to prove.
    Call {
        /// Which chain.
        layer: Layer,
        /// At which block.
        block: Block,
        /// The contract.
        to: Address,
        /// Selector and arguments.
        data: Bytes,
    },
}

/// What somebody claims. Nothing in it is verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// To [`Ask::Bootstrap`].
    Bootstrap(BeaconClaim),
    /// To [`Ask::Update`].
    Update(BeaconClaim),
    /// To [`Ask::Finality`].
    Finality(BeaconClaim),
    /// To [`Ask::Optimistic`].
    Optimistic(BeaconClaim),
    /// To [`Ask::Checkpoint`].
    Checkpoint {
        /// Root of the finalized block.
        root: B256,
        /// Its slot.
        slot: u64,
    },
    /// To [`Ask::Config`]: both documents as the Beacon API gives them, JSON.
    Config {
        /// Answer of `config/spec`.
        spec: Bytes,
        /// Answer of `beacon/genesis`.
        genesis: Bytes,
    },
    /// To [`Ask::Header`] and [`Ask::HeaderAt`]: the header's RLP, whose keccak-256 is the block's hash.
    Header(Bytes),
    /// To [`Ask::Proof`]: trie nodes, in any order, each once.
    Proof(Vec<Bytes>),
    /// To [`Ask::Code`].
    Code(Bytes),
    /// To [`Ask::Assertions`].
    Assertions(Vec<Log>),
    /// To [`Ask::Bundle`]: a [`ProofBundle`](crate::exec) in its binary form.
    Bundle(Bytes),
    /// To [`Ask::Members`], in any order.
    Members(Vec<Address>),
    /// To [`Ask::Call`].
    Call(Bytes),
}

/// A consensus object as it came. [`Form`] says how to read it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BeaconClaim {
    /// How the bytes are to be read.
    pub form: Form,
    /// The object.
    pub bytes: Bytes,
}

/// How a [`BeaconClaim`] is written down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Form {
    /// As the Beacon API's JSON: `{version, data}`, or the bare object of older servers.
    Json,
    /// As SSZ in the layout of this fork, in lower case as the Beacon API's `Eth-Consensus-Version` names it.
    Ssz {
        /// Name of the fork, such as `electra`.
        fork: String,
    },
}

/// A log entry of an execution block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// Who wrote it.
    pub address: Address,
    /// Event and indexed arguments, at most four.
    pub topics: Vec<B256>,
    /// The other arguments, ABI-encoded.
    pub data: Bytes,
    /// The block that holds it. A hint.
    pub block_number: u64,
}

/// A source of claims.
#[async_trait]
pub trait Source: Send + Sync + fmt::Debug {
    /// What people call it; unique among the sources of one client.
    fn name(&self) -> &str;

    /// Whether it makes sense to ask this here.
    fn can(&self, ask: &Ask) -> bool;

    /// Asks. Dropping the future gives up. Bounded in time and bytes by the source itself.
    async fn ask(&self, ask: &Ask) -> Result<Answer, SourceError>;

    /// What was sent and what may still be, where the source has a budget.
    fn budget(&self) -> Option<budget::BudgetView> {
        None
    }
}

/// Why a source gave no answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{by}: {fault}")]
pub struct SourceError {
    /// Name of the source.
    pub by: Arc<str>,
    /// What happened.
    pub fault: Fault,
}

/// See [`SourceError`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Fault {
    /// It says that it does not have that: a block too old for its window, an assertion nobody bundled.
    #[error("does not have it ({0}); another source may")]
    NotHere(String),
    /// It wants fewer requests, or our own budget for it is used up.
    #[error("asked too often; again in {} s", retry_after.as_secs_f64().ceil())]
    RateLimited {
        /// When to ask again.
        retry_after: Duration,
    },
    /// No whole answer in time.
    #[error("no answer within {} s; it may be overloaded or far away", after.as_secs_f64())]
    Timeout {
        /// How long it was waited for.
        after: Duration,
    },
    /// No connection.
    #[error("cannot be reached ({0}); check its address and the network")]
    Unreachable(String),
    /// An HTTP status that means failure.
    #[error("answered HTTP {status}: {said}")]
    Http {
        /// The status.
        status: u16,
        /// Start of the body.
        said: String,
    },
    /// A JSON-RPC error.
    #[error("answered with error {code}: {said}")]
    Rpc {
        /// JSON-RPC's code.
        code: i64,
        /// Its message.
        said: String,
    },
    /// What came is not what the protocol says.
    #[error("sent what cannot be read: {0}; it may be no server of this kind")]
    Malformed(String),
    /// More bytes than such an answer can have.
    #[error("sent more than {limit} bytes, which no honest answer needs")]
    TooLarge {
        /// The bound, bytes.
        limit: usize,
    },
    /// It serves another chain.
    #[error("serves chain {found} instead of {expected}; correct its address")]
    WrongChain {
        /// Chain id that is wanted (EIP-155).
        expected: u64,
        /// Chain id that it has.
        found: u64,
    },
    /// This kind of source never answers this kind of question.
    #[error("is never asked that")]
    Unsupported,
}

impl Fault {
    /// Whether the source is broken or none of the kind that is wanted, and asking again soon would not help.
    #[must_use]
    pub const fn is_foul(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::TooLarge { .. } | Self::WrongChain { .. })
    }

    /// Whether the source is well and only does not have what was asked for.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::NotHere(_) | Self::Unsupported)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bootstrap { root } => write!(f, "the bootstrap of {root}"),
            Self::Update { period } => write!(f, "the update of period {period}"),
            Self::Finality => write!(f, "the finality update"),
            Self::Optimistic => write!(f, "the optimistic update"),
            Self::Checkpoint => write!(f, "a finalized checkpoint"),
            Self::Config => write!(f, "the chain's parameters"),
            Self::Header { layer, hash } => write!(f, "{layer} header {hash}"),
            Self::HeaderAt { layer, at: At::Latest } => write!(f, "the latest {layer} header"),
            Self::HeaderAt { layer, at: At::Number(number) } => write!(f, "{layer} header {number}"),
            Self::Proof { layer, block, keys } => {
                let slots: usize = keys.values().map(|slots| slots.len()).sum();
                write!(f, "{layer} proof of {} accounts, {slots} slots at block {}", keys.len(), block.number)
            }
            Self::Code { layer, address, .. } => write!(f, "{layer} code of {address}"),
            Self::Assertions { from_block, to_block, .. } => {
                write!(f, "assertions of L1 blocks {from_block} to {to_block}")
            }
            Self::Bundle { assertion } => write!(f, "the proof bundle of assertion {assertion}"),
            Self::Members { block, .. } => write!(f, "the pool's members at L2 block {}", block.number),
            Self::Call { layer, to, .. } => write!(f, "{layer} call of {to}"),
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
        })
    }
}
