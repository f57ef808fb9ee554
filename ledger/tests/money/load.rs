//! A recipient's ticket load, the same at every run: commit `n` accepts one ticket and pays one segment, both of number `n`.

use alloy_primitives::{Address, B256, U256};
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, SessionOpened, Side, TicketsAccepted, Winner, Work};
use protocol::tickets::Ticket;
use protocol::tickets::credit::Credit;
use protocol::{Hash, PricePerPixel, Receipt, Round, SegmentId, StreamId, Wei};

pub(crate) const PRICE: PricePerPixel = PricePerPixel { wei: 7, pixels: 3 };
/// Commits in one account.
pub(crate) const SESSION: u64 = 1000;
/// Nonces of one hash.
pub(crate) const HASH: u64 = 500;

pub(crate) fn session(n: u64) -> SessionId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&(n / SESSION).to_be_bytes());
    SessionId(id)
}

pub(crate) fn rand_hash(n: u64) -> B256 {
    B256::from(U256::from(n / HASH + 1))
}

pub(crate) fn opened(n: u64) -> Entry {
    Entry::SessionOpened(SessionOpened {
        session: session(n),
        side: Side::Recipient,
        stream: Some(stream()),
        sender: Address::repeat_byte(1),
        recipient: Address::repeat_byte(2),
        price: PRICE,
        at_ms: n * 2000,
    })
}

fn stream() -> StreamId {
    "match".parse().unwrap()
}

pub(crate) fn worth() -> Credit {
    Credit::of_ticket(Wei(U256::from(1_000_000_000u64)), U256::MAX / U256::from(100), PRICE)
}

pub(crate) fn accepted(n: u64) -> Entry {
    Entry::TicketsAccepted(TicketsAccepted {
        session: session(n),
        rand_hash: rand_hash(n),
        nonces: vec![(n % HASH) as u32],
        expiration_block: 1000 + n / HASH,
        credit: worth(),
        at_ms: n * 2000,
    })
}

pub(crate) fn debit(n: u64) -> Entry {
    let renditions = vec![(Hash::of(&n.to_be_bytes()), 1_000_000), (Hash::of(b"small"), 300_000)];
    let segment = SegmentId { stream: stream(), seq: n };
    Entry::Debit(Work {
        session: session(n),
        receipt: Receipt { segment, source: Hash::of(b"source"), renditions },
        pixels: 1_300_000,
        cost: Credit::of_work(1_300_000, PRICE),
        at_ms: n * 2000,
    })
}

pub(crate) fn winner(n: u64) -> Winner {
    let ticket = Ticket { face_value: U256::from(1000), sender_nonce: U256::from(n), ..Ticket::default() };
    Winner {
        session: session(n),
        ticket,
        signature: alloy_primitives::FixedBytes([9; 65]),
        recipient_rand: U256::from(987_654_321_u64),
        expiration_block: 5,
        creation_round: Round(3),
        credited: true,
        at_ms: n * 2000,
    }
}

/// Two entries, and before the first of an account its opening as a third.
pub(crate) fn commit(n: u64) -> Vec<Entry> {
    let mut entries = vec![accepted(n), debit(n)];
    if n.is_multiple_of(SESSION) {
        entries.insert(0, opened(n));
    }
    entries
}

/// How many entries the first `commits` are.
pub(crate) fn entries(commits: u64) -> u64 {
    2 * commits + commits.div_ceil(SESSION)
}

/// How many whole commits so many entries are.
pub(crate) fn commits(entries: u64) -> u64 {
    let per_session = 2 * SESSION + 1;
    entries / per_session * SESSION + (entries % per_session) / 2
}
