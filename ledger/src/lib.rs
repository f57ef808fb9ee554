//! What must survive a power cut.
//!
//! [`journal`] is an append-only file of framed entries that gives back a prefix of what was written, whatever happened to the
//! machine. [`Ledger`] keeps the money of a node on it: tickets, work, winners and redemptions, committed in groups, summed in
//! books, carried forward so that a million entries open at once, proven to add up by [`reconcile`], and shown to people by a
//! [`summary`]. Knows no network and no chain.

pub mod agree;
pub mod bench;
pub mod books;
pub mod export;
pub mod journal;
mod recall;
pub mod reconcile;
mod record;
mod segments;
mod store;
pub mod summary;
mod writer;

pub use self::record::RecordError;
pub use self::segments::{SEGMENT, SegmentsError};
pub use self::store::{Ledger, OpenError, Opened, read, summarize};
pub use self::summary::Summary;
pub use self::writer::{CommitError, Committed, Config, GROUP_EVERY};
