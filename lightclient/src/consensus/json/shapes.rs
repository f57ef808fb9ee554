//! The fields of each object as the Beacon API names them.

use std::fmt;

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ssz_types::VariableList;

use super::super::ssz::{self as wire, Format};
use super::super::types::{
    BeaconHeader, Bootstrap, ExecAnchor, ExecHeader, Finality, FinalityUpdate, Header, NextCommittee,
    OptimisticUpdate, PublicKey, SignatureBytes, SyncAggregate, SyncCommittee, Update,
};
use super::{JsonError, Shape, branch, sized};
use crate::forks::Fork;

#[derive(Deserialize, Serialize)]
pub(super) struct JsonBootstrap {
    header: JsonHeader,
    current_sync_committee: JsonCommittee,
    current_sync_committee_branch: Vec<B256>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct JsonUpdate {
    attested_header: JsonHeader,
    next_sync_committee: JsonCommittee,
    next_sync_committee_branch: Vec<B256>,
    finalized_header: JsonHeader,
    finality_branch: Vec<B256>,
    sync_aggregate: JsonAggregate,
    signature_slot: Decimal,
}

#[derive(Deserialize, Serialize)]
pub(super) struct JsonFinalityUpdate {
    attested_header: JsonHeader,
    finalized_header: JsonHeader,
    finality_branch: Vec<B256>,
    sync_aggregate: JsonAggregate,
    signature_slot: Decimal,
}

#[derive(Deserialize, Serialize)]
pub(super) struct JsonOptimisticUpdate {
    attested_header: JsonHeader,
    sync_aggregate: JsonAggregate,
    signature_slot: Decimal,
}

#[derive(Deserialize, Serialize)]
struct JsonHeader {
    beacon: JsonBeacon,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execution: Option<JsonExec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execution_block_hash: Option<B256>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    execution_branch: Option<Vec<B256>>,
}

#[derive(Deserialize, Serialize)]
struct JsonBeacon {
    slot: Decimal,
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

#[derive(Deserialize, Serialize)]
struct JsonCommittee {
    pubkeys: Vec<PublicKey>,
    aggregate_pubkey: PublicKey,
}

#[derive(Deserialize, Serialize)]
struct JsonAggregate {
    sync_committee_bits: Bytes,
    sync_committee_signature: SignatureBytes,
}

/// A number that JSON has as decimal text, and that some servers write as a number.
#[derive(Clone, Copy)]
struct Decimal(u64);

/// The same with 256 bits.
struct Decimal256(U256);

impl Shape for JsonBootstrap {
    type Object = Bootstrap;

    fn slot(&self) -> u64 {
        self.header.beacon.slot.0
    }

    fn into_object(self, format: Format) -> Result<Bootstrap, JsonError> {
        let nodes = format.current_nodes();
        Ok(Bootstrap {
            fork: format.fork,
            header: self.header.into_header(format)?,
            committee: self.current_sync_committee.into_committee(format)?,
            branch: branch(
                format,
                "current_sync_committee_branch",
                self.current_sync_committee_branch,
                nodes,
            )?,
        })
    }
}

impl Shape for JsonUpdate {
    type Object = Update;

    fn slot(&self) -> u64 {
        self.attested_header.beacon.slot.0
    }

    fn into_object(self, format: Format) -> Result<Update, JsonError> {
        let nodes = format.next_nodes();
        Ok(Update {
            fork: format.fork,
            attested: self.attested_header.into_header(format)?,
            next_committee: wire::next_committee(
                self.next_sync_committee.into_committee(format)?,
                branch(format, "next_sync_committee_branch", self.next_sync_committee_branch, nodes)?,
            ),
            finality: finality(format, self.finalized_header, self.finality_branch)?,
            aggregate: self.sync_aggregate.into_aggregate(format)?,
            signature_slot: self.signature_slot.0,
        })
    }
}

impl Shape for JsonFinalityUpdate {
    type Object = FinalityUpdate;

    fn slot(&self) -> u64 {
        self.attested_header.beacon.slot.0
    }

    fn into_object(self, format: Format) -> Result<FinalityUpdate, JsonError> {
        Ok(FinalityUpdate {
            fork: format.fork,
            attested: self.attested_header.into_header(format)?,
            finality: finality(format, self.finalized_header, self.finality_branch)?,
            aggregate: self.sync_aggregate.into_aggregate(format)?,
            signature_slot: self.signature_slot.0,
        })
    }
}

impl Shape for JsonOptimisticUpdate {
    type Object = OptimisticUpdate;

    fn slot(&self) -> u64 {
        self.attested_header.beacon.slot.0
    }

