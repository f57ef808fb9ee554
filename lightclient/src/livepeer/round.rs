//! The round that a block lies in: number, phase, whether somebody began it, and the block hash that its tickets must name.
//! The L1 block number comes from the L2 header (its mixHash), never from a clock.

use alloy_primitives::B256;
use protocol::Round as Number;
use protocol::rounds::Clock;
use serde::Serialize;

use super::contracts::{Contracts, Part};
use super::guard;
use super::layout::rounds_manager as slots;
use super::words::{Words, require, want};
use super::{Hint, Unreadable};
use crate::state::{Keys, StateView};

/// A round as `RoundsManager` has it at one block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Round {
    /// Its number.
    pub number: Number,
    /// L1 block that the state belongs to.
    pub l1_block: u64,
    /// First L1 block of the round.
    pub start_block: u64,
    /// First L1 block of the next round.
    pub end_block: u64,
    /// First L1 block of its locked phase, in which no orchestrator may change its cuts.
    pub lock_block: u64,
    /// Whether that phase has begun.
    pub locked: bool,
    /// Whether somebody called `initializeRound()`; until then nobody can bond, reward or redeem.
    pub initialized: bool,
    /// Last round that was initialized.
    pub last_initialized: Number,
    /// Hash that tickets of this round name; none while the round is not initialized, and in rounds where the chain gave
    /// none (tickets of such a round cannot be redeemed).
    pub block_hash: Option<B256>,
    /// The same of the round before, whose tickets are still valid.
    pub previous_block_hash: Option<B256>,
    /// Whether the Controller's owner has paused the system.
    pub paused: bool,
    /// What the round's number was computed from.
    pub clock: Clock,
}

const GUARDED: &[Part] = &[Part::RoundsManager];

/// Slots that decide which round it is.
pub(super) const CLOCK: [B256; 4] = [
    slots::ROUND_LENGTH,
    slots::ROUND_LOCK_AMOUNT,
    slots::LAST_LENGTH_UPDATE_ROUND,
    slots::LAST_LENGTH_UPDATE_START_BLOCK,
];

/// What to fetch. Without a hint of the round, its hash takes a second round trip.
#[must_use]
pub fn keys(contracts: &Contracts, hint: &Hint) -> Keys {
    let mut keys = first_keys(contracts);
    if let Some(round) = hint.round {
        want(&mut keys, contracts.rounds_manager, hashes(round));
    }
    keys
}

fn first_keys(contracts: &Contracts) -> Keys {
    let mut keys = guard::keys(contracts, GUARDED);
    want(&mut keys, contracts.controller, [super::layout::controller::OWNER_AND_PAUSED]);
    want(&mut keys, contracts.rounds_manager, CLOCK);
    want(&mut keys, contracts.rounds_manager, [slots::LAST_INITIALIZED_ROUND]);
    keys
}

fn hashes(round: Number) -> [B256; 2] {
    [slots::block_hash(round.0), slots::block_hash(round.0.saturating_sub(1))]
}

/// Reads the round that L1 block `l1_block` lies in.
///
/// # Errors
/// [`Unreadable`].
pub fn read(view: &dyn StateView, contracts: &Contracts, l1_block: u64) -> Result<Round, Unreadable> {
    require(view, &first_keys(contracts))?;
    guard::check(view, contracts, GUARDED)?;
    let clock = clock(view, contracts)?;
    let number = clock.round_at(l1_block)?;
    let mut hash_keys = Keys::new();
    want(&mut hash_keys, contracts.rounds_manager, hashes(number));
    require(view, &hash_keys)?;
    let words = Words::of(view, contracts.rounds_manager);
    let hash_at = |slot| words.word(slot).map(|word| (!word.is_zero()).then(|| B256::from(word)));
    let [current, previous] = hashes(number);
    let start_block = clock.start_at(l1_block)?;
    let last_initialized = words.round(slots::LAST_INITIALIZED_ROUND)?;
    Ok(Round {
        number,
        l1_block,
        start_block,
        end_block: start_block.saturating_add(clock.length),
        lock_block: start_block.saturating_add(clock.lock_offset()?),
        locked: clock.locked_at(l1_block)?,
        initialized: last_initialized == number,
        last_initialized,
        block_hash: hash_at(current)?,
        previous_block_hash: hash_at(previous)?,
        paused: guard::paused(view, contracts)?,
        clock,
    })
}

/// The clock alone; needs [`CLOCK`].
pub(super) fn clock(view: &dyn StateView, contracts: &Contracts) -> Result<Clock, Unreadable> {
    let words = Words::of(view, contracts.rounds_manager);
    Ok(Clock {
        length: words.number(slots::ROUND_LENGTH)?,
        lock: words.number(slots::ROUND_LOCK_AMOUNT)?,
        since_round: words.round(slots::LAST_LENGTH_UPDATE_ROUND)?,
        since_block: words.number(slots::LAST_LENGTH_UPDATE_START_BLOCK)?,
    })
}

/// The current round's number alone; needs [`CLOCK`].
pub(super) fn number(
    view: &dyn StateView,
    contracts: &Contracts,
    l1_block: u64,
) -> Result<Number, Unreadable> {
    Ok(clock(view, contracts)?.round_at(l1_block)?)
}
