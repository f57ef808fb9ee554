//! Forks: which version signs at an epoch, and which digest names the wire format.
