//! A redeemer in virtual time: blocks and gas go as a test says, the ledger is a list, a crash is a fold of it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use protocol::payments::entry::{Redemption, Winner};
use protocol::payments::{Entry, SessionId};
use protocol::tickets::sign::TicketKey;
use protocol::tickets::{Ticket, rand_hash};
use protocol::{Round, Wei};

use super::core::{Config, Core, Effect};
use crate::ports::payments::SenderFacts;
use crate::ports::redeemer::{Order, OrderFault, Paid, Settled, Situation};

const LENGTH: u64 = 100;
const FACE: u64 = 100_000_000_000_000;
const CHEAP: u64 = 1_000_000;

/// One chain, one ledger, one redeemer.
struct World {
    core: Core,
    ledger: Vec<Entry>,
    orders: Vec<Order>,
    followed: Vec<Order>,
    now: Situation,
}

fn key(n: u8) -> TicketKey {
    TicketKey::from_bytes(&[n; 32]).unwrap()
}

/// A ticket of round 10 whose parameters end at block 1040.
fn winner(sender: u8, nonce: u64, face: u64) -> Winner {
    let recipient_rand = U256::from(nonce + 1);
    let ticket = Ticket {
        recipient: Address::repeat_byte(9),
        sender: key(sender).address(),
        face_value: U256::from(face),
        win_prob: U256::MAX,
        sender_nonce: U256::from(nonce),
        recipient_rand_hash: rand_hash(recipient_rand),
        aux_data: Ticket::aux(Round(10), B256::repeat_byte(7)),
    };
    let signature = key(sender).sign(&ticket);
    Winner {
        session: SessionId([1; 16]),
        ticket,
        signature,
        recipient_rand,
        expiration_block: 1040,
        creation_round: Round(10),
        credited: true,
        at_ms: 0,
    }
}

impl World {
    fn with(winners: &[Winner]) -> Self {
        let now = Situation {
            l2_block: 1,
            l1_block: 1000,
            round: Round(10),
            initialized: true,
            round_start: 1000,
            round_length: LENGTH,
            pool_size: 10,
            active: true,
            base_fee: CHEAP,
            ..Situation::default()
        };
        let mut world =
            Self { core: fresh(), ledger: Vec::new(), orders: Vec::new(), followed: Vec::new(), now };
        for winner in winners {
            world.ledger.push(Entry::Winner(winner.clone()));
            world.fund(winner.ticket.sender, 1000 * FACE, 0);
            let effects = world.core.on_winner(0, winner.clone());
            world.act(effects);
        }
        world
    }

    fn fund(&mut self, sender: Address, deposit: u64, reserve: u64) {
        let facts = SenderFacts {
            deposit: Wei(U256::from(deposit)),
            reserve: Wei(U256::from(reserve)),
            ..SenderFacts::default()
        };
        self.now.senders.insert(sender, facts);
    }

