//! Containers, segment rules, transcode backends and the sandboxed worker that runs them.
