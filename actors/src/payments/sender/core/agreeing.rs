//! What became of an order: a receipt, or nothing, and then statements by which both books agree again.

use protocol::payments::entry::{Side, Work};
use protocol::payments::statement::{SignedStatement, Statement};
use protocol::payments::{Entry, SessionId};
use protocol::receipt::Receipt;
use protocol::tickets::batch::Batch;
use protocol::tickets::credit::Credit;

use super::Core;
use crate::payments::Commit;
use crate::payments::sender::account::Account;
use crate::payments::sender::heal::{self, Tickets};
use crate::payments::sender::refusal::Disputed;

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

impl Core {
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
}
