//! A copy of a light client's state, so that a command never moves the original. Gone when dropped.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// See the module.
pub(super) struct Copy(PathBuf);

impl Copy {
    /// Copies the files of a folder, if there is one, into a folder that nobody else can open. Each state is replaced as a whole
    /// by whoever keeps it, so a file that is copied meanwhile is whole too.
    pub(super) fn of(folder: Option<&Path>) -> io::Result<Self> {
        let to = std::env::temp_dir().join(format!("livemesh-chain-{:016x}", rand::random::<u64>()));
        DirBuilder::new().mode(0o700).create(&to)?;
        let copy = Self(to);
        let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten() {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            match std::fs::copy(entry.path(), copy.0.join(entry.file_name())) {
                // A temporary file that was given its final name meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => _ = copied?,
            }
        }
        Ok(copy)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What is left is small, and in the system's folder for what is left.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
