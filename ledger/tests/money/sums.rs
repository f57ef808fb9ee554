//! What people are shown is what the entries say, at any moment and after any restart.

use alloy_primitives::{Address, B256, U256};
use ledger::bench::load;
use ledger::books::Balance;
use ledger::summary::{CLOSED, LINES, Summary};
use ledger::{Config, Ledger, bench, summarize};
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Redemption, Sent, SessionOpened, Side, TicketsSent, Winner, Work};
use protocol::tickets::Ticket;
use protocol::tickets::credit::Credit;
use protocol::tickets::quote::Quote;
use protocol::tickets::terms;
use protocol::{Hash, PricePerPixel, Receipt, Round, SegmentId, StreamId, Wei};

const PRICE: PricePerPixel = PricePerPixel { wei: 3, pixels: 2 };
/// Pixels of a segment: 1,500,000 wei.
const PIXELS: u64 = 1_000_000;

fn wei(n: u64) -> Wei {
    Wei(U256::from(n))
}

fn session(n: u8) -> SessionId {
    SessionId([n; 16])
}

/// The orchestrator or broadcaster of a session.
fn other(n: u8) -> Address {
    Address::repeat_byte(n / 2)
}

fn stream(n: u8) -> StreamId {
    format!("stream-{}", n % 2).parse().unwrap()
}

fn opened(side: Side, n: u8) -> Entry {
    let me = Address::repeat_byte(0xee);
    let (sender, recipient) = if side == Side::Sender { (me, other(n)) } else { (other(n), me) };
    let stream = (side == Side::Sender).then(|| stream(n));
    Entry::SessionOpened(SessionOpened {
        session: session(n),
        side,
        stream,
        sender,
        recipient,
        price: PRICE,
        at_ms: 1000,
    })
}

/// Each ticket is worth a million wei: ten million, one in ten of them.
fn quote(n: u8) -> Quote {
    Quote {
        session: session(n),
        sender: Address::repeat_byte(0xee),
        recipient: other(n),
        face_value: wei(10_000_000),
        win_prob: U256::MAX / U256::from(10),
        recipient_rand_hash: B256::repeat_byte(n),
        seed: U256::ZERO,
        expiration_block: 50,
        creation_round: Round(1),
        creation_round_hash: B256::ZERO,
        price: PRICE,
    }
}

fn ordered(n: u8, seq: u64, first: u32, count: u32) -> Entry {
    let quote = quote(n);
    let credit = quote.ticket_credit().times(count.into());
    let each = terms::each(&quote);
    let tickets = (count > 0).then_some(Sent { quote, first, count, credit, each });
    Entry::TicketsSent(TicketsSent {
        session: session(n),
        seq,
        pixels: PIXELS,
        tickets,
        at_ms: 2000 + seq * 10_000,
    })
}

fn work(n: u8, seq: u64) -> Work {
    let segment = SegmentId { stream: stream(n), seq };
    Work {
        session: session(n),
        receipt: Receipt { segment, source: Hash::of(b"source"), renditions: Vec::new() },
        pixels: PIXELS,
        cost: Credit::of_work(PIXELS, PRICE),
        at_ms: 3000 + seq * 10_000,
    }
}

fn write(ledger: &Ledger, entries: Vec<Entry>) {
    ledger.commit(entries).wait().unwrap();
}

fn now(ledger: &Ledger) -> Summary {
    ledger.summary(Summary::clone)
}