    fn act(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Write(entries) => self.ledger.extend(entries),
                Effect::Redeem(order) => self.orders.push(order),
                Effect::Follow(order) => self.followed.push(order),
            }
        }
    }

    /// The chain at an L1 block; gives the orders that follow.
    fn at(&mut self, l1_block: u64) -> Vec<Order> {
        self.now.l2_block += 1;
        self.now.l1_block = l1_block;
        self.now.round = Round(l1_block / LENGTH);
        self.now.round_start = l1_block / LENGTH * LENGTH;
        for id in self.core.ask().map(|ask| ask.tickets).unwrap_or_default() {
            self.now.used.entry(id).or_insert(false);
        }
        let effects = self.core.on_situation(0, &self.now.clone());
        let before = self.orders.len();
        self.act(effects);
        self.orders[before..].to_vec()
    }

    /// The order is signed, and then in a block; its tickets are paid from the deposit.
    fn settle(&mut self, order: &Order) {
        let effects = self.core.on_sent(0, order, B256::repeat_byte(3));
        self.act(effects);
        let mut paid = BTreeMap::new();
        for winner in &order.winners {
            self.now.used.insert(winner.id(), true);
            let facts = self.now.senders.get_mut(&winner.ticket.sender).unwrap();
            facts.deposit.0 -= winner.ticket.face_value;
            let from_deposit = Wei(winner.ticket.face_value);
            paid.insert(winner.id(), Paid { from_deposit, from_reserve: Wei::default() });
        }
        let (transaction, block) = (B256::repeat_byte(3), self.now.l2_block + 1);
        self.now.l2_block += 1;
        let gas = Wei(U256::from(1_000_003));
        self.end(order, Ok(Settled { transaction, block, gas, paid }));
    }

    fn end(&mut self, order: &Order, end: Result<Settled, OrderFault>) {
        let effects = self.core.on_ended(0, self.now.l1_block, order, end);
        self.act(effects);
    }

    /// A new process with the same ledger; gives the orders that it follows. It may order nothing before it has looked.
    fn crash(&mut self, under_way: &[String]) -> Vec<Order> {
        let (core, effects) = Core::recover(Config::default(), self.ledger.clone(), under_way);
        self.core = core;
        let before = (self.orders.len(), self.followed.len());
        self.act(effects);
        assert_eq!(self.orders.len(), before.0, "ordered without a plan");
        self.followed[before.1..].to_vec()
    }

    /// A batch is in a block and paid all but this ticket, of which it says nothing.
    fn settle_but(&mut self, order: &Order, left_out: B256, gas: u64) {
        let paid = |winner: &Winner| {
            (winner.id(), Paid { from_deposit: Wei(U256::from(FACE)), from_reserve: Wei::default() })
        };
        let paid: BTreeMap<_, _> = order.winners.iter().filter(|w| w.id() != left_out).map(paid).collect();
        self.now.used.extend(paid.keys().map(|id| (*id, true)));
        let (gas, block) = (Wei(U256::from(gas)), self.now.l2_block);
        self.end(order, Ok(Settled { transaction: B256::ZERO, block, gas, paid }));
    }

    fn steps(&self, of: &Winner) -> Vec<&Redemption> {
        let of = of.id();
        self.ledger
            .iter()
            .filter_map(|entry| match entry {
                Entry::Redemption { ticket, step, .. } if *ticket == of => Some(step),
                _ => None,
            })
            .collect()
    }
}

fn fresh() -> Core {
    Core::recover(Config::default(), Vec::new(), &[]).0
}

fn ids(orders: &[Order]) -> Vec<B256> {
    orders.iter().flat_map(|order| &order.winners).map(Winner::id).collect()
}

#[test]
fn the_recipients_number_is_not_revealed_while_its_parameters_are_good() {
    let mut world = World::with(&[winner(1, 1, FACE)]);
    assert_eq!(world.at(1039), []);
    assert_eq!(world.at(1040), []);
    assert_eq!(world.at(1041).len(), 1);
}

#[test]
fn a_ticket_is_ordered_once_however_often_the_chain_is_looked_at() {
    let mut world = World::with(&[winner(1, 1, FACE)]);
    assert_eq!(world.at(1041).len(), 1);
    assert_eq!(world.at(1042), []);
    assert_eq!(world.core.on_winner(0, winner(1, 1, FACE)), []);
}

#[test]
fn what_would_be_paid_in_part_waits_until_it_is_paid_in_full() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    world.fund(one.ticket.sender, FACE / 2, FACE);
    assert_eq!(world.at(1041), [], "a tenth of the reserve is missing to the face");
    world.fund(one.ticket.sender, FACE / 2, 5 * FACE);
    assert_eq!(world.at(1042).len(), 1);
}

#[test]
fn at_the_last_call_a_part_is_better_than_nothing() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    world.fund(one.ticket.sender, FACE / 2, FACE);
    assert_eq!(world.at(1180), []);
    let order = world.at(1188).pop().unwrap();
    assert_eq!(order.max_cost, Wei(U256::from(FACE / 2 + FACE / 10 - 1)), "and never at a loss");
}

#[test]
fn a_pool_that_grew_after_the_share_was_taken_is_waited_out() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    let claimed = SenderFacts {
        reserve: Wei(U256::from(9 * FACE)),
        claimed: Wei(U256::from(FACE)),
        claimed_by_me: Wei(U256::from(FACE)),
        ..SenderFacts::default()
    };
    world.now.senders.insert(one.ticket.sender, claimed);
    world.now.pool_size = 11;
    assert_eq!(world.at(1050), []);
    assert_eq!(world.at(1099), []);
    // In the next round nothing is claimed yet.
    world.fund(one.ticket.sender, 0, 11 * FACE);
    assert_eq!(world.at(1100).len(), 1);
}

