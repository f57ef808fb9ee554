//! A header's fields as the Beacon API names them.

use alloy_primitives::{Address, B256, Bytes, FixedBytes};
use serde::{Deserialize, Serialize};
use ssz_types::VariableList;

use super::super::ssz::Format;
use super::super::types::{BeaconHeader, ExecAnchor, ExecHeader, Header};
use super::number::{Decimal, Decimal256};
use super::{JsonError, branch};
use crate::forks::Fork;

#[derive(Deserialize, Serialize)]
pub(super) struct JsonHeader {
    pub(super) beacon: JsonBeacon,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execution: Option<JsonExec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execution_block_hash: Option<B256>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execution_branch: Option<Vec<B256>>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct JsonBeacon {
    pub(super) slot: Decimal,
    proposer_index: Decimal,
    parent_root: B256,
    state_root: B256,
    body_root: B256,
}

#[derive(Deserialize, Serialize)]
struct JsonExec {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: FixedBytes<256>,
    prev_randao: B256,
    block_number: Decimal,
    gas_limit: Decimal,
    gas_used: Decimal,
    timestamp: Decimal,
    extra_data: Bytes,
    base_fee_per_gas: Decimal256,
    block_hash: B256,
    transactions_root: B256,
    withdrawals_root: B256,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    excess_blob_gas: Option<Decimal>,
}

impl JsonHeader {
    pub(super) fn into_header(self, format: Format) -> Result<Header, JsonError> {
        let lacks = |field| JsonError::Lacks { fork: format.fork, field };
        let beacon = self.beacon.into();
        if format.exec_nodes() == 0 {
            return Ok(Header { beacon, ..Header::default() });
        }
        let exec = if format.has_payload() {
            let exec = self.execution.ok_or_else(|| lacks("execution"))?;
            ExecAnchor::Full(Box::new(exec.into_header(format)?))
        } else {
            ExecAnchor::HashOnly(self.execution_block_hash.ok_or_else(|| lacks("execution_block_hash"))?)
        };
        let nodes = self.execution_branch.ok_or_else(|| lacks("execution_branch"))?;
        Ok(Header {
            beacon,
            exec,
            exec_branch: branch(format, "execution_branch", nodes, format.exec_nodes())?,
        })
    }

    /// A header in a format; what the format has and the header has not is zero.
    pub(super) fn new(fork: Fork, header: &Header) -> Self {
        let format = Format { fork, members: 0 };
        let zeros = || vec![B256::ZERO; format.exec_nodes()];
        let nodes = if header.exec_branch.is_empty() { zeros() } else { header.exec_branch.clone() };
        let none = ExecHeader::default();
        let hash_only = format.exec_nodes() > 0 && !format.has_payload();
        Self {
            beacon: header.beacon.into(),
            execution: format
                .has_payload()
                .then(|| JsonExec::new(format, header.exec.full().unwrap_or(&none))),
            execution_block_hash: hash_only.then(|| header.exec.block_hash().unwrap_or_default()),
            execution_branch: (format.exec_nodes() > 0).then_some(nodes),
        }
    }
}

impl JsonExec {
    fn into_header(self, format: Format) -> Result<ExecHeader, JsonError> {
        let extra = self.extra_data.to_vec();
        let got = extra.len();
        let extra_data = VariableList::try_from(extra);
        let extra_data = extra_data.map_err(|_| JsonError::Length {
            fork: format.fork,
            field: "extra_data",
            expected: 32,
            got,
        })?;
        let lacks = |field| JsonError::Lacks { fork: format.fork, field };
        let blobs = |value: Option<Decimal>, field| match value {
            Some(value) => Ok(value.0),
            None if format.counts_blobs() => Err(lacks(field)),
            None => Ok(0),
        };
        Ok(ExecHeader {
            parent_hash: self.parent_hash,
            fee_recipient: self.fee_recipient,
            state_root: self.state_root,
            receipts_root: self.receipts_root,
            logs_bloom: self.logs_bloom,
            prev_randao: self.prev_randao,
            block_number: self.block_number.0,
            gas_limit: self.gas_limit.0,
            gas_used: self.gas_used.0,
            timestamp: self.timestamp.0,
            extra_data,
            base_fee_per_gas: self.base_fee_per_gas.0,
            block_hash: self.block_hash,
            transactions_root: self.transactions_root,
            withdrawals_root: self.withdrawals_root,
            blob_gas_used: blobs(self.blob_gas_used, "blob_gas_used")?,
            excess_blob_gas: blobs(self.excess_blob_gas, "excess_blob_gas")?,
        })
    }

    fn new(format: Format, header: &ExecHeader) -> Self {
        Self {
            parent_hash: header.parent_hash,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            prev_randao: header.prev_randao,
            block_number: Decimal(header.block_number),
            gas_limit: Decimal(header.gas_limit),
            gas_used: Decimal(header.gas_used),
            timestamp: Decimal(header.timestamp),
            extra_data: header.extra_data.to_vec().into(),
            base_fee_per_gas: Decimal256(header.base_fee_per_gas),
            block_hash: header.block_hash,
            transactions_root: header.transactions_root,
            withdrawals_root: header.withdrawals_root,
            blob_gas_used: format.counts_blobs().then_some(Decimal(header.blob_gas_used)),
            excess_blob_gas: format.counts_blobs().then_some(Decimal(header.excess_blob_gas)),
        }
    }
}

impl From<BeaconHeader> for JsonBeacon {
    fn from(header: BeaconHeader) -> Self {
        Self {
            slot: Decimal(header.slot),
            proposer_index: Decimal(header.proposer_index),
            parent_root: header.parent_root,
            state_root: header.state_root,
            body_root: header.body_root,
        }
    }
}

impl From<JsonBeacon> for BeaconHeader {
    fn from(header: JsonBeacon) -> Self {
        Self {
            slot: header.slot.0,
            proposer_index: header.proposer_index.0,
            parent_root: header.parent_root,
            state_root: header.state_root,
            body_root: header.body_root,
        }
    }
}
