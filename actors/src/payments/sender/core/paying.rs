//! What a broadcaster pays, to whom and on which terms: an account at a price, a quote for some minutes, tickets for one segment.

use alloy_primitives::Address;
use protocol::payments::entry::{Sent, SessionOpened, Side, TicketsSent};
use protocol::payments::{Entry, SessionId};
use protocol::tickets::batch::{Batch, MAX_BATCH, MAX_NONCE};
use protocol::tickets::credit::Credit;
use protocol::tickets::fees;
use protocol::tickets::quote::Quote;
use protocol::tickets::terms::{self, Unacceptable};
use protocol::{PricePerPixel, StreamId};

use super::Core;
use crate::payments::Commit;
use crate::payments::sender::account::Account;
use crate::payments::sender::refusal::Unpayable;

/// What goes with an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Tickets; none when there is credit enough, or the work is free.
    pub tickets: Option<Batch>,
    /// The price of the work.
    pub price: PricePerPixel,
}

impl Core {
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
}

fn reserved(session: SessionId, sent: &Sent) -> Entry {
    Entry::NonceReserved {
        session,
        rand_hash: sent.quote.recipient_rand_hash,
        up_to: sent.first + sent.count - 1,
        expiration_block: sent.quote.expiration_block,
    }
}
