//! Proves that everything adds up: reads every entry from the disk again, sums what came in and what went out without looking at
//! any account, and compares with the accounts that the running ledger keeps, and with the sums that people are shown.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Redemption, Side};
use protocol::tickets::credit::Credit;
use protocol::{PricePerPixel, Wei};
use serde::Serialize;
use thiserror::Error;

use crate::books::{Amount, Balance, Books, Key, Misfit, Undo, Value, apply};
use crate::segments::SegmentsError;
use crate::store::Ledger;
use crate::summary::Summary;

/// A ledger that adds up: `paid_in` is `paid_out` and `left` less `owed`, to the last unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Entries that were read.
    pub entries: u64,
    /// Accounts that they make.
    pub accounts: u64,
    /// Worth of all tickets, both sides' accounts.
    pub paid_in: Amount,
    /// Cost of all work, and what was written off.
    pub paid_out: Amount,
    /// What is paid ahead.
    pub left: Amount,
    /// What is worked ahead.
    pub owed: Amount,
    /// Wei that winners brought, less what reorganisations took back.
    pub redeemed: Wei,
    /// Wei that their transactions cost.
    pub gas: Wei,
}

/// What does not add up.
#[derive(Debug, Error)]
pub enum Unreconciled {
    /// An entry that does not fit those before it.
    #[error("entry {seq} does not fit: {why}")]
    Entry {
        /// Its number.
        seq: u64,
        /// Why not.
        why: Misfit,
    },
    /// An account that the running ledger has otherwise.
    #[error(
        "the entries make {on_disk} of {key}, and the running ledger has {in_memory}; its last entry is {seq}"
    )]
    Value {
        /// Which value.
        key: String,
        /// What the entries say.
        on_disk: String,
        /// What the ledger says.
        in_memory: String,
        /// Number of the last entry that changed it, the number of entries when none did.
        seq: u64,
    },
    /// In less out is not what is left.
    #[error(
        "at prices for {pixels} pixels {paid_in} came in and {paid_out} went out, and accounts have {left} less {owed}"
    )]
    Sum {
        /// Which prices.
        pixels: u64,
        /// In.
        paid_in: Box<Credit>,
        /// Out.
        paid_out: Box<Credit>,
        /// Left in accounts.
        left: Box<Credit>,
        /// Owed by accounts.
        owed: Box<Credit>,
    },
    /// What people are shown is not what the entries say.
    #[error(
        "the sums that people are shown are not those of the {0} entries: nothing is lost, tell whoever made this program"
    )]
    Summary(u64),
    /// A sum that fits no number.
    #[error("with entry {0} a sum no longer fits its number")]
    Overflow(u64),
    /// The files.
    #[error(transparent)]
    Read(#[from] SegmentsError),
}

impl Ledger {
    /// Reads everything again and proves that it adds up.
    ///
    /// # Errors
    /// [`Unreconciled`] with the first thing that does not.
    pub fn reconcile(&self) -> Result<Reconciled, Unreconciled> {
        let (running, shown) = self.snapshot();
        let mut again = Again::default();
        crate::store::read(self.dir(), running.entries, |seq, entry| again.take(seq, entry))?;
        if let Some(failed) = again.failed {
            return Err(failed);
        }
        again.forget_as(&running);
        again.compare(&running)?;
        if again.summary != shown {
            return Err(Unreconciled::Summary(running.entries));
        }
        again.finish()
    }
}

/// Everything once more.
#[derive(Default)]
struct Again {
    books: Books,
    summary: Summary,
    changed: BTreeMap<Key, u64>,
    prices: BTreeMap<(Side, SessionId), PricePerPixel>,
    sums: Reconciled,
    failed: Option<Unreconciled>,
}

impl Again {
    fn take(&mut self, seq: u64, entry: &Entry) {
        if self.failed.is_some() {
            return;
        }
        let mut undo = Undo::new();
        if let Err(why) = apply(&mut self.books, Some(&mut undo), entry) {
            self.failed = Some(Unreconciled::Entry { seq, why });
            return;
        }
        self.summary.take(entry);
        self.changed.extend(undo.into_keys().map(|key| (key, seq)));
        if self.sum(entry).is_none() {
            self.failed = Some(Unreconciled::Overflow(seq));
        }
    }

