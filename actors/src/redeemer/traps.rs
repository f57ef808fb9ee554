//! What deployed nodes lose by habit when they redeem, by the contracts themselves: what it would have cost, to the wei, and that here
//! it costs nothing.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use protocol::Wei;
use protocol::payments::Entry;
use protocol::payments::entry::{Redemption, Winner};
use protocol::tickets::sign::TicketKey;

use super::core::{Config, Core, Effect, Gas};
use crate::payments::contracts::{Contracts, ROUND, ether, minus, wei};
use crate::payments::desk::Desk;
use crate::payments::traps::spared;
use crate::ports::redeemer::OrderFault;

const ME: Address = Address::repeat_byte(0x0e);
/// A hundredth of a gwei.
const CHEAP: u64 = 10_000_000;

fn key(n: u8) -> TicketKey {
    TicketKey::from_bytes(&[n; 32]).unwrap()
}

fn contracts(senders: &[u8], deposit: Wei) -> Contracts {
    let mut contracts = Contracts::new(&[ME]);
    senders.iter().for_each(|n| contracts.fund(key(*n).address(), deposit, wei(1)));
    contracts
}

/// Winners of one face value, all with the desk.
fn won(contracts: &mut Contracts, desk: &mut Desk, sender: u8, face: Wei, count: u64) -> Vec<Winner> {
    let all: Vec<_> = (1..=count).map(|nonce| contracts.winner(&key(sender), ME, face, nonce)).collect();
    all.iter().for_each(|winner| desk.won(contracts, winner));
    contracts.advance(1);
    all
}

fn orders(effects: Vec<Effect>) -> Vec<crate::ports::redeemer::Order> {
    let order = |effect| match effect {
        Effect::Redeem(order) => Some(order),
        Effect::Write(_) | Effect::Follow(_) => None,
    };
    effects.into_iter().filter_map(order).collect()
}

/// Would have cost 100000000000000000 wei: the first ticket cannot be redeemed, is tried again and again, and none after it is.
#[test]
fn one_ticket_blocks_those_behind_it() {
    let mut contracts = contracts(&[3], ether(100));
    let mut desk = Desk::new(ME, CHEAP);
    // More than there is.
    won(&mut contracts, &mut desk, 3, ether(900), 1);
    let behind = contracts.winner(&key(3), ME, ether(100), 9);
    desk.won(&mut contracts, &behind);
    contracts.advance(1);
    desk.look(&mut contracts);
    let face = Wei(behind.ticket.face_value);
    spared("a blocked queue", face, 100_000_000_000_000_000, minus(face, desk.earned));
}

/// Would have cost 100000000000000000 wei: after a restart the tickets of a sender wait until that one is seen again.
#[test]
fn tickets_of_a_silent_sender_wait_until_they_expire() {
    let mut contracts = contracts(&[3], ether(1000));
    let mut desk = Desk::new(ME, CHEAP);
    let winner = contracts.winner(&key(3), ME, ether(100), 1);
    desk.won(&mut contracts, &winner);
    desk.crash(&mut contracts);
    contracts.advance(1);
    desk.look(&mut contracts);
    spared("a silent sender", ether(100), 100_000_000_000_000_000, minus(ether(100), desk.earned));
}

/// Would have cost 2140000000000 wei: the face value is above what gas costs, what it would be paid is below.
#[test]
fn a_redemption_that_costs_more_than_it_brings() {
    let mut contracts = Contracts::new(&[ME, Address::repeat_byte(0xa1)]);
    let paid = wei(100_000_000_000);
    contracts.fund(key(3).address(), paid, Wei::default());
    contracts.fund(key(3).address(), Wei::default(), wei(1));
    let mut desk = Desk::new(ME, CHEAP);
    let winner = contracts.winner(&key(3), ME, wei(100_000_000_001), 1);
    desk.won(&mut contracts, &winner);
    for _ in 0..2 * ROUND {
        contracts.advance(1);
        desk.look(&mut contracts);
    }
    let lost = minus(wei(Gas::default().single * CHEAP), paid);
    spared("gas above the payment", lost, 2_140_000_000_000, desk.gas);
    let dropped = |entry: &Entry| matches!(entry, Entry::Redemption { step: Redemption::Dropped { .. }, .. });
    assert!(desk.ledger.iter().any(dropped), "and the ledger says why");
}

