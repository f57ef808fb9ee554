//! Keys and transactions.
