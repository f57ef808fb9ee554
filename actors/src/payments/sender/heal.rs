//! How the two books of an account come to agree again. Pure: from a broadcaster's account and the orchestrator's signed
//! statement to what has to be written or sent again.
//!
//! Only two things get lost: a receipt, which the orchestrator shows again, and tickets, which are sent again as they were. What
//! neither proves counts for the side that says less: work without receipts is not paid, tickets that can no longer be sent
//! are written off, up to one segment.

use protocol::payments::entry::{Side, Work};
use protocol::payments::statement::{Statement, chain};
use protocol::receipt::Receipt;
use protocol::tickets::credit::Credit;

use super::account::Account;
use super::refusal::Disputed;

/// What makes the books agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Work whose receipts had been lost.
    pub works: Vec<Work>,
    /// What to do about tickets.
    pub tickets: Tickets,
}

/// What to do about tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tickets {
    /// Both know the same.
    #[default]
    Agree,
    /// Send the last ones again.
    Resend,
    /// They are lost.
    WriteOff {
        /// What they were worth.
        credit: Credit,
        /// How many.
        count: u64,
    },
}

/// Compares. `lost` is what was written off with this orchestrator before, `l1_block` decides whether tickets can be sent again.
///
/// # Errors
/// [`Disputed`].
pub fn plan(
    now_ms: u64,
    account: &Account,
    theirs: &Statement,
    receipts: &[Receipt],
    lost: Credit,
    l1_block: u64,
) -> Result<Plan, Disputed> {
    let mine = account.statement();
    let same =
        (theirs.session, theirs.sender, theirs.recipient) == (mine.session, mine.sender, mine.recipient);
    if !same || theirs.side != Side::Recipient {
        return Err(Disputed::Foreign);
    }
    if let Some(seq) = account.order {
        return Err(Disputed::Open { seq });
    }
    let works = lost_receipts(now_ms, account, theirs, receipts)?;
    let tickets = lost_tickets(account, theirs, lost, l1_block)?;
    Ok(Plan { works, tickets })
}

fn lost_receipts(
    now_ms: u64,
    account: &Account,
    theirs: &Statement,
    receipts: &[Receipt],
) -> Result<Vec<Work>, Disputed> {
    if theirs.works < account.works {
        return Ok(Vec::new());
    }
    let proven = account.works.saturating_add(receipts.len() as u64);
    if theirs.works > proven {
        return Err(Disputed::Unproven { claimed: theirs.works, proven });
    }
    let missing = usize::try_from(theirs.works - account.works).unwrap_or(usize::MAX);
    let (mut seen, mut works) = (account.clone(), Vec::new());
    for receipt in receipts.iter().skip(receipts.len() - missing) {
        let seq = receipt.segment.seq;
        let (pixels, cost) = seen.price_of(receipt).ok_or(Disputed::NotOrdered { seq })?;
        let work = Work { session: theirs.session, receipt: receipt.clone(), pixels, cost, at_ms: now_ms };
        seen.receipt(&work);
        works.push(work);
    }
    debug_assert_eq!(works.iter().fold(account.chain, |c, w| chain(c, &w.receipt)), seen.chain);
    if (seen.debited, seen.chain) != (theirs.debited, theirs.chain) {
        return Err(Disputed::Contradiction);
    }
    Ok(works)
}

fn lost_tickets(
    account: &Account,
    theirs: &Statement,
    lost: Credit,
    l1_block: u64,
) -> Result<Tickets, Disputed> {
    if theirs.credited >= account.credited {
        return Ok(Tickets::Agree);
    }
    let credit = account.credited.less(theirs.credited);
    let last = account.unproven.as_ref().filter(|sent| credit <= sent.credit);
    if last.is_some_and(|sent| sent.quote.expiration_block > l1_block) {
        return Ok(Tickets::Resend);
    }
    let missing = lost.plus(credit);
    if missing > account.segment {
        let price = account.opened.price;
        return Err(Disputed::TooMuch {
            missing: missing.to_wei(price),
            bound: account.segment.to_wei(price),
        });
    }
    Ok(Tickets::WriteOff { credit, count: account.tickets.saturating_sub(theirs.tickets) })
}
