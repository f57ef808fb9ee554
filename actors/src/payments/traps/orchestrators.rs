//! What an orchestrator may try: nothing is paid for what was not ordered, not made or not quoted, it counts against the orchestrator,
//! and one segment is all that is lost to one of them.

use alloy_primitives::U256;
use ed25519_dalek::SigningKey;
use protocol::payments::entry::Side;
use protocol::payments::statement::{SignedStatement, Statement};
use protocol::payments::{Entry, SessionId};
use protocol::tickets::credit::Credit;
use protocol::tickets::quote::Quote;
use protocol::tickets::terms::Unacceptable;
use protocol::{PricePerPixel, Wei};

use super::spared;
use crate::payments::recipient::refusal::Blame;
use crate::payments::sender::Unpayable;
use crate::payments::sender::core::Healed;
use crate::payments::sender::refusal::Disputed;
use crate::payments::world::{ME, PIXELS, PRICE, SESSION, World, cost, head, receipt};
use crate::ports::payments::ChainHead;

const DAY_MS: u64 = 86_400_000;

fn signed(statement: Statement) -> SignedStatement {
    statement.sign(&SigningKey::from_bytes(&[9; 32]))
}

/// What the orchestrator's books say.
fn books(world: &World) -> Statement {
    world.payee.statement(world.key.address(), SESSION, 0).unwrap().0
}

/// What the broadcaster takes itself to owe.
fn debited(world: &World) -> Wei {
    world.payer.account(&SESSION).unwrap().debited.to_wei(PRICE)
}

/// Another orchestrator is paid as before.
fn others_go_on(world: &mut World) {
    let session = SessionId([0x77; 16]);
    let other = alloy_primitives::Address::repeat_byte(0x0f);
    world.payer.open(0, session, None, other, PRICE).unwrap();
    let mut quote = world.quote();
    (quote.session, quote.recipient) = (session, other);
    world.payer.on_quote(quote).unwrap();
    assert!(world.payer.pay(0, session, 1, PIXELS).unwrap().answer.tickets.is_some());
}

/// Would have cost 12000000000 wei: a statement of work that has no receipt.
#[test]
fn a_statement_for_work_that_was_not_done() {
    let mut world = World::new();
    world.paid();
    world.payer.on_lost(SESSION, 1);
    let mut liar = books(&world);
    (liar.works, liar.debited) = (1, Credit::of_work(PIXELS, PRICE));
    let disputed = world.payer.on_statement(0, &signed(liar), &[]).unwrap_err();
    assert_eq!(disputed, Disputed::Unproven { claimed: 1, proven: 0 });
    assert_eq!(disputed.blame(), Blame::Grave);
    assert_eq!(world.pay(2), Err(Unpayable::Unsure), "it gets no more until it says the truth");
    others_go_on(&mut world);
    spared("work without a receipt", cost(PIXELS), 12_000_000_000, debited(&world));
}

/// Would have cost 12000000000 wei: a receipt for a segment that nobody ordered.
#[test]
fn a_receipt_for_a_segment_that_was_not_ordered() {
    let mut world = World::new();
    world.paid();
    assert_eq!(world.receive(receipt(2, PIXELS)), Err(Disputed::NotOrdered { seq: 2 }));
    world.payer.on_lost(SESSION, 1);
    let mut liar = books(&world);
    (liar.works, liar.debited) = (1, Credit::of_work(PIXELS, PRICE));
    let disputed = world.payer.on_statement(0, &signed(liar), &[receipt(2, PIXELS)]).unwrap_err();
    assert_eq!((disputed.blame(), disputed), (Blame::Grave, Disputed::NotOrdered { seq: 2 }));
    others_go_on(&mut world);
    spared("a receipt without an order", cost(PIXELS), 12_000_000_000, debited(&world));
}

/// Would have cost 12000000000 wei: the receipt of one segment twice.
#[test]
fn a_receipt_twice() {
    let mut world = World::new();
    let batch = world.paid();
    let receipt = world.made(1, Some(&batch));
    world.receive(receipt.clone()).unwrap();
    let twice = world.receive(receipt).unwrap_err();
    assert_eq!((twice.blame(), twice), (Blame::Grave, Disputed::NotOrdered { seq: 1 }));
    let ours = Wei(debited(&world).0 - cost(PIXELS).0);
    spared("a receipt twice", cost(PIXELS), 12_000_000_000, ours);
}