    /// In and out by the entry alone; only the price is remembered.
    fn sum(&mut self, entry: &Entry) -> Option<()> {
        let sums = &mut self.sums;
        let price = |side, session: &SessionId| self.prices.get(&(side, *session)).copied();
        match entry {
            Entry::SessionOpened(opened) => {
                self.prices.insert((opened.side, opened.session), opened.price);
            }
            Entry::TicketsSent(order) => {
                let credit = order.tickets.as_ref().map_or(Credit::ZERO, |sent| sent.credit);
                sums.paid_in.add(price(Side::Sender, &order.session)?, credit)?;
            }
            Entry::TicketsAccepted(tickets) => {
                sums.paid_in.add(price(Side::Recipient, &tickets.session)?, tickets.credit)?;
            }
            Entry::Debit(work) => sums.paid_out.add(price(Side::Recipient, &work.session)?, work.cost)?,
            Entry::Receipt(work) => sums.paid_out.add(price(Side::Sender, &work.session)?, work.cost)?,
            Entry::WrittenOff { session, credit, .. } => {
                sums.paid_out.add(price(Side::Sender, session)?, *credit)?;
            }
            Entry::ParamsSecret { .. }
            | Entry::SessionClosed { .. }
            | Entry::NonceReserved { .. }
            | Entry::Winner(_)
            | Entry::Statement { .. }
            | Entry::Redemption { .. } => {}
        }
        Some(())
    }

    /// Accounts that the running ledger has only as a sum are summed here too.
    fn forget_as(&mut self, running: &Books) {
        let accounts = self.books.accounts().filter(|account| account.closed_ms.is_some());
        let keys = accounts.map(|account| Key::Account(account.side, account.session));
        let summed: Vec<Key> = keys.filter(|key| !running.all.contains_key(key)).collect();
        summed.iter().for_each(|key| self.books.sum_up(key));
    }

    /// Every value of the running ledger, against what the entries make of it. Nonces and settled winners that it forgot are not
    /// missed.
    fn compare(&self, running: &Books) -> Result<(), Unreconciled> {
        for key in self.books.all.keys().chain(running.all.keys()) {
            let (ours, theirs) = (self.books.all.get(key), running.all.get(key));
            let forgettable = match ours {
                Some(Value::Nonces(_)) => true,
                Some(Value::Won(won)) => !won.is_open(),
                _ => false,
            };
            if ours != theirs && !(theirs.is_none() && forgettable) {
                return Err(Unreconciled::Value {
                    key: format!("{key:?}"),
                    on_disk: format!("{ours:?}"),
                    in_memory: format!("{theirs:?}"),
                    seq: self.changed.get(key).copied().unwrap_or(running.entries),
                });
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Reconciled, Unreconciled> {
        let entries = self.books.entries;
        let overflow = || Unreconciled::Overflow(entries);
        self.sums.entries = entries;
        for account in self.books.accounts() {
            self.sums.accounts += 1;
            let added = match account.balance() {
                Balance::Left(credit) => self.sums.left.add(account.price, credit),
                Balance::Owed(credit) => self.sums.owed.add(account.price, credit),
            };
            added.ok_or_else(overflow)?;
        }
        for (_, past) in self.books.past() {
            self.sums.accounts += past.accounts;
            let Reconciled { left, owed, .. } = &mut self.sums;
            let added = left.merge(&past.left).and_then(|()| owed.merge(&past.owed));
            added.ok_or_else(overflow)?;
        }
        for won in self.books.won() {
            if let Some(Redemption::Redeemed { from_deposit, from_reserve, gas, .. }) = &won.step {
                let add = |sum: Wei, more: U256| sum.0.checked_add(more).map(Wei).ok_or_else(overflow);
                self.sums.redeemed = add(add(self.sums.redeemed, from_deposit.0)?, from_reserve.0)?;
                self.sums.gas = add(self.sums.gas, gas.0)?;
            }
        }
        let Reconciled { paid_in, paid_out, left, owed, .. } = &self.sums;
        let all = [paid_in, paid_out, left, owed];
        for pixels in all.iter().flat_map(|amount| amount.0.keys()) {
            let [paid_in, paid_out, left, owed] =
                all.map(|amount| amount.0.get(pixels).copied().unwrap_or_default());
            let (one, other) = (paid_in.0.checked_add(owed.0), paid_out.0.checked_add(left.0));
            if one.is_none() || one != other {
                let [paid_in, paid_out, left, owed] = [paid_in, paid_out, left, owed].map(Box::new);
                return Err(Unreconciled::Sum { pixels: *pixels, paid_in, paid_out, left, owed });
            }
        }
        Ok(self.sums)
    }
}
