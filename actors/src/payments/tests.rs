//! Claims about both cores: every trap of the contract and every way to cheat, with the money that it would have cost.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unused_must_use,
    reason = "a test may fail by panic, says what it measured, and writes only what it reads again"
)]

use alloy_primitives::{Address, B256, U256};
use ed25519_dalek::SigningKey;
use protocol::payments::entry::Redemption;
use protocol::payments::{Entry, SessionId};
use protocol::receipt::Receipt;
use protocol::reserve::{Reserve, payable};
use protocol::tickets::batch::{Batch, MAX_BATCH};
use protocol::tickets::check::Invalid;
use protocol::tickets::credit::Credit;
use protocol::tickets::quote::Quote;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::terms::{Funds, Unacceptable};
use protocol::{Hash, PricePerPixel, Round, SegmentId, Wei};

use super::recipient::Refusal;
use super::recipient::core::{Accepted, Ask, Config as PayeeConfig, Core as Payee};
use super::recipient::cover::Uncovered;
use super::recipient::refusal::Blame;
use super::sender::Unpayable;
use super::sender::alarm::Alarm;
use super::sender::core::{Config as PayerConfig, Core as Payer, Healed};
use super::sender::refusal::Disputed;
use crate::ports::payments::{ChainHead, SenderFacts};

const PRICE: PricePerPixel = PricePerPixel { wei: 1200, pixels: 1 };
const PIXELS: u64 = 10_000_000;
const ME: Address = Address::repeat_byte(0x0e);
const SESSION: SessionId = SessionId([1; 16]);

fn wei(n: u64) -> Wei {
    Wei(U256::from(n))
}

fn ether(thousandths: u64) -> Wei {
    Wei(U256::from(thousandths) * U256::from(1_000_000_000_000_000_u64))
}

fn head() -> ChainHead {
    ChainHead {
        l1_block: 1000,
        round: Round(7),
        round_hash: B256::repeat_byte(7),
        round_end_block: 5000,
        pool_size: 4,
        next_pool_size: 4,
        active: true,
        active_next: true,
        redeem_cost: wei(12_000_000_000_000),
        redeem_cost_on_average: wei(12_000_000_000_000),
    }
}

fn facts() -> SenderFacts {
    SenderFacts {
        l2_block: 1,
        l1_block: 1000,
        round: Round(7),
        deposit: ether(1000),
        reserve: ether(1000),
        ..SenderFacts::default()
    }
}

struct World {
    key: TicketKey,
    payee: Payee,
    payer: Payer,
    disk: Vec<Entry>,
}

impl World {
    fn new() -> Self {
        let key = TicketKey::from_bytes(&[3; 32]).unwrap();
        let restored = Payee::restore(PayeeConfig::new(ME), &[], B256::repeat_byte(9));
        let (mut payee, disk) = (restored.answer, restored.entries);
        payee.on_head(head());
        payee.on_facts(key.address(), facts());
        let mut payer = Payer::restore(PayerConfig::new(PRICE, ether(1), ether(1)), key.clone(), &[]);
        payer.on_head(head());
        payer.on_funds(Funds { deposit: ether(1000), reserve: ether(1000), withdraw_round: Round(0) });
        Self { key, payee, payer, disk }
    }

    fn ask(&self, session: SessionId, price: PricePerPixel) -> Ask {
        Ask { session, sender: self.key.address(), stream: None, pixels: PIXELS, price }
    }

    fn quote(&mut self) -> Quote {
        let commit = self.payee.quote(0, &self.ask(SESSION, PRICE), U256::from(5)).unwrap();
        self.disk.extend(commit.entries);
        commit.answer
    }

    fn batch(&mut self, count: u32) -> Batch {
        let quote = self.quote();
        Batch::sign(&quote, 1..=count, &self.key)
    }

    fn accept(&mut self, batch: &Batch) -> Result<Accepted, Refusal> {
        let commit = self.payee.accept(0, batch);
        self.disk.extend(commit.entries);
        commit.answer
    }

    /// The same, with tickets that all win.
    fn winning(&mut self, face: Wei, count: u32) -> Batch {
        let mut quote = self.quote();
        (quote.face_value, quote.win_prob) = (face, U256::MAX);
        let quote = quote.committed(&B256::repeat_byte(9));
        Batch::sign(&quote, 1..=count, &self.key)
    }

