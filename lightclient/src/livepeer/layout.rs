//! Where Livepeer's contracts keep what a node reads: every storage slot, derived by Solidity's layout rules. Names and
//! arguments in, storage keys out; knows no values. Layout of the deployments that are live since target 14 of
//! BondingManager (August 2026); slots 0 to 11 are older than that and unchanged.

use alloy_primitives::{Address, B256, U256, keccak256};

pub mod bonding_manager;

/// A value at a fixed slot.
#[must_use]
pub const fn at(slot: u64) -> B256 {
    B256::new(U256::from_limbs([slot, 0, 0, 0]).to_be_bytes())
}

/// The slot of a mapping's value: `keccak(key || slot)`.
#[must_use]
pub fn mapping(key: B256, slot: B256) -> B256 {
    let mut preimage = [0; 64];
    preimage[..32].copy_from_slice(key.as_slice());
    preimage[32..].copy_from_slice(slot.as_slice());
    keccak256(preimage)
}

/// The `index`th word after `base`: a struct's field, or a part of a long string.
#[must_use]
pub fn field(base: B256, index: u64) -> B256 {
    B256::from(U256::from_be_bytes(base.0).wrapping_add(U256::from(index)))
}

/// Where a dynamic array's elements, or a long string's bytes, begin: `keccak(slot)`.
#[must_use]
pub fn data(slot: B256) -> B256 {
    keccak256(slot)
}

/// A round, an identifier or any other number as a mapping's key.
#[must_use]
pub fn number(n: U256) -> B256 {
    B256::from(n)
}

/// Every proxied contract (`ManagerProxy`): slots 0 and 1 of its storage.
pub mod proxy {
    use super::{B256, at};

    /// The Controller's address.
    pub const CONTROLLER: B256 = at(0);
    /// Name of the target in the Controller's registry, hashed.
    pub const TARGET_CONTRACT_ID: B256 = at(1);
}

/// The registry of all contracts; not behind a proxy.
pub mod controller {
    use super::{B256, at, field, keccak256, mapping};

    /// Owner (low 20 bytes) and whether the system is paused (the byte above them).
    pub const OWNER_AND_PAUSED: B256 = at(0);

    /// The identifier of a contract: its hashed name.
    #[must_use]
    pub fn id(name: &str) -> B256 {
        keccak256(name)
    }

    /// Address registered under a name.
    #[must_use]
    pub fn registered(name: &str) -> B256 {
        mapping(id(name), at(1))
    }

    /// Git hash registered with it, in the high 20 bytes.
    #[must_use]
    pub fn git_hash(name: &str) -> B256 {
        field(registered(name), 1)
    }
}

/// The clock.
pub mod rounds_manager {
    use super::{B256, U256, at, mapping, number};

    /// Length of a round, L1 blocks.
    pub const ROUND_LENGTH: B256 = at(2);
    /// Length of the locked phase, parts per million of a round.
    pub const ROUND_LOCK_AMOUNT: B256 = at(3);
    /// Last round that somebody initialized.
    pub const LAST_INITIALIZED_ROUND: B256 = at(4);
    /// Round in which the length last changed.
    pub const LAST_LENGTH_UPDATE_ROUND: B256 = at(5);
    /// First L1 block of that round.
    pub const LAST_LENGTH_UPDATE_START_BLOCK: B256 = at(6);

    /// Block hash that tickets of a round must name.
    #[must_use]
    pub fn block_hash(round: u64) -> B256 {
        mapping(number(U256::from(round)), at(7))
    }

    /// Round in which a LIP took effect.
    #[must_use]
    pub fn lip_upgrade_round(lip: u64) -> B256 {
        mapping(number(U256::from(lip)), at(8))
    }
}

/// Inflation; not behind a proxy.
pub mod minter {
    use super::{B256, at};

    /// Inflation of this round, parts per billion of the supply.
    pub const INFLATION: B256 = at(1);
    /// Change of it per round, parts per billion.
    pub const INFLATION_CHANGE: B256 = at(2);
    /// Participation at which it stays as it is, parts per billion.
    pub const TARGET_BONDING_RATE: B256 = at(3);
    /// Tokens that this round may mint, LPT base units.
    pub const MINTABLE: B256 = at(4);
    /// Tokens that this round has minted.
    pub const MINTED: B256 = at(5);
}

/// Deposits, reserves and used tickets.
pub mod ticket_broker {
    use super::{Address, B256, U256, at, field, mapping, number};

    /// Rounds between unlocking and withdrawal.
    pub const UNLOCK_PERIOD: B256 = at(4);
    /// Rounds in which a ticket may be redeemed.
    pub const TICKET_VALIDITY_PERIOD: B256 = at(6);

    fn reserve(sender: Address) -> B256 {
        mapping(sender.into_word(), at(2))
    }

    /// What is left of a sender's reserve, wei.
    #[must_use]
    pub fn reserve_funds(sender: Address) -> B256 {
        reserve(sender)
    }

    /// What was claimed from it in a round, wei.
    #[must_use]
    pub fn claimed_for_round(sender: Address, round: u64) -> B256 {
        mapping(number(U256::from(round)), field(reserve(sender), 1))
    }

    /// What one orchestrator claimed from it in a round, wei.
    #[must_use]
    pub fn claimed_by(sender: Address, round: u64, claimant: Address) -> B256 {
        mapping(claimant.into_word(), mapping(number(U256::from(round)), field(reserve(sender), 2)))
    }

    /// A sender's deposit, wei.
    #[must_use]
    pub fn deposit(sender: Address) -> B256 {
        mapping(sender.into_word(), at(3))
    }

    /// Round from which it may be withdrawn; zero while it is locked.
    #[must_use]
    pub fn withdraw_round(sender: Address) -> B256 {
        field(deposit(sender), 1)
    }

    /// Whether a ticket was redeemed.
    #[must_use]
    pub fn used_ticket(hash: B256) -> B256 {
        mapping(hash, at(5))
    }
}

/// Addresses to strings.
pub mod service_registry {
    use super::{Address, B256, at, mapping};

    /// The string of an address.
    #[must_use]
    pub fn uri(who: Address) -> B256 {
        mapping(who.into_word(), at(2))
    }
}

/// Stake at past rounds, for votes.
pub mod bonding_votes {
    use super::{Address, B256, U256, at, data, field, mapping, number};

    /// Number of rounds with a total.
    pub const TOTAL_STAKE_ROUNDS: B256 = at(3);

    /// Number of checkpoints of an address; elements follow at [`start_round`].
    #[must_use]
    pub fn start_rounds(who: Address) -> B256 {
        mapping(who.into_word(), at(2))
    }

    /// First round of a checkpoint.
    #[must_use]
    pub fn start_round(who: Address, index: u64) -> B256 {
        field(data(start_rounds(who)), index)
    }

    /// The checkpoint of a start round: bonded, delegate, delegated, last claim round, last reward round, a word each.
    #[must_use]
    pub fn checkpoint(who: Address, start_round: u64) -> B256 {
        mapping(number(U256::from(start_round)), field(start_rounds(who), 1))
    }

    /// Total active stake of a round.
    #[must_use]
    pub fn total_stake(round: u64) -> B256 {
        mapping(number(U256::from(round)), at(4))
    }
}
