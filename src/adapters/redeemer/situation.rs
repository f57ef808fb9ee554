//! What decides about tickets, out of proven words: rounds, what senders have, what this recipient took, which tickets are used.
//!
//! In flow words of one block, out flows a [`Situation`]. Knows no source and no tier.

use std::collections::BTreeSet;

use actors::ports::payments::SenderFacts;
use actors::ports::redeemer::{Ask, Situation};
use alloy_primitives::{Address, B256, U256};
use lightclient::arbitrum::L2Anchor;
use lightclient::livepeer::layout::{bonding_manager, ticket_broker};
use lightclient::livepeer::sender::{Sender, SenderLock};
use lightclient::livepeer::{Contracts, Hint, Unreadable, round, sender};
use lightclient::state::{Keys, StateView};
use protocol::Round;

/// Where the words are from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The L2 block.
    pub(super) number: u64,
    /// Its L1 block.
    pub(super) l1_block: u64,
    /// What gas costs in it, wei.
    pub(super) base_fee: u64,
}

impl Block {
    pub(super) fn of(anchor: &L2Anchor) -> Self {
        let header = &anchor.header;
        let (number, base_fee) = (header.number, header.base_fee.unwrap_or(0));
        Self { number, l1_block: anchor.nitro.l1_block, base_fee }
    }
}

/// Which words say it.
pub(super) fn keys(contracts: &Contracts, recipient: Address, ask: &Ask) -> Keys {
    let mut keys = round::keys(contracts, &Hint::default());
    for address in &ask.senders {
        for (contract, slots) in sender::keys(contracts, *address, Some(recipient), &Hint::default()) {
            keys.entry(contract).or_default().extend(slots);
        }
    }
    let used: BTreeSet<B256> = ask.tickets.iter().map(|id| ticket_broker::used_ticket(*id)).collect();
    keys.entry(contracts.ticket_broker).or_default().extend(used);
    keys
}

/// All of it at one block.
pub(super) fn read(
    view: &dyn StateView,
    block: Block,
    contracts: &Contracts,
    recipient: Address,
    ask: &Ask,
) -> Result<Situation, Unreadable> {
    let Block { number: l2_block, l1_block, base_fee } = block;
    let round = round::read(view, contracts, l1_block)?;
    let mut situation = Situation {
        l2_block,
        l1_block,
        round: round.number,
        initialized: round.initialized && !round.paused,
        round_start: round.start_block,
        round_length: round.clock.length,
        pool_size: word(view, contracts.bonding_manager, bonding_manager::POOL_SIZE)?.saturating_to(),
        base_fee,
        ..Situation::default()
    };
    for address in &ask.senders {
        let sender = sender::read(view, contracts, *address, Some(recipient), l1_block)?;
        situation.active = sender.claim.is_some_and(|claim| claim.active);
        situation.senders.insert(*address, facts(&sender, situation.l1_block, situation.l2_block));
    }
    for id in &ask.tickets {
        let used = word(view, contracts.ticket_broker, ticket_broker::used_ticket(*id))?;
        situation.used.insert(*id, !used.is_zero());
    }
    Ok(situation)
}

/// A sender that was read at these blocks, as actors want it.
pub(crate) fn facts(sender: &Sender, l1_block: u64, l2_block: u64) -> SenderFacts {
    SenderFacts {
        l2_block,
        l1_block,
        round: sender.round,
        deposit: sender.deposit,
        reserve: sender.reserve,
        claimed: sender.claimed,
        claimed_by_me: sender.claim.map(|claim| claim.claimed).unwrap_or_default(),
        withdraw_round: match sender.lock {
            SenderLock::Locked => Round(0),
            SenderLock::Unlocking { withdraw_round } => withdraw_round,
            SenderLock::Unlocked => sender.round,
        },
    }
}

fn word(view: &dyn StateView, contract: Address, slot: B256) -> Result<U256, Unreadable> {
    view.storage(contract, slot).map_err(|missing| {
        let mut keys = Keys::new();
        missing.ask(&mut keys);
        Unreadable::Wanted(keys)
    })
}
