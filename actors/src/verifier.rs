//! Checks strangers' work. Broadcaster side: every rendition without decoding (tier T0), before anybody sees it.

pub mod actor;
pub mod messages;
