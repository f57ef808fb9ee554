//! One session in a broadcaster's books.

use std::collections::BTreeMap;

use protocol::Hash;
use protocol::payments::entry::{Sent, SessionOpened, Side, TicketsSent, Work};
use protocol::payments::statement::{Statement, chain};
use protocol::receipt::Receipt;
use protocol::tickets::credit::Credit;
use protocol::tickets::quote::Quote;

/// Orders without a receipt that are remembered: a receipt that comes later than this is not known any more.
pub const ORDERS_KEPT: usize = 8;

/// An account: sums only ever grow, but for what is written off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who, for how much.
    pub opened: SessionOpened,
    /// What tickets are made of now.
    pub quote: Option<Quote>,
    /// Tickets sent and not written off.
    pub tickets: u64,
    /// What they are worth.
    pub credited: Credit,
    /// Segments with a receipt.
    pub works: u64,
    /// What they cost.
    pub debited: Credit,
    /// Their receipts.
    pub chain: Hash,
    /// The segment that is in work.
    pub order: Option<u64>,
    /// Orders without a receipt: the segment and its most pixels.
    pub orders: BTreeMap<u64, u64>,
    /// The last tickets, until something proves that they arrived.
    pub unproven: Option<Sent>,
    /// Whether statements have to be compared before anything more is paid.
    pub unsure: bool,
    /// The segment that the orchestrator took and did not deliver, until it says what became of it.
    pub withheld: Option<u64>,
    /// Tickets that were lost.
    pub written_off: Credit,
    /// The dearest segment that was ordered, in whole tickets: what may be lost at most.
    pub segment: Credit,
}

impl Account {
    /// An empty one.
    #[must_use]
    pub fn new(opened: SessionOpened) -> Self {
        Self {
            opened,
            quote: None,
            tickets: 0,
            credited: Credit::ZERO,
            works: 0,
            debited: Credit::ZERO,
            chain: Hash::default(),
            order: None,
            orders: BTreeMap::new(),
            unproven: None,
            unsure: false,
            withheld: None,
            written_off: Credit::ZERO,
            segment: Credit::ZERO,
        }
    }

    /// What is left.
    #[must_use]
    pub fn balance(&self) -> Credit {
        self.credited.less(self.debited)
    }

    /// Counts an order and its tickets in.
    pub fn order(&mut self, sent: &TicketsSent) {
        self.order = Some(sent.seq);
        self.orders.insert(sent.seq, sent.pixels);
        if self.orders.len() > ORDERS_KEPT {
            self.orders.pop_first();
        }
        self.segment = self.segment.max(Credit::of_work(sent.pixels, self.opened.price));
        self.unproven = sent.tickets.clone();
        if let Some(tickets) = &sent.tickets {
            self.tickets += u64::from(tickets.count);
            self.credited = self.credited.plus(tickets.credit);
            self.segment = self.segment.max(tickets.credit);
        }
    }

    /// Counts work out. Whoever did the segment had its tickets.
    pub fn receipt(&mut self, work: &Work) {
        let seq = work.receipt.segment.seq;
        self.works += 1;
        self.debited = self.debited.plus(work.cost);
        self.chain = chain(self.chain, &work.receipt);
        self.orders.remove(&seq);
        if self.order == Some(seq) {
            (self.order, self.unproven) = (None, None);
        }
        self.withheld = self.withheld.filter(|withheld| *withheld != seq);
    }

    /// Counts lost tickets out.
    pub fn write_off(&mut self, credit: Credit, tickets: u64) {
        self.credited = self.credited.less(credit);
        self.tickets = self.tickets.saturating_sub(tickets);
        self.written_off = self.written_off.plus(credit);
        self.unproven = None;
    }

    /// The order is given up: what became of it has to be found out.
    pub fn abandon(&mut self) {
        self.unsure |= self.order.take().is_some();
    }

    /// Pixels that are paid for a receipt of an order, and what they cost; none when it was not ordered.
    #[must_use]
    pub fn price_of(&self, receipt: &Receipt) -> Option<(u64, Credit)> {
        let ordered = self.orders.get(&receipt.segment.seq)?;
        let made = receipt.renditions.iter().fold(0_u64, |sum, (_, pixels)| sum.saturating_add(*pixels));
        let pixels = made.min(*ordered);
        Some((pixels, Credit::of_work(pixels, self.opened.price)))
    }

    /// How it stands.
    #[must_use]
    pub fn statement(&self) -> Statement {
        Statement {
            session: self.opened.session,
            side: Side::Sender,
            sender: self.opened.sender,
            recipient: self.opened.recipient,
            tickets: self.tickets,
            credited: self.credited,
            works: self.works,
            debited: self.debited,
            chain: self.chain,
        }
    }
}
