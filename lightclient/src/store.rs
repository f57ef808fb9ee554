//! The light client's state on disk: whole, checksummed, replaced atomically, in two copies. What `save` has
//! returned for is never lost and never replaced by an older finalized slot; a torn, foreign or newer file is
//! refused with what to do. `format` turns state into bytes and back and knows no file; `disk` knows files
//! and nothing of what is in them.

mod disk;
mod format;

pub use disk::{Disk, Opened, StoreError, Warning};
pub use format::{FINALIZED_KEPT, FormatError, MAX_FILE, Saved};
