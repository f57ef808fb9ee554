//! How payments go when nobody cheats: a segment is paid before it is made, the next one against its receipt; what is lost on the
//! way comes again; a budget holds, and a deposit that runs short is said in time.
#![allow(
    clippy::unwrap_used,
    unused_must_use,
    reason = "a test may fail by panic, and writes only what it reads again"
)]

use alloy_primitives::U256;
use protocol::Wei;
use protocol::funding::Short;
use protocol::tickets::credit::Credit;
use protocol::tickets::terms::Funds;

use super::contracts::ether;
use super::recipient::Refusal;
use super::sender::Unpayable;
use super::sender::alarm::Alarm;
use super::sender::core::{Config as PayerConfig, Core as Payer, Healed};
use super::world::{PIXELS, PRICE, SESSION, World, cost, funds, head, receipt};
use crate::ports::payments::ChainHead;

#[test]
fn a_segment_is_paid_before_it_is_made_and_the_next_one_against_its_receipt() {
    let mut world = World::new();
    let batch = world.paid();
    let sender = world.key.address();
    world.accept(&batch).unwrap();
    world.payee.admit(sender, SESSION, 1, PIXELS).unwrap();
    assert_eq!(world.payer.pay(0, SESSION, 2, PIXELS).unwrap_err(), Unpayable::Unreceipted { seq: 1 });
    let debit = world.payee.settle(0, SESSION, receipt(1, PIXELS - 5)).unwrap().answer;
    assert_eq!(world.payer.on_receipt(0, SESSION, receipt(1, PIXELS - 5)).unwrap().answer, debit);
    assert!(world.payer.pay(0, SESSION, 2, PIXELS).is_ok());
}

#[test]
fn tickets_that_got_lost_are_sent_again_byte_for_byte() {
    let mut world = World::new();
    let batch = world.paid();
    world.payer.on_lost(SESSION, 1);
    assert_eq!(world.payer.pay(0, SESSION, 2, PIXELS).unwrap_err(), Unpayable::Unsure);
    let healed = world.payer.on_statement(0, &world.statement(), &[]).unwrap().answer;
    assert_eq!(healed, Healed::Resend(batch.clone()));
    world.accept(&batch).unwrap();
    let healed = world.payer.on_statement(0, &world.statement(), &[]).unwrap().answer;
    assert_eq!(healed, Healed::Agreed { receipts: 0, written_off: Credit::ZERO });
    let next = world.payer.pay(0, SESSION, 2, PIXELS).unwrap();
    assert_eq!(next.answer.tickets, None, "the credit is there: nothing is paid twice");
}

#[test]
fn a_nonce_is_never_used_twice_not_even_after_a_crash_before_sending() {
    let mut world = World::new();
    let first = world.paid();
    world.crash_payer();
    world.payer.on_quote(first.quote.clone()).unwrap();
    let healed = world.payer.on_statement(0, &world.statement(), &[]).unwrap().answer;
    assert_eq!(healed, Healed::Resend(first.clone()), "the same tickets, never others of the same nonces");
    world.accept(&first).unwrap();
    world.payer.on_statement(0, &world.statement(), &[]).unwrap();
    assert_eq!(world.pay(2), Ok(None));
    world.receive(receipt(2, PIXELS)).unwrap();
    let next = world.pay(3).unwrap().unwrap();
    assert!(next.tickets[0].nonce > first.tickets.last().unwrap().nonce);
}

#[test]
fn a_budget_stops_spending_and_is_counted_over_restarts() {
    let mut world = World::new();
    let budget = Wei(cost(PIXELS).0 * U256::from(3) / U256::from(2));
    let config = PayerConfig::new(PRICE, budget, ether(1));
    world.payer = Payer::restore(config, world.key.clone(), &[]);
    world.payer.on_head(head());
    world.payer.on_funds(funds());
    world.paid();
    world.payer.on_receipt(0, SESSION, receipt(1, PIXELS)).unwrap();
    let refused = world.payer.pay(0, SESSION, 2, PIXELS).unwrap_err();
    assert!(matches!(refused, Unpayable::Budget { of: "for a stream", .. }), "{refused}");
    assert!(world.payer.pay(86_400_000, SESSION, 2, PIXELS).is_ok(), "the next day");
}

#[test]
fn a_deposit_that_runs_short_is_said_with_numbers_before_it_is_too_small() {
    let mut world = World::new();
    world.paid();
    assert_eq!(world.payer.alarms(0), []);
    let face = world.payer.account(&SESSION).unwrap().quote.as_ref().unwrap().face_value;
    world.payer.on_funds(Funds { deposit: face, reserve: ether(1), ..funds() });
    let alarms = world.payer.alarms(0);
    let missing = Wei(face.0 * U256::from(2));
    assert_eq!(alarms[0], Alarm::Deposit { short: Short::Soon, deposit: face, face, missing });
    assert!(matches!(alarms[1], Alarm::Reserve { pool: 4, .. }));
}

#[test]
fn nothing_is_said_of_an_account_while_a_segment_is_in_work() {
    let mut world = World::new();
    let batch = world.paid();
    world.accept(&batch).unwrap();
    let sender = world.key.address();
    world.payee.admit(sender, SESSION, 1, PIXELS).unwrap();
    assert!(matches!(world.payee.statement(sender, SESSION, 0), Err(Refusal::InWork { seq: 1 })));
    world.payee.settle(0, SESSION, receipt(1, PIXELS)).unwrap();
    assert_eq!(world.payee.statement(sender, SESSION, 0).unwrap().0.works, 1);
}

#[test]
fn while_the_chain_contradicts_itself_no_ticket_is_asked_for_signed_or_credited() {
    let mut world = World::new();
    let batch = world.paid();
    world.payee.on_doubt();
    world.payer.on_doubt();
    assert!(matches!(world.payee.quote(0, &world.ask(SESSION, PRICE), U256::from(6)), Err(Refusal::NoHead)));
    assert!(matches!(world.accept(&batch), Err(Refusal::NoHead)));
    world.payer.on_receipt(0, SESSION, receipt(1, PIXELS)).unwrap();
    assert!(matches!(world.payer.pay(0, SESSION, 2, 2 * PIXELS), Err(Unpayable::NoHead)));
    // An older head than before takes no block back.
    world.payee.on_head(ChainHead { l1_block: 1, ..head() });
    assert_eq!(world.accept(&batch).unwrap().refused, [], "the tickets are as good as before");
}
