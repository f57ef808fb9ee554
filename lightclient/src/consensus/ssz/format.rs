//! How long each part of an object is in a fork's format.

use super::SszError;
use crate::forks::{Fork, Preset};
use crate::merkle;

/// The lengths of a format.
#[derive(Clone, Copy)]
pub(in crate::consensus) struct Format {
    /// The fork that it is of.
    pub(in crate::consensus) fork: Fork,
    /// Members of a sync committee.
    pub(in crate::consensus) members: usize,
}

impl Format {
    pub(in crate::consensus) const fn new(fork: Fork, preset: &Preset) -> Result<Self, SszError> {
        match fork {
            Fork::Phase0 => Err(SszError::NoLightClient(fork)),
            _ => Ok(Self { fork, members: preset.sync_committee_size }),
        }
    }

    /// Nodes of the branch in a header.
    pub(in crate::consensus) const fn exec_nodes(self) -> usize {
        match self.fork {
            Fork::Phase0 | Fork::Altair | Fork::Bellatrix => 0,
            Fork::Capella | Fork::Deneb | Fork::Electra | Fork::Fulu => 4,
            Fork::Gloas => 11,
        }
    }

    pub(in crate::consensus) const fn finality_nodes(self) -> usize {
        merkle::depth(merkle::finalized_root_gindex(self.fork))
    }

    pub(in crate::consensus) const fn current_nodes(self) -> usize {
        merkle::depth(merkle::current_committee_gindex(self.fork))
    }

    pub(in crate::consensus) const fn next_nodes(self) -> usize {
        merkle::depth(merkle::next_committee_gindex(self.fork))
    }

    /// Whether headers carry an execution header, whose length varies.
    pub(in crate::consensus) const fn has_payload(self) -> bool {
        matches!(self.fork, Fork::Capella | Fork::Deneb | Fork::Electra | Fork::Fulu)
    }

    /// Whether the execution header counts blobs.
    pub(in crate::consensus) fn counts_blobs(self) -> bool {
        self.fork >= Fork::Deneb
    }

    pub(super) const fn bits(self) -> usize {
        self.members / 8
    }

    pub(super) const fn committee(self) -> usize {
        48 * (self.members + 1)
    }

    pub(super) const fn aggregate(self) -> usize {
        self.bits() + 96
    }

    /// What a header takes in the fixed part of the object that holds it.
    pub(super) const fn header_slot(self) -> usize {
        if self.has_payload() { 4 } else { 112 + self.hash_and_branch() }
    }

    const fn hash_and_branch(self) -> usize {
        if matches!(self.fork, Fork::Gloas) { 32 + 32 * self.exec_nodes() } else { 0 }
    }

    /// The most that a header takes beside its slot.
    pub(super) const fn header_rest(self) -> usize {
        if self.has_payload() { 112 + 4 + 32 * self.exec_nodes() + 584 + 32 } else { 0 }
    }

    pub(super) const fn bootstrap(self) -> usize {
        self.header_slot() + self.committee() + 32 * self.current_nodes()
    }

    pub(super) const fn update(self) -> usize {
        self.finality_update() + self.committee() + 32 * self.next_nodes()
    }

    pub(super) const fn finality_update(self) -> usize {
        self.optimistic_update() + self.header_slot() + 32 * self.finality_nodes()
    }

    pub(super) const fn optimistic_update(self) -> usize {
        self.header_slot() + self.aggregate() + 8
    }
}