    fn paid(&mut self) -> Batch {
        let quote = self.quote();
        self.payer.open(0, SESSION, None, ME, PRICE).unwrap();
        self.payer.on_quote(quote).unwrap();
        self.payer.pay(0, SESSION, 1, PIXELS).unwrap().answer.tickets.unwrap()
    }
}

fn receipt(seq: u64, pixels: u64) -> Receipt {
    let segment = SegmentId { stream: "s".parse().unwrap(), seq };
    Receipt { segment, source: Hash::of(b"in"), renditions: vec![(Hash::of(b"out"), pixels)] }
}

fn cost(pixels: u64) -> Wei {
    Credit::of_work(pixels, PRICE).to_wei(PRICE)
}

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
fn ticketless_work_is_refused_whatever_price_the_sender_says() {
    let mut world = World::new();
    world.quote();
    let sender = world.key.address();
    let refused = world.payee.admit(sender, SESSION, 1, PIXELS).unwrap_err();
    println!("ticketless: {} saved", cost(PIXELS));
    assert!(matches!(refused, Refusal::Credit { seq: 1, .. }));
    assert_eq!(refused.blame(), Blame::Slight);
}

#[test]
fn a_replayed_ticket_is_credited_once_also_after_a_restart() {
    let mut world = World::new();
    let batch = world.batch(2);
    let balance = world.accept(&batch).unwrap().balance;
    world.payee = Payee::restore(PayeeConfig::new(ME), &world.disk, B256::ZERO).answer;
    world.payee.on_head(head());
    world.payee.on_facts(world.key.address(), facts());
    let again = world.accept(&batch).unwrap();
    println!("replay: {} saved", balance.to_wei(PRICE));
    assert!(again.credited.is_empty() && again.balance == balance);
    assert_eq!(again.refused[0].1, Invalid::NonceSeen { nonce: 1 }.into());
}

#[test]
fn a_restart_invalidates_no_quote() {
    let mut world = World::new();
    let batch = world.batch(1);
    world.payee = Payee::restore(PayeeConfig::new(ME), &world.disk, B256::ZERO).answer;
    world.payee.on_head(head());
    world.payee.on_facts(world.key.address(), facts());
    assert_eq!(world.accept(&batch).unwrap().credited, [1]);
}

#[test]
fn tickets_of_one_session_are_worth_nothing_in_another() {
    let mut world = World::new();
    let mut batch = world.batch(1);
    let other = SessionId([2; 16]);
    batch.quote.session = other;
    assert_eq!(world.accept(&batch), Err(Invalid::Session(other).into()));
    world.payee.quote(0, &world.ask(other, PRICE), U256::from(6)).unwrap();
    let refused = world.accept(&batch).unwrap_err();
    println!("double use: {} saved", batch.quote.ticket_credit().to_wei(PRICE));
    assert_eq!((refused.blame(), refused), (Blame::Grave, Invalid::Rand.into()));
}

#[test]
fn a_session_keeps_its_price_for_both_sides() {
    let mut world = World::new();
    let mut batch = world.batch(1);
    let dearer = PricePerPixel { wei: 2400, pixels: 1 };
    let kept = world.payee.quote(0, &world.ask(SESSION, dearer), U256::from(6)).unwrap().answer;
    assert_eq!(kept.price, PRICE, "the orchestrator does not raise it");
    batch.quote.price = PricePerPixel { wei: 1, pixels: 1000 };
    let refused = world.accept(&batch).unwrap_err();
    println!("price change: {} saved a segment", cost(PIXELS));
    assert!(matches!(refused, Refusal::Invalid(Invalid::Price { agreed: PRICE, .. })));
    world.payer.open(0, SESSION, None, ME, PRICE).unwrap();
    let raised = Quote { price: dearer, ..kept };
    let refused = world.payer.on_quote(raised).unwrap_err();
    assert!(matches!(refused, Unpayable::Terms(Unacceptable::Price { .. })), "nor does the sender follow");
    let asked = world.payer.open(0, SessionId([3; 16]), None, ME, dearer).unwrap_err();
    assert!(matches!(asked, Unpayable::PriceTooHigh { .. }));
}

#[test]
fn an_oversized_batch_is_refused_before_any_signature_is_checked() {
    let mut world = World::new();
    let mut batch = world.batch(1);
    batch.tickets = vec![batch.tickets[0]; MAX_BATCH + 1];
    assert_eq!(world.accept(&batch), Err(Invalid::Size { tickets: MAX_BATCH + 1 }.into()));
    batch.tickets.truncate(2);
    assert_eq!(world.accept(&batch), Err(Invalid::NonceOrder.into()));
}

