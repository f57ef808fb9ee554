//! The views of the Controller's switch, `RoundsManager` and `Minter`.

use super::{Table, one};

pub(super) const CONTROLLER: Table =
    &[("owner()", |c, _| one(c.addresses.owner)), ("paused()", |c, _| one(*c.paused))];

pub(super) const ROUNDS_MANAGER: Table = &[
    ("currentRound()", |c, _| one(c.current_round()?)),
    ("currentRoundInitialized()", |c, _| one(*c.rounds.last_initialized_round == c.current_round()?)),
    ("currentRoundStartBlock()", |c, _| one(c.rounds.clock().start_at(c.head().number)?)),
    ("currentRoundLocked()", |c, _| one(c.round_is_locked()?)),
    ("lastInitializedRound()", |c, _| one(*c.rounds.last_initialized_round)),
    ("blockHashForRound(uint256)", |c, a| one(c.rounds.block_hash_for_round.at(&a.round()?))),
    ("blockNum()", |c, _| one(c.head().number)),
    ("roundLength()", |c, _| one(*c.rounds.round_length)),
    ("roundLockAmount()", |c, _| one(*c.rounds.round_lock_amount)),
    ("lastRoundLengthUpdateRound()", |c, _| one(*c.rounds.last_round_length_update_round)),
    ("lastRoundLengthUpdateStartBlock()", |c, _| one(*c.rounds.last_round_length_update_start_block)),
    // No LIP begins in the middle: all are in force from the start.
    ("lipUpgradeRound(uint256)", |_, a| {
        a.uint()?;
        one(0u64)
    }),
];

pub(super) const MINTER: Table = &[
    ("inflation()", |c, _| one(*c.minter.inflation)),
    ("inflationChange()", |c, _| one(*c.minter.inflation_change)),
    ("targetBondingRate()", |c, _| one(*c.minter.target_bonding_rate)),
    ("currentMintableTokens()", |c, _| one(*c.minter.current_mintable_tokens)),
    ("currentMintedTokens()", |c, _| one(*c.minter.current_minted_tokens)),
    ("getGlobalTotalSupply()", |c, _| one(c.global_total_supply()?.0)),
];
