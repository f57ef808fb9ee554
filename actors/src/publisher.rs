//! Makes the ladder visible: a segment appears in all playlists at once.

pub mod messages;
