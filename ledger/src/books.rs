//! What the entries come to: accounts, nonces, winners and days. A pure fold; no disk, no clock.
//!
//! In flows one entry at a time, out flows what changed, so that it can be taken back while the disk has not answered. An entry
//! that does not fit what came before it is refused with the reason: the books are the last guard against money out of nothing.
//! What can matter no more is added to sums, so that books stay as small as what is going on.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use protocol::payments::entry::{Redemption, Side, TicketsSent, Winner, Work};
use protocol::payments::{SessionId, SignedStatement};
use protocol::tickets::credit::Credit;
use protocol::{Hash, PricePerPixel, StreamId, Wei};
use serde::{Deserialize, Serialize};

mod apply;
mod past;
mod totals;

pub use self::apply::Misfit;
pub(crate) use self::apply::{Undo, apply};
pub use self::past::Sums;
pub use self::totals::Totals;

/// One account between two nodes, as its entries left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Which.
    pub session: SessionId,
    /// Whose books.
    pub side: Side,
    /// The stream, where it is known.
    pub stream: Option<StreamId>,
    /// Who pays.
    pub sender: Address,
    /// Who is paid.
    pub recipient: Address,
    /// For how much.
    pub price: PricePerPixel,
    /// Number of the entry that opened it.
    pub opened_seq: u64,
    /// Number of the last entry that changed it.
    pub last_seq: u64,
    /// When it was opened, Unix milliseconds.
    pub opened_ms: u64,
    /// When it was closed, Unix milliseconds.
    pub closed_ms: Option<u64>,
    /// Tickets sent or accepted.
    pub tickets: u64,
    /// What they are worth: money in.
    pub credited: Credit,
    /// Segments that are paid.
    pub works: u64,
    /// What they cost: money out.
    pub debited: Credit,
    /// Tickets that never arrived.
    pub written_off_tickets: u64,
    /// What they were worth: money out.
    pub written_off: Credit,
    /// Receipts so far, chained as statements chain them.
    pub chain: Hash,
    /// The last order, so that its tickets can be sent again.
    pub last_sent: Option<TicketsSent>,
    /// The last paid work.
    pub last_work: Option<Work>,
    /// The other side's last statement.
    pub statement: Option<SignedStatement>,
}

/// What is left in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Balance {
    /// Paid ahead.
    Left(Credit),
    /// Worked ahead.
    Owed(Credit),
}

impl Account {
    /// In less out, exactly.
    #[must_use]
    pub fn balance(&self) -> Balance {
        Balance::of(self.credited, self.debited.plus(self.written_off))
    }
}

impl Balance {
    /// What was paid less what was used.
    pub(crate) fn of(paid: Credit, used: Credit) -> Self {
        if paid >= used { Self::Left(paid.less(used)) } else { Self::Owed(used.less(paid)) }
    }
}

/// Nonces of one recipient's hash that were used: accepted by a recipient, or reserved by a sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonces {
    /// For which account.
    pub session: SessionId,
    /// L1 block after which no ticket of this hash is taken.
    pub expiration_block: u64,
    /// First and last of each run, ascending, never touching.
    pub used: Vec<(u32, u32)>,
    /// A sender's highest nonce that left in an order.
    pub sent: Option<u32>,
}

impl Nonces {
    /// Whether this one was used.
    #[must_use]
    pub fn has(&self, nonce: u32) -> bool {
        let behind = self.used.partition_point(|run| run.0 <= nonce);
        behind > 0 && nonce <= self.used[behind - 1].1
    }

    /// The highest that was used.
    #[must_use]
    pub fn highest(&self) -> Option<u32> {
        self.used.last().map(|run| run.1)
    }
}

/// A ticket that won and how far its redemption is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Won {
    /// The ticket with all that a redemption needs.
    pub winner: Winner,
    /// The last step; none when the redeemer does not know it yet.
    pub step: Option<Redemption>,
    /// Transactions that were sent for it.
    pub sent: Vec<B256>,
    /// When its last step was, Unix milliseconds.
    pub at_ms: u64,
}

impl Won {
    /// Whether something is still to be done for it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.step.as_ref().is_some_and(Redemption::is_final)
    }
}

/// Exact money of accounts at different prices: for each price's `pixels`, a sum of credits at such prices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount(pub BTreeMap<u64, Credit>);

