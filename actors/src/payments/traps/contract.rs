//! What `TicketBroker` does that nobody expects, by the contracts themselves.

use alloy_primitives::{Address, FixedBytes, U256};
use protocol::chain::Revert;
use protocol::chain::call::Broker;
use protocol::payments::entry::Winner;
use protocol::tickets::batch::{Batch, SignedNonce};
use protocol::tickets::check::Invalid;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::{BadSignature, Ticket};
use protocol::{Round, Wei};

use super::{ours, spared, unpaid};
use crate::payments::contracts::{Contracts, REDEEM_COST, ether, minus, plus, wei};
use crate::payments::desk::Desk;
use crate::payments::recipient::Refusal;
use crate::payments::recipient::cover::Uncovered;
use crate::payments::world::{ME, PRICE, SECRET, SESSION, World, sender};

const RIVALS: [Address; 4] = [
    Address::repeat_byte(0xa1),
    Address::repeat_byte(0xa2),
    Address::repeat_byte(0xa3),
    Address::repeat_byte(0xa4),
];
/// Price of gas, wei.
const CHEAP: u64 = 10_000_000;

fn key() -> TicketKey {
    TicketKey::from_bytes(&[3; 32]).unwrap()
}

/// Contracts with this orchestrator and rivals, and a sender that has put something down.
fn contracts(rivals: usize, deposit: Wei, reserve: Wei) -> Contracts {
    let all: Vec<Address> = [ME].into_iter().chain(RIVALS[..rivals].iter().copied()).collect();
    let mut contracts = Contracts::new(&all);
    contracts.fund(sender(3), deposit, reserve);
    contracts
}

/// Trap (a) would have cost 50000000000000000 wei: all of the reserve is looked at, a share of it is paid.
#[test]
fn the_whole_reserve_is_checked_and_a_share_is_paid() {
    let mut contracts = contracts(3, ether(100), ether(1000));
    let mut world = World::over(3, &contracts);
    let face = ether(400);
    let batch = world.winning(face, 1);
    let refused = world.accept(&batch).unwrap().refused;
    let covered = ether(225);
    assert_eq!(refused[0].1, Uncovered::TooLittle { face, held: Wei::default(), covered }.into());
    let winner = world.winners().remove(0);
    let lost = unpaid(&mut contracts, &winner);
    assert!(contracts.is_used(winner.id()), "it is used up, whatever it brought");
    spared("a share of the reserve", lost, 50_000_000_000_000_000, ours(&winner, lost));
}

/// Trap (b) would have cost 100000000000000000 wei: the share is of the next round's pool. When that grows after a share was taken,
/// the contract's own subtraction fails until the next round, and then the ticket's rounds are over.
#[test]
fn a_pool_that_grows_makes_redemptions_fail() {
    let mut contracts = contracts(1, Wei::default(), ether(1000));
    let mut world = World::over(3, &contracts);
    let (big, small) = (world.winning(ether(400), 1), world.winning(ether(100), 1));
    assert!(matches!(
        world.accept(&big).unwrap().refused[0].1,
        Refusal::Uncovered(Uncovered::TooLittle { .. })
    ));
    assert!(matches!(
        world.accept(&small).unwrap().refused[0].1,
        Refusal::Uncovered(Uncovered::TooLittle { .. })
    ));
    contracts.next_round();
    let [big, small] = <[_; 2]>::try_from(world.winners()).unwrap();
    assert_eq!(contracts.redeem(&big), Ok(ether(400)));
    assert!(contracts.naive_share(sender(3), ME) >= ether(100), "who does not count on growth takes it");
    RIVALS[1..].iter().for_each(|rival| contracts.join(*rival));
    assert!(matches!(contracts.redeem(&small), Err(Revert::Panic(_))));
    contracts.next_round();
    assert_eq!(contracts.redeem(&small), Err(Revert::TicketExpired));
    let lost = unpaid(&mut contracts, &small);
    spared("a pool that grows", lost, 100_000_000_000_000_000, ours(&small, lost));
}

