//! What deployed nodes lose by habit, where tickets are quoted, counted and charged.

use alloy_primitives::{Address, U256};
use protocol::tickets::check::Invalid;
use protocol::tickets::credit::Credit;
use protocol::tickets::fees;
use protocol::tickets::params::Refused;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::terms::Unacceptable;
use protocol::{Ladder, PricePerPixel, RenditionSpec, Ticks, Wei};

use super::{spared, unpaid};
use crate::payments::contracts::{Contracts, POOL, REDEEM_COST, ether, minus, wei};
use crate::payments::recipient::Refusal;
use crate::payments::recipient::core::Ask;
use crate::payments::sender::Unpayable;
use crate::payments::sender::core::Healed;
use crate::payments::world::{ME, PIXELS, PRICE, SESSION, World, cost, head, sender};
use crate::ports::payments::ChainHead;

/// A win's size. Would have cost 125000000000000000 wei: while the deposit is three times what is pending, wins that wait to be
/// paid are not taken off the share that the next win may need, and then others empty the deposit.
#[test]
fn pending_wins_are_counted_on_again() {
    let rivals: Vec<Address> = (1..POOL as u8).map(|i| Address::repeat_byte(0xa0 + i)).collect();
    let mut contracts = Contracts::new(&[ME, rivals[0]]);
    let key = TicketKey::from_bytes(&[3; 32]).unwrap();
    contracts.fund(sender(3), ether(1000), ether(1000));
    let mut world = World::over(3, &contracts);
    let batch = world.winning(ether(125), 1);
    assert_eq!(world.accept(&batch).unwrap().credited, [1]);
    let refused = world.payee.quote(0, &world.ask(SESSION, PRICE), U256::ONE).unwrap_err();
    assert_eq!(refused, Refused::InsufficientReserve.into(), "the share is spoken for");
    let naive = contracts.winner(&key, ME, ether(125), 2);
    let others = contracts.winner(&key, rivals[0], ether(1000), 3);
    assert_eq!(contracts.redeem(&others), Ok(ether(1000)), "all of the deposit");
    rivals[1..].iter().for_each(|who| contracts.join(*who));
    let paid = contracts.redeem(&world.winners()[0]).unwrap();
    let lost = unpaid(&mut contracts, &naive);
    spared("pending wins", lost, 125_000_000_000_000_000, minus(ether(125), paid));
}

/// Default economics. Would have cost 10800000000000000 wei a win: gas is ten times as dear as when the parameters were thought of,
/// and a win is worth a hundred redemptions, not ten.
#[test]
fn a_win_that_gas_eats_up() {
    let mut world = World::new();
    let cheap = world.quote().face_value;
    assert_eq!(cheap, wei(100 * REDEEM_COST), "at a hundredth of a gwei, one ticket in 400,000 wins it");
    let dear = wei(10 * REDEEM_COST);
    world.payee.on_head(ChainHead { redeem_cost: dear, ..head() });
    let face = world.quote().face_value;
    let lost = minus(Wei(dear.0 * U256::from(100)), cheap);
    spared("dear gas", lost, 10_800_000_000_000_000, minus(Wei(dear.0 * U256::from(100)), face));
    world.payee.on_head(ChainHead {
        redeem_cost: ether(1_000),
        redeem_cost_on_average: ether(1_000),
        ..head()
    });
    let refused = world.payee.quote(0, &world.ask(SESSION, PRICE), U256::ONE).unwrap_err();
    assert_eq!(
        refused,
        Refused::InsufficientReserve.into(),
        "a win that costs more than it pays is not asked for"
    );
}

/// Lifetime. Would have cost 1200000000000000 wei if it wins: parameters outlive the last round in which this node is paid.
#[test]
fn parameters_that_outlive_the_recipients_last_round() {
    let mut world = World::new();
    let batch = world.batch(1);
    let last = ChainHead { active_next: false, round_end_block: 1080, ..head() };
    world.payee.on_head(last);
    let refused = world.accept(&batch).unwrap_err();
    assert!(matches!(refused, Refusal::Uncovered(_)), "{refused}: it could be redeemed only after the round");
    let credited = world.payee.account(&SESSION).unwrap().credited.to_wei(PRICE);
    spared("the last round", batch.quote.face_value, 1_200_000_000_000_000, credited);
}