#[test]
fn a_streams_cost_and_an_orchestrators_earnings_are_the_same_money_seen_from_two_sides() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(dir.path()).unwrap();
    // Sessions 2 and 3 are with one orchestrator, 4 with another; 2 and 4 are for stream 0, 3 for stream 1.
    for n in 2..5 {
        write(&ledger, vec![opened(Side::Sender, n)]);
        for seq in 0..u64::from(n) {
            write(&ledger, vec![ordered(n, seq, 2 * seq as u32, 2), Entry::Receipt(work(n, seq))]);
        }
    }
    write(&ledger, vec![ordered(4, 9, 100, 0)]);
    let sheet = now(&ledger).sender;
    let of_stream = |n| &sheet.streams[&stream(n)].totals;
    assert_eq!((of_stream(0).works, of_stream(1).works), (6, 3));
    assert_eq!(of_stream(0).debited.to_wei(), wei(6 * 1_500_000));
    assert_eq!(of_stream(0).face_value, wei(12 * 10_000_000));
    assert_eq!((of_stream(0).orders, of_stream(0).tickets), (7, 12));
    let earned = |n| sheet.counterparts[&other(n)].totals.debited.to_wei();
    assert_eq!((earned(2), earned(4)), (wei(5 * 1_500_000), wei(4 * 1_500_000)));
    assert_eq!(sheet.all.totals.debited.to_wei(), wei(9 * 1_500_000));
    assert_eq!((sheet.all.totals.pixels, sheet.all.open, sheet.all.unpaid), (9 * PIXELS, 3, 0));
    let one_each: Vec<_> = sheet.counterparts[&other(4)].curve.points().iter().map(|p| p.worked).collect();
    let rising: Vec<_> = (0..4).map(|n| wei((n + 1) * 1_500_000)).chain([wei(4 * 1_500_000)]).collect();
    assert_eq!(one_each, rising, "the curve has a point for each ten seconds with work");
}

#[test]
fn sums_are_those_of_the_books_and_are_carried_forward_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { segment: 64 << 10, ..Config::default() };
    let (ledger, _) = Ledger::open_with(dir.path(), config).unwrap();
    bench::appends(&ledger, (0..3500).map(load::commit), 64).unwrap();
    let before = now(&ledger);
    let (shown, kept) = (&before.recipient.all.totals, ledger.totals(Side::Recipient));
    assert_eq!((shown.tickets, shown.works), (kept.tickets, kept.works));
    assert_eq!((&shown.credited, &shown.debited), (&kept.credited, &kept.debited));
    assert_eq!((before.recipient.all.sessions, before.recipient.all.open), (4, 1));
    let last = load::session(3499);
    let balance = ledger.account(Side::Recipient, last).unwrap().balance();
    assert_eq!(before.recipient.sessions[&last].balance(), balance);
    assert_eq!(summarize(dir.path()).unwrap(), before, "read beside the open ledger");
    ledger.reconcile().unwrap();
    drop(ledger);
    let (ledger, opened) = Ledger::open(dir.path()).unwrap();
    assert!(opened.replayed < opened.entries, "most is carried forward");
    assert_eq!(now(&ledger), before);
    ledger.reconcile().unwrap();
}

#[test]
fn what_the_disk_or_the_books_refuse_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(dir.path()).unwrap();
    write(&ledger, vec![opened(Side::Sender, 2), ordered(2, 0, 0, 2)]);
    let before = now(&ledger);
    ledger.commit(vec![ordered(2, 1, 2, 2), ordered(2, 2, 0, 2)]).wait().unwrap_err();
    assert_eq!(now(&ledger), before, "of a commit that reuses a nonce nothing is counted");
}

#[test]
fn work_that_no_ticket_covers_is_an_unpaid_segment_until_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(dir.path()).unwrap();
    write(&ledger, vec![opened(Side::Sender, 2), ordered(2, 0, 0, 2), Entry::Receipt(work(2, 0))]);
    assert_eq!(now(&ledger).sender.all.unpaid, 0, "half a million wei are left");
    write(&ledger, vec![Entry::Receipt(work(2, 1))]);
    let sheet = now(&ledger).sender;
    assert_eq!((sheet.all.unpaid, sheet.streams[&stream(2)].unpaid), (1, 1));
    assert!(matches!(sheet.sessions[&session(2)].balance(), Balance::Owed(_)));
    write(&ledger, vec![ordered(2, 2, 2, 2)]);
    assert_eq!(now(&ledger).sender.all.unpaid, 0);
    write(
        &ledger,
        vec![Entry::WrittenOff {
            session: session(2),
            credit: quote(2).ticket_credit(),
            tickets: 1,
            at_ms: 9,
        }],
    );
    let sheet = now(&ledger).sender;
    assert_eq!(
        (sheet.all.totals.written_off_tickets, sheet.all.totals.written_off.to_wei()),
        (1, wei(1_000_000))
    );
}

