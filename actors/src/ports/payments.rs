//! What payments need from outside: a ledger that keeps entries, and what is proven of a sender. Plain values; nothing here
//! knows a file, a proof or a transaction.

use std::fmt;
use std::sync::Arc;

use alloy_primitives::B256;
use futures::future::BoxFuture;
use protocol::payments::Entry;
use protocol::{Round, Wei};

/// Where entries go before anybody is told of what they say.
pub trait Ledger: Send + Sync + fmt::Debug + 'static {
    /// Writes entries in this order, all or none. They take their place behind those of earlier calls when this is called, not
    /// when the future is first polled; it resolves when they are on disk.
    fn commit(&self, entries: Vec<Entry>) -> BoxFuture<'static, Result<(), LedgerFault>>;
}

/// Entries are not on disk: nothing may be acknowledged that depends on them. Whoever asked rebuilds itself from the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger did not take the entry, so nothing is paid or accepted until it does: {0}")]
pub struct LedgerFault(pub String);

/// A shared [`Ledger`].
pub type SharedLedger = Arc<dyn Ledger>;

/// What is proven of a sender, all of it at one block, as one recipient sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderFacts {
    /// The L2 block at which it was proven.
    pub l2_block: u64,
    /// Its L1 block.
    pub l1_block: u64,
    /// The round there.
    pub round: Round,
    /// The sender's deposit.
    pub deposit: Wei,
    /// What is left of its reserve.
    pub reserve: Wei,
    /// What all recipients have taken from the reserve in this round.
    pub claimed: Wei,
    /// What this recipient has taken from it in this round.
    pub claimed_by_me: Wei,
    /// From this round on it can take everything out and no ticket is paid; zero when it is not unlocking.
    pub withdraw_round: Round,
}

/// Where the chain stands and what it knows of this recipient. A sender needs the first three fields only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainHead {
    /// The newest known L1 block.
    pub l1_block: u64,
    /// The round that is initialized.
    pub round: Round,
    /// Its block hash.
    pub round_hash: B256,
    /// The L1 block at which the next round begins.
    pub round_end_block: u64,
    /// Orchestrators that the reserve is divided by now: the contract takes the pool of the *next* round.
    pub pool_size: u64,
    /// The largest that this pool may grow to before a ticket of today is redeemed: the pool's limit, or what is expected.
    pub next_pool_size: u64,
    /// This recipient is active in this round.
    pub active: bool,
    /// It will be active in the next.
    pub active_next: bool,
    /// What one redemption costs at today's gas price.
    pub redeem_cost: Wei,
    /// What it costs at an average gas price.
    pub redeem_cost_on_average: Wei,
}

/// Where books are read again after a start.
pub trait Recall: Send + Sync + fmt::Debug + 'static {
    /// Every entry that was written, in the order of writing; those of closed accounts that can matter no more may be left
    /// out. Whatever was given to [`Ledger::commit`] before this call is in it, or never will be.
    fn entries(&self) -> BoxFuture<'static, Result<Vec<Entry>, LedgerFault>>;
}

/// A shared [`Recall`].
pub type SharedRecall = Arc<dyn Recall>;
