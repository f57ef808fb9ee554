//! One orchestrator: its stake, its cuts, when it is active and whether it has called for its reward.

use alloy_primitives::{Address, B256};
use protocol::{Lpt, Round as Number, Wei};
use serde::Serialize;

use super::contracts::{Contracts, Part};
use super::layout::bonding_manager as slots;
use super::words::{Words, both, join, require, want};
use super::{BadText, Hint, Unreadable, guard, round, service};
use crate::state::{Keys, StateView};

/// An orchestrator as `BondingManager` has it at one block ("transcoder" in the contract).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Orchestrator {
    /// Its staking address.
    pub address: Address,
    /// Round that the state belongs to.
    pub round: Number,
    /// Whether it delegates to itself: only then it is an orchestrator at all.
    pub registered: bool,
    /// Whether it is in the active set of this round.
    pub active: bool,
    /// First round of its present time in the active set.
    pub activation_round: Number,
    /// First round after it.
    pub deactivation_round: Number,
    /// Whether it is in the pool, that is active in the next round.
    pub in_pool: bool,
    /// Stake delegated to it, its own included.
    pub stake: Lpt,
    /// Its own bonded stake, at its last claim.
    pub own_stake: Lpt,
    /// Stake that earns in this round, as far as this round has written it; zero until a reward, a fee or a change.
    pub earning_stake: Lpt,
    /// Part of rewards that it keeps, parts per million.
    pub reward_cut: u64,
    /// Part of fees that it gives to its delegators, parts per million.
    pub fee_share: u64,
    /// Round of its last `reward()`.
    pub last_reward_round: Number,
    /// Whether it has called `reward()` in this round.
    pub rewarded: bool,
    /// Round of its last fees.
    pub last_fee_round: Number,
    /// Commission in rewards that it has not claimed.
    pub unclaimed_rewards: Lpt,
    /// Commission in fees that it has not claimed.
    pub unclaimed_fees: Wei,
    /// Address that may call `reward()` for it.
    pub reward_caller: Option<Address>,
    /// Where it serves.
    pub service_uri: Option<String>,
    /// Why what it has set as such is not read. Its own string must not make an orchestrator unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_service_uri: Option<BadText>,
}

const GUARDED: &[Part] = &[Part::BondingManager, Part::RoundsManager];

/// What to fetch; without a hint of the round, one slot takes a second round trip.
#[must_use]
pub fn keys(contracts: &Contracts, address: Address, hint: &Hint) -> Keys {
    let mut keys = first_keys(contracts, address);
    if let Some(round) = hint.round {
        want(&mut keys, contracts.bonding_manager, [earning(address, round)]);
    }
    keys
}

fn first_keys(contracts: &Contracts, address: Address) -> Keys {
    let mut keys = guard::keys(contracts, GUARDED);
    join(&mut keys, service::keys(contracts, address));
    want(&mut keys, contracts.rounds_manager, round::CLOCK);
    let (t, d, node) = (slots::transcoder(address), slots::delegator(address), slots::node(address));
    let words = [
        d.bonded(),
        d.delegate(),
        d.delegated(),
        t.activation_round(),
        t.deactivation_round(),
        t.reward_cut(),
        t.fee_share(),
        t.last_reward_round(),
        t.last_fee_round(),
        t.cumulative_rewards(),
        t.cumulative_fees(),
        node.key(),
        slots::reward_caller(address),
    ];
    want(&mut keys, contracts.bonding_manager, words);
    keys
}

fn earning(address: Address, round: Number) -> B256 {
    slots::transcoder(address).earnings(round.0).total_stake()
}

/// Reads an orchestrator. Any address can be read: one that never was an orchestrator is not registered.
///
/// # Errors
/// [`Unreadable`].
pub fn read(
    view: &dyn StateView,
    contracts: &Contracts,
    address: Address,
    l1_block: u64,
) -> Result<Orchestrator, Unreadable> {
    require(view, &first_keys(contracts, address))?;
    guard::check(view, contracts, GUARDED)?;
    let round = round::number(view, contracts, l1_block)?;
    let words = Words::of(view, contracts.bonding_manager);
    let (t, d) = (slots::transcoder(address), slots::delegator(address));
    let own_stake = Lpt(words.word(d.bonded())?);
    let activation_round = words.round(t.activation_round())?;
    let deactivation_round = words.round(t.deactivation_round())?;
    let last_reward_round = words.round(t.last_reward_round())?;
    let (earning_stake, (service_uri, bad_service_uri)) =
        both(words.word(earning(address, round)), service_uri(view, contracts, address))?;
    Ok(Orchestrator {
        address,
        round,
        registered: words.address(d.delegate())? == Some(address) && own_stake != Lpt::default(),
        active: activation_round <= round && round < deactivation_round,
        activation_round,
        deactivation_round,
        in_pool: !words.word(slots::node(address).key())?.is_zero(),
        stake: Lpt(words.word(d.delegated())?),
        own_stake,
        earning_stake: Lpt(earning_stake),
        reward_cut: words.number(t.reward_cut())?,
        fee_share: words.number(t.fee_share())?,
        last_reward_round,
        rewarded: last_reward_round == round,
        last_fee_round: words.round(t.last_fee_round())?,
        unclaimed_rewards: Lpt(words.word(t.cumulative_rewards())?),
        unclaimed_fees: Wei(words.word(t.cumulative_fees())?),
        reward_caller: words.address(slots::reward_caller(address))?,
        service_uri,
        bad_service_uri,
    })
}

fn service_uri(
    view: &dyn StateView,
    contracts: &Contracts,
    address: Address,
) -> Result<(Option<String>, Option<BadText>), Unreadable> {
    match service::read(view, contracts, address) {
        Ok(service) => Ok((service.uri, None)),
        Err(Unreadable::Text(why)) => Ok((None, Some(why))),
        Err(error) => Err(error),
    }
}