#[test]
fn one_bad_ticket_does_not_spoil_the_others() {
    let mut world = World::new();
    let mut batch = world.batch(4);
    batch.tickets[1].signature = batch.tickets[0].signature;
    let accepted = world.accept(&batch).unwrap();
    println!("sticky error: {} credited after it", batch.quote.ticket_credit().times(2).to_wei(PRICE));
    assert_eq!(accepted.credited, [1, 3, 4]);
    assert_eq!(accepted.refused, [(2, Invalid::ForeignSignature.into())]);
}

#[test]
fn a_ticket_of_a_round_that_is_over_is_refused() {
    let mut world = World::new();
    let batch = world.batch(1);
    world.payee.on_head(ChainHead { round: Round(9), ..head() });
    let refused = world.accept(&batch).unwrap_err();
    println!("wrong round: {} saved if it wins", batch.quote.face_value);
    assert_eq!(refused, Invalid::WrongRound { made: Round(7), now: Round(9) }.into());
}

#[test]
fn an_expired_ticket_gets_no_credit_and_a_win_in_it_is_kept_once() {
    let mut world = World::new();
    let batch = world.winning(ether(1), 1);
    world.payee.on_head(ChainHead { l1_block: 1040, ..head() });
    let before = world.disk.len();
    assert!(matches!(world.accept(&batch), Err(Refusal::Invalid(Invalid::Expired { .. }))));
    assert!(matches!(&world.disk[before..], [Entry::Winner(winner)] if !winner.credited));
    let before = world.disk.len();
    assert!(world.accept(&batch).is_err());
    assert_eq!(world.disk.len(), before, "it is not queued twice");
}

#[test]
fn an_unfunded_sender_gets_no_quote_and_a_stale_proof_is_none() {
    let mut world = World::new();
    let sender = world.key.address();
    world.payee.on_facts(
        sender,
        SenderFacts { l2_block: 2, deposit: Wei::default(), reserve: Wei::default(), ..facts() },
    );
    assert!(matches!(world.payee.quote(0, &world.ask(SESSION, PRICE), U256::ONE), Err(Refusal::Params(_))));
    let unknown = Ask { sender: Address::repeat_byte(1), ..world.ask(SESSION, PRICE) };
    assert_eq!(world.payee.quote(0, &unknown, U256::ONE).unwrap_err(), Uncovered::Unproven.into());
    world.payee.on_head(ChainHead { l1_block: 1601, ..head() });
    let stale = world.payee.quote(0, &world.ask(SESSION, PRICE), U256::ONE).unwrap_err();
    assert_eq!(stale, Uncovered::Stale { proven: 1000, now: 1601 }.into());
}

#[test]
fn a_sender_that_unlocks_mid_stream_is_refused_from_the_round_before_it_may_leave() {
    let mut world = World::new();
    let sender = world.key.address();
    let batch = world.batch(1);
    world.payee.on_facts(sender, SenderFacts { l2_block: 2, withdraw_round: Round(8), ..facts() });
    let refused = world.accept(&batch).unwrap_err();
    println!("unlocking: {} saved if it wins", batch.quote.face_value);
    assert_eq!(refused, Uncovered::Unlocking(Round(8)).into());
    world.payee.on_facts(sender, SenderFacts { l2_block: 3, ..facts() });
    assert!(world.accept(&batch).is_ok(), "the unlock was cancelled");
}

/// Trap (a): the contract looks at the whole reserve and pays a share.
#[test]
fn a_face_value_above_deposit_and_share_is_refused_though_the_contract_would_take_the_ticket() {
    let mut world = World::new();
    let sender = world.key.address();
    world.payee.on_facts(sender, SenderFacts { l2_block: 2, deposit: ether(100), ..facts() });
    let face = ether(400);
    let batch = world.winning(face, 1);
    let accepted = world.accept(&batch).unwrap();
    let paid = payable(face, ether(100), ether(250));
    println!("trap a: {} of {face} would have been lost", Wei(face.0 - paid.0));
    assert_eq!(
        accepted.refused[0].1,
        Uncovered::TooLittle { face, held: Wei::default(), covered: ether(350) }.into()
    );
}