/// Trap (b) the other way would have cost 100000000000000000 wei: while the pool is small, others take more than their part, and a
/// share of what was there is more than what is left.
#[test]
fn a_pool_that_shrinks_lets_others_take_more_than_their_part() {
    let mut contracts = contracts(4, Wei::default(), ether(1000));
    let mut world = World::over(3, &contracts);
    let batch = world.winning(ether(100), 1);
    // This orchestrator is in its last round: nothing is paid to it in the next.
    [ME, RIVALS[2], RIVALS[3]].into_iter().for_each(|who| contracts.leave(who));
    for (rival, nonce) in [(RIVALS[0], 1), (RIVALS[1], 2)] {
        let half = contracts.winner(&key(), rival, ether(500), nonce);
        assert_eq!(contracts.redeem(&half), Ok(ether(500)));
    }
    contracts.join(Address::repeat_byte(0xa5));
    contracts.join(Address::repeat_byte(0xa6));
    assert_eq!(contracts.naive_share(sender(3), ME), ether(250), "of nothing");
    world.look(&contracts);
    let refused = world.accept(&batch).unwrap().refused;
    assert!(matches!(refused[0].1, Refusal::Uncovered(Uncovered::TooLittle { .. })));
    let winner = world.winners().remove(0);
    assert_eq!(contracts.redeem(&winner), Err(Revert::InsufficientCover));
    let lost = unpaid(&mut contracts, &winner);
    spared("a pool that shrinks", lost, 100_000_000_000_000_000, ours(&winner, lost));
}

/// Trap (c) would have cost 100000000000000000 wei: in the round in which an orchestrator registers it is not active, and its
/// tickets are used up for nothing.
#[test]
fn who_is_registered_and_not_active_is_paid_nothing_from_the_reserve() {
    let mut contracts = Contracts::new(&RIVALS[..1]);
    contracts.join(ME);
    contracts.fund(sender(3), Wei::default(), ether(1000));
    let naive = contracts.winner(&key(), ME, ether(100), 1);
    let lost = unpaid(&mut contracts, &naive);
    assert!(contracts.is_used(naive.id()));
    let mut world = World::over(3, &contracts);
    let batch = world.winning(ether(100), 1);
    assert_eq!(world.accept(&batch).unwrap().credited, [1], "it is active when this ticket is still paid");
    let mut desk = Desk::new(ME, CHEAP);
    desk.won(&mut contracts, &world.winners()[0]);
    contracts.advance(50);
    desk.look(&mut contracts);
    assert_eq!(desk.sent, 0);
    contracts.next_round();
    desk.look(&mut contracts);
    spared("registered is not active", lost, 100_000_000_000_000_000, minus(ether(100), desk.earned));
}

/// Trap (c) with a deposit would have cost 120000000000000 wei of gas in ten attempts: there the contract refuses.
#[test]
fn who_is_registered_and_not_active_pays_gas_for_refusals() {
    let mut contracts = Contracts::new(&RIVALS[..1]);
    contracts.join(ME);
    contracts.fund(sender(3), ether(1000), ether(1000));
    let winner = contracts.winner(&key(), ME, ether(100), 1);
    let mut desk = Desk::new(ME, CHEAP);
    desk.won(&mut contracts, &winner);
    let mut lost = Wei::default();
    for _ in 0..10 {
        contracts.advance(1);
        assert_eq!(contracts.redeem(&winner), Err(Revert::NotActive));
        lost = plus(lost, wei(REDEEM_COST));
        desk.look(&mut contracts);
    }
    spared("refusals cost gas", lost, 120_000_000_000_000, desk.gas);
    contracts.next_round();
    desk.look(&mut contracts);
    assert_eq!((desk.earned, desk.sent), (ether(100), 1));
}

/// Trap (d) would have cost 10000000000000000 wei: a batch succeeds whatever becomes of its tickets.
#[test]
fn a_batch_swallows_failures() {
    let mut contracts = contracts(1, ether(50), Wei::default());
    let mut desk = Desk::new(ME, CHEAP);
    for nonce in 1..=5 {
        let winner = contracts.winner(&key(), ME, ether(10), nonce);
        desk.won(&mut contracts, &winner);
    }
    contracts.advance(1);
    desk.overtaken_by = vec![contracts.winner(&key(), RIVALS[0], ether(10), 9)];
    desk.look(&mut contracts);
    assert_eq!(desk.sent, 1);
    let lost = minus(ether(50), desk.earned);
    contracts.fund(sender(3), ether(10), Wei::default());
    contracts.advance(1);
    desk.look(&mut contracts);
    spared("a batch that says nothing", lost, 10_000_000_000_000_000, minus(ether(50), desk.earned));
}

