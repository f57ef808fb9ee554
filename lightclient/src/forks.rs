//! Forks: which version signs at an epoch, and which digest names the wire format.
//!
//! In: a network's constants, compiled in or read from a beacon node's own answer. Out: for every slot its fork, its epoch, its
//! sync-committee period. Version and digest are two functions: blob-parameter forks change what names the wire format and
//! leave what is signed as it is. Knows no clock: the time is an argument.

mod config;
mod networks;

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{B256, FixedBytes};
use thiserror::Error;

pub use self::config::ConfigError;
use crate::merkle;

/// The epoch that stands for "never" in configurations (consensus-specs `FAR_FUTURE_EPOCH`).
pub const FAR_FUTURE_EPOCH: u64 = u64::MAX;

/// Four bytes that a signature's domain is made from (consensus-specs `Version`).
pub type ForkVersion = FixedBytes<4>;

/// Four bytes that name a wire format and its blob limits (consensus-specs `ForkDigest`).
pub type ForkDigest = FixedBytes<4>;

/// A beacon chain upgrade, oldest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Fork {
    /// Genesis; has no sync committee.
    Phase0,
    /// The first one that light clients can follow.
    Altair,
    /// The merge.
    Bellatrix,
    /// Light-client headers carry an execution header.
    Capella,
    /// The execution header counts blob gas.
    Deneb,
    /// The state has outgrown 32 fields: branches are one longer.
    Electra,
    /// Light-client data as in Electra.
    Fulu,
    /// Light-client headers carry an execution block hash only.
    Gloas,
}

impl Fork {
    /// All forks, oldest first.
    pub const ALL: [Self; 8] = [
        Self::Phase0,
        Self::Altair,
        Self::Bellatrix,
        Self::Capella,
        Self::Deneb,
        Self::Electra,
        Self::Fulu,
        Self::Gloas,
    ];

    /// The name that the Beacon API gives it (`electra`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Phase0 => "phase0",
            Self::Altair => "altair",
            Self::Bellatrix => "bellatrix",
            Self::Capella => "capella",
            Self::Deneb => "deneb",
            Self::Electra => "electra",
            Self::Fulu => "fulu",
            Self::Gloas => "gloas",
        }
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no fork known here.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("fork {0:?} is unknown to this version: update this program")]
pub struct UnknownFork(pub String);

impl FromStr for Fork {
    type Err = UnknownFork;

    fn from_str(name: &str) -> Result<Self, UnknownFork> {
        let known = Self::ALL.into_iter().find(|fork| fork.name().eq_ignore_ascii_case(name));
        known.ok_or_else(|| UnknownFork(name.chars().take(32).collect()))
    }
}

/// Sizes that differ between the main and the minimal preset (consensus-specs `presets/`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preset {
    /// Slots in an epoch.
    pub slots_per_epoch: u64,
    /// Members of a sync committee.
    pub sync_committee_size: usize,
    /// Epochs for which a sync committee signs.
    pub epochs_per_sync_committee_period: u64,
}

impl Preset {
    /// What public networks use.
    pub const MAINNET: Self =
        Self { slots_per_epoch: 32, sync_committee_size: 512, epochs_per_sync_committee_period: 256 };

    /// What small test chains use.
    pub const MINIMAL: Self =
        Self { slots_per_epoch: 8, sync_committee_size: 32, epochs_per_sync_committee_period: 8 };
}

/// One line of a network's schedule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ForkPoint {
    /// First epoch of the fork.
    pub epoch: u64,
    /// The fork.
    pub fork: Fork,
    /// What signatures in it are bound to.
    pub version: ForkVersion,
}

/// From an epoch on, how many blobs a block may have (EIP-7892).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlobLimit {
    /// First epoch of the limit.
    pub epoch: u64,
    /// Blobs in a block.
    pub max_blobs: u64,
}

/// A network, as far as a light client must know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChainSpec {
    /// What people call it.
    pub name: String,
    /// Its sizes.
    pub preset: Preset,
    /// Seconds since 1970 at slot 0.
    pub genesis_time: u64,
    /// Root of the first validators; every signature is bound to it.
    pub genesis_validators_root: B256,
    /// Length of a slot, milliseconds.
    pub slot_ms: u64,
    /// Forks by epoch, oldest first; the first one starts at epoch 0.
    pub schedule: Vec<ForkPoint>,
    /// Blob limits by epoch, oldest first; the first one is Electra's.
    pub blobs: Vec<BlobLimit>,
}

impl ChainSpec {
    /// The epoch of a slot.
    #[must_use]
    pub fn epoch_at(&self, slot: u64) -> u64 {
        slot / self.preset.slots_per_epoch.max(1)
    }