/// Would have cost 12000000000 wei: twice as many pixels as were ordered.
#[test]
fn more_pixels_than_were_ordered() {
    let mut world = World::new();
    let batch = world.paid();
    world.made(1, Some(&batch));
    world.receive(receipt(1, 2 * PIXELS)).unwrap();
    let ours = Wei(debited(&world).0 - cost(PIXELS).0);
    spared("too many pixels", cost(PIXELS), 12_000_000_000, ours);
}

/// Would have cost 12000000000 wei: receipts for what was ordered, and another sum in the statement.
#[test]
fn a_statement_that_its_receipts_do_not_come_to() {
    let mut world = World::new();
    let batch = world.paid();
    let made = world.made(1, Some(&batch));
    world.payer.on_lost(SESSION, 1);
    let mut liar = books(&world);
    liar.debited = liar.debited.times(2);
    let disputed = world.payer.on_statement(0, &signed(liar), std::slice::from_ref(&made)).unwrap_err();
    assert_eq!((disputed.blame(), disputed), (Blame::Grave, Disputed::Contradiction));
    let honest = signed(books(&world));
    let healed = world.payer.on_statement(0, &honest, &[made]).unwrap().answer;
    assert_eq!(healed, Healed::Agreed { receipts: 1, written_off: Credit::ZERO });
    let ours = Wei(debited(&world).0 - cost(PIXELS).0);
    spared("another sum", cost(PIXELS), 12_000_000_000, ours);
}

/// Would have cost 12000000000 wei a segment: another price than was quoted, for the session or for the next one.
#[test]
fn another_price_than_quoted() {
    let mut world = World::new();
    let batch = world.paid();
    let dearer = PricePerPixel { wei: 2400, pixels: 1 };
    let raised = Quote { price: dearer, ..batch.quote };
    let refused = world.payer.on_quote(raised).unwrap_err();
    assert_eq!(refused, Unacceptable::Price { quoted: dearer, agreed: PRICE }.into());
    let asked = world.payer.open(0, SessionId([3; 16]), None, ME, dearer).unwrap_err();
    assert_eq!(asked, Unpayable::PriceTooHigh { asked: dearer, max: PRICE });
    let kept = world.payee.quote(0, &world.ask(SESSION, dearer), U256::from(6)).unwrap().answer;
    assert_eq!(kept.price, PRICE, "an honest one keeps the session's price by itself");
    others_go_on(&mut world);
    let lost = Wei(Credit::of_work(PIXELS, dearer).to_wei(dearer).0 - cost(PIXELS).0);
    spared("another price", lost, 12_000_000_000, debited(&world));
}

/// Would have cost 12000000000 wei for each segment after the first: it takes segments and keeps what it makes, then shows receipts.
#[test]
fn work_that_is_kept_and_charged() {
    let mut world = World::new();
    let batch = world.paid();
    let made = world.made(1, Some(&batch));
    world.payer.on_withheld(SESSION, 1);
    let other = SessionId([4; 16]);
    let refused = world.payer.open(0, other, None, ME, PRICE).unwrap_err();
    assert!(matches!(refused, Unpayable::Distrusted { .. }), "not even in another session");
    let theirs = signed(books(&world));
    let healed = world.payer.on_statement(0, &theirs, &[made]).unwrap().answer;
    assert_eq!(healed, Healed::Agreed { receipts: 1, written_off: Credit::ZERO });
    let refused = world.pay(2).unwrap_err();
    assert!(matches!(refused, Unpayable::Distrusted { lost } if lost >= cost(PIXELS)));
    assert_eq!(world.payer.open(0, other, None, ME, PRICE).unwrap_err(), refused);
    let sent = world.payer.account(&SESSION).unwrap().works;
    others_go_on(&mut world);
    spared("work that is kept", cost(PIXELS), 12_000_000_000, Wei(U256::from(sent - 1) * cost(PIXELS).0));
    world.payer.on_head(ChainHead { l1_block: 1001, ..head() });
    assert!(world.payer.open(DAY_MS, other, None, ME, PRICE).is_ok(), "tomorrow it may show what it is");
}