/// Would have cost 200000000000000000 wei: while the recipient is not active its first ticket stays first in line, and all expire.
#[test]
fn an_inactive_round_holds_the_line_for_good() {
    let mut contracts = Contracts::new(&[Address::repeat_byte(0xa1)]);
    contracts.join(ME);
    contracts.fund(key(3).address(), ether(1000), wei(1));
    let mut desk = Desk::new(ME, CHEAP);
    won(&mut contracts, &mut desk, 3, ether(100), 2);
    desk.look(&mut contracts);
    assert_eq!(desk.sent, 0);
    contracts.next_round();
    desk.look(&mut contracts);
    spared("an inactive round", ether(200), 200_000_000_000_000_000, minus(ether(200), desk.earned));
}

/// Would have cost 100000000000000000 wei: a text of an endpoint ends the ticket.
#[test]
fn an_endpoints_word_ends_a_ticket() {
    let mut contracts = contracts(&[3], ether(1000));
    let winner = contracts.winner(&key(3), ME, ether(100), 1);
    let (mut core, _) = Core::recover(Config::default(), Vec::new(), &[]);
    core.on_winner(0, winner.clone());
    let mut earned = Wei::default();
    for lie in ["transaction failed", "ticket creationRound does not have a block hash", "execution reverted"]
    {
        contracts.advance(40);
        let situation = contracts.situation(ME, &core.ask().unwrap(), CHEAP);
        let [order] = <[_; 1]>::try_from(orders(core.on_situation(0, &situation))).unwrap();
        let lies = BTreeMap::from([(winner.id(), lie.to_owned())]);
        core.on_ended(0, contracts.l1_block(), &order, Err(OrderFault::Refused(lies)));
    }
    contracts.advance(20);
    let situation = contracts.situation(ME, &core.ask().unwrap(), CHEAP);
    for order in orders(core.on_situation(0, &situation)) {
        earned = contracts.send(&order).unwrap().values().map(|paid| paid.from_deposit).max().unwrap();
    }
    spared("an endpoint's word", ether(100), 100_000_000_000_000_000, minus(ether(100), earned));
}

/// Would have cost 2000000000000000000 wei: each transaction is waited for before the next, five blocks of the last hundred each.
#[test]
fn tickets_that_wait_for_each_other() {
    let senders: Vec<u8> = (1..=40).collect();
    let mut contracts = contracts(&senders, ether(1000));
    contracts.advance(ROUND - 100);
    let mut desk = Desk::new(ME, CHEAP);
    for sender in &senders {
        let winner = contracts.winner(&key(*sender), ME, ether(100), 1);
        desk.won(&mut contracts, &winner);
    }
    let in_line = 100 / 5;
    let lost = Wei(U256::from(senders.len() - in_line) * ether(100).0);
    while desk.waiting() > 0 && contracts.l1_block() % ROUND < ROUND - 5 {
        contracts.advance(5);
        desk.look(&mut contracts);
    }
    let all = Wei(U256::from(senders.len()) * ether(100).0);
    spared("one at a time", lost, 2_000_000_000_000_000_000, minus(all, desk.earned));
}

/// Would have cost 2240000000000 wei: nothing of a transaction under way is on disk, and after a crash it is sent again.
#[test]
fn a_crash_sends_a_redemption_again() {
    let mut contracts = contracts(&[3], ether(1000));
    let mut desk = Desk::new(ME, CHEAP);
    won(&mut contracts, &mut desk, 3, ether(100), 1);
    desk.look(&mut contracts);
    let once = desk.gas;
    for _ in 0..3 {
        desk.crash(&mut contracts);
        contracts.advance(1);
        desk.look(&mut contracts);
    }
    let again = wei(Gas::default().single * CHEAP);
    spared("sent again", again, 2_240_000_000_000, minus(desk.gas, once));
}

