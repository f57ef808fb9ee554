//! Orchestrator side: takes offers while there are permits, has a worker make the ladder, signs a receipt.

pub mod actor;
pub mod core;
pub mod messages;
pub mod till;
