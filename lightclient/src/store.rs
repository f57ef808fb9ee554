//! The light client's state on disk: whole, checksummed, replaced atomically.
