//! Inflation: what this round may mint, what it has minted, and on which stake that depends.

use protocol::Lpt;
use protocol::amount::Word;
use protocol::math::PPB;
use serde::Serialize;

use super::contracts::{Contracts, Part};
use super::layout::{bonding_manager, minter as slots};
use super::words::{Words, require, want};
use super::{Unreadable, guard};
use crate::state::{Keys, StateView};

/// `Minter`'s state, and the stake and treasury settings of `BondingManager`, at one block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Inflation {
    /// Inflation of this round, parts per billion of the supply.
    pub rate: Word,
    /// Change of it per round, parts per billion.
    pub change: Word,
    /// Participation at which it stays as it is, parts per billion.
    pub target_bonding_rate: Word,
    /// What this round may mint.
    pub mintable: Lpt,
    /// What it has minted.
    pub minted: Lpt,
    /// Stake of the active set of this round.
    pub active_stake: Lpt,
    /// Stake of the pool, that is of the next round.
    pub next_active_stake: Lpt,
    /// Treasury's part of rewards in this round, 10^27 points.
    pub treasury_cut: Word,
    /// Treasury's part from the next round on, 10^27 points.
    pub next_treasury_cut: Word,
    /// Treasury balance above which it gets nothing.
    pub treasury_ceiling: Lpt,
    /// Supply that this round's `mintable` was computed from, as near as `mintable` and `rate` tell; none without inflation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supply: Option<Lpt>,
}

const GUARDED: &[Part] = &[Part::Minter, Part::BondingManager];

/// What to fetch, in one round trip.
#[must_use]
pub fn keys(contracts: &Contracts) -> Keys {
    let mut keys = guard::keys(contracts, GUARDED);
    let minter = [
        slots::INFLATION,
        slots::INFLATION_CHANGE,
        slots::TARGET_BONDING_RATE,
        slots::MINTABLE,
        slots::MINTED,
    ];
    want(&mut keys, contracts.minter, minter);
    let bonding = [
        bonding_manager::CURRENT_ROUND_ACTIVE_STAKE,
        bonding_manager::NEXT_ROUND_ACTIVE_STAKE,
        bonding_manager::TREASURY_CUT,
        bonding_manager::NEXT_TREASURY_CUT,
        bonding_manager::TREASURY_CEILING,
    ];
    want(&mut keys, contracts.bonding_manager, bonding);
    keys
}

/// Reads the state of inflation.
///
/// # Errors
/// [`Unreadable`].
pub fn read(view: &dyn StateView, contracts: &Contracts) -> Result<Inflation, Unreadable> {
    require(view, &keys(contracts))?;
    guard::check(view, contracts, GUARDED)?;
    let minter = Words::of(view, contracts.minter);
    let bonding = Words::of(view, contracts.bonding_manager);
    let (rate, mintable) = (minter.word(slots::INFLATION)?, minter.word(slots::MINTABLE)?);
    Ok(Inflation {
        rate: Word(rate),
        change: Word(minter.word(slots::INFLATION_CHANGE)?),
        target_bonding_rate: Word(minter.word(slots::TARGET_BONDING_RATE)?),
        mintable: Lpt(mintable),
        minted: Lpt(minter.word(slots::MINTED)?),
        active_stake: Lpt(bonding.word(bonding_manager::CURRENT_ROUND_ACTIVE_STAKE)?),
        next_active_stake: Lpt(bonding.word(bonding_manager::NEXT_ROUND_ACTIVE_STAKE)?),
        treasury_cut: Word(bonding.word(bonding_manager::TREASURY_CUT)?),
        next_treasury_cut: Word(bonding.word(bonding_manager::NEXT_TREASURY_CUT)?),
        treasury_ceiling: Lpt(bonding.word(bonding_manager::TREASURY_CEILING)?),
        supply: mintable.checked_mul(PPB.whole()).and_then(|m| m.checked_div(rate)).map(Lpt),
    })
}
