//! What nearly every call goes through before it comes to its own words: the registry, the proxies, the clock. Fetched
//! beforehand, a call saves a dozen round trips.

use alloy_primitives::{Address, B256};

use crate::livepeer::layout::{bonding_manager as bm, controller, rounds_manager as rm};
use crate::livepeer::{Contracts, Part, guard};
use crate::state::Keys;

/// Contracts that others call. What only votes touch is fetched when somebody votes.
const CALLED: &[Part] = &[
    Part::BondingManager,
    Part::RoundsManager,
    Part::Minter,
    Part::TicketBroker,
    Part::ServiceRegistry,
    Part::BondingVotes,
];

/// Contracts that the others look up by name without being read themselves.
const LOOKED_UP: [&str; 6] =
    ["LivepeerToken", "L2LPTDataCache", "Treasury", "JobsManager", "Verifier", "LivepeerGovernor"];

/// Keys worth fetching before the first run.
#[must_use]
pub fn frame(contracts: &Contracts) -> Keys {
    let mut keys = guard::keys(contracts, CALLED);
    for target in contracts.targets.iter().filter_map(|target| target.address) {
        keys.entry(target).or_default();
    }
    let mut add = |contract: Address, slots: &[B256]| {
        keys.entry(contract).or_default().extend(slots);
    };
    add(contracts.controller, &LOOKED_UP.map(controller::registered));
    add(contracts.controller, &[controller::OWNER_AND_PAUSED]);
    let clock = [
        rm::ROUND_LENGTH,
        rm::ROUND_LOCK_AMOUNT,
        rm::LAST_INITIALIZED_ROUND,
        rm::LAST_LENGTH_UPDATE_ROUND,
        rm::LAST_LENGTH_UPDATE_START_BLOCK,
    ];
    add(contracts.rounds_manager, &clock);
    let stake = [
        bm::UNBONDING_PERIOD,
        bm::CURRENT_ROUND_ACTIVE_STAKE,
        bm::NEXT_ROUND_ACTIVE_STAKE,
        bm::POOL_HEAD,
        bm::POOL_TAIL,
        bm::POOL_MAX_SIZE,
        bm::POOL_SIZE,
        bm::TREASURY_CUT,
        bm::NEXT_TREASURY_CUT,
        bm::TREASURY_CEILING,
    ];
    add(contracts.bonding_manager, &stake);
    add(contracts.minter, &[0, 1, 2, 3, 4, 5].map(crate::livepeer::layout::at));
    keys
}
