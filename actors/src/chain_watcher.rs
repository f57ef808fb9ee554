//! Watches the chain for the whole node: reads what is proven, tells the others, raises alarms, does an orchestrator's duties.
//!
//! In flows what a [`Chain`](crate::ports::chain::Chain) proves, out flows one [`ChainView`] that everybody may look at, and
//! calls of `reward()` and `initializeRound()` where this node has a key for them. It never knows where the proofs come from.

pub mod actor;
pub mod alarm;
mod alarms;
pub mod core;
mod duties;
pub mod messages;
#[cfg(test)]
mod tests;
pub mod view;

pub use view::{Alarm, Cause, ChainView, Known, Member, RoundFacts, Tier};
