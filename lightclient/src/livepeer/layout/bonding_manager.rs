//! Slots of `BondingManager`: stake, orchestrators ("transcoders" in the contract), what they earned in each round, and the
//! list that is their pool. An address or a round in, a storage key out.

use alloy_primitives::{Address, B256, U256};

use super::{at, field, mapping, number};

/// Rounds between unbonding and withdrawal, low 8 bytes.
pub const UNBONDING_PERIOD: B256 = at(2);
/// Stake of the active set of the current round, LPT base units.
pub const CURRENT_ROUND_ACTIVE_STAKE: B256 = at(5);
/// Stake of the pool, that is of the next round.
pub const NEXT_ROUND_ACTIVE_STAKE: B256 = at(6);
/// First of the pool: most stake.
pub const POOL_HEAD: B256 = at(7);
/// Last of the pool: least stake.
pub const POOL_TAIL: B256 = at(8);
/// Most members that the pool may have.
pub const POOL_MAX_SIZE: B256 = at(9);
/// Members of the pool.
pub const POOL_SIZE: B256 = at(10);
/// Treasury's part of rewards in this round, 10^27 points.
pub const TREASURY_CUT: B256 = at(12);
/// Treasury's part from the next round on.
pub const NEXT_TREASURY_CUT: B256 = at(13);
/// Treasury balance above which it gets nothing, LPT base units.
pub const TREASURY_CEILING: B256 = at(14);

/// Slots of one delegator; an orchestrator is a delegator to itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delegator(B256);

/// Slots of one orchestrator ("transcoder" in the contract).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transcoder(B256);

/// Slots of an orchestrator's record of one round.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EarningsPool(B256);

/// Slots of one member of the pool's list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Node(B256);

/// Slots of a delegator.
#[must_use]
pub fn delegator(who: Address) -> Delegator {
    Delegator(mapping(who.into_word(), at(3)))
}

/// Slots of an orchestrator.
#[must_use]
pub fn transcoder(who: Address) -> Transcoder {
    Transcoder(mapping(who.into_word(), at(4)))
}

/// Slots of a member of the pool.
#[must_use]
pub fn node(who: Address) -> Node {
    Node(mapping(who.into_word(), at(11)))
}

/// Address that may call `reward()` for an orchestrator (LIP-118, since target 14).
#[must_use]
pub fn reward_caller(who: Address) -> B256 {
    mapping(who.into_word(), at(15))
}

impl Delegator {
    /// Own stake, LPT base units.
    #[must_use]
    pub fn bonded(self) -> B256 {
        self.0
    }
    /// Fees at the last claim, wei.
    #[must_use]
    pub fn fees(self) -> B256 {
        field(self.0, 1)
    }
    /// Whom it delegates to.
    #[must_use]
    pub fn delegate(self) -> B256 {
        field(self.0, 2)
    }
    /// Stake that others and it itself delegate to it.
    #[must_use]
    pub fn delegated(self) -> B256 {
        field(self.0, 3)
    }
    /// First round in which its stake counts.
    #[must_use]
    pub fn start_round(self) -> B256 {
        field(self.0, 4)
    }
    /// Round of its last claim.
    #[must_use]
    pub fn last_claim_round(self) -> B256 {
        field(self.0, 5)
    }
    /// Number of locks that it ever had.
    #[must_use]
    pub fn next_lock_id(self) -> B256 {
        field(self.0, 6)
    }
    /// Amount of an unbonding lock; the word after it is the round from which it may be withdrawn.
    #[must_use]
    pub fn lock(self, id: u64) -> B256 {
        mapping(number(U256::from(id)), field(self.0, 7))
    }
}

impl Transcoder {
    /// Round of the last `reward()`.
    #[must_use]
    pub fn last_reward_round(self) -> B256 {
        self.0
    }
    /// Part of rewards that it keeps, parts per million.
    #[must_use]
    pub fn reward_cut(self) -> B256 {
        field(self.0, 1)
    }
    /// Part of fees that it gives to delegators, parts per million.
    #[must_use]
    pub fn fee_share(self) -> B256 {
        field(self.0, 2)
    }
    /// Its record of a round.
    #[must_use]
    pub fn earnings(self, round: u64) -> EarningsPool {
        EarningsPool(mapping(number(U256::from(round)), field(self.0, 3)))
    }
    /// Round whose stake was last written.
    #[must_use]
    pub fn last_stake_update_round(self) -> B256 {
        field(self.0, 4)
    }
    /// First round of its present time in the active set.
    #[must_use]
    pub fn activation_round(self) -> B256 {
        field(self.0, 5)
    }
    /// First round after it; 2^256 - 1 while it is in the pool.
    #[must_use]
    pub fn deactivation_round(self) -> B256 {
        field(self.0, 6)
    }
    /// Commission in rewards that earns with the stake in this round.
    #[must_use]
    pub fn active_cumulative_rewards(self) -> B256 {
        field(self.0, 7)
    }
    /// Commission in rewards, unclaimed, LPT base units.
    #[must_use]
    pub fn cumulative_rewards(self) -> B256 {
        field(self.0, 8)
    }
    /// Commission in fees, unclaimed, wei.
    #[must_use]
    pub fn cumulative_fees(self) -> B256 {
        field(self.0, 9)
    }
    /// Round of the last fees.
    #[must_use]
    pub fn last_fee_round(self) -> B256 {
        field(self.0, 10)
    }
}

impl EarningsPool {
    /// Stake that earns in the round.
    #[must_use]
    pub fn total_stake(self) -> B256 {
        self.0
    }
    /// Reward cut of the round, parts per million.
    #[must_use]
    pub fn reward_cut(self) -> B256 {
        field(self.0, 1)
    }
    /// Fee share of the round, parts per million.
    #[must_use]
    pub fn fee_share(self) -> B256 {
        field(self.0, 2)
    }
    /// Cumulative reward factor, 10^27 points (LIP-36).
    #[must_use]
    pub fn reward_factor(self) -> B256 {
        field(self.0, 3)
    }
    /// Cumulative fee factor, 10^27 points (LIP-36).
    #[must_use]
    pub fn fee_factor(self) -> B256 {
        field(self.0, 4)
    }
}

impl Node {
    /// Stake that it is sorted by.
    #[must_use]
    pub fn key(self) -> B256 {
        self.0
    }
    /// Next member, with less or the same stake.
    #[must_use]
    pub fn next(self) -> B256 {
        field(self.0, 1)
    }
    /// Member before it.
    #[must_use]
    pub fn prev(self) -> B256 {
        field(self.0, 2)
    }
}