#[test]
fn two_tickets_are_not_paid_from_the_same_deposit() {
    let (one, two) = (winner(1, 1, FACE), winner(1, 2, FACE));
    let mut world = World::with(&[one.clone(), two]);
    world.fund(one.ticket.sender, FACE + FACE / 2, 0);
    let first = world.at(1041);
    assert_eq!(ids(&first).len(), 1);
    assert_eq!(world.at(1042), [], "also while the first is under way");
    world.settle(&first[0]);
    world.fund(one.ticket.sender, FACE, 0);
    assert_eq!(ids(&world.at(1043)).len(), 1);
}

#[test]
fn an_inactive_recipient_and_an_unlocked_sender_give_nothing_away() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    world.now.active = false;
    assert_eq!(world.at(1041), []);
    world.now.active = true;
    world.now.senders.get_mut(&one.ticket.sender).unwrap().withdraw_round = Round(10);
    assert_eq!(world.at(1042), []);
    world.now.senders.get_mut(&one.ticket.sender).unwrap().withdraw_round = Round(12);
    assert_eq!(world.at(1043).len(), 1);
    let mut world = World::with(&[one]);
    world.now.initialized = false;
    assert_eq!(world.at(1041), []);
}

#[test]
fn dear_gas_is_waited_out_and_cheap_gas_taken() {
    let mut world = World::with(&[winner(1, 1, FACE)]);
    // A third of the face value.
    world.now.base_fee = FACE / 224_000 / 3;
    assert_eq!(world.at(1041), []);
    assert_eq!(world.at(1090), []);
    world.now.base_fee = CHEAP;
    assert_eq!(world.at(1091).len(), 1);
}

#[test]
fn near_its_end_a_ticket_goes_for_any_gas_that_is_no_loss() {
    let mut world = World::with(&[winner(1, 1, FACE)]);
    world.now.base_fee = FACE / 224_000 / 3;
    assert!((1041..1170).step_by(8).any(|at| !world.at(at).is_empty()));
    let mut world = World::with(&[winner(1, 1, FACE)]);
    world.now.base_fee = FACE / 224_000 - 1;
    assert_eq!(world.at(1041), []);
    assert_eq!(world.at(1195).len(), 1);
}

#[test]
fn a_ticket_that_only_costs_is_dropped_at_its_end_and_says_why() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    world.now.base_fee = FACE;
    for block in (1041..1200).step_by(3) {
        assert_eq!(world.at(block), []);
    }
    assert_eq!(world.at(1200), []);
    let steps = world.steps(&one);
    assert!(
        matches!(steps[..], [Redemption::Queued, Redemption::Dropped { reason }] if reason.contains("gas cost"))
    );
}

#[test]
fn a_ticket_whose_rounds_end_is_written_off() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    world.fund(one.ticket.sender, 0, 0);
    assert_eq!(world.at(1199), []);
    assert_eq!(world.steps(&one), [&Redemption::Queued]);
    assert_eq!(world.at(1200), []);
    assert_eq!(world.steps(&one), [&Redemption::Queued, &Redemption::Expired]);
    assert_eq!(world.core.ask(), None);
}

