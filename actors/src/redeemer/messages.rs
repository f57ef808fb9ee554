//! What the redeemer may be told and asked.

use actix::prelude::*;
use protocol::Wei;
use protocol::payments::entry::Winner;

/// A ticket won. It is in the ledger already.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Won(pub Winner);

/// How redemption goes.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Standing")]
pub struct GetStanding;

/// Stops following. What was signed may still happen; the next start goes on with it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Counts since this process began, and what waits now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Tickets that wait.
    pub waiting: u64,
    /// What they would pay in full.
    pub face: Wei,
    /// Tickets in transactions under way.
    pub in_flight: u64,
    /// Tickets that were redeemed.
    pub redeemed: u64,
    /// What they brought.
    pub earned: Wei,
    /// What their gas cost.
    pub gas: Wei,
    /// Tickets whose rounds ended.
    pub expired: u64,
    /// Tickets that were given up.
    pub dropped: u64,
}
