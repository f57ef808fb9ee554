//! What a sender may try: each is refused and told why, it counts against the sender, and the others' streams go on.

use alloy_primitives::{Address, U256};
use ed25519_dalek::SigningKey;
use protocol::payments::SessionId;
use protocol::tickets::batch::{Batch, MAX_BATCH, MAX_NONCE};
use protocol::tickets::check::Invalid;
use protocol::tickets::credit::Credit;
use protocol::tickets::sign::TicketKey;
use protocol::{PricePerPixel, Round, Wei};

use super::spared;
use crate::payments::contracts::ether;
use crate::payments::recipient::Refusal;
use crate::payments::recipient::core::Ask;
use crate::payments::recipient::cover::Uncovered;
use crate::payments::recipient::refusal::Blame;
use crate::payments::world::{ME, PIXELS, PRICE, SECRET, SESSION, World, cost, facts, head, receipt};
use crate::ports::payments::{ChainHead, SenderFacts};

/// What tickets of a batch are worth.
fn worth(batch: &Batch, tickets: usize) -> Wei {
    batch.quote.ticket_credit().times(tickets as u64).to_wei(PRICE)
}

/// What the account has been given so far.
fn credited(world: &World) -> Wei {
    world.payee.account(&SESSION).map_or(Credit::ZERO, |account| account.credited).to_wei(PRICE)
}

/// A refusal, with words for the sender, that counts against it; and somebody else is served as before.
fn told(world: &mut World, refusal: &Refusal, blame: Blame) {
    assert!(refusal.to_string().len() > 10, "{refusal}");
    assert_eq!(refusal.blame(), blame, "{refusal}");
    world.others_go_on();
}

/// Would have cost 12000000000 wei: whoever sends no tickets says himself what the price is.
#[test]
fn work_without_tickets() {
    let mut world = World::new();
    world.quote();
    let refused = world.payee.admit(world.key.address(), SESSION, 1, PIXELS).unwrap_err();
    assert!(matches!(refused, Refusal::Credit { seq: 1, .. }));
    told(&mut world, &refused, Blame::Slight);
    let debited = world.payee.account(&SESSION).unwrap().debited;
    spared("no tickets", cost(PIXELS), 12_000_000_000, debited.to_wei(PRICE));
}

/// Would have cost 6000000001 wei: the same two tickets again, also after the orchestrator was killed.
#[test]
fn tickets_again_after_a_restart() {
    let mut world = World::new();
    let batch = world.batch(2);
    world.accept(&batch).unwrap();
    let once = credited(&world);
    world.crash_payee();
    let again = world.accept(&batch).unwrap();
    assert!(again.credited.is_empty());
    let refused = again.refused[0].1.clone();
    assert_eq!(refused, Invalid::NonceSeen { nonce: 1 }.into());
    told(&mut world, &refused, Blame::Slight);
    spared("a replay", once, 6_000_000_001, Wei(credited(&world).0 - once.0));
}

/// Would have cost 3000000001 wei: a ticket of one session in another one.
#[test]
fn a_ticket_in_two_sessions() {
    let mut world = World::new();
    let mut batch = world.batch(1);
    let other = SessionId([2; 16]);
    batch.quote.session = other;
    assert_eq!(world.accept(&batch), Err(Invalid::Session(other).into()));
    world.quote_for(other);
    let refused = world.accept(&batch).unwrap_err();
    assert_eq!(refused, Invalid::Rand.into());
    told(&mut world, &refused, Blame::Grave);
    let ours = world.payee.account(&other).unwrap().credited.to_wei(PRICE);
    spared("double use", worth(&batch, 1), 3_000_000_001, ours);
}

/// Would have cost 1200000000000000 wei if it wins: a ticket of a round that is over.
#[test]
fn a_ticket_of_the_wrong_round() {
    let mut world = World::new();
    let batch = world.batch(1);
    world.payee.on_head(ChainHead { round: Round(9), ..head() });
    let refused = world.accept(&batch).unwrap_err();
    assert_eq!(refused, Invalid::WrongRound { made: Round(7), now: Round(9) }.into());
    assert_eq!(refused.blame(), Blame::None, "a round ends for everybody");
    world.payee.on_head(head());
    world.others_go_on();
    spared("the wrong round", batch.quote.face_value, 1_200_000_000_000_000, credited(&world));
}

