//! Whether a transaction is in a proven block: all receipts and transactions of the block, as an endpoint gives them, are encoded
//! again and must hash to the proven header's roots.
//!
//! In flow JSON of strangers, out flows what is certain of one transaction. Believes nothing, panics on nothing.

use alloy_primitives::{B256, keccak256};
use alloy_trie::root::ordered_trie_root_encoded;
use serde_json::Value;
use thiserror::Error;

use crate::rpc::value::{fixed, u64};
use crate::witness::ProvenBlock;

mod encode;
pub mod outcome;

/// Most transactions of a block that are hashed.
const MAX_TRANSACTIONS: usize = 20_000;

/// Where an endpoint says that a transaction is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Claim {
    /// Height of the block.
    pub block: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// Place in the block.
    pub index: u64,
    /// The transaction.
    pub hash: B256,
    /// Whether it did not revert.
    pub success: bool,
    /// Gas that it used.
    pub gas_used: u64,
}

/// Why nothing follows from what an endpoint gave.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NotShown {
    /// It gives none, or not in full.
    #[error("the endpoint does not give the block's {0}")]
    Missing(&'static str),
    /// A kind of transaction that cannot be encoded here.
    #[error("the block holds a transaction of type {0:#x}, whose bytes are not known here")]
    Kind(u64),
    /// They are another block's, or changed.
    #[error("the block's {0} do not hash to the proven root")]
    Root(&'static str),
    /// The block is proven and the transaction is not there.
    #[error("the proven block does not hold the transaction there")]
    Absent,
}

impl Claim {
    /// Reads a receipt.
    #[must_use]
    pub fn from_receipt(receipt: &Value, hash: B256) -> Option<Self> {
        let same = fixed::<B256>(&receipt["transactionHash"])? == hash;
        Some(Self {
            block: u64(&receipt["blockNumber"])?,
            block_hash: fixed(&receipt["blockHash"])?,
            index: u64(&receipt["transactionIndex"])?,
            hash,
            success: u64(&receipt["status"])? == 1,
            gas_used: u64(&receipt["gasUsed"])?,
        })
        .filter(|_| same)
    }
}

/// What is certain of a transaction from its block's receipts (`eth_getBlockReceipts`) and transactions (`eth_getBlockByHash`).
///
/// # Errors
/// [`NotShown`]: the endpoint lies, is incomplete, or the transaction is elsewhere.
pub fn shown(
    claim: &Claim,
    proven: &ProvenBlock,
    receipts: &Value,
    block: &Value,
) -> Result<Claim, NotShown> {
    let receipts = list(receipts).ok_or(NotShown::Missing("receipts"))?;
    let transactions = list(&block["transactions"]).ok_or(NotShown::Missing("transactions"))?;
    let encoded = encode_all(transactions, encode::transaction, "transactions")?;
    if ordered_trie_root_encoded(&encoded) != proven.transactions_root {
        return Err(NotShown::Root("transactions"));
    }
    let leaves = encode_all(receipts, encode::receipt, "receipts")?;
    if ordered_trie_root_encoded(&leaves) != proven.receipts_root {
        return Err(NotShown::Root("receipts"));
    }
    let at = usize::try_from(claim.index).map_err(|_| NotShown::Absent)?;
    let (found, receipt) = encoded.get(at).zip(receipts.get(at)).ok_or(NotShown::Absent)?;
    if keccak256(found) != claim.hash {
        return Err(NotShown::Absent);
    }
    // Status and cumulative gas are under the root; what others used before is in the receipt before.
    let before = at.checked_sub(1).map_or(Some(0), |at| u64(&receipts[at]["cumulativeGasUsed"]));
    let used = u64(&receipt["cumulativeGasUsed"]).zip(before).and_then(|(to, from)| to.checked_sub(from));
    Ok(Claim {
        block: proven.number,
        block_hash: proven.hash,
        success: u64(&receipt["status"]) == Some(1),
        gas_used: used.ok_or(NotShown::Missing("receipts"))?,
        ..*claim
    })
}

fn list(value: &Value) -> Option<&[Value]> {
    value.as_array().map(Vec::as_slice).filter(|list| list.len() <= MAX_TRANSACTIONS)
}

fn encode_all(
    items: &[Value],
    encode: fn(&Value) -> Option<Vec<u8>>,
    what: &'static str,
) -> Result<Vec<Vec<u8>>, NotShown> {
    items
        .iter()
        .map(|item| {
            let kind = u64(&item["type"]).unwrap_or(0);
            encode(item).ok_or(if encode::known(kind) {
                NotShown::Missing(what)
            } else {
                NotShown::Kind(kind)
            })
        })
        .collect()
}
