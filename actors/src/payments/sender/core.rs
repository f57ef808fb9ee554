//! A broadcaster's books: what stands in them, and what it knows of the chain and of itself. In flow quotes, orders, receipts,
//! statements and proven facts; out flow tickets and answers, each with the entries that must be on disk before. It never waits
//! and never reads a clock or draws a number.
//!
//! Segments are [paid](paying), and both sides' books of them made to [agree](agreeing).

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use protocol::payments::entry::Side;
use protocol::payments::{Entry, SessionId};
use protocol::tickets::credit::Credit;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::terms::{self, Funds};
use protocol::{PricePerPixel, Wei};

use super::account::Account;
use super::alarm::{Alarm, alarms};
use super::budget::{self, Spent};
use super::lost::Losses;
use crate::payments::Commit;
use crate::ports::payments::ChainHead;

pub mod agreeing;
pub mod paying;

pub use agreeing::Healed;
pub use paying::Payment;

/// L1 blocks for which used nonces are remembered after their hash has expired: three rounds, when no ticket of it pays any more.
const NONCES_KEPT: u64 = 20_000;

/// What a broadcaster agrees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The highest price that is paid.
    pub max_price: PricePerPixel,
    /// What may be spent in a day.
    pub budget: budget::Limits,
    /// What tickets may be.
    pub terms: terms::Limits,
    /// L1 blocks before the end of a quote from which on the next one is asked for.
    pub renew_blocks: u64,
}

impl Config {
    /// Livepeer's limits for tickets, with a price and a budget.
    #[must_use]
    pub fn new(max_price: PricePerPixel, of_a_stream: Wei, of_all: Wei) -> Self {
        let wei = |n: u64| Wei(alloy_primitives::U256::from(n));
        let terms = terms::Limits {
            max_ticket: wei(3_000_000_000_000),
            max_batch: wei(20_000_000_000_000),
            deposit_multiplier: 1,
            margin_blocks: 2,
        };
        Self { max_price, budget: budget::Limits { of_a_stream, of_all }, terms, renew_blocks: 10 }
    }
}

/// A broadcaster's books.
#[derive(Debug)]
pub struct Core {
    config: Config,
    key: TicketKey,
    head: Option<ChainHead>,
    /// The newest L1 block that was ever known.
    l1_block: u64,
    funds: Funds,
    accounts: BTreeMap<SessionId, Account>,
    /// By hash: the last nonce that is used up, and the block after which the hash is not used any more.
    nonces: BTreeMap<B256, (u32, u64)>,
    spent: Spent,
    losses: Losses,
}

impl Core {
    /// Books as their entries left them. What was ordered and has no receipt has to be found out first.
    #[must_use]
    pub fn restore<'a>(config: Config, key: TicketKey, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut core = Self {
            config,
            key,
            head: None,
            l1_block: 0,
            funds: Funds::default(),
            accounts: BTreeMap::new(),
            nonces: BTreeMap::new(),
            spent: Spent::default(),
            losses: Losses::default(),
        };
        entries.into_iter().for_each(|entry| core.apply(entry));
        core.accounts.values_mut().for_each(Account::abandon);
        core
    }

    /// Where the chain stands.
    pub fn on_head(&mut self, mut head: ChainHead) {
        head.l1_block = head.l1_block.max(self.l1_block);
        self.l1_block = head.l1_block;
        self.nonces.retain(|_, (_, expires)| expires.saturating_add(NONCES_KEPT) > head.l1_block);
        self.head = Some(head);
    }

    /// What is known of the chain contradicts itself: no ticket is made until it is known again.
    pub const fn on_doubt(&mut self) {
        self.head = None;
    }

    /// What is proven of this broadcaster's own funds.
    pub const fn on_funds(&mut self, funds: Funds) {
        self.funds = funds;
    }

    /// What a person should be told before payments stop.
    #[must_use]
    pub fn alarms(&self, now_ms: u64) -> Vec<Alarm> {
        let faces = self.accounts.values().filter_map(|a| a.quote.as_ref()).map(|quote| quote.face_value);
        let Some(face) = faces.max() else { return Vec::new() };
        let pool = self.head.map_or(1, |head| head.pool_size.max(head.next_pool_size));
        alarms(&self.funds, face, pool, self.spent.on_day_of(now_ms), self.config.budget.of_all)
    }

    /// An account, for whoever shows it.
    #[must_use]
    pub fn account(&self, session: &SessionId) -> Option<&Account> {
        self.accounts.get(session)
    }

    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Whose tickets these are.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.key.address()
    }

    fn lose(&mut self, at_ms: u64, session: SessionId, credit: Credit) {
        if let Some(account) = self.accounts.get(&session) {
            let wei = |credit: Credit| credit.to_wei(account.opened.price);
            let (lost, segment) = (wei(credit), wei(account.segment));
            self.losses.add(at_ms, account.opened.recipient, lost, segment);
        }
    }

    fn write<T>(&mut self, entries: Vec<Entry>, answer: T) -> Commit<T> {
        entries.iter().for_each(|entry| self.apply(entry));
        Commit { entries, answer }
    }

    /// Counts one entry in; what is not of this side is nothing.
    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::SessionOpened(opened) if opened.side == Side::Sender => {
                self.accounts.entry(opened.session).or_insert_with(|| Account::new(opened.clone()));
            }
            Entry::SessionClosed { session, side: Side::Sender, .. } => {
                self.accounts.remove(session);
            }
            Entry::NonceReserved { rand_hash, up_to, expiration_block, .. } => {
                let used = self.nonces.entry(*rand_hash).or_insert((0, *expiration_block));
                *used = (used.0.max(*up_to), used.1.max(*expiration_block));
            }
            Entry::TicketsSent(sent) => {
                let Some(account) = self.accounts.get_mut(&sent.session) else { return };
                account.order(sent);
                if let Some(tickets) = &sent.tickets {
                    let fine = tickets.each.saturating_mul(alloy_primitives::U512::from(tickets.count));
                    self.spent.add(sent.at_ms, account.opened.stream.clone(), fine);
                }
            }
            Entry::Receipt(work) => {
                if let Some(account) = self.accounts.get_mut(&work.session) {
                    account.receipt(work);
                }
            }
            Entry::WrittenOff { session, credit, tickets, at_ms } => {
                if let Some(account) = self.accounts.get_mut(session) {
                    account.write_off(*credit, *tickets);
                    self.lose(*at_ms, *session, *credit);
                }
            }
            Entry::SessionOpened(_)
            | Entry::SessionClosed { .. }
            | Entry::ParamsSecret { .. }
            | Entry::TicketsAccepted(_)
            | Entry::Winner(_)
            | Entry::Debit(_)
            | Entry::Statement { .. }
            | Entry::Redemption { .. } => {}
        }
    }
}
