//! An orchestrator's side of payments: quotes, credited tickets, winners, and work that is paid from credit.

pub mod account;
pub mod actor;
pub mod core;
pub mod cover;
pub mod messages;
pub mod nonces;
pub mod refusal;

pub use refusal::Refusal;
