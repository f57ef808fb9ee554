//! One entry into the books, or the reason why it does not fit.
//!
//! Every change of a value is remembered with what was there before, so that a commit whose later entry does not fit, or that
//! the disk did not take, leaves no trace.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use protocol::payments::entry::{
    Entry, Redemption, SessionOpened, Side, TicketsAccepted, TicketsSent, Winner, Work,
};
use protocol::payments::statement::chain;
use protocol::payments::{SessionId, SignedStatement};
use protocol::tickets::credit::Credit;
use thiserror::Error;

use super::{Account, Books, Key, Nonces, Totals, Value, Won};

/// Milliseconds of a day.
pub(super) const DAY_MS: u64 = 86_400_000;

/// Why an entry does not fit what came before it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Misfit {
    /// Nobody opened the account.
    #[error("account {0} was never opened on this side")]
    NoAccount(SessionId),
    /// It exists on other terms.
    #[error("account {0} exists with another sender, recipient or price")]
    OtherTerms(SessionId),
    /// A ticket that was already accepted or sent.
    #[error("nonce {nonce} of {rand_hash} in account {session} was used before")]
    NonceTwice {
        /// Which account.
        session: SessionId,
        /// Whose nonce.
        rand_hash: B256,
        /// Which.
        nonce: u32,
    },
    /// The same hash in another account.
    #[error("{rand_hash} belongs to account {owner}, not to {session}")]
    OtherAccount {
        /// The hash.
        rand_hash: B256,
        /// Where it was used.
        owner: SessionId,
        /// Where it is used now.
        session: SessionId,
    },
    /// Work or tickets at another price than the account's.
    #[error("{what} in account {session} is {found}, and by the account's price it is {right}")]
    Price {
        /// What was counted.
        what: &'static str,
        /// Which account.
        session: SessionId,
        /// What the entry says.
        found: Box<Credit>,
        /// What it should say.
        right: Box<Credit>,
    },
    /// Nobody knows the ticket.
    #[error("ticket {0} never won here")]
    NoWinner(B256),
    /// It is redeemed already.
    #[error("ticket {0} is redeemed: only a reorganisation can change that")]
    Redeemed(B256),
    /// More came than the ticket promised.
    #[error("ticket {0} cannot bring more than its face value")]
    AboveFace(B256),
    /// The sum no longer fits.
    #[error("a sum no longer fits its number")]
    Overflow,
}

/// What was there before each changed value.
pub(crate) type Undo = BTreeMap<Key, Option<Value>>;

impl Books {
    /// Puts back what was there.
    pub(crate) fn undo(&mut self, undo: Undo, entries: u64) {
        for (key, before) in undo {
            match before {
                Some(value) => self.all.insert(key, value),
                None => self.all.remove(&key),
            };
        }
        self.entries -= entries;
    }
}

/// Takes an entry in. After an error the books must be put back by `undo`; without one they are of no use.
pub(crate) fn apply(books: &mut Books, undo: Option<&mut Undo>, entry: &Entry) -> Result<(), Misfit> {
    let seq = books.entries;
    let mut edit = Edit { books, undo, seq };
    match entry {
        Entry::ParamsSecret { recipient, secret } => {
            edit.put(Key::Secret(*recipient), Value::Secret(*secret));
        }
        Entry::SessionOpened(opened) => edit.opened(opened)?,
        Entry::SessionClosed { session, side, at_ms } => {
            edit.account(*side, *session)?.closed_ms = Some(*at_ms);
        }
        Entry::NonceReserved { session, rand_hash, up_to, expiration_block } => {
            edit.nonces(Side::Sender, *session, *rand_hash, *expiration_block)?.use_up_to(*up_to);
        }
        Entry::TicketsSent(sent) => edit.sent(sent)?,
        Entry::TicketsAccepted(accepted) => edit.accepted(accepted)?,
        Entry::Winner(winner) => edit.won(winner)?,
        Entry::Debit(work) => edit.work(Side::Recipient, work)?,
        Entry::Receipt(work) => edit.work(Side::Sender, work)?,
        Entry::Statement { statement, .. } => edit.statement(statement)?,
        Entry::WrittenOff { session, credit, tickets, at_ms } => {
            edit.written_off(*session, *credit, *tickets, *at_ms)?;
        }
        Entry::Redemption { ticket, step, at_ms } => edit.redemption(*ticket, step, *at_ms)?,
    }
    books.entries += 1;
    Ok(())
}

struct Edit<'a> {
    books: &'a mut Books,
    undo: Option<&'a mut Undo>,
    seq: u64,
}

