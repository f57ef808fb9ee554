//! The public networks, compiled in. Source: each network's own `config.yaml` (github.com/eth-clients).

use alloy_primitives::{B256, b256};

use super::{BlobLimit, ChainSpec, Fork, ForkPoint, ForkVersion, Preset};

/// Blobs in a block from Electra on, before any schedule (EIP-7691).
const ELECTRA_BLOBS: u64 = 9;

/// Blobs in a block after the two scheduled rises that followed Fulu (EIP-7892), on every public network.
const BPO_BLOBS: [u64; 2] = [15, 21];

impl ChainSpec {
    /// Ethereum.
    #[must_use]
    pub fn mainnet() -> Self {
        public(
            "mainnet",
            1_606_824_023,
            b256!("4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"),
            |fork| [fork, 0, 0, 0],
            &[0, 74_240, 144_896, 194_048, 269_568, 364_032, 411_392],
            [412_672, 419_072],
        )
    }

    /// Sepolia, the test network for contracts.
    #[must_use]
    pub fn sepolia() -> Self {
        public(
            "sepolia",
            1_655_733_600,
            b256!("d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078"),
            |fork| [0x90, 0, 0, if fork == 0 { 0x69 } else { 0x6f + fork }],
            &[0, 50, 100, 56_832, 132_608, 222_464, 272_640, 353_024],
            [274_176, 275_712],
        )
    }

    /// Holesky, a test network for staking.
    #[must_use]
    pub fn holesky() -> Self {
        public(
            "holesky",
            1_695_902_400,
            b256!("9143aa7c615a7f7115e2b6aac319c03529df8242ae705fba9df39b79c59fa8b1"),
            |fork| [fork + 1, 1, 0x70, 0],
            &[0, 0, 0, 256, 29_696, 115_968, 165_120],
            [166_400, 167_936],
        )
    }

    /// Hoodi, its successor.
    #[must_use]
    pub fn hoodi() -> Self {
        public(
            "hoodi",
            1_742_213_400,
            b256!("212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f"),
            |fork| [(fork + 1) << 4, 0, 0x09, 0x10],
            &[0, 0, 0, 0, 0, 2_048, 50_688],
            [52_480, 54_016],
        )
    }

    /// A public network by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "mainnet" => Some(Self::mainnet()),
            "sepolia" => Some(Self::sepolia()),
            "holesky" => Some(Self::holesky()),
            "hoodi" => Some(Self::hoodi()),
            _ => None,
        }
    }
}

fn public(
    name: &str,
    genesis_time: u64,
    genesis_validators_root: B256,
    version: fn(u8) -> [u8; 4],
    epochs: &[u64],
    bpo_epochs: [u64; 2],
) -> ChainSpec {
    let numbered = (0u8..).zip(Fork::ALL).zip(epochs);
    let schedule: Vec<ForkPoint> = numbered
        .map(|((number, fork), &epoch)| ForkPoint { epoch, fork, version: ForkVersion::new(version(number)) })
        .collect();
    let electra = schedule.iter().filter(|point| point.fork == Fork::Electra).map(|point| point.epoch);
    let limits = electra.map(|epoch| BlobLimit { epoch, max_blobs: ELECTRA_BLOBS });
    let raised = bpo_epochs.into_iter().zip(BPO_BLOBS);
    let blobs = limits.chain(raised.map(|(epoch, max_blobs)| BlobLimit { epoch, max_blobs })).collect();
    ChainSpec {
        name: name.to_owned(),
        preset: Preset::MAINNET,
        genesis_time,
        genesis_validators_root,
        slot_ms: 12_000,
        schedule,
        blobs,
    }
}
