//! The fields of each object as the Beacon API names them.

use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use super::super::ssz::{self as wire, Format};
use super::super::types::{
    Bootstrap, Finality, FinalityUpdate, Header, NextCommittee, OptimisticUpdate, PublicKey, SignatureBytes,
    SyncAggregate, SyncCommittee, Update,
};
use super::header::JsonHeader;
use super::number::Decimal;
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
struct JsonCommittee {
    pubkeys: Vec<PublicKey>,
    aggregate_pubkey: PublicKey,
}

#[derive(Deserialize, Serialize)]
struct JsonAggregate {
    sync_committee_bits: Bytes,
    sync_committee_signature: SignatureBytes,
}

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
