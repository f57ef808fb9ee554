use actors::admission::Stake;
use protocol::Lpt;
use protocol::payments::unpaid::Cause;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn candidate(wei: u64) -> Candidate {
    let peer = PeerKey([1; 32]);
    let stake = Stake { staker: Address::repeat_byte(1), amount: Lpt::default(), shared_by: 1 };
    Candidate {
        peer,
        price: PricePerPixel { wei, pixels: 1 },
        capacity: 1,
        load: 0,
        rtt_ms: None,
        receipt_key: peer,
        stake: Some(stake),
        turn: None,
    }
}

/// A table and what happens to the account with the one candidate.
struct World {
    table: Table,
    now: Instant,
    named: u8,
    candidate: Candidate,
}

impl World {
    fn new() -> Self {
        Self { table: Table::default(), now: Instant::now(), named: 0, candidate: candidate(5) }
    }

    fn due_after(&mut self, wait: Duration) -> Due {
        self.now += wait;
        let named = &mut self.named;
        self.table.due(self.now, std::slice::from_ref(&self.candidate), 100, || {
            *named += 1;
            SessionId([*named; 16])
        })
    }

    /// One that is mended with this result.
    fn mend(&mut self, wait: Duration, done: Result<(), Unpaid>) -> Mend {
        let due = self.due_after(wait);
        let mend = *due.mend.first().expect("something is due");
        self.table.mended(self.now, &mend, done.as_ref().copied());
        mend
    }

    fn turn(&self) -> Option<Turn> {
        self.table.turn(&self.candidate)
    }
}

fn unpaid(cause: Cause) -> Unpaid {
    Unpaid::new(cause, "why")
}

#[test]
fn an_account_is_opened_and_quoted_before_anything_is_asked() {
    let mut world = World::new();
    assert_eq!(world.turn(), None);
    let mend = world.mend(MS, Ok(()));
    assert_eq!((mend.account.session, mend.heal), (SessionId([1; 16]), false));
    assert_eq!(world.turn(), Some(Turn { after: None }));
}

#[test]
fn a_segment_in_work_keeps_others_away_until_its_receipt() {
    let mut world = World::new();
    world.mend(MS, Ok(()));
    let peer = world.candidate.peer;
    assert!(world.table.take(peer, 7, 50).is_some());
    assert!(world.table.take(peer, 8, 50).is_none() && world.turn().is_none());
    world.table.received(peer, 7);
    assert_eq!(world.turn(), Some(Turn { after: Some(7) }));
}

#[test]
fn after_a_loss_books_are_compared_before_the_next_segment() {
    let mut world = World::new();
    world.mend(MS, Ok(()));
    let peer = world.candidate.peer;
    world.table.take(peer, 7, 50);
    world.table.lost(world.now, peer, 7, None);
    assert_eq!(world.due_after(MS), Due::default(), "the other side has not noticed yet");
    let mend = world.mend(SETTLE, Err(unpaid(Cause::NotReady)));
    assert!(mend.heal && world.turn().is_none());
    assert!(world.mend(SOON, Ok(())).heal);
    assert_eq!(world.turn(), Some(Turn { after: None }));
    assert!(!world.mend(MS, Ok(())).heal, "once is enough");
}

#[test]
fn who_is_down_is_tried_again_within_seconds_and_who_refuses_is_left_alone() {
    for (cause, soon) in [(Cause::NotReady, true), (Cause::Unfunded, false), (Cause::Distrust, false)] {
        let mut world = World::new();
        for _ in 0..10 {
            world.mend(LONG_AVOIDED, Err(unpaid(cause)));
        }
        assert_eq!(!world.due_after(LATE).mend.is_empty(), soon, "{cause:?}");
    }
}

#[test]
fn refused_parameters_are_asked_for_anew() {
    let mut world = World::new();
    world.mend(MS, Ok(()));
    let peer = world.candidate.peer;
    world.table.take(peer, 1, 100);
    world.table.lost(world.now, peer, 1, Some(&unpaid(Cause::Expired)));
    let mend = world.mend(SOON, Ok(()));
    assert!(mend.anew && mend.heal);
    assert_eq!(mend.account.session, SessionId([1; 16]), "the account goes on");
}

#[test]
fn another_price_or_a_forgotten_account_is_another_account() {
    let mut world = World::new();
    let first = world.mend(MS, Ok(())).account;
    world.candidate.price.wei = 6;
    assert_eq!(world.turn(), None, "it is not paid at a price that it does not ask any more");
    let due = world.due_after(MS);
    assert_eq!((due.retire, due.mend[0].price.wei), (vec![first], 6));
    let mut world = World::new();
    let first = world.mend(MS, Err(unpaid(Cause::Session))).account;
    let due = world.due_after(SOON);
    assert_eq!(due.retire, [first]);
    assert_eq!(due.mend[0].account.session, SessionId([2; 16]));
}

#[test]
fn one_without_proven_stake_cannot_be_paid() {
    let mut world = World::new();
    world.candidate.stake = None;
    assert_eq!(world.due_after(MS), Due::default());
    assert_eq!(world.turn(), None);
}