#[test]
fn many_go_in_batches_few_go_alone() {
    let many: Vec<Winner> = (0..30).map(|n| winner(1, n, FACE)).collect();
    let mut world = World::with(&many);
    let orders = world.at(1041);
    let sizes: Vec<usize> = orders.iter().map(|order| order.winners.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 30);
    assert_eq!(sizes.iter().filter(|size| **size == 14).count(), 2);
    let mut few = World::with(&many[..3]);
    assert_eq!(few.at(1041).iter().map(|order| order.winners.len()).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn what_ends_first_goes_first_and_then_what_pays_more() {
    let late = Winner { creation_round: Round(11), ..winner(1, 1, 50 * FACE) };
    let late = Winner {
        ticket: Ticket { aux_data: Ticket::aux(Round(11), B256::repeat_byte(7)), ..late.ticket.clone() },
        ..late
    };
    let late = Winner { signature: key(1).sign(&late.ticket), ..late };
    let (small, big) = (winner(1, 2, FACE), winner(1, 3, 3 * FACE));
    let mut world = World::with(&[late.clone(), small.clone(), big.clone()]);
    world.core.config.max_orders = 1;
    let first = world.at(1101);
    assert_eq!(ids(&first), [big.id()]);
    world.settle(&first[0]);
    let second = world.at(1102);
    assert_eq!(ids(&second), [small.id()]);
    world.settle(&second[0]);
    assert_eq!(ids(&world.at(1103)), [late.id()]);
}

#[test]
fn a_batch_that_leaves_one_out_tries_it_again_and_pays_for_the_others() {
    let four: Vec<Winner> = (0..4).map(|n| winner(1, n, FACE)).collect();
    let mut world = World::with(&four);
    let order = world.at(1041).pop().unwrap();
    let left_out = order.winners[2].id();
    world.settle_but(&order, left_out, 10);
    let again = world.at(1042).pop().unwrap();
    assert_eq!((ids(std::slice::from_ref(&again)), again.attempt), (vec![left_out], 1));
    let spent: U256 = world
        .ledger
        .iter()
        .filter_map(|entry| match entry {
            Entry::Redemption { step: Redemption::Redeemed { gas, .. }, .. } => Some(gas.0),
            _ => None,
        })
        .sum();
    assert_eq!(spent, U256::from(10), "every wei of gas is some ticket's");
}

#[test]
fn what_an_endpoint_says_against_a_good_ticket_is_only_waited_out() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    let order = world.at(1041).pop().unwrap();
    let lie = BTreeMap::from([(one.id(), "ticket is used".to_owned())]);
    world.end(&order, Err(OrderFault::Refused(lie)));
    assert_eq!(world.at(1041), []);
    assert_eq!(world.at(1042).len(), 1);
    assert_eq!(world.steps(&one), [&Redemption::Queued]);
}

#[test]
fn what_is_proven_to_be_used_by_others_is_given_up() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    world.now.used.insert(one.id(), true);
    assert_eq!(world.at(1041), []);
    assert!(matches!(world.steps(&one)[..], [Redemption::Queued, Redemption::Dropped { .. }]));
}

#[test]
fn a_ticket_that_cannot_be_good_is_dropped_at_once() {
    let good = winner(1, 1, FACE);
    let bad = [
        Winner { recipient_rand: U256::from(5), ..good.clone() },
        Winner { signature: key(2).sign(&good.ticket), ..good.clone() },
        Winner { creation_round: Round(11), ..good.clone() },
        Winner { ticket: Ticket { sender: Address::ZERO, ..good.ticket.clone() }, ..good.clone() },
        Winner {
            ticket: Ticket { aux_data: Ticket::aux(Round(10), B256::ZERO), ..good.ticket.clone() },
            ..good
        },
    ];
    for bad in bad {
        let mut world = World::with(std::slice::from_ref(&bad));
        assert!(matches!(world.steps(&bad)[..], [Redemption::Queued, Redemption::Dropped { .. }]));
        assert_eq!(world.at(1041), []);
    }
}

#[test]
fn a_crash_at_any_point_forgets_nothing_and_sends_nothing_twice() {
    let all: Vec<Winner> = (0..5).map(|n| winner(1, n, FACE)).collect();
    // Before anything was ordered.
    let mut world = World::with(&all);
    assert_eq!(world.crash(&[]), []);
    let order = world.at(1041).pop().unwrap();
    assert_eq!(order.winners.len(), 5);
    // Ordered and not signed: it is planned again, and is the same by name.
    assert_eq!(world.crash(&[]), []);
    assert_eq!(world.at(1041).pop().unwrap().name(), order.name());
    // Signed, and the ledger does not know.
    let again = world.crash(&[order.name()]);
    assert_eq!((again.len(), again[0].name()), (1, order.name()));
    assert_eq!(world.at(1042), []);
    // Signed, and the ledger knows.
    let sent = world.core.on_sent(0, &order, B256::repeat_byte(3));
    world.act(sent);
    for under_way in [vec![], vec![order.name()]] {
        let again = world.crash(&under_way);
        assert_eq!((again.len(), again[0].name()), (1, order.name()));
    }
    // Redeemed.
    world.settle(&order);
    assert_eq!(world.crash(&[order.name()]), []);
    assert_eq!((world.at(1043), world.core.ask()), (vec![], None));
    let redeemed =
        |entry: &&Entry| matches!(entry, Entry::Redemption { step: Redemption::Redeemed { .. }, .. });
    assert_eq!(world.ledger.iter().filter(redeemed).count(), 5);
}

