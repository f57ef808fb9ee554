//! Chain state that is proven: follows Ethereum by sync-committee signatures from a checkpoint and reads Livepeer's
//! contracts on Arbitrum through proofs that reach from such a signature down to one storage slot.
//!
//! The way of a value: `consensus` verifies what beacon sources say, `exec` opens the execution header and its tries,
//! `arbitrum` climbs from L1 state to an L2 header, `livepeer` reads slots, `proven` says how it is known. `source`, `sync`
//! and `store` bring the bytes and keep them; everything else is pure: no clock, no I/O, no panic on any input.
//! Knows no mesh and no actor.

#![deny(unsafe_code)]

pub mod arbitrum;
pub mod consensus;
pub mod exec;
pub mod forks;
pub mod guard;
pub mod livepeer;
pub mod merkle;
pub mod proven;
pub mod state;

#[cfg(feature = "evm")]
pub mod evm;
#[cfg(feature = "net")]
pub mod source;
pub mod store;
#[cfg(feature = "net")]
pub mod sync;
