//! A gateway's money in the ticket broker: deposit, reserve, whether it is about to be withdrawn, and what one orchestrator
//! may still take from the reserve in this round.

use alloy_primitives::{Address, B256};
use protocol::reserve::Reserve;
use protocol::{Round as Number, Wei};
use serde::Serialize;

use super::contracts::{Contracts, Part};
use super::layout::{bonding_manager, ticket_broker as slots};
use super::words::{Words, require, want};
use super::{Hint, Unreadable, guard, round};
use crate::state::{Keys, StateView};

/// A sender of tickets as `TicketBroker` has it at one block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Sender {
    /// Its address.
    pub address: Address,
    /// Round that the state belongs to.
    pub round: Number,
    /// Deposit.
    pub deposit: Wei,
    /// What is left of its reserve.
    pub reserve: Wei,
    /// What was taken from the reserve in this round.
    pub claimed: Wei,
    /// Whether tickets are still paid.
    pub lock: SenderLock,
    /// What one orchestrator may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

/// Whether a sender's money stays where it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum SenderLock {
    /// It does.
    Locked,
    /// It may be withdrawn, and tickets are refused, from a round on.
    Unlocking {
        /// That round.
        withdraw_round: Number,
    },
    /// It may be withdrawn; tickets are refused.
    Unlocked,
}

/// An orchestrator's part of a reserve.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Claim {
    /// The orchestrator.
    pub claimant: Address,
    /// Whether it is active in this round; only then anything is paid from a reserve.
    pub active: bool,
    /// What it has taken in this round.
    pub claimed: Wei,
    /// What it may still take (`claimableReserve`). None when the pool grew after it took its part: until the next round
    /// the contract reverts every ticket that the deposit does not cover.
    pub share: Option<Wei>,
}

const GUARDED: &[Part] = &[Part::TicketBroker, Part::RoundsManager, Part::BondingManager];

/// What to fetch; without a hint of the round, what was claimed takes a second round trip.
#[must_use]
pub fn keys(contracts: &Contracts, address: Address, claimant: Option<Address>, hint: &Hint) -> Keys {
    let mut keys = first_keys(contracts, address, claimant);
    if let Some(round) = hint.round {
        want(&mut keys, contracts.ticket_broker, claims(address, claimant, round));
    }
    keys
}

fn first_keys(contracts: &Contracts, address: Address, claimant: Option<Address>) -> Keys {
    let mut keys = guard::keys(contracts, GUARDED);
    want(&mut keys, contracts.rounds_manager, round::CLOCK);
    let own = [slots::deposit(address), slots::withdraw_round(address), slots::reserve_funds(address)];
    want(&mut keys, contracts.ticket_broker, own);
    if let Some(claimant) = claimant {
        let t = bonding_manager::transcoder(claimant);
        let words = [t.activation_round(), t.deactivation_round(), bonding_manager::POOL_SIZE];
        want(&mut keys, contracts.bonding_manager, words);
    }
    keys
}

fn claims(address: Address, claimant: Option<Address>, round: Number) -> Vec<B256> {
    let by = claimant.map(|claimant| slots::claimed_by(address, round.0, claimant));
    by.into_iter().chain([slots::claimed_for_round(address, round.0)]).collect()
}

/// Reads a sender, and what `claimant` may take from its reserve. Any address can be read.
///
/// # Errors
/// [`Unreadable`].
pub fn read(
    view: &dyn StateView,
    contracts: &Contracts,
    address: Address,
    claimant: Option<Address>,
    l1_block: u64,
) -> Result<Sender, Unreadable> {
    require(view, &first_keys(contracts, address, claimant))?;
    guard::check(view, contracts, GUARDED)?;
    let round = round::number(view, contracts, l1_block)?;
    let mut keys = Keys::new();
    want(&mut keys, contracts.ticket_broker, claims(address, claimant, round));
    require(view, &keys)?;
    let words = Words::of(view, contracts.ticket_broker);
    let reserve = Reserve {
        funds: Wei(words.word(slots::reserve_funds(address))?),
        claimed: Wei(words.word(slots::claimed_for_round(address, round.0))?),
        claimed_by: Wei::default(),
    };
    let claim = |claimant| read_claim(view, contracts, (address, claimant), reserve, round);
    Ok(Sender {
        address,
        round,
        deposit: Wei(words.word(slots::deposit(address))?),
        reserve: reserve.funds,
        claimed: reserve.claimed,
        lock: lock(words.round(slots::withdraw_round(address))?, round),
        claim: claimant.map(claim).transpose()?,
    })
}

fn lock(withdraw_round: Number, round: Number) -> SenderLock {
    match withdraw_round {
        Number(0) => SenderLock::Locked,
        _ if round < withdraw_round => SenderLock::Unlocking { withdraw_round },
        _ => SenderLock::Unlocked,
    }
}

fn read_claim(
    view: &dyn StateView,
    contracts: &Contracts,
    (address, claimant): (Address, Address),
    reserve: Reserve,
    round: Number,
) -> Result<Claim, Unreadable> {
    let bonding = Words::of(view, contracts.bonding_manager);
    let t = bonding_manager::transcoder(claimant);
    let active =
        bonding.round(t.activation_round())? <= round && round < bonding.round(t.deactivation_round())?;
    let claimed =
        Wei(Words::of(view, contracts.ticket_broker).word(slots::claimed_by(address, round.0, claimant))?);
    let share =
        Reserve { claimed_by: claimed, ..reserve }.share(bonding.word(bonding_manager::POOL_SIZE)?).ok();
    Ok(Claim { claimant, active, claimed, share: if active { share } else { Some(Wei::default()) } })
}
