//! Merkle branches of SSZ objects by generalized index.
