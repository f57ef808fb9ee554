//! Watches the chain for the whole node: reads what is proven, tells the others, raises alarms, does an orchestrator's duties.
//!
//! In flows what a `Chain` port proves, out flows one [`ChainView`] that everybody may look at, and calls of
//! `reward()` and `initializeRound()` where this node has a key for them. It never knows where the proofs come from.

pub mod alarm;
pub mod view;

pub use view::{Alarm, Cause, ChainView, Known, Member, RoundFacts, Tier};
