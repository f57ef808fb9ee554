//! A password: overwritten when dropped, never shown. Where it comes from (a prompt, the environment) is the caller's.

use std::fmt;
use std::path::Path;

use super::{KeystoreError, file};

/// A password, or another secret text.
pub struct Password(String);

impl Password {
    /// From what somebody typed or a variable held.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The first line of a file that only its owner may read.
    ///
    /// # Errors
    /// [`KeystoreError`].
    pub fn from_file(path: &Path) -> Result<Self, KeystoreError> {
        let text = file::read_private(path)?;
        Ok(Self(text.expose().lines().next().unwrap_or_default().to_owned()))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        // Looked at, so that the overwriting is not left out.
        std::hint::black_box(&bytes);
    }
}