impl Edit<'_> {
    fn remember(&mut self, key: &Key) {
        if let Some(undo) = &mut self.undo
            && !undo.contains_key(key)
        {
            undo.insert(key.clone(), self.books.all.get(key).cloned());
        }
    }

    fn put(&mut self, key: Key, value: Value) {
        self.remember(&key);
        self.books.all.insert(key, value);
    }

    fn get(&mut self, key: &Key) -> Option<&mut Value> {
        self.remember(key);
        self.books.all.get_mut(key)
    }

    fn account(&mut self, side: Side, session: SessionId) -> Result<&mut Account, Misfit> {
        let seq = self.seq;
        match self.get(&Key::Account(side, session)) {
            Some(Value::Account(account)) => {
                account.last_seq = seq;
                Ok(account)
            }
            _ => Err(Misfit::NoAccount(session)),
        }
    }

    fn day(&mut self, side: Side, at_ms: u64) -> &mut Totals {
        let key = Key::Day(at_ms / DAY_MS, side);
        self.remember(&key);
        let value = self.books.all.entry(key).or_insert_with(|| Value::Day(Box::default()));
        let Value::Day(totals) = value else { unreachable!("a day's key holds a day") };
        totals
    }

    fn nonces(
        &mut self,
        side: Side,
        session: SessionId,
        rand_hash: B256,
        expiration_block: u64,
    ) -> Result<&mut Nonces, Misfit> {
        self.account(side, session)?;
        let key = Key::Nonces(side, rand_hash);
        self.remember(&key);
        let new = || Value::Nonces(Nonces { session, expiration_block, used: Vec::new(), sent: None });
        let Value::Nonces(nonces) = self.books.all.entry(key).or_insert_with(new) else {
            unreachable!("a hash's key holds nonces")
        };
        if nonces.session != session {
            return Err(Misfit::OtherAccount { rand_hash, owner: nonces.session, session });
        }
        nonces.expiration_block = nonces.expiration_block.max(expiration_block);
        Ok(nonces)
    }

    /// An account that was closed is over: the same name begins another one.
    fn opened(&mut self, opened: &SessionOpened) -> Result<(), Misfit> {
        let SessionOpened { session, side, stream, sender, recipient, price, at_ms } = opened.clone();
        let key = Key::Account(side, session);
        match self.account(side, session) {
            Ok(old) if old.closed_ms.is_none() => {
                let same = old.sender == sender && old.recipient == recipient && old.price == price;
                return same.then_some(()).ok_or(Misfit::OtherTerms(session));
            }
            Ok(old) => {
                let past = old.past();
                self.remember(&past);
                self.books.sum_up(&key);
            }
            Err(_) => {}
        }
        let account = Account {
            session,
            side,
            stream,
            sender,
            recipient,
            price,
            opened_seq: self.seq,
            last_seq: self.seq,
            opened_ms: at_ms,
            closed_ms: None,
            tickets: 0,
            credited: Credit::ZERO,
            works: 0,
            debited: Credit::ZERO,
            written_off_tickets: 0,
            written_off: Credit::ZERO,
            chain: protocol::Hash::default(),
            last_sent: None,
            last_work: None,
            statement: None,
        };
        self.put(key, Value::Account(Box::new(account)));
        Ok(())
    }

    fn sent(&mut self, order: &TicketsSent) -> Result<(), Misfit> {
        let account = self.account(Side::Sender, order.session)?;
        account.last_sent = Some(order.clone());
        let price = account.price;
        let Some(sent) = &order.tickets else {
            return self.day(Side::Sender, order.at_ms).ordered(price, order).ok_or(Misfit::Overflow);
        };
        let one = Credit::of_ticket(sent.quote.face_value, sent.quote.win_prob, price);
        let right = one.times(u64::from(sent.count));
        if sent.credit != right {
            let session = order.session;
            return Err(Misfit::Price {
                what: "the tickets' worth",
                session,
                found: sent.credit.into(),
                right: right.into(),
            });
        }
        credit(account, sent.count.into(), sent.credit)?;
        let rand_hash = sent.quote.recipient_rand_hash;
        let nonces = self.nonces(Side::Sender, order.session, rand_hash, sent.quote.expiration_block)?;
        if sent.count > 0 {
            if nonces.sent.is_some_and(|last| sent.first <= last) {
                return Err(Misfit::NonceTwice { session: order.session, rand_hash, nonce: sent.first });
            }
            let last = sent.first.checked_add(sent.count - 1).ok_or(Misfit::Overflow)?;
            nonces.sent = Some(last);
            nonces.use_up_to(last);
        }
        self.day(Side::Sender, order.at_ms).ordered(price, order).ok_or(Misfit::Overflow)
    }

    fn accepted(&mut self, accepted: &TicketsAccepted) -> Result<(), Misfit> {
        let TicketsAccepted { session, rand_hash, nonces, expiration_block, .. } = accepted;
        let used = self.nonces(Side::Recipient, *session, *rand_hash, *expiration_block)?;
        for nonce in nonces {
            if !used.insert(*nonce) {
                return Err(Misfit::NonceTwice { session: *session, rand_hash: *rand_hash, nonce: *nonce });
            }
        }
        let account = self.account(Side::Recipient, *session)?;
        let (count, price) = (nonces.len() as u64, account.price);
        credit(account, count, accepted.credit)?;
        self.day(Side::Recipient, accepted.at_ms).accepted(price, accepted).ok_or(Misfit::Overflow)
    }

    fn work(&mut self, side: Side, work: &Work) -> Result<(), Misfit> {
        let account = self.account(side, work.session)?;
        let price = account.price;
        let right = Credit::of_work(work.pixels, price);
        if work.cost != right {
            let session = work.session;
            return Err(Misfit::Price {
                what: "the work's cost",
                session,
                found: work.cost.into(),
                right: right.into(),
            });
        }
        account.works += 1;
        account.debited = sum(account.debited, work.cost)?;
        account.chain = chain(account.chain, &work.receipt);
        account.last_work = Some(work.clone());
        self.day(side, work.at_ms).worked(price, work).ok_or(Misfit::Overflow)
    }

    fn statement(&mut self, signed: &SignedStatement) -> Result<(), Misfit> {
        let ours = signed.statement.side.other();
        self.account(ours, signed.statement.session)?.statement = Some(signed.clone());
        Ok(())
    }

    fn written_off(
        &mut self,
        session: SessionId,
        credit: Credit,
        tickets: u64,
        at_ms: u64,
    ) -> Result<(), Misfit> {
        let account = self.account(Side::Sender, session)?;
        let price = account.price;
        account.written_off_tickets += tickets;
        account.written_off = sum(account.written_off, credit)?;
        self.day(Side::Sender, at_ms).wrote_off(price, credit, tickets).ok_or(Misfit::Overflow)
    }

    fn won(&mut self, winner: &Winner) -> Result<(), Misfit> {
        let key = Key::Won(winner.id());
        if self.get(&key).is_some() {
            return Ok(());
        }
        let won = Won { winner: winner.clone(), step: None, sent: Vec::new(), at_ms: winner.at_ms };
        self.put(key, Value::Won(Box::new(won)));
        self.day(Side::Recipient, winner.at_ms).won(winner.ticket.face_value).ok_or(Misfit::Overflow)
    }

    fn redemption(&mut self, ticket: B256, step: &Redemption, at_ms: u64) -> Result<(), Misfit> {
        let Some(Value::Won(won)) = self.get(&Key::Won(ticket)) else {
            return Err(Misfit::NoWinner(ticket));
        };
        let face = won.winner.ticket.face_value;
        let (before, before_ms) = (won.step.clone(), won.at_ms);
        if before.as_ref().is_some_and(|before| step.repeats(before)) {
            return Ok(());
        }
        if matches!(before, Some(Redemption::Redeemed { .. })) && *step != Redemption::Reopened {
            return Err(Misfit::Redeemed(ticket));
        }
        if let Redemption::Redeemed { from_deposit, from_reserve, .. } = step
            && from_deposit.0.checked_add(from_reserve.0).is_none_or(|came| came > face)
        {
            return Err(Misfit::AboveFace(ticket));
        }
        if let Redemption::Sent { transaction, .. } = step {
            won.sent.push(*transaction);
        }
        (won.step, won.at_ms) = (Some(step.clone()), at_ms);
        if let Some(before) = before {
            self.day(Side::Recipient, before_ms).take_back(&before, face).ok_or(Misfit::Overflow)?;
        }
        self.day(Side::Recipient, at_ms).settle(step, face).ok_or(Misfit::Overflow)
    }
}

