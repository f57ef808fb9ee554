//! An orchestrator's redeemer at work on the contracts: its core decides, what it orders is sent at once, and the ledger is a list.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use protocol::Wei;
use protocol::payments::Entry;
use protocol::payments::entry::Winner;

use super::contracts::{Contracts, plus, total, wei};
use crate::ports::redeemer::{Order, OrderFault, Settled};
use crate::redeemer::core::{Config, Core, Effect, Gas};

/// One orchestrator's.
#[derive(Debug)]
pub(crate) struct Desk {
    core: Core,
    me: Address,
    /// Everything that was written.
    pub(crate) ledger: Vec<Entry>,
    /// Price of gas, wei.
    pub(crate) base_fee: u64,
    /// What the contracts paid.
    pub(crate) earned: Wei,
    /// What transactions cost.
    pub(crate) gas: Wei,
    /// Transactions.
    pub(crate) sent: u64,
    /// What others redeem just before its next transaction.
    pub(crate) overtaken_by: Vec<Winner>,
}

impl Desk {
    pub(crate) fn new(me: Address, base_fee: u64) -> Self {
        let core = Core::recover(Config::default(), Vec::new(), &[]).0;
        let none = Wei::default();
        Self {
            core,
            me,
            ledger: Vec::new(),
            base_fee,
            earned: none,
            gas: none,
            sent: 0,
            overtaken_by: Vec::new(),
        }
    }

    /// A ticket won.
    pub(crate) fn won(&mut self, contracts: &mut Contracts, winner: &Winner) {
        self.ledger.push(Entry::Winner(winner.clone()));
        let effects = self.core.on_winner(0, winner.clone());
        self.act(contracts, effects);
    }

    /// Looks at the chain and does what follows. Gives the entries that this wrote.
    pub(crate) fn look(&mut self, contracts: &mut Contracts) -> Vec<Entry> {
        let before = self.ledger.len();
        if let Some(ask) = self.core.ask() {
            let situation = contracts.situation(self.me, &ask, self.base_fee);
            let effects = self.core.on_situation(0, &situation);
            self.act(contracts, effects);
        }
        self.ledger[before..].to_vec()
    }

    /// The process dies between two looks.
    pub(crate) fn crash(&mut self, contracts: &mut Contracts) {
        let (core, effects) = Core::recover(Config::default(), self.ledger.clone(), &[]);
        self.core = core;
        self.act(contracts, effects);
    }

    fn act(&mut self, contracts: &mut Contracts, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Write(entries) => self.ledger.extend(entries),
                Effect::Redeem(order) => self.send(contracts, &order),
                // What it sends is over at once: nothing is under way.
                Effect::Follow(order) => {
                    let unsent = Err(OrderFault::Unsent("nothing of this name".into()));
                    let effects = self.core.on_ended(0, contracts.l1_block(), &order, unsent);
                    self.act(contracts, effects);
                }
            }
        }
    }

    fn send(&mut self, contracts: &mut Contracts, order: &Order) {
        let transaction = B256::left_padding_from(&contracts.l2_block().to_be_bytes());
        let signed = self.core.on_sent(0, order, transaction);
        self.act(contracts, signed);
        self.sent += 1;
        self.overtaken_by.drain(..).for_each(|first| drop(contracts.redeem(&first)));
        let gas = wei(Gas::default().of(order.winners.len() as u64) * self.base_fee);
        self.gas = plus(self.gas, gas);
        let end = match contracts.send(order) {
            Err(revert) => Err(OrderFault::Void(revert.to_string())),
            Ok(by_rand) => {
                let paid: BTreeMap<_, _> = order
                    .winners
                    .iter()
                    .filter_map(|winner| Some((winner.id(), *by_rand.get(&winner.recipient_rand)?)))
                    .collect();
                self.earned = paid.values().fold(self.earned, |sum, paid| plus(sum, total(*paid)));
                Ok(Settled { transaction, block: contracts.l2_block(), gas, paid })
            }
        };
        let ended = self.core.on_ended(0, contracts.l1_block(), order, end);
        self.act(contracts, ended);
    }

    /// Tickets that are not done with.
    pub(crate) fn waiting(&self) -> u64 {
        self.core.standing().waiting
    }
}