#[test]
fn winners_are_counted_by_who_pays_and_a_reorganisation_takes_back_what_they_brought() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(dir.path()).unwrap();
    let sender = other(2);
    let winner = |nonce: u64| Winner {
        session: session(2),
        ticket: Ticket {
            sender,
            face_value: U256::from(1000),
            sender_nonce: U256::from(nonce),
            ..Ticket::default()
        },
        ..load::winner(nonce)
    };
    let step = |nonce, step| Entry::Redemption { ticket: winner(nonce).id(), step, at_ms: 70_000 };
    let redeemed = Redemption::Redeemed {
        transaction: B256::repeat_byte(7),
        block: 9,
        from_deposit: wei(600),
        from_reserve: wei(300),
        gas: wei(7),
    };
    let won = (1..4).map(|nonce| Entry::Winner(winner(nonce)));
    write(&ledger, [opened(Side::Recipient, 2)].into_iter().chain(won).collect());
    assert_eq!(now(&ledger).waiting(), 3);
    write(&ledger, vec![step(1, redeemed.clone()), step(1, redeemed), step(2, Redemption::Expired)]);
    write(&ledger, vec![step(3, Redemption::Dropped { reason: "used".into() })]);
    let summary = now(&ledger);
    let totals = &summary.recipient.counterparts[&sender].totals;
    assert_eq!(
        (totals.won, totals.won_face, totals.redeemed, totals.redeemed_wei),
        (3, wei(3000), 1, wei(900))
    );
    assert_eq!((totals.gas, totals.expired, totals.lost, totals.lost_face), (wei(7), 1, 2, wei(2000)));
    assert_eq!(summary.recipient.sessions[&session(2)].totals, *totals);
    assert_eq!((summary.waiting(), ledger.open_winners().len()), (0, 0));
    let last = *summary.recipient.all.curve.points().last().unwrap();
    assert_eq!((last.at_ms, last.redeemed), (70_000, wei(900)));
    write(&ledger, vec![step(1, Redemption::Reopened)]);
    let summary = now(&ledger);
    assert_eq!((summary.recipient.all.totals.redeemed_wei, summary.waiting()), (wei(0), 1));
    assert_eq!(summarize(dir.path()).unwrap(), summary);
}

#[test]
fn what_is_kept_is_bounded_and_everything_still_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(dir.path()).unwrap();
    let many = LINES as u64 + 100;
    for n in 0..many {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let Entry::SessionOpened(mut open) = opened(Side::Sender, 2) else { unreachable!() };
        (open.session, open.at_ms) = (SessionId(id), n);
        open.stream = Some(format!("s{n}").parse().unwrap());
        open.recipient = Address::left_padding_from(&n.to_be_bytes());
        let close = Entry::SessionClosed { session: open.session, side: Side::Sender, at_ms: n };
        // The first one stays open and is never forgotten.
        let entries =
            if n == 0 { vec![Entry::SessionOpened(open)] } else { vec![Entry::SessionOpened(open), close] };
        write(&ledger, entries);
    }
    let sheet = now(&ledger).sender;
    assert_eq!((sheet.all.sessions, sheet.all.open), (many, 1));
    assert_eq!((sheet.streams.len(), sheet.counterparts.len()), (LINES, LINES));
    assert_eq!(sheet.sessions.len(), CLOSED + 1);
    assert!(sheet.streams.contains_key(&"s0".parse().unwrap()), "its session is open");
    assert!(sheet.streams.contains_key(&format!("s{}", many - 1).parse().unwrap()));
    assert_eq!(summarize(dir.path()).unwrap().sender, sheet);
}
