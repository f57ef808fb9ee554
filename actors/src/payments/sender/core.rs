//! What a broadcaster pays. In flow quotes, orders, receipts, statements and proven facts; out flow tickets and answers, each
//! with the entries that must be on disk before. It never waits and never reads a clock or draws a number.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use protocol::payments::entry::{Sent, SessionOpened, Side, TicketsSent, Work};
use protocol::payments::statement::{SignedStatement, Statement};
use protocol::payments::{Entry, SessionId};
use protocol::receipt::Receipt;
use protocol::tickets::batch::{Batch, MAX_BATCH, MAX_NONCE};
use protocol::tickets::credit::Credit;
use protocol::tickets::fees;
use protocol::tickets::quote::Quote;
use protocol::tickets::sign::TicketKey;
use protocol::tickets::terms::{self, Funds, Unacceptable};
use protocol::{PricePerPixel, StreamId, Wei};

use super::account::Account;
use super::alarm::{Alarm, alarms};
use super::budget::{self, Spent};
use super::heal::{self, Tickets};
use super::lost::Losses;
use super::refusal::{Disputed, Unpayable};
use crate::payments::Commit;
use crate::ports::payments::ChainHead;

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

/// What goes with an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Tickets; none when there is credit enough, or the work is free.
    pub tickets: Option<Batch>,
    /// The price of the work.
    pub price: PricePerPixel,
}

