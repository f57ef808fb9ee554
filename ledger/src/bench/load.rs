//! A recipient's ticket load, the same at every run: commit `n` accepts one ticket and pays one segment, both of number `n`; one
//! a minute, so that a million entries are a year, and accounts are closed when they are full.

use alloy_primitives::{Address, B256, FixedBytes, U256};
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, SessionOpened, Side, TicketsAccepted, Winner, Work};
use protocol::tickets::Ticket;
use protocol::tickets::credit::Credit;
use protocol::{Hash, PricePerPixel, Receipt, Round, SegmentId, StreamId, Wei};

/// Of all accounts.
pub const PRICE: PricePerPixel = PricePerPixel { wei: 7, pixels: 3 };
/// Commits in one account.
pub const SESSION: u64 = 1000;
/// Time from one commit to the next, milliseconds.
pub const PACE: u64 = 60_000;
/// Nonces of one hash.
pub const HASH: u64 = 500;
/// Pixels of one segment.
pub const PIXELS: u64 = 1_300_000;

/// The account of a commit.
#[must_use]
pub fn session(n: u64) -> SessionId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&(n / SESSION).to_be_bytes());
    SessionId(id)
}

/// The hash whose nonce a commit uses.
#[must_use]
pub fn rand_hash(n: u64) -> B256 {
    B256::from(U256::from(n / HASH + 1))
}

/// What one ticket is worth.
#[must_use]
pub fn worth() -> Credit {
    Credit::of_ticket(Wei(U256::from(1_000_000_000_u64)), U256::MAX / U256::from(100), PRICE)
}

/// The opening of a commit's account.
#[must_use]
pub fn opened(n: u64) -> Entry {
    Entry::SessionOpened(SessionOpened {
        session: session(n),
        side: Side::Recipient,
        stream: Some(stream()),
        sender: Address::repeat_byte(1),
        recipient: Address::repeat_byte(2),
        price: PRICE,
        at_ms: n * PACE,
    })
}

/// Its ticket.
#[must_use]
pub fn accepted(n: u64) -> Entry {
    Entry::TicketsAccepted(TicketsAccepted {
        session: session(n),
        rand_hash: rand_hash(n),
        nonces: vec![(n % HASH) as u32],
        expiration_block: 1000 + n / HASH,
        credit: worth(),
        at_ms: n * PACE,
    })
}

/// Its segment.
#[must_use]
pub fn debit(n: u64) -> Entry {
    let renditions = vec![(Hash::of(&n.to_be_bytes()), 1_000_000), (Hash::of(b"small"), PIXELS - 1_000_000)];
    let segment = SegmentId { stream: stream(), seq: n };
    Entry::Debit(Work {
        session: session(n),
        receipt: Receipt { segment, source: Hash::of(b"source"), renditions },
        pixels: PIXELS,
        cost: Credit::of_work(PIXELS, PRICE),
        at_ms: n * PACE,
    })
}

/// The end of its account.
#[must_use]
pub fn closed(n: u64) -> Entry {
    Entry::SessionClosed { session: session(n), side: Side::Recipient, at_ms: n * PACE }
}

/// A ticket of its account that won.
#[must_use]
pub fn winner(n: u64) -> Winner {
    let ticket = Ticket { face_value: U256::from(1000), sender_nonce: U256::from(n), ..Ticket::default() };
    Winner {
        session: session(n),
        ticket,
        signature: FixedBytes([9; 65]),
        recipient_rand: U256::from(987_654_321_u64),
        expiration_block: 5,
        creation_round: Round(3),
        credited: true,
        at_ms: n * PACE,
    }
}

/// Two entries, before the first of an account its opening, and behind the last its end.
#[must_use]
pub fn commit(n: u64) -> Vec<Entry> {
    let mut entries = vec![accepted(n), debit(n)];
    if n.is_multiple_of(SESSION) {
        entries.insert(0, opened(n));
    }
    if (n + 1).is_multiple_of(SESSION) {
        entries.push(closed(n));
    }
    entries
}

/// How many entries the first `commits` are.
#[must_use]
pub const fn entries(commits: u64) -> u64 {
    2 * commits + commits.div_ceil(SESSION) + commits / SESSION
}

/// How many whole commits so many entries are.
#[must_use]
pub const fn commits(entries: u64) -> u64 {
    let per_session = 2 * SESSION + 2;
    entries / per_session * SESSION + (entries % per_session) / 2
}

fn stream() -> StreamId {
    "match".parse().expect("a good name")
}
