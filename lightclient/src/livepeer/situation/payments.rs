//! A broadcaster's money in the ticket broker, added to a situation: deposit, reserve, what was claimed of it in this round, and
//! whether it is on its way out.

use std::cell::RefCell;

use alloy_primitives::Address;
use protocol::Round;
use protocol::chain::Chain;
use protocol::chain::ticket_broker::Sender;

use super::Gather;
use crate::livepeer::contracts::{Contracts, Part};
use crate::livepeer::layout::ticket_broker as slots;
use crate::livepeer::{Unreadable, guard};
use crate::state::StateView;

const GUARDED: &[Part] = &[Part::TicketBroker];

/// Adds the money of `me` to what [`super::read`] has read.
///
/// # Errors
/// [`Unreadable`].
pub fn add(
    view: &dyn StateView,
    contracts: &Contracts,
    chain: &mut Chain,
    me: Address,
) -> Result<(), Unreadable> {
    guard::check(view, contracts, GUARDED)?;
    let gather = Gather { view, missing: RefCell::default() };
    let word = |slot| gather.word(contracts.ticket_broker, slot);
    let round = chain.current_round()?;
    let broker = &mut chain.broker;
    let withdraw_round = Round::from_word(word(slots::withdraw_round(me)));
    broker.senders.set(&me, Sender { deposit: word(slots::deposit(me)), withdraw_round });
    broker.reserve_funds.set(&me, word(slots::reserve_funds(me)));
    broker.claimed_for_round.set(&(me, round), word(slots::claimed_for_round(me, round.0)));
    broker.unlock_period.set(word(slots::UNLOCK_PERIOD).saturating_to());
    broker.ticket_validity_period.set(word(slots::TICKET_VALIDITY_PERIOD).saturating_to());
    gather.complete()
}