/// Would have cost 12000000000 wei for each session after the first: it takes tickets, sends nothing, and says nothing of it.
#[test]
fn a_receipt_and_a_statement_that_are_withheld() {
    let mut world = World::new();
    world.paid();
    world.payer.on_withheld(SESSION, 1);
    assert_eq!(world.pay(2), Err(Unpayable::Unsure));
    let closed = world.payer.close(0, SESSION);
    assert!(matches!(closed.entries[..], [Entry::WrittenOff { .. }, Entry::SessionClosed { .. }]));
    world.payer_disk.extend(closed.entries);
    for _ in 0..2 {
        let refused = world.payer.open(0, SessionId([4; 16]), None, ME, PRICE).unwrap_err();
        assert!(matches!(refused, Unpayable::Distrusted { .. }), "{refused}");
        world.crash_payer();
    }
    let others = world.payer.accounts().count() as u64;
    spared("silence", cost(PIXELS), 12_000_000_000, Wei(U256::from(others) * cost(PIXELS).0));
    others_go_on(&mut world);
}

/// Would have cost 12000000000 wei for each segment after the first: it credits tickets and says that they never came.
#[test]
fn tickets_that_are_denied() {
    let mut world = World::new();
    let batch = world.paid();
    let none = signed(Statement { side: Side::Recipient, ..books(&world) });
    world.payer.on_lost(SESSION, 1);
    let healed = world.payer.on_statement(0, &none, &[]).unwrap().answer;
    assert_eq!(
        healed,
        Healed::Resend(batch),
        "the same tickets, byte for byte: they are worth nothing twice"
    );
    world.payer.on_head(ChainHead { l1_block: 1041, ..head() });
    let healed = world.payer.on_statement(0, &none, &[]).unwrap();
    world.payer_disk.extend(healed.entries);
    assert!(matches!(healed.answer, Healed::Agreed { written_off, .. } if written_off > Credit::ZERO));
    for _ in 0..2 {
        let refused = world.payer.open(0, SessionId([4; 16]), None, ME, PRICE).unwrap_err();
        assert!(matches!(refused, Unpayable::Distrusted { .. }), "one segment is all, also after a restart");
        assert!(world.pay(2).is_err());
        world.crash_payer();
    }
    let works = world.payer.account(&SESSION).unwrap().works;
    spared("denied tickets", cost(PIXELS), 12_000_000_000, Wei(U256::from(works) * cost(PIXELS).0));
    others_go_on(&mut world);
}

/// Would have cost 1000000000000000000 wei: a ticket worth a whole ether, or one that always wins, or wins more than there is.
#[test]
fn terms_that_take_the_deposit_at_once() {
    let mut world = World::new();
    let good = world.batch(1).quote;
    world.payer.open(0, SESSION, None, ME, PRICE).unwrap();
    let ether = Wei(U256::from(10).pow(U256::from(18)));
    let greedy = Quote { face_value: Wei(ether.0 * U256::from(2)), win_prob: U256::MAX >> 1, ..good };
    let lost = greedy.ticket_credit().to_wei(PRICE);
    let refused = |world: &mut World, quote| match world.payer.on_quote(quote) {
        Err(Unpayable::Terms(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(&mut world, greedy), Unacceptable::TicketTooDear { .. }));
    let sure = Quote { win_prob: U256::MAX, ..good };
    assert_eq!(refused(&mut world, sure), Unacceptable::FaceTooLow);
    let rich = Quote { face_value: Wei(ether.0 * U256::from(3)), win_prob: U256::ONE, ..good };
    assert!(matches!(refused(&mut world, rich), Unacceptable::DepositTooLow { .. }));
    let foreign = Quote { recipient: world.key.address(), ..good };
    assert_eq!(refused(&mut world, foreign), Unacceptable::Foreign);
    assert_eq!(world.pay(1), Err(Unpayable::NoQuote));
    let sent = world.payer.account(&SESSION).unwrap().credited.to_wei(PRICE);
    spared("greedy terms", lost, 1_000_000_000_000_000_000, sent);
}