    /// The sync-committee period of a slot.
    #[must_use]
    pub fn period_at(&self, slot: u64) -> u64 {
        self.epoch_at(slot) / self.preset.epochs_per_sync_committee_period.max(1)
    }

    /// Slots in a sync-committee period.
    #[must_use]
    pub const fn slots_per_period(&self) -> u64 {
        self.preset.slots_per_epoch.saturating_mul(self.preset.epochs_per_sync_committee_period)
    }

    /// First slot of a sync-committee period.
    #[must_use]
    pub const fn period_start(&self, period: u64) -> u64 {
        period.saturating_mul(self.slots_per_period())
    }

    /// The slot that runs at a time (seconds since 1970); slot 0 before genesis.
    #[must_use]
    pub fn slot_at(&self, unix_seconds: u64) -> u64 {
        let elapsed = u128::from(unix_seconds.saturating_sub(self.genesis_time)) * 1000;
        u64::try_from(elapsed / u128::from(self.slot_ms.max(1))).unwrap_or(u64::MAX)
    }

    /// When a slot starts, seconds since 1970 rounded down.
    #[must_use]
    pub fn time_at(&self, slot: u64) -> u64 {
        let elapsed = u128::from(slot) * u128::from(self.slot_ms) / 1000;
        self.genesis_time.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// The fork of an epoch.
    #[must_use]
    pub fn fork_at(&self, epoch: u64) -> Fork {
        self.point_at(epoch).map_or(Fork::Phase0, |point| point.fork)
    }

    /// The fork of a slot.
    #[must_use]
    pub fn fork_at_slot(&self, slot: u64) -> Fork {
        self.fork_at(self.epoch_at(slot))
    }

    /// What signatures of an epoch are bound to (consensus-specs `compute_fork_version`).
    #[must_use]
    pub fn fork_version(&self, epoch: u64) -> ForkVersion {
        self.point_at(epoch).map_or(ForkVersion::ZERO, |point| point.version)
    }

    /// What names the wire format of an epoch: gossip topics and context bytes (consensus-specs Fulu `compute_fork_digest`).
    #[must_use]
    pub fn fork_digest(&self, epoch: u64) -> ForkDigest {
        let mut root = self.fork_data_root(self.fork_version(epoch));
        if self.fork_at(epoch) >= Fork::Fulu {
            root ^= self.blob_limit_at(epoch).digest();
        }
        ForkDigest::from_slice(&root[..4])
    }

    /// The fork whose wire format a digest names, of those scheduled.
    #[must_use]
    pub fn fork_of_digest(&self, digest: ForkDigest) -> Option<Fork> {
        let forks = self.schedule.iter().map(|point| point.epoch);
        let limits = self.blobs.iter().map(|limit| limit.epoch);
        let epoch = forks.chain(limits).find(|epoch| self.fork_digest(*epoch) == digest)?;
        Some(self.fork_at(epoch))
    }

    /// What a sync committee's signature at `epoch` is bound to (consensus-specs `compute_domain`).
    #[must_use]
    pub fn sync_committee_domain(&self, epoch: u64) -> B256 {
        let root = self.fork_data_root(self.fork_version(epoch));
        let mut domain = B256::ZERO;
        domain[..4].copy_from_slice(&DOMAIN_SYNC_COMMITTEE);
        domain[4..].copy_from_slice(&root[..28]);
        domain
    }

    fn point_at(&self, epoch: u64) -> Option<&ForkPoint> {
        self.schedule.iter().rev().find(|point| point.epoch <= epoch)
    }

    fn blob_limit_at(&self, epoch: u64) -> BlobLimit {
        let limit = self.blobs.iter().rev().find(|limit| limit.epoch <= epoch);
        limit.or_else(|| self.blobs.first()).copied().unwrap_or(BlobLimit { epoch: 0, max_blobs: 0 })
    }

    /// `hash_tree_root(ForkData)`.
    fn fork_data_root(&self, version: ForkVersion) -> B256 {
        let mut padded = B256::ZERO;
        padded[..4].copy_from_slice(version.as_slice());
        merkle::hash_pair(&padded, &self.genesis_validators_root)
    }
}

impl BlobLimit {
    /// What a digest is masked with from Fulu on.
    fn digest(self) -> B256 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[8..].copy_from_slice(&self.max_blobs.to_le_bytes());
        merkle::hash(&bytes)
    }
}

/// consensus-specs Altair `DOMAIN_SYNC_COMMITTEE`.
const DOMAIN_SYNC_COMMITTEE: [u8; 4] = [7, 0, 0, 0];

#[cfg(test)]
mod tests;