/// Trap (b): the share is of the next round's pool, which grows.
#[test]
fn a_pool_that_may_grow_counts_at_its_largest_and_a_share_that_underflows_is_nothing() {
    let mut world = World::new();
    let sender = world.key.address();
    let poor = SenderFacts { l2_block: 2, deposit: Wei::default(), ..facts() };
    world.payee.on_facts(sender, poor);
    world.payee.on_head(ChainHead { next_pool_size: 10, ..head() });
    let face = ether(200);
    let batch = world.winning(face, 1);
    let accepted = world.accept(&batch).unwrap();
    println!("trap b: {} of {face} would have been lost", Wei(face.0 - ether(100).0));
    assert_eq!(
        accepted.refused[0].1,
        Uncovered::TooLittle { face, held: Wei::default(), covered: ether(100) }.into()
    );
    let mine = SenderFacts {
        l2_block: 3,
        reserve: ether(750),
        claimed: ether(250),
        claimed_by_me: ether(250),
        ..poor
    };
    world.payee.on_facts(sender, mine);
    let reverts = Reserve { funds: ether(750), claimed: ether(250), claimed_by: ether(250) };
    assert!(reverts.share(U256::from(10)).is_err(), "the contract reverts");
    let refused = world.payee.quote(0, &world.ask(SESSION, PRICE), U256::ONE).unwrap_err();
    assert!(matches!(refused, Refusal::Params(_)));
}

/// Trap (c): registered is not active.
#[test]
fn a_recipient_that_is_not_active_when_it_could_redeem_takes_no_ticket() {
    let mut world = World::new();
    let batch = world.batch(1);
    world.payee.on_head(ChainHead { active: false, active_next: false, ..head() });
    let refused = world.accept(&batch).unwrap_err();
    println!("trap c: {} saved if it wins", batch.quote.face_value);
    assert_eq!(refused, Uncovered::Inactive(Round(7)).into());
    world.payee.on_head(ChainHead { active: false, ..head() });
    assert!(world.accept(&batch).is_ok(), "active next round, when tickets of this one are still paid");
    world.payee.on_head(ChainHead { active_next: false, round_end_block: 1080, ..head() });
    let late = Batch::sign(&batch.quote, 2..=2, &world.key);
    assert_eq!(
        world.accept(&late).unwrap_err(),
        Uncovered::Inactive(Round(7)).into(),
        "too late for this round"
    );
}

#[test]
fn winners_that_are_not_paid_yet_are_not_counted_on_again() {
    let mut world = World::new();
    let sender = world.key.address();
    world.payee.on_facts(sender, SenderFacts { l2_block: 2, deposit: ether(100), ..facts() });
    let batch = world.winning(ether(200), 2);
    let accepted = world.accept(&batch).unwrap();
    assert_eq!((accepted.credited, accepted.winners), (vec![1], 2));
    assert_eq!(world.payee.held(sender), ether(400));
    println!("held: {} would have been lost", ether(50));
    let id = batch.quote.ticket(1).hash();
    let step = Redemption::Redeemed {
        transaction: B256::ZERO,
        block: 5,
        from_deposit: ether(100),
        from_reserve: ether(100),
        gas: wei(1),
    };
    world.payee.on_redemption(id, &step);
    assert_eq!(world.payee.held(sender), ether(400), "until its funds are proven after the payment");
    world.payee.on_facts(sender, SenderFacts { l2_block: 5, ..facts() });
    assert_eq!(world.payee.held(sender), ether(200));
}

#[test]
fn more_pixels_than_were_ordered_are_not_paid_by_either_side() {
    let mut world = World::new();
    let batch = world.paid();
    let sender = world.key.address();
    world.accept(&batch).unwrap();
    world.payee.admit(sender, SESSION, 1, PIXELS).unwrap();
    let debit = world.payee.settle(0, SESSION, receipt(1, u64::MAX)).unwrap().answer;
    assert_eq!(debit, Credit::of_work(PIXELS, PRICE));
    assert_eq!(world.payer.on_receipt(0, SESSION, receipt(1, u64::MAX)).unwrap().answer, debit);
    let twice = world.payer.on_receipt(0, SESSION, receipt(1, 1)).unwrap_err();
    assert_eq!(twice, Disputed::NotOrdered { seq: 1 });
}

