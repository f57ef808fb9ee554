//! What the redeemer needs from outside: what is proven of senders and tickets, and somebody who sends redemptions once under
//! a name. `src/adapters` joins it to the light client and to the wallet. Nothing here knows a proof, a key or a nonce.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use alloy_primitives::{Address, B256};
use futures::future::BoxFuture;
use protocol::payments::entry::Winner;
use protocol::{Round, Wei};
use tokio::sync::oneshot;

use super::payments::SenderFacts;

/// What the redeemer wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Whose deposit and reserve.
    pub senders: BTreeSet<Address>,
    /// Which tickets may be used already.
    pub tickets: BTreeSet<B256>,
}

/// What was proven, all of it at one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// The L2 block.
    pub l2_block: u64,
    /// Its L1 block.
    pub l1_block: u64,
    /// The round there.
    pub round: Round,
    /// Whether that round is begun; until then nothing is redeemed.
    pub initialized: bool,
    /// First L1 block of the round.
    pub round_start: u64,
    /// Length of a round, L1 blocks.
    pub round_length: u64,
    /// By how many orchestrators a reserve is divided.
    pub pool_size: u64,
    /// Whether the recipient is active in this round.
    pub active: bool,
    /// Price of gas in the block, wei.
    pub base_fee: u64,
    /// What was asked of senders.
    pub senders: BTreeMap<Address, SenderFacts>,
    /// Of the tickets asked for, whether they are used.
    pub used: BTreeMap<B256, bool>,
}

/// Tickets that one transaction redeems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Counts how often these were tried in transactions that came to nothing.
    pub attempt: u32,
    /// The tickets, ascending by hash.
    pub winners: Vec<Winner>,
    /// Most that the transaction's gas may cost: below what the tickets pay. Nothing where it is only followed.
    pub max_cost: Wei,
}

impl Order {
    /// Names it for ever: the same tickets at the same attempt are the same transaction, whatever happens in between.
    #[must_use]
    pub fn name(&self) -> String {
        let ids: Vec<String> = self.winners.iter().map(|winner| hex(winner.id())).collect();
        format!("redeem/{}/{}", self.attempt, ids.join(","))
    }

    /// Attempt and tickets behind a name; none where it is not an order's.
    #[must_use]
    pub fn parse(name: &str) -> Option<(u32, Vec<B256>)> {
        let (attempt, ids) = name.strip_prefix("redeem/")?.split_once('/')?;
        let ids: Option<Vec<B256>> = ids.split(',').map(|id| id.parse().ok()).collect();
        Some((attempt.parse().ok()?, ids?))
    }
}

fn hex(id: B256) -> String {
    format!("{id:x}")
}

/// What a ticket brought, by the transaction's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    /// From the sender's deposit.
    pub from_deposit: Wei,
    /// From its reserve.
    pub from_reserve: Wei,
}

/// A transaction that is in a proven block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The transaction.
    pub transaction: B256,
    /// Its L2 block.
    pub block: u64,
    /// What its gas cost.
    pub gas: Wei,
    /// The tickets that it redeemed. A batch says nothing of those that it did not.
    pub paid: BTreeMap<B256, Paid>,
}

/// Why an order came to nothing, by what comes next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderFault {
    /// Nothing was signed: it is planned anew.
    #[error("nothing was sent: {0}")]
    Unsent(String),
    /// These would revert now, in the contract's words; nothing was signed.
    #[error("{} of the tickets would be refused now", .0.len())]
    Refused(BTreeMap<B256, String>),
    /// It was signed and will never do anything: the tickets need another transaction.
    #[error("the transaction did nothing: {0}")]
    Void(String),
}

/// Why there is no situation: ask again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is proven of the tickets' senders now: {0}")]
pub struct NotProven(pub String);

/// Proven state and transactions, as the redeemer sees them.
pub trait Broker: Send + Sync + fmt::Debug + 'static {
    /// Reads what is asked, all at one block.
    fn read(&self, ask: Ask) -> BoxFuture<'static, Result<Situation, NotProven>>;

    /// Names of the orders that were signed and may still happen.
    fn under_way(&self) -> Vec<String>;

    /// Simulates, signs and sends an order, once for a name, and says what became of it once that is proven. `sent` is told the
    /// transaction as soon as it is signed on disk. A fault other than [`OrderFault::Void`] means that nothing was signed.
    fn redeem(
        &self,
        order: Order,
        sent: oneshot::Sender<B256>,
    ) -> BoxFuture<'static, Result<Settled, OrderFault>>;

    /// Goes on with an order that may have been signed before this process began, as [`Self::redeem`] would, but signs
    /// nothing: [`OrderFault::Unsent`] where none of this name was.
    fn follow(
        &self,
        order: Order,
        sent: oneshot::Sender<B256>,
    ) -> BoxFuture<'static, Result<Settled, OrderFault>>;
}

/// A shared [`Broker`].
pub type SharedBroker = Arc<dyn Broker>;
