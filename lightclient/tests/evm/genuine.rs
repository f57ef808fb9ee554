//! Livepeer's genuine contracts.
