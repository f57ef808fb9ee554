//! Work against credit: a segment is admitted when the account covers it, paid from the account when it is done, and both sides'
//! books of it are made to agree by statements.

use alloy_primitives::Address;
use protocol::payments::entry::{Side, Work};
use protocol::payments::statement::{SignedStatement, Statement};
use protocol::payments::{Entry, SessionId};
use protocol::receipt::Receipt;
use protocol::tickets::check::Invalid;
use protocol::tickets::credit::Credit;

use super::Core;
use crate::payments::Commit;
use crate::payments::recipient::account::Hold;
use crate::payments::recipient::refusal::Refusal;

impl Core {
    /// Takes a segment into work if the account covers it.
    ///
    /// # Errors
    /// [`Refusal`]: no account, a segment in work, one that was done, or too little credit.
    pub fn admit(
        &mut self,
        sender: Address,
        session: SessionId,
        seq: u64,
        pixels: u64,
    ) -> Result<Hold, Refusal> {
        let account = self.accounts.get_mut(&session).filter(|account| account.opened.sender == sender);
        let account = account.ok_or(Invalid::Session(session))?;
        if let Some(hold) = account.hold {
            return Err(Refusal::InWork { seq: hold.seq });
        }
        if let Some(done) = account.last_seq.filter(|done| *done >= seq) {
            return Err(Refusal::Done { done });
        }
        let cost = Credit::of_work(pixels, account.opened.price);
        let balance = account.balance();
        if balance < cost {
            return Err(Refusal::Credit { seq, missing: cost.less(balance) });
        }
        let hold = Hold { seq, pixels, cost };
        account.hold = Some(hold);
        Ok(hold)
    }

    /// Work is done: pays it from the account. The receipt may leave when the entry is on disk.
    ///
    /// # Errors
    /// [`Refusal::NotAdmitted`].
    pub fn settle(
        &mut self,
        now_ms: u64,
        session: SessionId,
        receipt: Receipt,
    ) -> Result<Commit<Credit>, Refusal> {
        let seq = receipt.segment.seq;
        let account = self.accounts.get(&session);
        let held = account.and_then(|account| Some((account.hold.filter(|h| h.seq == seq)?, account)));
        let (hold, account) = held.ok_or(Refusal::NotAdmitted { session, seq })?;
        let made = receipt.renditions.iter().fold(0_u64, |sum, (_, pixels)| sum.saturating_add(*pixels));
        let pixels = made.min(hold.pixels);
        let cost = Credit::of_work(pixels, account.opened.price);
        let entry = Entry::Debit(Work { session, receipt, pixels, cost, at_ms: now_ms });
        self.apply(&entry);
        Ok(Commit { entries: vec![entry], answer: cost })
    }

    /// Work came to nothing: what was set aside is free again.
    pub fn release(&mut self, session: SessionId, seq: u64) {
        if let Some(account) = self.accounts.get_mut(&session) {
            account.hold = account.hold.filter(|hold| hold.seq != seq);
        }
    }

    /// How an account stands, and the receipts that somebody lacks who knows of `known` works.
    ///
    /// While a segment is in work there is nothing to say: it may be paid in a moment.
    ///
    /// # Errors
    /// [`Invalid::Session`], [`Refusal::InWork`].
    pub fn statement(
        &self,
        sender: Address,
        session: SessionId,
        known: u64,
    ) -> Result<(Statement, Vec<Receipt>), Refusal> {
        let account = self.accounts.get(&session).filter(|account| account.opened.sender == sender);
        let account = account.ok_or(Invalid::Session(session))?;
        match account.hold {
            Some(hold) => Err(Refusal::InWork { seq: hold.seq }),
            None => Ok((account.statement(), account.receipts_after(known))),
        }
    }

    /// The sender's own statement, its signature checked. Where it admits more work than these books know, it is believed.
    pub fn on_statement(&mut self, now_ms: u64, theirs: &SignedStatement) -> Commit<()> {
        let said = &theirs.statement;
        let known = self.accounts.get(&said.session).filter(|account| account.opened.sender == said.sender);
        if !known.is_some_and(|account| said.side == Side::Sender && said.debited > account.debited) {
            return Commit::nothing(());
        }
        let entry = Entry::Statement { statement: theirs.clone(), at_ms: now_ms };
        self.apply(&entry);
        Commit { entries: vec![entry], answer: () }
    }
}