    fn into_object(self, format: Format) -> Result<OptimisticUpdate, JsonError> {
        Ok(OptimisticUpdate {
            fork: format.fork,
            attested: self.attested_header.into_header(format)?,
            aggregate: self.sync_aggregate.into_aggregate(format)?,
            signature_slot: self.signature_slot.0,
        })
    }
}

impl JsonHeader {
    fn into_header(self, format: Format) -> Result<Header, JsonError> {
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
    fn new(fork: Fork, header: &Header) -> Self {
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

impl JsonCommittee {
    fn into_committee(self, format: Format) -> Result<SyncCommittee, JsonError> {
        sized(format, "pubkeys", self.pubkeys.len(), format.members)?;
        Ok(SyncCommittee { pubkeys: self.pubkeys, aggregate_pubkey: self.aggregate_pubkey })
    }

    fn zero(members: usize) -> Self {
        Self { pubkeys: vec![PublicKey::ZERO; members], aggregate_pubkey: PublicKey::ZERO }
    }
}

impl JsonAggregate {
    fn into_aggregate(self, format: Format) -> Result<SyncAggregate, JsonError> {
        sized(format, "sync_committee_bits", self.sync_committee_bits.len() * 8, format.members)?;
        Ok(SyncAggregate {
            bits: self.sync_committee_bits.to_vec(),
            signature: self.sync_committee_signature,
        })
    }
}

fn finality(format: Format, header: JsonHeader, nodes: Vec<B256>) -> Result<Option<Finality>, JsonError> {
    let nodes = branch(format, "finality_branch", nodes, format.finality_nodes())?;
    Ok(wire::finality(header.into_header(format)?, nodes))
}

fn finality_parts(fork: Fork, finality: Option<&Finality>) -> (JsonHeader, Vec<B256>) {
    let zeros = || vec![B256::ZERO; Format { fork, members: 0 }.finality_nodes()];
    let none = Header::default();
    let header = finality.map_or(&none, |finality| &finality.header);
    (JsonHeader::new(fork, header), finality.map_or_else(zeros, |finality| finality.branch.clone()))
}

impl From<&Bootstrap> for JsonBootstrap {
    fn from(object: &Bootstrap) -> Self {
        Self {
            header: JsonHeader::new(object.fork, &object.header),
            current_sync_committee: (&object.committee).into(),
            current_sync_committee_branch: object.branch.clone(),
        }
    }
}

impl From<&Update> for JsonUpdate {
    fn from(object: &Update) -> Self {
        let format = Format { fork: object.fork, members: object.aggregate.size() };
        let (finalized_header, finality_branch) = finality_parts(object.fork, object.finality.as_ref());
        let (committee, nodes) = match &object.next_committee {
            Some(NextCommittee { committee, branch }) => (committee.into(), branch.clone()),
            None => (JsonCommittee::zero(format.members), vec![B256::ZERO; format.next_nodes()]),
        };
        Self {
            attested_header: JsonHeader::new(object.fork, &object.attested),
            next_sync_committee: committee,
            next_sync_committee_branch: nodes,
            finalized_header,
            finality_branch,
            sync_aggregate: (&object.aggregate).into(),
            signature_slot: Decimal(object.signature_slot),
        }
    }
}

impl From<&FinalityUpdate> for JsonFinalityUpdate {
    fn from(object: &FinalityUpdate) -> Self {
        let (finalized_header, finality_branch) = finality_parts(object.fork, object.finality.as_ref());
        Self {
            attested_header: JsonHeader::new(object.fork, &object.attested),
            finalized_header,
            finality_branch,
            sync_aggregate: (&object.aggregate).into(),
            signature_slot: Decimal(object.signature_slot),
        }
    }
}

impl From<&OptimisticUpdate> for JsonOptimisticUpdate {
    fn from(object: &OptimisticUpdate) -> Self {
        Self {
            attested_header: JsonHeader::new(object.fork, &object.attested),
            sync_aggregate: (&object.aggregate).into(),
            signature_slot: Decimal(object.signature_slot),
        }
    }
}

impl From<&SyncCommittee> for JsonCommittee {
    fn from(committee: &SyncCommittee) -> Self {
        Self { pubkeys: committee.pubkeys.clone(), aggregate_pubkey: committee.aggregate_pubkey }
    }
}

impl From<&SyncAggregate> for JsonAggregate {
    fn from(aggregate: &SyncAggregate) -> Self {
        Self {
            sync_committee_bits: aggregate.bits.clone().into(),
            sync_committee_signature: aggregate.signature,
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

/// Text or number, as JSON has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Number(u64),
    Text(String),
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match TextOrNumber::deserialize(deserializer)? {
            TextOrNumber::Number(number) => Ok(Self(number)),
            TextOrNumber::Text(text) => {
                decimal(&text, u64::from_str_radix).map(Self).map_err(D::Error::custom)
            }
        }
    }
}

impl Serialize for Decimal256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match TextOrNumber::deserialize(deserializer)? {
            TextOrNumber::Number(number) => Ok(Self(U256::from(number))),
            TextOrNumber::Text(text) => {
                let parse = |text: &str, radix| U256::from_str_radix(text, u64::from(radix));
                decimal(&text, parse).map(Self).map_err(D::Error::custom)
            }
        }
    }
}

/// Digits only: no sign, no separators, at most 78 of them (2^256).
fn decimal<T, E: fmt::Display>(text: &str, parse: impl Fn(&str, u32) -> Result<T, E>) -> Result<T, String> {
    let digits = !text.is_empty() && text.len() <= 78 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err("not a decimal number".to_owned());
    }
    parse(text, 10).map_err(|error| error.to_string())
}
