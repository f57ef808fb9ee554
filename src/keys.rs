//! The node key: made at the first start, kept in a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};

/// File in the data directory: PKCS #8 (RFC 5958) in PEM, mode 0600.
const FILE: &str = "node-key.pem";

/// Why there is no node key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("cannot use {path}: {error}")]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{path} can be read by others (mode {mode:o}): run chmod 600 {path}")]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "{path} holds no ed25519 key in PKCS #8 PEM: restore it from a backup, or move it away to become a new node"
    )]
    Unreadable { path: PathBuf },
}

/// Reads the node key, making it first where there is none.
pub(crate) fn load_or_create(data_dir: &Path) -> Result<SigningKey, KeyError> {
    let path = data_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound => create(data_dir, &path),
        Err(error) => Err(KeyError::Io { path, error }),
    }
}

fn parse(path: &Path, text: &str) -> Result<SigningKey, KeyError> {
    let io = |error| KeyError::Io { path: path.into(), error };
    let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.into(), mode });
    }
    SigningKey::from_pkcs8_pem(text).map_err(|_| KeyError::Unreadable { path: path.into() })
}

fn create(data_dir: &Path, path: &Path) -> Result<SigningKey, KeyError> {
    let io = |error| KeyError::Io { path: path.into(), error };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(io)?;
    let key = SigningKey::from_bytes(&rand::random());
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Unreadable { path: path.into() })?;
    let fresh = data_dir.join(format!("{FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(io)?;
    file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    // A link, not a rename: when two first starts race, the second one takes the first one's key.
    let linked = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh).map_err(io)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            parse(path, &fs::read_to_string(path).map_err(io)?)
        }
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_has_the_first_ones_key_and_nobody_else_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_create(dir.path()).unwrap();
        assert_eq!(load_or_create(dir.path()).unwrap().to_bytes(), first.to_bytes());
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_exposed_or_broken_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load_or_create(dir.path()), Err(KeyError::Exposed { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "no key").unwrap();
        assert!(matches!(load_or_create(dir.path()), Err(KeyError::Unreadable { .. })));
    }
}
