//! Transcode backends behind one trait.
