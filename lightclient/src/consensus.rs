//! Sync-committee verification: what beacon sources say, checked against the committee that a checkpoint leads to.
