//! Tier T0: what can be said of a rendition without decoding it.
