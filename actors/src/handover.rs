//! Hands winning tickets to a redeemer that runs elsewhere, and brings the steps of their redemption into this node's ledger.
//!
//! In flow winners from payments, out flow questions to the redeemer and a ledger entry for each step. A winner is kept until
//! the redeemer says that it has it on its disk, and asked after until it is done with. It knows no chain and no key.

pub mod actor;
pub mod core;
#[cfg(test)]
mod tests;
