//! The views of `TicketBroker` and `ServiceRegistry`.

use super::{Table, one};
use crate::chain::Revert;

pub(super) const TICKET_BROKER: Table = &[
    ("getSenderInfo(address)", |c, a| {
        let who = a.address()?;
        let sender = c.broker.senders.at(&who);
        let claimed = c.broker.claimed_for_round.at(&(who, c.current_round()?));
        let funds = c.broker.reserve_funds.at(&who);
        Ok(vec![sender.deposit.into(), sender.withdraw_round.into(), funds.into(), claimed.into()])
    }),
    ("getReserveInfo(address)", |c, a| {
        let who = a.address()?;
        let claimed = c.broker.claimed_for_round.at(&(who, c.current_round()?));
        Ok(vec![c.broker.reserve_funds.at(&who).into(), claimed.into()])
    }),
    ("claimableReserve(address,address)", |c, a| one(c.claimable_reserve(a.address()?, a.address()?)?.0)),
    ("claimedReserve(address,address)", |c, a| {
        let (holder, claimant) = (a.address()?, a.address()?);
        one(c.broker.claimed_by_address.at(&(holder, c.current_round()?, claimant)))
    }),
    ("isUnlockInProgress(address)", |c, a| one(c.broker.senders.at(&a.address()?).withdraw_round.0 > 0)),
    ("usedTickets(bytes32)", |c, a| one(c.broker.used_tickets.at(&a.hash()?))),
    ("getTicketHash((address,address,uint256,uint256,uint256,bytes32,bytes))", |_, a| {
        one(a.0.ticket().ok_or(Revert::BadCalldata)?.hash())
    }),
    ("unlockPeriod()", |c, _| one(*c.broker.unlock_period)),
    ("ticketValidityPeriod()", |c, _| one(*c.broker.ticket_validity_period)),
];

pub(super) const SERVICE_REGISTRY: Table =
    &[("getServiceURI(address)", |c, a| one(c.registry.service_uri.at(&a.address()?)))];