/// Would have cost 1200000000000000 wei if it wins: nothing stands behind it, or nobody knows what does.
#[test]
fn tickets_of_a_sender_without_funds() {
    let mut world = World::new();
    let sender = world.key.address();
    let batch = world.batch(1);
    let poor = SenderFacts { l2_block: 2, deposit: Wei::default(), reserve: Wei::default(), ..facts() };
    world.payee.on_facts(sender, poor);
    let refused = world.accept(&batch).unwrap().refused[0].1.clone();
    assert!(matches!(refused, Refusal::Uncovered(Uncovered::TooLittle { .. })));
    told(&mut world, &refused, Blame::Slight);
    assert!(matches!(world.payee.quote(0, &world.ask(SESSION, PRICE), U256::ONE), Err(Refusal::Params(_))));
    let unknown = Ask { sender: Address::repeat_byte(1), ..world.ask(SessionId([2; 16]), PRICE) };
    assert_eq!(world.payee.quote(0, &unknown, U256::ONE).unwrap_err(), Uncovered::Unproven.into());
    world.payee.on_head(ChainHead { l1_block: 1601, ..head() });
    let stale = world.payee.quote(0, &world.ask(SESSION, PRICE), U256::ONE).unwrap_err();
    assert_eq!(stale, Uncovered::Stale { proven: 1000, now: 1601 }.into());
    spared("no funds", batch.quote.face_value, 1_200_000_000_000_000, credited(&world));
}

/// Would have cost 1200000000000000 wei if it wins: the sender takes its money out while the stream goes on.
#[test]
fn a_sender_that_leaves_mid_stream() {
    let mut world = World::new();
    let sender = world.key.address();
    let batch = world.batch(1);
    world.payee.on_facts(sender, SenderFacts { l2_block: 2, withdraw_round: Round(8), ..facts() });
    let refused = world.accept(&batch).unwrap_err();
    assert_eq!(refused, Uncovered::Unlocking(Round(8)).into());
    told(&mut world, &refused, Blame::Slight);
    spared("leaving", batch.quote.face_value, 1_200_000_000_000_000, credited(&world));
    world.payee.on_facts(sender, SenderFacts { l2_block: 3, ..facts() });
    assert!(world.accept(&batch).is_ok(), "it stays");
}

/// Would have cost 11990000000 wei a segment: in the middle of a session the sender says a lower price.
#[test]
fn a_lower_price_mid_session() {
    let mut world = World::new();
    let mut batch = world.batch(1);
    let claimed = PricePerPixel { wei: 1, pixels: 1 };
    batch.quote.price = claimed;
    let refused = world.accept(&batch).unwrap_err();
    assert_eq!(refused, Invalid::Price { agreed: PRICE, claimed }.into());
    told(&mut world, &refused, Blame::Grave);
    let lost = Wei(cost(PIXELS).0 - Credit::of_work(PIXELS, claimed).to_wei(claimed).0);
    spared("a lower price", lost, 11_990_000_000, credited(&world));
}

/// Would have cost 300000000001 wei: one ticket a hundred and one times in a batch.
#[test]
fn an_oversized_batch() {
    let mut world = World::new();
    let mut batch = world.batch(1);
    batch.tickets = vec![batch.tickets[0]; MAX_BATCH + 1];
    let refused = world.accept(&batch).unwrap_err();
    assert_eq!(refused, Invalid::Size { tickets: MAX_BATCH + 1 }.into());
    told(&mut world, &refused, Blame::Grave);
    batch.tickets.pop();
    let refused = world.accept(&batch).unwrap_err();
    assert_eq!(refused, Invalid::NonceOrder.into());
    told(&mut world, &refused, Blame::Grave);
    spared("a batch of copies", worth(&batch, MAX_BATCH), 300_000_000_001, credited(&world));
}

/// Would have cost 3000000001 wei: a ticket that somebody else signed.
#[test]
fn a_ticket_that_somebody_else_signed() {
    let mut world = World::new();
    let quote = world.quote();
    let batch = Batch::sign(&quote, 1..=1, &TicketKey::from_bytes(&[4; 32]).unwrap());
    let refused = world.accept(&batch).unwrap().refused[0].1.clone();
    assert_eq!(refused, Invalid::ForeignSignature.into());
    told(&mut world, &refused, Blame::Grave);
    spared("a forged signature", worth(&batch, 1), 3_000_000_001, credited(&world));
}

/// Would have cost 3000000001 wei: a nonce that nobody remembers.
#[test]
fn a_nonce_beyond_those_that_are_remembered() {
    let mut world = World::new();
    let quote = world.quote();
    let batch = Batch::sign(&quote, MAX_NONCE + 1..=MAX_NONCE + 1, &world.key);
    let refused = world.accept(&batch).unwrap().refused[0].1.clone();
    assert_eq!(refused, Invalid::NonceRange { nonce: MAX_NONCE + 1 }.into());
    told(&mut world, &refused, Blame::Slight);
    spared("an odd nonce", worth(&batch, 1), 3_000_000_001, credited(&world));
}

