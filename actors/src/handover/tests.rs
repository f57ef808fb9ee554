//! A handover in its steps: the ledger is a list, a crash is a fold of it, the redeemer is what a test says.

use alloy_primitives::{Address, B256, U256};
use protocol::payments::entry::{Redemption, Winner};
use protocol::payments::{Entry, SessionId};
use protocol::tickets::Ticket;
use protocol::{Round, Wei};

use super::core::{Core, Say};
use crate::ports::handover::{ASKED_AT_ONCE, WINNERS_AT_ONCE};

fn winner(nonce: u64) -> Winner {
    let ticket = Ticket {
        recipient: Address::repeat_byte(9),
        sender: Address::repeat_byte(8),
        face_value: U256::from(100),
        win_prob: U256::MAX,
        sender_nonce: U256::from(nonce),
        ..Ticket::default()
    };
    Winner {
        session: SessionId([1; 16]),
        ticket,
        signature: Default::default(),
        recipient_rand: U256::from(nonce),
        expiration_block: 1040,
        creation_round: Round(10),
        credited: true,
        at_ms: 0,
    }
}

fn holding(winners: u64) -> (Core, Vec<Entry>) {
    let entries: Vec<Entry> = (0..winners).map(|n| Entry::Winner(winner(n))).collect();
    (Core::recover(entries.clone()), entries)
}

fn queued(said: &Say) -> Vec<(B256, Vec<Redemption>)> {
    let Say::Take(winners) = said else { panic!("{said:?}") };
    winners.iter().map(|one| (one.id(), vec![Redemption::Queued])).collect()
}

fn redeemed(paid: u64) -> Redemption {
    let (from_deposit, from_reserve, gas) = (Wei(U256::from(paid)), Wei::default(), Wei(U256::from(3)));
    Redemption::Redeemed { transaction: B256::repeat_byte(1), block: 5, from_deposit, from_reserve, gas }
}

#[test]
fn a_winner_is_offered_until_it_is_taken_and_asked_after_until_it_is_done_with() {
    let (mut core, _) = holding(1);
    let id = winner(0).id();
    let take = core.to_say().unwrap();
    assert_eq!(take, Say::Take(vec![winner(0)]));
    assert_eq!(core.to_say(), Some(take.clone()), "nobody answered");
    assert_eq!(core.on_steps(7, &take, Vec::new()), [], "it did not come back");
    assert_eq!(core.to_say(), Some(take.clone()));
    let step = |step| Entry::Redemption { ticket: id, step, at_ms: 7 };
    assert_eq!(core.on_steps(7, &take, queued(&take)), [step(Redemption::Queued)]);
    let ask = core.to_say().unwrap();
    assert_eq!(ask, Say::Ask(vec![id]));
    let all = vec![Redemption::Queued, redeemed(100)];
    assert_eq!(core.on_steps(7, &ask, vec![(id, all)]), [step(redeemed(100))], "what is known is not new");
    assert_eq!(core.to_say(), None);
    core.on_winner(winner(0));
    assert_eq!(core.to_say(), None, "nor is it offered again");
}

#[test]
fn a_crash_anywhere_offers_what_was_not_taken_and_only_that() {
    let (mut core, mut ledger) = holding(2);
    let take = core.to_say().unwrap();
    // It took both, and this node died before that was on its disk.
    let mut again = Core::recover(ledger.clone());
    assert_eq!(again.to_say(), Some(take.clone()));
    ledger.extend(core.on_steps(1, &take, queued(&take)));
    let mut again = Core::recover(ledger.clone());
    assert!(matches!(again.to_say(), Some(Say::Ask(ids)) if ids.len() == 2));
    let (ask, id) = (Say::Ask(vec![winner(0).id()]), winner(0).id());
    ledger.extend(again.on_steps(2, &ask, vec![(id, vec![Redemption::Queued, redeemed(90)])]));
    let mut last = Core::recover(ledger);
    assert_eq!(last.to_say(), Some(Say::Ask(vec![winner(1).id()])));
}

#[test]
fn a_redeemer_that_lost_its_disk_gets_its_winners_again() {
    let (mut core, _) = holding(1);
    let take = core.to_say().unwrap();
    core.on_steps(1, &take, queued(&take));
    let ask = core.to_say().unwrap();
    assert_eq!(core.on_steps(2, &ask, Vec::new()), []);
    assert_eq!(core.to_say(), Some(take));
}

#[test]
fn what_is_refused_is_not_in_the_way_of_others() {
    let many = WINNERS_AT_ONCE as u64 + 10;
    let (mut core, _) = holding(many);
    let mut offered = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let Some(Say::Take(winners)) = core.to_say() else { panic!("winners wait") };
        offered.extend(winners.iter().map(Winner::id));
        core.on_steps(0, &Say::Take(winners), Vec::new());
    }
    assert_eq!(offered.len() as u64, many);
}

#[test]
fn tickets_are_asked_after_in_turn() {
    let many = ASKED_AT_ONCE as u64 + 5;
    let (mut core, _) = holding(many);
    while let Some(say @ Say::Take(_)) = core.to_say() {
        let taken = queued(&say);
        core.on_steps(0, &say, taken);
    }
    let mut asked = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let Some(Say::Ask(ids)) = core.to_say() else { panic!("tickets are open") };
        asked.extend(ids);
    }
    assert_eq!(asked.len() as u64, many);
}

#[test]
fn a_redeemer_cannot_say_what_was_not_asked_or_cannot_be() {
    let (mut core, _) = holding(2);
    let both = core.to_say().unwrap();
    core.on_steps(1, &both, queued(&both));
    let (one, two) = (winner(0).id(), winner(1).id());
    let ask = Say::Ask(vec![one]);
    assert_eq!(core.on_steps(1, &ask, vec![(two, vec![redeemed(100)])]), []);
    assert_eq!(core.on_steps(1, &ask, vec![(one, vec![redeemed(101)])]), [], "more than its face value");
    assert_eq!(core.on_steps(1, &ask, vec![(B256::ZERO, vec![redeemed(1)])]), []);
    assert_eq!(core.standing().redeemed, 0);
}