impl Nonces {
    /// Everything up to and including this one.
    fn use_up_to(&mut self, nonce: u32) {
        let last = self.highest().map_or(nonce, |highest| highest.max(nonce));
        self.used = vec![(0, last)];
    }

    /// False when it was used before.
    fn insert(&mut self, nonce: u32) -> bool {
        if self.has(nonce) {
            return false;
        }
        let at = self.used.partition_point(|run| run.0 < nonce);
        let joins_left = at > 0 && self.used[at - 1].1 + 1 == nonce;
        let joins_right = self.used.get(at).is_some_and(|run| run.0 - 1 == nonce);
        match (joins_left, joins_right) {
            (true, true) => self.used[at - 1].1 = self.used.remove(at).1,
            (true, false) => self.used[at - 1].1 = nonce,
            (false, true) => self.used[at].0 = nonce,
            (false, false) => self.used.insert(at, (nonce, nonce)),
        }
        true
    }
}

fn credit(account: &mut Account, tickets: u64, credit: Credit) -> Result<(), Misfit> {
    account.tickets += tickets;
    account.credited = sum(account.credited, credit)?;
    Ok(())
}

fn sum(a: Credit, b: Credit) -> Result<Credit, Misfit> {
    a.0.checked_add(b.0).map(Credit).ok_or(Misfit::Overflow)
}
