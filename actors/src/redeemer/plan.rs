//! Which tickets go now, and which together: by deadline, then by profit; each for what it would really be paid after all that
//! goes before it. Holds back what would be paid less than its face value while a later block may pay it in full.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use protocol::{Round, Wei};

use super::core::Core;
use super::purse::{Purse, total};
use super::threshold::willing;
use super::ticket::{Held, Loss, starts};
use crate::ports::redeemer::{Order, Situation};

/// The last part of a ticket's life, as a divisor of a round, in which it is redeemed for less than its face value.
const LAST_CALL: u64 = 8;

/// A ticket that may go.
struct Due {
    id: B256,
    /// L1 block at which it is too late.
    end: u64,
    worth: U256,
    face: U256,
    attempt: u32,
}

/// The orders of this block, best first.
pub(super) fn orders(core: &mut Core, situation: &Situation) -> Vec<Order> {
    let mut purses = purses(core, situation);
    let places = core.config.max_orders.saturating_sub(core.orders.len());
    if places == 0 {
        return Vec::new();
    }
    let most = places.saturating_mul(core.config.max_batch);
    let mut due = Vec::new();
    for id in queue(core, situation, &purses) {
        let Some(held) = core.held.get_mut(&id) else { continue };
        let Some(purse) = purses.get_mut(&held.winner.ticket.sender) else { continue };
        if let Some(ready) = ready(id, held, purse, situation, &core.config.gas) {
            due.push(ready);
        }
        if due.len() >= most {
            break;
        }
    }
    group(core, due, places)
}

/// Every sender's money after the tickets that are ordered and not yet seen to be used.
fn purses(core: &Core, situation: &Situation) -> BTreeMap<Address, Purse> {
    let mut purses: BTreeMap<Address, Purse> =
        situation.senders.iter().map(|(who, facts)| (*who, Purse::new(situation, facts))).collect();
    let ordered =
        core.held.iter().filter(|(id, held)| !held.waits() && situation.used.get(*id) != Some(&true));
    for (_, held) in ordered {
        if let Some(purse) = purses.get_mut(&held.winner.ticket.sender)
            && let Ok(paid) = purse.pays(held.face())
        {
            purse.take(paid);
        }
    }
    purses
}

/// Tickets that may be given away now, by deadline and then by what they promise.
fn queue(core: &Core, situation: &Situation, purses: &BTreeMap<Address, Purse>) -> Vec<B256> {
    let may = |id: &B256, held: &Held| {
        held.waits()
            // Whoever learns the recipient's number before can make tickets that lose.
            && situation.l1_block > held.winner.expiration_block
            && situation.l1_block >= held.not_before
            && situation.used.get(id) == Some(&false)
    };
    let mut queue: Vec<(Round, std::cmp::Reverse<U256>, B256)> = core
        .held
        .iter()
        .filter(|(id, held)| may(id, held))
        .map(|(id, held)| {
            let closes = purses.get(&held.winner.ticket.sender).and_then(Purse::closes);
            (held.over_in(closes), std::cmp::Reverse(held.face()), *id)
        })
        .collect();
    queue.sort_unstable();
    queue.into_iter().map(|(_, _, id)| id).collect()
}

/// A ticket that pays what it should and whose gas is cheap enough now; takes its money out of the purse.
fn ready(
    id: B256,
    held: &mut Held,
    purse: &mut Purse,
    situation: &Situation,
    gas: &super::threshold::Gas,
) -> Option<Due> {
    let over = held.over_in(purse.closes());
    let (begin, end) = (held.winner.expiration_block, starts(situation, over));
    let face = held.face();
    let paid = match purse.pays(face) {
        Ok(paid) => paid,
        Err(hold) => {
            tracing::trace!(ticket = %id, %hold, "held");
            return None;
        }
    };
    let worth = total(paid);
    let last = situation.l1_block.saturating_add(situation.round_length / LAST_CALL) >= end;
    if worth < face && !last {
        return None;
    }
    let cost = U256::from(gas.single).saturating_mul(U256::from(situation.base_fee));
    held.loss = (cost >= worth).then_some(Loss { cost: Wei(cost), payable: Wei(worth) });
    // From the last call on, whatever gas costs short of a loss.
    let life = end.saturating_sub(begin).saturating_sub(situation.round_length / LAST_CALL);
    let elapsed = situation.l1_block.saturating_sub(begin);
    if held.loss.is_some() || cost > willing(worth, elapsed, life) {
        return None;
    }
    purse.take(paid);
    Some(Due { id, end, worth, face, attempt: held.attempt })
}

/// Puts tickets that are paid in full together where that is cheaper; the others go alone, so that each is simulated as it is.
fn group(core: &Core, due: Vec<Due>, places: usize) -> Vec<Order> {
    let (full, rest): (Vec<Due>, Vec<Due>) = due.into_iter().partition(|due| due.worth == due.face);
    let mut groups: Vec<Vec<Due>> = Vec::new();
    for one in full {
        let fits = |group: &&mut Vec<Due>| {
            group.len() < core.config.max_batch && group.first().is_some_and(|first| alike(first, &one))
        };
        match groups.last_mut().filter(|group| fits(group)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let (batches, few): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|group| core.config.gas.saves(group.len() as u64));
    let alone = few.into_iter().flatten().chain(rest).map(|one| vec![one]);
    let mut all: Vec<Vec<Due>> = batches.into_iter().chain(alone).collect();
    all.sort_by_key(|group| group.iter().map(|due| due.end).min());
    all.truncate(places);
    all.into_iter().map(|group| order(core, group)).collect()
}

/// Whether two may share a transaction: none pays so little that its part of the gas could be a loss to it.
fn alike(first: &Due, one: &Due) -> bool {
    first.worth / U256::from(2) <= one.worth && one.worth / U256::from(2) <= first.worth
}

fn order(core: &Core, mut group: Vec<Due>) -> Order {
    group.sort_by_key(|due| due.id);
    let least = group.iter().map(|due| due.worth).min().unwrap_or_default();
    let all = least.saturating_mul(U256::from(group.len()));
    Order {
        attempt: group.iter().map(|due| due.attempt).max().unwrap_or_default(),
        winners: group.iter().filter_map(|due| Some(core.held.get(&due.id)?.winner.clone())).collect(),
        max_cost: Wei(all.saturating_sub(U256::ONE)),
    }
}