/// Accounting. Would have cost 8688000000 wei a segment to the sender: a rung that keeps the source's rate is taken for sixty pictures
/// a second, and two percent are laid on top.
#[test]
fn a_fee_for_pictures_that_are_not_there() {
    let rung = RenditionSpec {
        name: "source".into(),
        width: 400,
        height: 250,
        bitrate: 1,
        fps: None,
        profile: protocol::rendition::H264Profile::High,
        b_frames: 0,
        gop: None,
    };
    let (ladder, two) = (Ladder(vec![rung]), Ticks::from_millis(2000));
    let true_cost = Credit::of_work(400 * 250 * 50, PRICE).to_wei(PRICE);
    let theirs = fees::with_head_room(fees::estimate(&ladder, two), PRICE).to_wei(PRICE);
    let needed = Credit::of_work(fees::ceiling(&ladder, 50, two), PRICE).to_wei(PRICE);
    spared("a guessed rate", minus(theirs, true_cost), 8_688_000_000, minus(needed, true_cost));
}

/// Accounting. Would have cost 3000000001 wei: balances are in memory, and a restart or ten quiet minutes forget them.
#[test]
fn a_balance_that_a_restart_forgets() {
    let mut world = World::new();
    let batch = world.batch(1);
    world.accept(&batch).unwrap();
    let before = world.payee.account(&SESSION).unwrap().balance();
    world.crash_payee();
    let after = world.payee.account(&SESSION).unwrap().balance();
    spared("a balance in memory", before.to_wei(PRICE), 3_000_000_001, before.less(after).to_wei(PRICE));
}

/// Not on disk. Would have cost 3000000001 wei to the sender: the secret is drawn anew at each start, and all parameters that are out
/// are worth nothing.
#[test]
fn parameters_that_a_restart_makes_worthless() {
    let mut world = World::new();
    let batch = world.batch(1);
    world.crash_payee();
    let accepted = world.accept(&batch).unwrap();
    assert_eq!(accepted.credited, [1]);
    let worth = batch.quote.ticket_credit();
    spared("a new secret", worth.to_wei(PRICE), 3_000_000_001, worth.less(accepted.balance).to_wei(PRICE));
}

/// Nonces. Would have cost 12000000001 wei: which ones were seen is in memory, 600 for each hash, and forgotten with its last block.
#[test]
fn nonces_that_are_forgotten() {
    let mut world = World::new();
    let batch = world.batch(4);
    world.accept(&batch).unwrap();
    let once = world.payee.account(&SESSION).unwrap().credited;
    for l1_block in [1000, 1039, 1040, 1139, 1140, 1150, 9000] {
        world.payee.on_head(ChainHead { l1_block, round_end_block: 20_000, ..head() });
        assert!(world.accept(&batch).is_err() || l1_block < 1040, "{l1_block}");
        world.crash_payee();
        assert!(world.accept(&batch).unwrap().credited.is_empty(), "the chain seems to be back at 1000");
    }
    let twice = world.payee.account(&SESSION).unwrap().credited;
    spared("forgotten nonces", once.to_wei(PRICE), 12_000_000_001, twice.less(once).to_wei(PRICE));
}

/// Sticky errors. Would have cost 6000000001 wei to the sender: after one bad ticket no other of its batch is credited.
#[test]
fn one_bad_ticket_spoils_those_after_it() {
    let mut world = World::new();
    let mut batch = world.batch(4);
    batch.tickets[1].signature = batch.tickets[0].signature;
    let accepted = world.accept(&batch).unwrap();
    assert_eq!(accepted.refused, [(2, Invalid::ForeignSignature.into())]);
    let (one, good) = (batch.quote.ticket_credit(), [1, 3, 4]);
    let ours = one.times(good.len() as u64).less(accepted.balance);
    assert_eq!(accepted.credited, good);
    spared("a sticky error", one.times(2).to_wei(PRICE), 6_000_000_001, ours.to_wei(PRICE));
}

