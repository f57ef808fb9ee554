//! The execution layer below a proven block hash. In: raw headers, trie nodes and `eth_getProof` answers of anybody. Out: a
//! header that hashes to what was signed, and state of which every word was followed from the state root.
//! Knows no source and no fork schedule; nothing here is believed before its hash fits.

pub mod bundle;
pub mod header;
pub mod mpt;
pub mod proof;
mod rlp;

pub use bundle::ProofBundle;
pub use header::{ExecHeader, HeaderError};
pub use proof::{AccountProof, ProofError};