/// Would have cost 1200000000000000 wei: the sender itself makes the ticket worth more credit, and any field of it less likely.
#[test]
fn parameters_that_the_sender_made_up() {
    let mut world = World::new();
    let mut quote = world.quote();
    quote.win_prob = U256::MAX;
    let batch = Batch::sign(&quote, 1..=1, &world.key);
    let refused = world.accept(&batch).unwrap_err();
    assert_eq!(refused, Invalid::Rand.into());
    told(&mut world, &refused, Blame::Grave);
    spared("made-up parameters", worth(&batch, 1), 1_200_000_000_000_000, credited(&world));
}

/// Would have cost 12000000000 wei: the same segment again, or two at once, for the tickets of one.
#[test]
fn two_segments_for_the_tickets_of_one() {
    let mut world = World::new();
    let batch = world.paid();
    let sender = world.key.address();
    world.accept(&batch).unwrap();
    world.payee.admit(sender, SESSION, 1, PIXELS).unwrap();
    let refused = world.payee.admit(sender, SESSION, 2, PIXELS).unwrap_err();
    assert_eq!(refused, Refusal::InWork { seq: 1 });
    told(&mut world, &refused, Blame::Slight);
    world.payee.settle(0, SESSION, receipt(1, PIXELS)).unwrap();
    let refused = world.payee.admit(sender, SESSION, 1, PIXELS).unwrap_err();
    assert_eq!(refused, Refusal::Done { done: 1 });
    told(&mut world, &refused, Blame::Slight);
    assert!(matches!(world.payee.admit(sender, SESSION, 2, PIXELS), Err(Refusal::Credit { .. })));
    let debited = world.payee.account(&SESSION).unwrap().debited.to_wei(PRICE);
    spared("one segment's tickets", cost(PIXELS), 12_000_000_000, Wei(debited.0 - cost(PIXELS).0));
}

/// Would have cost 12000000000 wei: the sender signs that a segment never came, to have its credit again.
#[test]
fn a_sender_that_denies_work() {
    let mut world = World::new();
    let batch = world.paid();
    let before = world.payer.statement(&SESSION).unwrap();
    world.made(1, Some(&batch));
    let left = world.payee.account(&SESSION).unwrap().balance();
    let denied = before.sign(&SigningKey::from_bytes(&[9; 32]));
    assert!(world.payee.on_statement(0, &denied).entries.is_empty(), "only what it admits is believed");
    let again = world.payee.account(&SESSION).unwrap().balance();
    assert!(matches!(
        world.payee.admit(world.key.address(), SESSION, 2, PIXELS),
        Err(Refusal::Credit { seq: 2, .. })
    ));
    world.others_go_on();
    spared("denied work", cost(PIXELS), 12_000_000_000, again.less(left).to_wei(PRICE));
}

/// Would have cost 1200000000000000 wei: a win in a ticket that comes too late is kept, though it is not credited, and only once.
#[test]
fn a_win_that_comes_late() {
    let mut world = World::new();
    let batch = world.winning(Wei(U256::from(1_200_000_000_000_000_u64)), 1);
    world.payee.on_head(ChainHead { l1_block: 1040, ..head() });
    for _ in 0..2 {
        assert!(matches!(world.accept(&batch), Err(Refusal::Invalid(Invalid::Expired { .. }))));
    }
    let [winner] = <[_; 1]>::try_from(world.winners()).unwrap();
    assert!(!winner.credited && winner.recipient_rand == batch.quote.rand(&SECRET));
    assert_eq!(winner.ticket.recipient, ME);
    spared("a late win", batch.quote.face_value, 1_200_000_000_000_000, credited(&world));
}

/// Would have cost 50000000000000000 wei: two wins of one sender, each covered and both together not.
#[test]
fn winners_that_are_not_paid_yet_are_not_counted_on_again() {
    let mut world = World::new();
    let sender = world.key.address();
    world.payee.on_facts(sender, SenderFacts { l2_block: 2, deposit: ether(100), ..facts() });
    let batch = world.winning(ether(200), 2);
    let accepted = world.accept(&batch).unwrap();
    assert_eq!((accepted.credited, accepted.winners), (vec![1], 2));
    let both = world.payee.held(sender);
    assert_eq!(both, ether(400), "both are redeemed, one counts");
    let paid = protocol::reserve::payable(both, ether(100), ether(250));
    let id = batch.quote.ticket(1).hash();
    let step = protocol::payments::entry::Redemption::Redeemed {
        transaction: alloy_primitives::B256::ZERO,
        block: 5,
        from_deposit: ether(100),
        from_reserve: ether(100),
        gas: Wei::default(),
    };
    world.payee.on_redemption(id, &step);
    assert_eq!(world.payee.held(sender), both, "until its funds are proven after the payment");
    world.payee.on_facts(sender, SenderFacts { l2_block: 5, ..facts() });
    assert_eq!(world.payee.held(sender), ether(200));
    let ours = Wei(ether(200).0.saturating_sub(paid.0));
    spared("two wins on one cover", Wei(both.0 - paid.0), 50_000_000_000_000_000, ours);
}
