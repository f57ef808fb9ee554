//! A broadcaster's side of payments: what it spends, on whom, and how differences of the books are settled.

pub mod account;
pub mod actor;
pub mod alarm;
pub mod budget;
pub mod core;
pub mod heal;
pub mod lost;
pub mod messages;
pub mod refusal;

pub use refusal::Unpayable;
