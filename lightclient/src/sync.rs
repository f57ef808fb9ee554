//! The driver: asks, verifies, applies, keeps, and says how it stands.