/// Would have cost 400000000000000000 wei: from its withdraw round on nobody is paid, and the sender takes deposit and reserve.
#[test]
fn a_sender_that_unlocks_mid_stream_leaves_with_everything() {
    let mut contracts = contracts(0, ether(1000), ether(1000));
    let mut world = World::over(3, &contracts);
    contracts.broker(sender(3), Wei::default(), Broker::Unlock).unwrap();
    world.look(&contracts);
    let early = world.winning(ether(100), 1);
    assert_eq!(world.accept(&early).unwrap().credited, [1], "paid in this round and the next");
    contracts.next_round();
    world.look(&contracts);
    let refused = world.payee.quote(0, &world.ask(SESSION, PRICE), U256::ONE).unwrap_err();
    assert_eq!(refused, Uncovered::Unlocking(Round(4)).into());
    let naive = contracts.winner(&key(), ME, ether(400), 9);
    assert_eq!(contracts.redeem(&world.winners()[0]), Ok(ether(100)));
    contracts.next_round();
    assert_eq!(contracts.redeem(&naive), Err(Revert::SenderUnlocked));
    contracts.broker(sender(3), Wei::default(), Broker::Withdraw).unwrap();
    assert_eq!(
        contracts.left(sender(3)),
        Wei::default(),
        "both at once, they cannot be taken out one by one"
    );
    let lost = unpaid(&mut contracts, &naive);
    spared("unlocking mid-stream", lost, 400_000_000_000_000_000, taken_in(&world, Round(3)));
}

/// Faces of the tickets that were credited in a round.
fn taken_in(world: &World, round: Round) -> Wei {
    let credited = world.winners().into_iter().filter(|w| w.credited && w.creation_round == round);
    credited.map(|winner| Wei(winner.ticket.face_value)).fold(Wei::default(), plus)
}

/// Would have cost 100000000000000000 wei: ether from a stranger looks like the sender's own and does not stop it from leaving.
#[test]
fn a_stranger_that_funds_a_sender_does_not_stop_it_from_leaving() {
    let mut contracts = contracts(0, ether(1000), ether(1000));
    let sender = sender(3);
    contracts.broker(sender, Wei::default(), Broker::Unlock).unwrap();
    contracts.next_round();
    let more = Broker::FundDepositAndReserveFor(sender, ether(500).0, ether(500).0);
    contracts.broker(RIVALS[0], ether(1000), more).unwrap();
    let mut world = World::over(3, &contracts);
    assert_eq!(world.payee.doubts(sender), Some(Uncovered::Unlocking(Round(4))));
    let naive = contracts.winner(&key(), ME, ether(100), 1);
    contracts.next_round();
    let lost = unpaid(&mut contracts, &naive);
    spared("a stranger's ether", lost, 100_000_000_000_000_000, taken_in(&world, Round(3)));
    contracts.fund(sender, ether(1), ether(1));
    world.look(&contracts);
    assert_eq!(world.payee.doubts(sender), None, "its own ether does");
}

/// Would have cost 100000000000000000 wei: each signature has a twin with another draw, which the contract refuses.
#[test]
fn the_twin_of_a_signature_wins_and_is_not_paid() {
    let order = "115792089237316195423570985008687907852837564279074904382605163141518161494337";
    let order = U256::from_str_radix(order, 10).unwrap();
    let mut contracts = contracts(0, ether(1000), ether(1000));
    let mut world = World::over(3, &contracts);
    let mut batch = world.winning(ether(100), 1);
    batch.tickets[0].signature = twin_of(&batch.tickets[0].signature, order);
    let refused = world.accept(&batch).unwrap().refused;
    assert_eq!(refused[0].1, Invalid::BadSignature(BadSignature::HighS).into());
    let good = contracts.winner(&key(), ME, ether(100), 1);
    let naive = Winner { signature: twin_of(&good.signature, order), ..good };
    assert_eq!(contracts.redeem(&naive), Err(Revert::Signature(BadSignature::HighS)));
    let lost = unpaid(&mut contracts, &naive);
    spared("a malleable signature", lost, 100_000_000_000_000_000, taken_in(&world, Round(2)));
}

/// The other signature of the same key over the same ticket.
fn twin_of(signature: &FixedBytes<65>, order: U256) -> FixedBytes<65> {
    let mut twin = *signature;
    let high = order - U256::from_be_slice(&signature[32..64]);
    twin[32..64].copy_from_slice(&high.to_be_bytes::<32>());
    twin[64] ^= 27 ^ 28;
    twin
}

/// Would have cost 100000000000000000 wei: the contract wants the round's own block hash.
#[test]
fn a_ticket_with_another_rounds_hash_is_not_paid() {
    let mut contracts = contracts(0, ether(1000), ether(1000));
    let mut world = World::over(3, &contracts);
    let mut quote = world.winning(ether(100), 1).quote;
    quote.creation_round_hash.0[0] ^= 1;
    let refused = world.accept(&Batch::sign(&quote, 1..=1, &key())).unwrap_err();
    assert_eq!(refused, Invalid::Rand.into());
    let mut naive = contracts.winner(&key(), ME, ether(100), 1);
    naive.ticket.aux_data = Ticket::aux(Round(2), quote.creation_round_hash);
    naive.signature = key().sign(&naive.ticket);
    assert_eq!(contracts.redeem(&naive), Err(Revert::WrongBlockHash));
    let lost = unpaid(&mut contracts, &naive);
    spared("another round's hash", lost, 100_000_000_000_000_000, taken_in(&world, Round(2)));
}