#[test]
fn tickets_that_got_lost_are_sent_again_byte_for_byte() {
    let mut world = World::new();
    let batch = world.paid();
    world.payer.on_lost(SESSION, 1);
    assert_eq!(world.payer.pay(0, SESSION, 2, PIXELS).unwrap_err(), Unpayable::Unsure);
    let key = SigningKey::from_bytes(&[9; 32]);
    let theirs = world.payee.statement(world.key.address(), SESSION, 0).unwrap().0.sign(&key);
    let healed = world.payer.on_statement(0, &theirs, &[]).unwrap().answer;
    assert_eq!(healed, Healed::Resend(batch.clone()));
    world.accept(&batch).unwrap();
    let theirs = world.payee.statement(world.key.address(), SESSION, 0).unwrap().0.sign(&key);
    let healed = world.payer.on_statement(0, &theirs, &[]).unwrap().answer;
    assert_eq!(healed, Healed::Agreed { receipts: 0, written_off: Credit::ZERO });
    let next = world.payer.pay(0, SESSION, 2, PIXELS).unwrap();
    assert_eq!(next.answer.tickets, None, "the credit is there: nothing is paid twice");
}

#[test]
fn work_without_receipts_is_disputed_and_lost_tickets_are_written_off_up_to_one_segment() {
    let mut world = World::new();
    world.paid();
    world.payer.on_lost(SESSION, 1);
    let key = SigningKey::from_bytes(&[9; 32]);
    let honest = world.payee.statement(world.key.address(), SESSION, 0).unwrap().0;
    let mut liar = honest.clone();
    (liar.works, liar.debited) = (1, Credit::of_work(PIXELS, PRICE));
    let disputed = world.payer.on_statement(0, &liar.sign(&key), &[]).unwrap_err();
    assert_eq!(disputed, Disputed::Unproven { claimed: 1, proven: 0 });
    world.payer.on_head(ChainHead { l1_block: 1041, ..head() });
    let healed = world.payer.on_statement(0, &honest.sign(&key), &[]).unwrap().answer;
    assert!(matches!(healed, Healed::Agreed { receipts: 0, written_off } if written_off > Credit::ZERO));
    let other = world.payer.open(0, SessionId([4; 16]), None, ME, PRICE).unwrap_err();
    println!("written off: {}", cost(PIXELS));
    assert!(
        matches!(other, Unpayable::Distrusted { .. }),
        "one segment is all that anybody loses to one node"
    );
}

#[test]
fn a_nonce_is_never_used_twice_not_even_after_a_crash_before_sending() {
    let mut world = World::new();
    let quote = world.quote();
    world.payer.open(0, SESSION, None, ME, PRICE).unwrap();
    world.payer.on_quote(quote.clone()).unwrap();
    let reserved = world.payer.pay(0, SESSION, 1, PIXELS).unwrap().entries;
    let first = reserved.iter().find_map(|entry| match entry {
        Entry::NonceReserved { up_to, .. } => Some(*up_to),
        _ => None,
    });
    let mut again = Payer::restore(PayerConfig::new(PRICE, ether(1), ether(1)), world.key.clone(), &reserved);
    again.on_head(head());
    again.on_funds(Funds { deposit: ether(1000), reserve: ether(1000), withdraw_round: Round(0) });
    again.open(0, SESSION, None, ME, PRICE).unwrap();
    again.on_quote(quote).unwrap();
    let batch = again.pay(0, SESSION, 2, PIXELS).unwrap().answer.tickets.unwrap();
    assert!(batch.tickets[0].nonce > first.unwrap());
}

#[test]
fn a_budget_stops_spending_and_is_counted_over_restarts() {
    let mut world = World::new();
    let budget = Wei(cost(PIXELS).0 * U256::from(3) / U256::from(2));
    let config = PayerConfig::new(PRICE, budget, ether(1));
    world.payer = Payer::restore(config, world.key.clone(), &[]);
    world.payer.on_head(head());
    world.payer.on_funds(Funds { deposit: ether(1000), reserve: ether(1000), withdraw_round: Round(0) });
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
    world.payer.on_funds(Funds { deposit: face, reserve: ether(1), withdraw_round: Round(0) });
    let alarms = world.payer.alarms(0);
    let missing = Wei(face.0 * U256::from(2));
    assert_eq!(alarms[0], Alarm::Deposit { deposit: face, face, missing });
    assert!(matches!(alarms[1], Alarm::Reserve { pool: 4, .. }));
}

#[test]
fn parameters_that_end_soon_are_asked_for_again_in_time() {
    let mut world = World::new();
    world.paid();
    assert!(!world.payer.wants_quote(&SESSION));
    world.payer.on_head(ChainHead { l1_block: 1030, ..head() });
    assert!(world.payer.wants_quote(&SESSION));
}
