//! From L1 state to an L2 header: the rollup contract's assertions and what they commit to.
