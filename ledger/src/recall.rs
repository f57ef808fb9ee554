//! What somebody needs who makes its own books anew at a start: entries that come to the same as all that were ever written.
//!
//! Secrets, winners and how far each is come from the books; of the journal only files are read in which an account that still
//! matters did something, so that a long history costs nothing.

use std::collections::BTreeMap;

use protocol::payments::SessionId;
use protocol::payments::entry::{Entry, Side};

use crate::books::{Books, Key, Value};
use crate::segments::{self, SegmentsError};
use crate::store::Ledger;

/// Numbers of the first and the last entry of each account that still matters.
type Spans = BTreeMap<(Side, SessionId), (u64, u64)>;

impl Ledger {
    /// All entries that can still matter, in the order of writing but for secrets and winners, which come first. Left out are
    /// those of accounts that were closed days ago, and all but the last step of a winner's redemption.
    ///
    /// # Errors
    /// [`SegmentsError`] when a file is damaged.
    pub fn recall(&self) -> Result<Vec<Entry>, SegmentsError> {
        let (mut entries, spans, until) = {
            let books = self.books();
            (remembered(&books), spans(&books), books.entries)
        };
        let wanted = |first, after| spans.values().any(|(begin, end)| *begin < after && first <= *end);
        segments::read(self.dir(), until, &wanted, &mut |first, commit| {
            let numbered = (first..until).zip(commit);
            entries
                .extend(numbered.filter(|(seq, entry)| matters(&spans, *seq, entry)).map(|(_, entry)| entry));
        })?;
        Ok(entries)
    }
}

/// What the books still have word for word.
fn remembered(books: &Books) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (key, value) in &books.all {
        match (key, value) {
            (Key::Secret(recipient), Value::Secret(secret)) => {
                entries.push(Entry::ParamsSecret { recipient: *recipient, secret: *secret });
            }
            (Key::Won(ticket), Value::Won(won)) => {
                entries.push(Entry::Winner(won.winner.clone()));
                entries.extend(won.step.clone().map(|step| Entry::Redemption {
                    ticket: *ticket,
                    step,
                    at_ms: won.at_ms,
                }));
            }
            _ => {}
        }
    }
    entries
}

fn spans(books: &Books) -> Spans {
    let span = |account: &crate::books::Account| {
        ((account.side, account.session), (account.opened_seq, account.last_seq))
    };
    books.accounts().map(span).collect()
}

/// Whether it belongs to an account of the books. The account before it under the same name does not.
fn matters(spans: &Spans, seq: u64, entry: &Entry) -> bool {
    let span = entry.account().and_then(|account| spans.get(&account));
    span.is_some_and(|(begin, _)| *begin <= seq)
}