/// How two books came to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Healed {
    /// They do, the next segment can be paid.
    Agreed {
        /// Receipts that had been lost.
        receipts: u64,
        /// Tickets that are lost.
        written_off: Credit,
    },
    /// Send these again, then compare again.
    Resend(Batch),
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

    /// Opens an account with an orchestrator, at the price it asks. Opening it again on the same terms is nothing.
    ///
    /// # Errors
    /// [`Unpayable::PriceTooHigh`], [`Unpayable::Taken`], [`Unpayable::Distrusted`].
    pub fn open(
        &mut self,
        now_ms: u64,
        session: SessionId,
        stream: Option<StreamId>,
        recipient: Address,
        price: PricePerPixel,
    ) -> Result<Commit<()>, Unpayable> {
        let max = self.config.max_price;
        if price > max || price.pixels == 0 {
            return Err(Unpayable::PriceTooHigh { asked: price, max });
        }
        if let Some(account) = self.accounts.get(&session) {
            let same = (account.opened.recipient, account.opened.price) == (recipient, price);
            return if same { Ok(Commit::nothing(())) } else { Err(Unpayable::Taken(session)) };
        }
        self.trusts(now_ms, recipient)?;
        let (side, sender) = (Side::Sender, self.key.address());
        let opened = SessionOpened { session, side, stream, sender, recipient, price, at_ms: now_ms };
        Ok(self.write(vec![Entry::SessionOpened(opened)], ()))
    }

    /// Whether a quote should be asked for: there is none, it ends soon, or its nonces do.
    #[must_use]
    pub fn wants_quote(&self, session: &SessionId) -> bool {
        let Some(account) = self.accounts.get(session) else { return false };
        let Some(head) = self.head.filter(|_| account.opened.price.wei > 0) else { return false };
        account.quote.as_ref().is_none_or(|quote| {
            let ends = quote.expiration_block <= head.l1_block.saturating_add(self.config.renew_blocks);
            let next_round = quote.creation_round.next() < head.round;
            ends || next_round || self.next_nonce(quote) + MAX_BATCH as u32 > MAX_NONCE + 1
        })
    }

    /// Takes a quote for what comes next.
    ///
    /// # Errors
    /// [`Unpayable::Terms`].
    pub fn on_quote(&mut self, quote: Quote) -> Result<(), Unpayable> {
        let session = quote.session;
        let account = self.accounts.get(&session).ok_or(Unpayable::NoSession(session))?;
        let agreed = &account.opened;
        if (quote.sender, quote.recipient) != (agreed.sender, agreed.recipient) {
            return Err(Unacceptable::Foreign.into());
        }
        if quote.price != agreed.price {
            return Err(Unacceptable::Price { quoted: quote.price, agreed: agreed.price }.into());
        }
        let head = self.head.ok_or(Unpayable::NoHead)?;
        terms::check(&quote, &self.config.terms, &self.funds, head.l1_block, head.round)?;
        if let Some(account) = self.accounts.get_mut(&session) {
            account.quote = Some(quote);
        }
        Ok(())
    }

    /// Orders a segment of at most so many pixels: signs the tickets that are missing beyond what is left in the account.
    ///
    /// # Errors
    /// [`Unpayable`].
    pub fn pay(
        &mut self,
        now_ms: u64,
        session: SessionId,
        seq: u64,
        pixels: u64,
    ) -> Result<Commit<Payment>, Unpayable> {
        let account = self.accounts.get(&session).ok_or(Unpayable::NoSession(session))?;
        if let Some(seq) = account.order {
            return Err(Unpayable::Unreceipted { seq });
        }
        if account.unsure {
            return Err(Unpayable::Unsure);
        }
        self.trusts(now_ms, account.opened.recipient)?;
        let price = account.opened.price;
        let need = Credit::of_work(pixels, price);
        let tickets = match need <= account.balance() {
            true => None,
            false => Some(self.tickets(now_ms, account, need)?),
        };
        let sent = tickets.as_ref().map(|(sent, _)| sent.clone());
        let mut entries: Vec<_> = sent.iter().map(|sent| reserved(session, sent)).collect();
        entries.push(Entry::TicketsSent(TicketsSent { session, seq, pixels, tickets: sent, at_ms: now_ms }));
        Ok(self.write(entries, Payment { tickets: tickets.map(|(_, batch)| batch), price }))
    }

    /// The tickets that bring an account up to what is needed.
    fn tickets(&self, now_ms: u64, account: &Account, need: Credit) -> Result<(Sent, Batch), Unpayable> {
        let head = self.head.ok_or(Unpayable::NoHead)?;
        let quote = account.quote.as_ref().ok_or(Unpayable::NoQuote)?;
        terms::check(quote, &self.config.terms, &self.funds, head.l1_block, head.round)?;
        let one = quote.ticket_credit();
        let needed = fees::tickets_for(need, account.balance(), one).unwrap_or(u64::MAX);
        let max = MAX_BATCH as u64;
        let count = u32::try_from(needed).ok().filter(|n| *n as usize <= MAX_BATCH);
        let count = count.ok_or(Unpayable::TooManyTickets { needed, max })?;
        terms::check_batch(quote, needed, &self.config.terms)?;
        self.risks(now_ms, account, one.times(needed))?;
        let each = terms::each(quote);
        let fine = each.saturating_mul(alloy_primitives::U512::from(count));
        self.spent.allows(now_ms, account.opened.stream.as_ref(), fine, &self.config.budget)?;
        let first = self.next_nonce(quote);
        let last = first + count - 1;
        if last > MAX_NONCE {
            return Err(Unpayable::NoQuote);
        }
        let sent = Sent { quote: quote.clone(), first, count, credit: one.times(needed), each };
        Ok((sent, Batch::sign(quote, first..=last, &self.key)))
    }

    fn next_nonce(&self, quote: &Quote) -> u32 {
        self.nonces.get(&quote.recipient_rand_hash).map_or(1, |(last, _)| last.saturating_add(1))
    }

    /// A receipt came, its signature checked: the segment is paid, the next one can be.
    ///
    /// # Errors
    /// [`Disputed::Foreign`], [`Disputed::NotOrdered`].
    pub fn on_receipt(
        &mut self,
        now_ms: u64,
        session: SessionId,
        receipt: Receipt,
    ) -> Result<Commit<Credit>, Disputed> {
        let account = self.accounts.get(&session).ok_or(Disputed::Foreign)?;
        let seq = receipt.segment.seq;
        let (pixels, cost) = account.price_of(&receipt).ok_or(Disputed::NotOrdered { seq })?;
        let work = Work { session, receipt, pixels, cost, at_ms: now_ms };
        Ok(self.write(vec![Entry::Receipt(work)], cost))
    }

    /// No receipt will come, as far as one can tell: statements have to be compared before the next segment is paid.
    pub fn on_lost(&mut self, session: SessionId, seq: u64) {
        if let Some(account) = self.accounts.get_mut(&session).filter(|a| a.order == Some(seq)) {
            account.abandon();
        }
    }

    /// The orchestrator took the segment, and neither renditions nor a receipt came in time, though nothing ended it here. Until it
    /// says what became of it, it gets no tickets from this node; work that it then says was done was paid for nothing.
    pub fn on_withheld(&mut self, session: SessionId, seq: u64) {
        if let Some(account) = self.accounts.get_mut(&session).filter(|a| a.order == Some(seq)) {
            account.withheld = Some(seq);
            account.abandon();
        }
    }

    /// This side's statement of an account.
    #[must_use]
    pub fn statement(&self, session: &SessionId) -> Option<Statement> {
        self.accounts.get(session).map(Account::statement)
    }

    /// The orchestrator's statement, with the receipts that it shows; all signatures checked.
    ///
    /// # Errors
    /// [`Disputed`]: nothing changes, and this account is not paid into any more until a statement is believed.
    pub fn on_statement(
        &mut self,
        now_ms: u64,
        theirs: &SignedStatement,
        receipts: &[Receipt],
    ) -> Result<Commit<Healed>, Disputed> {
        let said = &theirs.statement;
        let session = said.session;
        let account = self.accounts.get(&session).ok_or(Disputed::Foreign)?;
        let l1_block = self.l1_block;
        let lost = self.losses.with(now_ms, account.opened.recipient);
        let lost = Credit::of_wei(lost, account.opened.price);
        let plan = heal::plan(now_ms, account, said, receipts, lost, l1_block)?;
        let again = account.unproven.as_ref().filter(|_| plan.tickets == Tickets::Resend).map(|sent| {
            let last = sent.first + sent.count - 1;
            Healed::Resend(Batch::sign(&sent.quote, sent.first..=last, &self.key))
        });
        let receipts = plan.works.len() as u64;
        // However much of it there is said to be, it counts as a whole segment.
        let kept = plan.works.iter().any(|work| account.withheld == Some(work.receipt.segment.seq));
        let kept = kept.then_some(account.segment);
        let mut entries: Vec<_> = plan.works.into_iter().map(Entry::Receipt).collect();
        let mut written_off = Credit::ZERO;
        if let Tickets::WriteOff { credit, count } = plan.tickets {
            written_off = credit;
            entries.push(Entry::WrittenOff { session, credit, tickets: count, at_ms: now_ms });
        }
        if !entries.is_empty() {
            entries.push(Entry::Statement { statement: theirs.clone(), at_ms: now_ms });
        }
        let answer = again.unwrap_or(Healed::Agreed { receipts, written_off });
        if let Some(account) =
            self.accounts.get_mut(&session).filter(|_| matches!(answer, Healed::Agreed { .. }))
        {
            (account.unsure, account.unproven, account.withheld) = (false, None, None);
        }
        kept.into_iter().for_each(|segment| self.lose(now_ms, session, segment));
        Ok(self.write(entries, answer))
    }

    /// Closes an account: its stream has ended. What is left in it is less than a segment; where the orchestrator withheld the last
    /// one and never said what became of it, that is a loss.
    pub fn close(&mut self, now_ms: u64, session: SessionId) -> Commit<()> {
        let Some(account) = self.accounts.get(&session) else { return Commit::nothing(()) };
        let (credit, sent) = (account.balance(), account.unproven.as_ref());
        let tickets = sent.map_or(0, |sent| u64::from(sent.count));
        let lost = account.withheld.filter(|_| credit > Credit::ZERO);
        let lost = lost.map(|_| Entry::WrittenOff { session, credit, tickets, at_ms: now_ms });
        let closed = Entry::SessionClosed { session, side: Side::Sender, at_ms: now_ms };
        self.write(lost.into_iter().chain([closed]).collect(), ())
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

    /// Whether an orchestrator gets more tickets today: what it withholds, and has not settled yet, counts as lost.
    fn trusts(&self, now_ms: u64, recipient: Address) -> Result<(), Unpayable> {
        let withheld =
            self.accounts.values().find(|a| a.opened.recipient == recipient && a.withheld.is_some());
        let withheld = withheld.map(|account| account.segment.to_wei(account.opened.price));
        let lost = self.losses.too_much(now_ms, recipient).or(withheld);
        lost.map_or(Ok(()), |lost| Err(Unpayable::Distrusted { lost }))
    }

    /// Whether tickets fit into one segment with all that was lost to their orchestrator today.
    fn risks(&self, now_ms: u64, account: &Account, tickets: Credit) -> Result<(), Unpayable> {
        let lost = self.losses.with(now_ms, account.opened.recipient);
        let wei = |credit: Credit| credit.to_wei(account.opened.price).0;
        let fits = lost.0.saturating_add(wei(tickets)) <= wei(account.segment.max(tickets));
        if lost.0.is_zero() || fits { Ok(()) } else { Err(Unpayable::Distrusted { lost }) }
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

fn reserved(session: SessionId, sent: &Sent) -> Entry {
    Entry::NonceReserved {
        session,
        rand_hash: sent.quote.recipient_rand_hash,
        up_to: sent.first + sent.count - 1,
        expiration_block: sent.quote.expiration_block,
    }
}
