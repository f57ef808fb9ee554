//! Where claims come from: many sources, none trusted.
