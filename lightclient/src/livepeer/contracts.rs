//! Which contracts are read: their addresses, and the targets behind their proxies whose storage layout is known. Arbitrum
//! One is compiled in; a devnet brings its own as a value.

use std::fmt;

use alloy_primitives::{Address, B256, address};
use serde::{Deserialize, Serialize};

/// The contracts of one deployment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Contracts {
    /// EIP-155 identifier of the chain that they live on.
    pub chain_id: u64,
    /// Registry of all others.
    pub controller: Address,
    /// Stake and pool.
    pub bonding_manager: Address,
    /// Clock.
    pub rounds_manager: Address,
    /// Inflation.
    pub minter: Address,
    /// Deposits and reserves.
    pub ticket_broker: Address,
    /// Service URIs.
    pub service_registry: Address,
    /// Stake at past rounds.
    pub bonding_votes: Address,
    /// Votes over the treasury; zero where a deployment has none.
    #[serde(default)]
    pub governor: Address,
    /// Targets whose layout is the one of [`super::layout`].
    pub targets: Vec<Target>,
}

/// One contract of a deployment.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Part {
    /// Stake and pool.
    BondingManager,
    /// Clock.
    RoundsManager,
    /// Inflation.
    Minter,
    /// Deposits and reserves.
    TicketBroker,
    /// Service URIs.
    ServiceRegistry,
    /// Stake at past rounds.
    BondingVotes,
    /// Votes over the treasury.
    LivepeerGovernor,
}

/// Code that a proxy may run, known by its address, by its hash, or by both. Code at an address cannot change, so either
/// suffices.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Whose code it is.
    pub part: Part,
    /// Where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// keccak-256 of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_hash: Option<B256>,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BondingManager,
        Self::RoundsManager,
        Self::Minter,
        Self::TicketBroker,
        Self::ServiceRegistry,
        Self::BondingVotes,
        Self::LivepeerGovernor,
    ];

    /// Name in the Controller's registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BondingManager => "BondingManager",
            Self::RoundsManager => "RoundsManager",
            Self::Minter => "Minter",
            Self::TicketBroker => "TicketBroker",
            Self::ServiceRegistry => "ServiceRegistry",
            Self::BondingVotes => "BondingVotes",
            Self::LivepeerGovernor => "LivepeerGovernor",
        }
    }

    /// Name of its target in the registry, where it is a proxy.
    #[must_use]
    pub const fn target(self) -> Option<&'static str> {
        match self {
            Self::BondingManager => Some("BondingManagerTarget"),
            Self::RoundsManager => Some("RoundsManagerTarget"),
            Self::Minter => None,
            Self::TicketBroker => Some("TicketBrokerTarget"),
            Self::ServiceRegistry => Some("ServiceRegistryTarget"),
            Self::BondingVotes => Some("BondingVotesTarget"),
            Self::LivepeerGovernor => Some("LivepeerGovernorTarget"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Contracts {
    /// Livepeer on Arbitrum One, with the targets of August 2026 and the ones before them that keep the same slots.
    #[must_use]
    pub fn arbitrum_one() -> Self {
        Self {
            chain_id: 42161,
            controller: address!("0xD8E8328501E9645d16Cf49539efC04f734606ee4"),
            bonding_manager: address!("0x35Bcf3c30594191d53231E4FF333E8A770453e40"),
            rounds_manager: address!("0xdd6f56DcC28D3F5f27084381fE8Df634985cc39f"),
            minter: address!("0xc20DE37170B45774e6CD3d2304017fc962f27252"),
            ticket_broker: address!("0xa8bB618B1520E284046F3dFc448851A1Ff26e41B"),
            service_registry: address!("0xC92d3A360b8f9e083bA64DE15d95Cf8180897431"),
            bonding_votes: address!("0x0B9C254837E72Ebe9Fe04960C43B69782E68169A"),
            governor: address!("0xcFE4E2879B786C3aa075813F0E364bb5acCb6aa0"),
            targets: vec![
                Target::at(Part::BondingManager, address!("0xbe197fcBfe74DE8F10460EA61644B006cC0f0Bd2")),
                Target::at(Part::RoundsManager, address!("0x92d804Ed49D92438aEA6fe552BD9163aacb7E841")),
                Target::at(Part::TicketBroker, address!("0x3B68fbF89D121278b216A55a4252cAc820D552B7")),
                Target::at(Part::TicketBroker, address!("0xea1b0F6c8D158328a6e3D3F924B86A759F41465c")),
                Target::at(Part::ServiceRegistry, address!("0x38093CDca43aeCd7bb474983519A246e93A3b0a7")),
                Target::at(Part::BondingVotes, address!("0x68AF80376Bc1CA0C25a83b28e5570E8c7bdD3119")),
                Target::at(Part::LivepeerGovernor, address!("0xd2Ce37BCB287CaDc40647f567C2D3C4220901634")),
            ],
        }
    }

    /// Where a contract lives.
    #[must_use]
    pub const fn address(&self, part: Part) -> Address {
        match part {
            Part::BondingManager => self.bonding_manager,
            Part::RoundsManager => self.rounds_manager,
            Part::Minter => self.minter,
            Part::TicketBroker => self.ticket_broker,
            Part::ServiceRegistry => self.service_registry,
            Part::BondingVotes => self.bonding_votes,
            Part::LivepeerGovernor => self.governor,
        }
    }

    /// The known targets of a contract.
    pub fn targets_of(&self, part: Part) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(move |target| target.part == part)
    }
}

impl Target {
    /// A target known by its address.
    #[must_use]
    pub const fn at(part: Part, address: Address) -> Self {
        Self { part, address: Some(address), code_hash: None }
    }

    /// A target known by its code, wherever it lies.
    #[must_use]
    pub const fn code(part: Part, hash: B256) -> Self {
        Self { part, address: None, code_hash: Some(hash) }
    }
}
