//! Paying by the pixel, both sides.
//!
//! [`recipient`] is an orchestrator's side: what it asks of tickets, which ones it credits, which work they pay. [`sender`] is a
//! broadcaster's: what it spends, and on what. Work is paid before it is done and the next segment only against the receipt
//! of this one, so neither side ever has more than one segment at risk. Whatever either says, it has on disk before. Knows no
//! chain, no file and no wire: proven facts, the ledger and messages come in as values.

use protocol::payments::Entry;
use thiserror::Error;

use crate::ports::payments::LedgerFault;

mod books;
#[cfg(test)]
pub(crate) mod contracts;
#[cfg(test)]
pub(crate) mod desk;
pub mod recipient;
pub mod sender;
#[cfg(test)]
mod shells;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod traps;
#[cfg(test)]
mod world;

/// An answer that may be given once its entries are on disk, and not before. The core that made it already counts them in: when
/// they cannot be written, it must be built again from what was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the entries have to be written before the answer is given"]
pub struct Commit<T> {
    /// What to write, in this order.
    pub entries: Vec<Entry>,
    /// What to answer then.
    pub answer: T,
}

impl<T> Commit<T> {
    /// An answer with nothing to write.
    pub(crate) const fn nothing(answer: T) -> Self {
        Self { entries: Vec::new(), answer }
    }
}

/// Why an actor of payments gives no answer, whatever the question.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unready {
    /// Its books are not read yet, or are read again.
    #[error("the books are being read, try again in a moment")]
    Reading,
    /// What it would have said could not be written.
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
}
