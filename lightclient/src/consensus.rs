//! Sync-committee verification: what beacon sources say, checked against the committee that a checkpoint leads to.
//!
//! In: light-client objects as bytes or JSON, a trusted block root, the current slot. Out: a [`Store`] whose finalized and
//! optimistic headers a sync committee signed, or a [`Reject`] that says which check failed. There is no force update: a chain
//! that does not finalize leaves the store where it is. Knows no clock, no source, no file; panics on no input.

mod bls;
mod evidence;
mod header;
mod json;
mod persist;
mod rank;
mod reject;
mod ssz;
mod store;
mod types;
mod verify;

pub use self::bls::{BadKey, Committee};
pub use self::evidence::{Evidence, conflict};
pub use self::json::JsonError;
pub use self::persist::StoreError;
pub use self::rank::is_better_update;
pub use self::reject::{Reject, Which};
pub use self::ssz::{SszError, ssz_size_limit};
pub use self::store::{Applied, Store};
pub use self::types::{
    BeaconHeader, Bootstrap, ExecAnchor, ExecHeader, Finality, FinalityUpdate, Header, NextCommittee,
    OptimisticUpdate, PublicKey, SignatureBytes, SyncAggregate, SyncCommittee, Update,
};
pub use self::verify::{Claim, Verified};

#[cfg(test)]
mod tests;
