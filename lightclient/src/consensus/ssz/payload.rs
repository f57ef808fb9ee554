//! The execution header as Capella writes and hashes it.

use alloy_primitives::{Address, B256, FixedBytes, U256};
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use ssz_types::typenum::U32;
use tree_hash_derive::TreeHash;

use super::super::types::ExecHeader;

/// `ExecutionPayloadHeader` as Capella has it.
#[derive(Clone, Debug, Decode, Encode, TreeHash)]
pub(in crate::consensus) struct CapellaExec {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: FixedBytes<256>,
    prev_randao: B256,
    block_number: u64,
    gas_limit: u64,
    gas_used: u64,
    timestamp: u64,
    extra_data: VariableList<u8, U32>,
    base_fee_per_gas: U256,
    block_hash: B256,
    transactions_root: B256,
    withdrawals_root: B256,
}

impl From<&ExecHeader> for CapellaExec {
    fn from(header: &ExecHeader) -> Self {
        Self {
            parent_hash: header.parent_hash,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            prev_randao: header.prev_randao,
            block_number: header.block_number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data.clone(),
            base_fee_per_gas: header.base_fee_per_gas,
            block_hash: header.block_hash,
            transactions_root: header.transactions_root,
            withdrawals_root: header.withdrawals_root,
        }
    }
}

impl From<CapellaExec> for ExecHeader {
    fn from(header: CapellaExec) -> Self {
        Self {
            parent_hash: header.parent_hash,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            prev_randao: header.prev_randao,
            block_number: header.block_number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data,
            base_fee_per_gas: header.base_fee_per_gas,
            block_hash: header.block_hash,
            transactions_root: header.transactions_root,
            withdrawals_root: header.withdrawals_root,
            blob_gas_used: 0,
            excess_blob_gas: 0,
        }
    }
}
