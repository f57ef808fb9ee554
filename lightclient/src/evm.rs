//! Reads by the contracts' own bytecode over proven state.
