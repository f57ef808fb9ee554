//! From L1 state to an L2 header. In: proven words of the rollup contract, preimages of assertions and L2 headers of anybody.
//! Out: the L2 header that an assertion commits to, with the tier that it deserves. Knows no source: what is missing is named,
//! and hints from logs decide only what is asked for, never what is believed.

use alloy_primitives::{Address, B256, U256, address, keccak256};
use serde::{Deserialize, Serialize};

use crate::guard::{self, Guard, Place};
use crate::state::Keys;

pub mod assertion;
pub mod l2;
pub mod node;
pub mod path;
pub mod sequenced;

pub use assertion::Assertion;
pub use l2::L2Anchor;
pub use path::Path;

/// A BoLD rollup contract on L1 and how its storage is laid out. Real ones are below; a devnet brings its own.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rollup {
    /// Chain id of the L2.
    pub chain_id: u64,
    /// The rollup proxy.
    pub address: Address,
    /// The outbox, which keeps confirmed headers by send root; a one-slot way to a confirmed header.
    pub outbox: Option<Address>,
    /// L1 blocks (12 s) after which an unchallenged assertion may be confirmed.
    pub confirm_period_blocks: u64,
    /// Slots of what is read.
    pub layout: Layout,
    /// What must not change.
    pub guards: Vec<Guard>,
    /// What must not change either, from whatever is first proven there.
    pub pins: Vec<(Address, Place)>,
}

/// Storage slots of the rollup and its outbox (nitro-contracts `test/storage/RollupUserLogic`, `Outbox`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Layout {
    /// `bytes32 _latestConfirmed`.
    pub latest_confirmed: u64,
    /// `mapping(bytes32 => AssertionNode) _assertions`.
    pub assertions: u64,
    /// `mapping(bytes32 => bytes32) roots` of the outbox.
    pub outbox_roots: u64,
}

/// The layout since BoLD.
pub const BOLD: Layout = Layout { latest_confirmed: 116, assertions: 117, outbox_roots: 3 };

impl Rollup {
    /// A rollup of the BoLD layout with nothing guarded.
    #[must_use]
    pub const fn new(chain_id: u64, address: Address, confirm_period_blocks: u64) -> Self {
        Self {
            chain_id,
            address,
            outbox: None,
            confirm_period_blocks,
            layout: BOLD,
            guards: Vec::new(),
            pins: Vec::new(),
        }
    }

    /// Arbitrum One on Ethereum. Its logic contracts are pinned when first seen.
    #[must_use]
    pub fn arbitrum_one() -> Self {
        Self {
            outbox: Some(address!("0B9857ae2D4A3DBe74ffE1d7DF045bb7F96E4840")),
            ..Self::new(42161, address!("4DCeB440657f21083db8aDd07665f8ddBe1DCfc0"), 45_818).with_pins()
        }
    }

    /// Arbitrum Sepolia on Sepolia. Its logic contracts are pinned when first seen.
    #[must_use]
    pub fn arbitrum_sepolia() -> Self {
        Self {
            outbox: Some(address!("65f07C7D521164a4d5DaC6eB8Fac8DA067A3B78F")),
            ..Self::new(421_614, address!("042B2E6C5E99d4c521bd49beeD5E99651D9B0Cf4"), 20).with_pins()
        }
    }

    /// Pins both logic contracts of the proxy.
    #[must_use]
    pub fn with_pins(mut self) -> Self {
        let logic = [guard::IMPLEMENTATION, guard::SECONDARY];
        self.pins.extend(logic.map(|slot| (self.address, Place::Slot(slot))));
        self
    }

    /// Slot of `_latestConfirmed`.
    #[must_use]
    pub fn latest_confirmed_slot(&self) -> B256 {
        U256::from(self.layout.latest_confirmed).into()
    }

    /// First slot of an assertion's node.
    #[must_use]
    pub fn assertion_slot(&self, assertion: B256) -> B256 {
        mapping_slot(assertion, self.layout.assertions)
    }

    /// Slot of the outbox that holds the header hash confirmed with a send root.
    #[must_use]
    pub fn outbox_slot(&self, send_root: B256) -> B256 {
        mapping_slot(send_root, self.layout.outbox_roots)
    }

    /// What must be proven on L1 for a path over these assertions: the latest confirmed one, every node, every guard.
    #[must_use]
    pub fn keys(&self, assertions: &[B256]) -> Keys {
        let guarded = self.guards.iter().map(|guard| (guard.contract, guard.place));
        let places: Vec<_> = guarded.chain(self.pins.iter().copied()).collect();
        let mut keys = guard::keys(&places);
        let slots = keys.entry(self.address).or_default();
        slots.insert(self.latest_confirmed_slot());
        slots.extend(assertions.iter().map(|assertion| self.assertion_slot(*assertion)));
        keys
    }
}

/// Slot of a mapping's value under a 32-byte key (Solidity storage layout).
fn mapping_slot(key: B256, slot: u64) -> B256 {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(key.as_slice());
    bytes[56..].copy_from_slice(&slot.to_be_bytes());
    keccak256(bytes)
}
