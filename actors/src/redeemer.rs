//! Turns winning tickets into ether: queues them by deadline and profit, waits until they pay in full and gas is cheap, and sends
//! each once.
//!
//! In flow winners from payments and proven state, out flow orders of transactions and a ledger entry for each step. It never
//! knows a key, and never believes an endpoint about a ticket: what is final follows from the ticket itself and from proofs.

pub mod actor;
pub mod core;
pub mod messages;
mod plan;
mod purse;
#[cfg(test)]
mod tests;
mod threshold;
mod ticket;
#[cfg(test)]
mod traps;