impl Amount {
    /// With one more credit; none where it no longer fits.
    pub(crate) fn add(&mut self, price: PricePerPixel, credit: Credit) -> Option<()> {
        self.add_at(price.pixels, credit)
    }

    /// With one more credit at prices for so many pixels.
    pub(crate) fn add_at(&mut self, pixels: u64, credit: Credit) -> Option<()> {
        if credit != Credit::ZERO {
            let sum = self.0.entry(pixels).or_default();
            sum.0 = sum.0.checked_add(credit.0)?;
        }
        Some(())
    }

    /// Whole wei in it, each unit's part rounded up.
    #[must_use]
    pub fn to_wei(&self) -> Wei {
        let wei =
            |(pixels, credit): (&u64, &Credit)| credit.to_wei(PricePerPixel { wei: 0, pixels: *pixels }).0;
        Wei(self.0.iter().map(wei).fold(U256::ZERO, |sum, one| sum.saturating_add(one)))
    }
}

/// What a value is kept under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Key {
    Secret(Address),
    Account(Side, SessionId),
    Nonces(Side, B256),
    Won(B256),
    /// Accounts of one sender for one stream that can matter no more.
    Past(Side, Address, Option<StreamId>),
    /// Days since 1970-01-01, UTC. The last in the order.
    Day(u64, Side),
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Value {
    Secret(B256),
    Account(Box<Account>),
    Nonces(Nonces),
    Won(Box<Won>),
    Past(Box<Sums>),
    Day(Box<Totals>),
}

/// All of it, and how many entries made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) all: BTreeMap<Key, Value>,
    /// Entries that are in it: the number of the next one.
    pub(crate) entries: u64,
}

/// A piece of a balance is about this long, bytes: well below what a frame takes.
const PART: usize = 256 << 10;

impl Books {
    /// Books from the parts of a balance; none when something in it is not understood.
    pub(crate) fn load(parts: &[Vec<u8>], entries: u64) -> Option<Self> {
        let mut all = BTreeMap::new();
        for part in parts {
            let pairs: Vec<(Key, Value)> = serde_json::from_slice(part).ok()?;
            all.extend(pairs);
        }
        Some(Self { all, entries })
    }

    /// All of it in parts, to be carried forward.
    pub(crate) fn balance(&self) -> Vec<Vec<u8>> {
        let (mut parts, mut part) = (Vec::new(), vec![b'[']);
        for pair in &self.all {
            if part.len() > PART {
                part.push(b']');
                parts.push(std::mem::replace(&mut part, vec![b'[']));
            }
            if part.len() > 1 {
                part.push(b',');
            }
            serde_json::to_writer(&mut part, &pair).expect("books have a text form");
        }
        part.push(b']');
        parts.push(part);
        parts
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        let from = Key::Account(Side::Sender, SessionId([0; 16]));
        self.all.range(from..).map_while(|(_, value)| match value {
            Value::Account(account) => Some(account.as_ref()),
            Value::Secret(_) | Value::Nonces(_) | Value::Won(_) | Value::Past(_) | Value::Day(_) => None,
        })
    }

    pub(crate) fn nonces(&self, side: Side) -> impl Iterator<Item = (B256, &Nonces)> {
        let from = Key::Nonces(side, B256::ZERO);
        self.all.range(from..).map_while(move |(key, value)| match (key, value) {
            (Key::Nonces(of, hash), Value::Nonces(nonces)) if *of == side => Some((*hash, nonces)),
            _ => None,
        })
    }

    pub(crate) fn won(&self) -> impl Iterator<Item = &Won> {
        self.all.range(Key::Won(B256::ZERO)..).map_while(|(_, value)| match value {
            Value::Won(won) => Some(won.as_ref()),
            Value::Secret(_) | Value::Account(_) | Value::Nonces(_) | Value::Past(_) | Value::Day(_) => None,
        })
    }

    pub(crate) fn days(&self, side: Side) -> impl Iterator<Item = (u64, &Totals)> {
        self.all.range(Key::Day(0, Side::Sender)..).filter_map(move |(key, value)| match (key, value) {
            (Key::Day(day, of), Value::Day(totals)) if *of == side => Some((*day, totals.as_ref())),
            _ => None,
        })
    }
}
