//! Joins what never names each other: the actors' ports over the mesh and over the worker processes.

pub(crate) mod admission;
pub(crate) mod chain;
pub(crate) mod duties;
#[allow(dead_code, reason = "nodes take it up when they pay")]
pub(crate) mod ledger;
pub(crate) mod local;
pub(crate) mod mesh;
#[allow(dead_code, reason = "nodes take it up when they pay")]
pub(crate) mod redeemer;
pub(crate) mod serve;
pub(crate) mod watcher;
pub(crate) mod witness;
pub(crate) mod worker;