/// Prices. Would have cost 2000 wei a segment: three decimals of a wei a pixel, and below half of the last one the work is free.
#[test]
fn a_price_that_is_rounded_to_nothing() {
    let price = PricePerPixel { wei: 1, pixels: 5000 };
    let mut world = World::new();
    let ask = world.ask(SESSION, price);
    let quote = world.payee.quote(0, &ask, U256::ONE).unwrap().answer;
    let exact = Credit::of_work(PIXELS, price);
    let one = quote.ticket_credit();
    let tickets = fees::tickets_for(exact, Credit::ZERO, one).unwrap();
    let paid = one.times(tickets);
    spared("a rounded price", exact.to_wei(price), 2_000, exact.less(paid).to_wei(price));
}

/// Currencies. Would have cost 12000000000 wei a segment to the sender: a session's price may double before anybody objects.
#[test]
fn a_price_that_doubles_in_its_session() {
    let mut world = World::new();
    let batch = world.paid();
    let doubled = PricePerPixel { wei: 2 * PRICE.wei, ..PRICE };
    let raised = protocol::tickets::quote::Quote { price: doubled, ..batch.quote.clone() };
    let refused = world.payer.on_quote(raised).unwrap_err();
    assert_eq!(refused, Unacceptable::Price { quoted: doubled, agreed: PRICE }.into());
    let lost = minus(Credit::of_work(PIXELS, doubled).to_wei(doubled), cost(PIXELS));
    let made = world.made(1, Some(&batch));
    let paid = world.receive(made).unwrap().to_wei(PRICE);
    spared("a doubled price", lost, 12_000_000_000, minus(paid, cost(PIXELS)));
}

/// Sender's checks. Would have cost 3999999999993 wei: a ticket at the limit is fine by itself, and eight of them are not.
#[test]
fn a_batch_that_is_dearer_than_its_tickets() {
    let mut world = World::new();
    world.payer.open(0, SESSION, None, ME, PRICE).unwrap();
    let most = Ask { pixels: 10_000_000_000, ..world.ask(SESSION, PRICE) };
    let quote = world.payee.quote(0, &most, U256::ONE).unwrap().answer;
    world.payer.on_quote(quote.clone()).unwrap();
    let pixels = 18_000_000_000;
    let refused = world.payer.pay(0, SESSION, 1, pixels).unwrap_err();
    assert!(matches!(refused, Unpayable::Terms(Unacceptable::BatchTooDear { .. })), "{refused}");
    let limit = wei(20_000_000_000_000);
    let lost = minus(quote.ticket_credit().times(8).to_wei(PRICE), limit);
    let sent = world.payer.account(&SESSION).unwrap().credited.to_wei(PRICE);
    spared("a dear batch", lost, 3_999_999_999_993, sent);
}

/// "TicketParams expired". Would have cost 12000000001 wei to the sender: tickets of parameters that end on the way are gone, and the
/// next ones are made of the same.
#[test]
fn parameters_that_end_on_the_way() {
    let mut world = World::new();
    let batch = world.paid();
    assert!(!world.payer.wants_quote(&SESSION));
    let later = ChainHead { l1_block: 1030, ..head() };
    world.payer.on_head(later);
    assert!(world.payer.wants_quote(&SESSION), "ahead of their end");
    world.payer.on_head(ChainHead { l1_block: 1039, ..head() });
    world.payer.on_lost(SESSION, 1);
    let stale = world.payer.on_quote(batch.quote).unwrap_err();
    assert!(matches!(stale, Unpayable::Terms(Unacceptable::Expired { .. })), "and not again of the same");
    let theirs = world.statement();
    let healed = world.payer.on_statement(0, &theirs, &[]).unwrap().answer;
    let Healed::Resend(again) = healed else { panic!("{healed:?}") };
    world.accept(&again).unwrap();
    world.payer.on_statement(0, &world.statement(), &[]).unwrap();
    let credited = world.payee.account(&SESSION).unwrap().credited;
    let sent = world.payer.account(&SESSION).unwrap().credited;
    spared("expired on the way", sent.to_wei(PRICE), 12_000_000_001, sent.less(credited).to_wei(PRICE));
    assert_eq!(world.pay(2).unwrap(), None, "the credit is there");
}
