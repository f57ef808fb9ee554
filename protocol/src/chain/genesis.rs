//! What the contracts start with: their addresses, their parameters, and who holds what.

use alloy_primitives::{Address, U256, keccak256};

use crate::inflation::Inflation;
use crate::math::PRECISE;
use crate::rounds::Round;

/// Where the contracts live, as far as their rules depend on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// Staking: whom delegators allow to move their LPT.
    pub bonding_manager: Address,
    /// Keeper of LPT and ether.
    pub minter: Address,
    /// Where the treasury's cut goes.
    pub treasury: Address,
    /// The token.
    pub token: Address,
    /// Deposits and reserves.
    pub ticket_broker: Address,
    /// The governor of the treasury.
    pub governor: Address,
    /// Where polls are made; their addresses follow from it.
    pub poll_creator: Address,
    /// Owner of the Controller: may change parameters and pause.
    pub owner: Address,
    /// May bond for others as their owner could; zero for nobody.
    pub l2_migrator: Address,
    /// May slash; zero, as it is today, for nobody.
    pub verifier: Address,
}

impl Default for Addresses {
    /// Addresses that follow from the contracts' names.
    fn default() -> Self {
        let at = |name: &str| Address::from_word(keccak256(name));
        Self {
            bonding_manager: at("BondingManager"),
            minter: at("Minter"),
            treasury: at("Treasury"),
            token: at("LivepeerToken"),
            ticket_broker: at("TicketBroker"),
            governor: at("LivepeerGovernor"),
            poll_creator: at("PollCreator"),
            owner: at("Governor"),
            l2_migrator: Address::ZERO,
            verifier: Address::ZERO,
        }
    }
}

/// What the contracts start with. Rates in the contracts' points.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Genesis {
    /// Where the contracts live.
    pub addresses: Addresses,
    /// The round that is counted from, and its first L1 block.
    pub first_round: (Round, u64),
    /// Length of a round, L1 blocks.
    pub round_length: u64,
    /// Length of its locked phase, parts per million.
    pub round_lock_amount: u64,
    /// Rounds from unbonding to withdrawal.
    pub unbonding_period: u64,
    /// Members of the pool.
    pub num_active_transcoders: U256,
    /// Inflation, its change and its target, parts per billion.
    pub inflation: Inflation,
    /// Cut of the treasury from the first round on, 10^27 points.
    pub treasury_reward_cut_rate: U256,
    /// LPT in the treasury at which the cut ends.
    pub treasury_balance_ceiling: U256,
    /// Rounds from unlocking a deposit to withdrawal.
    pub unlock_period: u64,
    /// Rounds in which a ticket may be redeemed.
    pub ticket_validity_period: u64,
    /// LPT by holder.
    pub lpt: Vec<(Address, U256)>,
    /// Ether by holder, wei.
    pub eth: Vec<(Address, U256)>,
    /// LPT that circulates on L1 and counts for inflation.
    pub l1_circulating_supply: U256,
}

impl Default for Genesis {
    /// The parameters of Arbitrum One in 2026, and nobody who holds anything.
    fn default() -> Self {
        Self {
            addresses: Addresses::default(),
            first_round: (Round(0), 0),
            round_length: 6_377,
            round_lock_amount: 100_000,
            unbonding_period: 7,
            num_active_transcoders: U256::from(100),
            inflation: Inflation {
                rate: U256::from(500_000),
                change: U256::from(500),
                target: U256::from(500_000_000),
            },
            treasury_reward_cut_rate: PRECISE.whole() / U256::from(10),
            treasury_balance_ceiling: U256::from(750_000) * U256::from(1_000_000_000_000_000_000_u64),
            unlock_period: 2,
            ticket_validity_period: 2,
            lpt: Vec::new(),
            eth: Vec::new(),
            l1_circulating_supply: U256::ZERO,
        }
    }
}