/// Would have cost 100000000000000000 wei: gas is above the highest price once, and the ticket is dropped.
#[test]
fn a_spike_of_gas_drops_a_ticket() {
    let mut contracts = contracts(&[3], ether(1000));
    let mut desk = Desk::new(ME, 2_000_000_000_000);
    won(&mut contracts, &mut desk, 3, ether(100), 1);
    for _ in 0..50 {
        contracts.advance(1);
        desk.look(&mut contracts);
    }
    assert_eq!(desk.sent, 0, "it waits");
    desk.base_fee = CHEAP;
    desk.look(&mut contracts);
    spared("a spike", ether(100), 100_000_000_000_000_000, minus(ether(100), desk.earned));
}

/// Would have cost 2760000000000 wei: gas is a constant five times too high, and what pays less than that is never redeemed.
#[test]
fn a_guess_of_gas_leaves_good_tickets() {
    let mut contracts = contracts(&[3], ether(1000));
    let mut desk = Desk::new(ME, CHEAP);
    let face = wei(5_000_000_000_000);
    assert!(face < wei(1_200_000 * CHEAP), "the constant says that it is a loss");
    won(&mut contracts, &mut desk, 3, face, 1);
    contracts.next_round();
    contracts.advance(ROUND - 10);
    desk.look(&mut contracts);
    let gain = minus(face, wei(Gas::default().single * CHEAP));
    spared("a guess of gas", gain, 2_760_000_000_000, minus(gain, minus(desk.earned, desk.gas)));
}

/// Would have cost 2050000000000 wei of gas: fourteen tickets one by one, where one transaction would do.
#[test]
fn tickets_that_go_one_by_one() {
    let mut contracts = contracts(&[3], ether(10_000));
    let mut desk = Desk::new(ME, CHEAP);
    won(&mut contracts, &mut desk, 3, ether(100), 14);
    desk.look(&mut contracts);
    let (alone, together) = (14 * Gas::default().single, Gas::default().of(14));
    let lost = wei((alone - together) * CHEAP);
    spared("one by one", lost, 2_050_000_000_000, minus(desk.gas, wei(together * CHEAP)));
    assert_eq!((desk.sent, desk.earned), (1, ether(1400)));
}

/// Would have cost 100000000000000000 wei: a fault of the endpoint that is not in the list of those to try again ends it.
#[test]
fn a_fault_of_the_line_ends_a_ticket() {
    let mut contracts = contracts(&[3], ether(1000));
    let winner = contracts.winner(&key(3), ME, ether(100), 1);
    let (mut core, _) = Core::recover(Config::default(), Vec::new(), &[]);
    core.on_winner(0, winner);
    let mut earned = Wei::default();
    for tried in 0..4 {
        contracts.advance(20);
        let situation = contracts.situation(ME, &core.ask().unwrap(), CHEAP);
        for order in orders(core.on_situation(0, &situation)) {
            if tried < 3 {
                let fault = OrderFault::Unsent("429 Too Many Requests".into());
                core.on_ended(0, contracts.l1_block(), &order, Err(fault));
            } else {
                earned =
                    contracts.send(&order).unwrap().values().map(|paid| paid.from_deposit).max().unwrap();
            }
        }
    }
    spared("a busy endpoint", ether(100), 100_000_000_000_000_000, minus(ether(100), earned));
}

/// Would have cost 2240000000000 wei of gas: whoever reaches the redeemer has it send tickets that nobody signed.
#[test]
fn a_ticket_that_nobody_signed_is_sent() {
    let mut contracts = contracts(&[3], ether(1000));
    let good = contracts.winner(&key(3), ME, ether(100), 1);
    let forged = Winner { signature: key(4).sign(&good.ticket), ..good };
    assert!(contracts.redeem(&forged).is_err());
    let mut desk = Desk::new(ME, CHEAP);
    desk.won(&mut contracts, &forged);
    contracts.advance(1);
    desk.look(&mut contracts);
    spared("a forged ticket", wei(Gas::default().single * CHEAP), 2_240_000_000_000, desk.gas);
    assert_eq!(desk.waiting(), 0);
}
