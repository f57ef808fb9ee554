//! Joins what never names each other: the actors' ports over the mesh and over the worker processes.

pub(crate) mod admission;
pub(crate) mod chain;
pub(crate) mod duties;
pub(crate) mod handover;
pub(crate) mod ledger;
pub(crate) mod local;
pub(crate) mod mesh;
pub(crate) mod payments;
pub(crate) mod redeemer;
pub(crate) mod serve;
pub(crate) mod watcher;
pub(crate) mod witness;
pub(crate) mod worker;
