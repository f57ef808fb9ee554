//! Receipts and transactions as JSON-RPC shows them, put into the bytes that block headers commit to (EIP-2718).

use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use alloy_rlp::{Encodable, Header};
use serde_json::Value;

use crate::rpc::value::{bytes, fixed, u64, uint};

/// Arbitrum's own transaction at the start of each block: what L1 tells the chain.
const ARBITRUM_INTERNAL: u8 = 0x6a;

/// Whether transactions of a type can be encoded.
pub(super) const fn known(kind: u64) -> bool {
    matches!(kind, 0..=2 | 4) || kind == ARBITRUM_INTERNAL as u64
}

/// A list under construction.
#[derive(Default)]
struct List(Vec<u8>);

impl List {
    fn push(&mut self, item: &impl Encodable) {
        item.encode(&mut self.0);
    }

    fn nest(&mut self, list: &Self) {
        self.0.extend(list.bytes());
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + 9);
        Header { list: true, payload_length: self.0.len() }.encode(&mut out);
        out.extend_from_slice(&self.0);
        out
    }

    /// Under the type's byte; legacy has none.
    fn typed(&self, kind: u8) -> Vec<u8> {
        let bytes = self.bytes();
        if kind == 0 { bytes } else { [vec![kind], bytes].concat() }
    }
}

/// A receipt's leaf.
pub(super) fn receipt(json: &Value) -> Option<Vec<u8>> {
    let kind = kind(json)?;
    let mut out = List::default();
    out.push(&(u64(&json["status"])? == 1));
    out.push(&u64(&json["cumulativeGasUsed"])?);
    out.push(&fixed::<Bloom>(&json["logsBloom"])?);
    let mut logs = List::default();
    for log in json["logs"].as_array()? {
        let mut one = List::default();
        one.push(&fixed::<Address>(&log["address"])?);
        let mut topics = List::default();
        for topic in log["topics"].as_array()? {
            topics.push(&fixed::<B256>(topic)?);
        }
        one.nest(&topics);
        one.push(&bytes(&log["data"])?);
        logs.nest(&one);
    }
    out.nest(&logs);
    Some(out.typed(kind))
}

/// A transaction's leaf.
pub(super) fn transaction(json: &Value) -> Option<Vec<u8>> {
    let kind = kind(json)?;
    let mut out = List::default();
    if kind == ARBITRUM_INTERNAL {
        out.push(&uint(&json["chainId"])?);
        out.push(&bytes(&json["input"])?);
        return Some(out.typed(kind));
    }
    if kind != 0 {
        out.push(&uint(&json["chainId"])?);
    }
    out.push(&u64(&json["nonce"])?);
    match kind {
        0 | 1 => out.push(&uint(&json["gasPrice"])?),
        2 | 4 => {
            out.push(&uint(&json["maxPriorityFeePerGas"])?);
            out.push(&uint(&json["maxFeePerGas"])?);
        }
        _ => return None,
    }
    out.push(&u64(&json["gas"])?);
    match &json["to"] {
        Value::Null => out.push(&Bytes::new()),
        to => out.push(&fixed::<Address>(to)?),
    }
    out.push(&uint(&json["value"])?);
    out.push(&bytes(&json["input"])?);
    if kind != 0 {
        out.nest(&access_list(&json["accessList"])?);
    }
    if kind == 4 {
        out.nest(&authorizations(&json["authorizationList"])?);
    }
    signature(&mut out, json, kind != 0)?;
    Some(out.typed(kind))
}

fn signature(out: &mut List, json: &Value, typed: bool) -> Option<()> {
    let v: U256 = match uint(&json["yParity"]) {
        Some(parity) if typed => parity,
        _ => uint(&json["v"])?,
    };
    out.push(&v);
    out.push(&uint(&json["r"])?);
    out.push(&uint(&json["s"])?);
    Some(())
}

fn access_list(json: &Value) -> Option<List> {
    let mut out = List::default();
    for item in json.as_array()? {
        let mut one = List::default();
        one.push(&fixed::<Address>(&item["address"])?);
        let mut keys = List::default();
        for key in item["storageKeys"].as_array()? {
            keys.push(&fixed::<B256>(key)?);
        }
        one.nest(&keys);
        out.nest(&one);
    }
    Some(out)
}

fn authorizations(json: &Value) -> Option<List> {
    let mut out = List::default();
    for item in json.as_array()? {
        let mut one = List::default();
        one.push(&uint(&item["chainId"])?);
        one.push(&fixed::<Address>(&item["address"])?);
        one.push(&u64(&item["nonce"])?);
        signature(&mut one, item, true)?;
        out.nest(&one);
    }
    Some(out)
}

fn kind(json: &Value) -> Option<u8> {
    match &json["type"] {
        Value::Null => Some(0),
        kind => u8::try_from(u64(kind)?).ok(),
    }
}