/// Would have cost 100000000000000000 wei: a ticket is paid in its own round and the next.
#[test]
fn a_ticket_is_worth_nothing_after_its_next_round() {
    let mut contracts = contracts(0, ether(1000), ether(1000));
    let mut world = World::over(3, &contracts);
    let batch = world.winning(ether(100), 1);
    let naive = contracts.winner(&key(), ME, ether(100), 1);
    contracts.next_round();
    contracts.next_round();
    world.look(&contracts);
    let refused = world.accept(&batch).unwrap_err();
    assert_eq!(refused, Invalid::WrongRound { made: Round(2), now: Round(4) }.into());
    assert_eq!(contracts.redeem(&naive), Err(Revert::TicketExpired));
    let lost = unpaid(&mut contracts, &naive);
    spared("a round that is over", lost, 100_000_000_000_000_000, taken_in(&world, Round(2)));
}

/// Would have cost 5000000000000000000 wei: a redemption shows the recipient's number, and whoever knows it while its parameters are
/// good makes a hundred tickets that lose, each worth half a win.
#[test]
fn a_number_that_is_revealed_early_makes_losing_tickets() {
    let mut contracts = contracts(0, ether(10_000), ether(10_000));
    let mut world = World::over(3, &contracts);
    let mut quote = world.winning(ether(100), 1).quote;
    quote.win_prob = U256::MAX / U256::from(2);
    let quote = quote.committed(&SECRET);
    let rand = quote.rand(&SECRET);
    let loses = |nonce: &u32| !quote.ticket(*nonce).wins(key().sign(&quote.ticket(*nonce)).as_slice(), rand);
    let first = (1..=600).find(|nonce| !loses(nonce)).unwrap();
    let losers: Vec<SignedNonce> = (first + 1..=600)
        .filter(loses)
        .map(|nonce| SignedNonce { nonce, signature: key().sign(&quote.ticket(nonce)) })
        .take(100)
        .collect();
    let ground = Batch { quote: quote.clone(), tickets: losers };
    world.accept(&Batch::sign(&quote, first..=first, &key())).unwrap();
    let mut desk = Desk::new(ME, CHEAP);
    desk.won(&mut contracts, &world.winners()[0]);
    while contracts.l1_block() < quote.expiration_block {
        desk.look(&mut contracts);
        assert_eq!(desk.sent, 0, "the number is kept while a ticket with it is taken");
        contracts.advance(1);
    }
    contracts.advance(1);
    desk.look(&mut contracts);
    assert_eq!((desk.sent, desk.earned), (1, ether(100)));
    world.look(&contracts);
    let refused = world.accept(&ground).unwrap_err();
    assert!(matches!(refused, Refusal::Invalid(Invalid::Expired { .. })));
    let lost = Wei(U256::from(ground.tickets.len()) * (ether(100).0 / U256::from(2)));
    let credited = world.payee.account(&SESSION).unwrap().credited;
    let ours = minus(credited.to_wei(PRICE), quote.ticket_credit().to_wei(PRICE));
    spared("a number that is known", lost, 5_000_000_000_000_000_000, ours);
}

/// Would have cost 100000000000000000 wei: what this recipient has taken of a reserve in this round counts, whichever key sent the
/// redemption.
#[test]
fn what_was_claimed_counts_whoever_sent_the_redemption() {
    let mut contracts = contracts(3, Wei::default(), ether(800));
    let mut world = World::over(3, &contracts);
    let first = contracts.winner(&key(), ME, ether(200), 7);
    assert_eq!(contracts.redeem(&first), Ok(ether(200)), "sent by a key that holds gas and nothing else");
    let naive = contracts.winner(&key(), ME, ether(100), 8);
    let batch = world.winning(ether(100), 1);
    world.look(&contracts);
    let refused = world.accept(&batch).unwrap().refused;
    assert!(matches!(refused[0].1, Refusal::Uncovered(Uncovered::TooLittle { .. })));
    let lost = unpaid(&mut contracts, &naive);
    spared("a share that is taken", lost, 100_000_000_000_000_000, taken_in(&world, Round(2)));
}