#[test]
fn a_ticket_that_a_batch_left_out_before_a_crash_is_planned_afresh() {
    let four: Vec<Winner> = (0..4).map(|n| winner(1, n, FACE)).collect();
    let mut world = World::with(&four);
    let order = world.at(1041).pop().unwrap();
    let sent = world.core.on_sent(0, &order, B256::repeat_byte(3));
    world.act(sent);
    let left_out = order.winners[2].id();
    world.settle_but(&order, left_out, 10);
    let followed = world.crash(&[order.name()]).pop().unwrap();
    assert_eq!(ids(std::slice::from_ref(&followed)), [left_out]);
    world.end(&followed, Err(OrderFault::Unsent("nothing of this name".into())));
    // Meanwhile its sender has nothing left, and then gas is dear: each would have cost money.
    world.fund(order.winners[2].ticket.sender, 0, 0);
    assert_eq!(world.at(1042), [], "it would be paid nothing");
    world.fund(order.winners[2].ticket.sender, FACE, 0);
    world.now.base_fee = FACE / 224_000 * 2;
    assert_eq!(world.at(1043), [], "gas costs twice what it pays");
    world.now.base_fee = CHEAP;
    let again = world.at(1044).pop().unwrap();
    assert_eq!(ids(std::slice::from_ref(&again)), [left_out]);
    assert!(again.max_cost.0 < U256::from(FACE));
}

#[test]
fn what_became_of_an_earlier_transaction_does_not_free_a_ticket_that_is_in_a_later_one() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    let first = world.at(1041).pop().unwrap();
    let sent = world.core.on_sent(0, &first, B256::repeat_byte(3));
    world.act(sent);
    world.end(&first, Err(OrderFault::Void("reverted".into())));
    let second = world.at(1042).pop().unwrap();
    // The chain takes days to confirm the first one's failure, and a new process hears of it again.
    let followed = world.crash(&[first.name(), second.name()]);
    assert_eq!(followed.iter().map(Order::name).collect::<Vec<_>>(), [first.name(), second.name()]);
    world.end(&first, Err(OrderFault::Void("reverted".into())));
    assert_eq!(world.at(1043), []);
    world.settle(&second);
    assert!(matches!(world.steps(&one).last(), Some(Redemption::Redeemed { .. })));
}

#[test]
fn a_transaction_that_did_nothing_is_followed_by_another() {
    let one = winner(1, 1, FACE);
    let mut world = World::with(std::slice::from_ref(&one));
    let first = world.at(1041).pop().unwrap();
    let sent = world.core.on_sent(0, &first, B256::repeat_byte(3));
    world.act(sent);
    world.end(&first, Err(OrderFault::Void("reverted".into())));
    let second = world.at(1042).pop().unwrap();
    assert_ne!(first.name(), second.name());
    assert_eq!(second.attempt, 1);
}

#[test]
fn state_from_before_a_redemption_decides_nothing() {
    let (one, two) = (winner(1, 1, FACE), winner(1, 2, FACE));
    let mut world = World::with(&[one.clone(), two]);
    world.fund(one.ticket.sender, FACE, 0);
    let stale = {
        let first = world.at(1041).pop().unwrap();
        let stale = world.now.clone();
        world.settle(&first);
        stale
    };
    assert_eq!(world.core.on_situation(0, &stale), []);
}

#[test]
fn the_name_of_the_largest_order_fits_and_says_what_it_is() {
    let mut winners: Vec<Winner> = (0..14).map(|n| winner(1, n, FACE)).collect();
    winners.sort_by_key(Winner::id);
    let order = Order { attempt: 4_000_000_000, winners: winners.clone(), max_cost: Wei::default() };
    let ids = winners.iter().map(Winner::id).collect();
    assert_eq!(Order::parse(&order.name()), Some((4_000_000_000, ids)));
    assert!(order.name().len() <= 1024, "{}", order.name().len());
    assert_eq!(Order::parse("reward/7/0x00"), None);
    assert_eq!(Order::parse("redeem/0/zz"), None);
}
