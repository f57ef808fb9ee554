//! Encrypted keys in a directory, as geth keeps them: Web3 Secret Storage V3 with scrypt, files named `UTC--time--address`.
//!
//! In flow passwords and addresses, out flows a [`Signer`]. A file that others may read is refused, one that is malformed cannot
//! make the reader panic or take more than [`MAX_SCRYPT`] bytes. No secret is in an error, a log or `Debug`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use alloy_signer::k256::elliptic_curve::rand_core::OsRng;
use alloy_signer_local::{LocalSignerError, PrivateKeySigner};
use thiserror::Error;

use crate::signer::Signer;

mod file;
mod name;
mod password;

pub use self::password::Password;

/// Largest key file that is read, bytes: real ones have about 500.
pub const MAX_FILE: u64 = 64 << 10;
/// Most memory that a key file may ask for, bytes: geth's own ask for 256 MiB.
pub const MAX_SCRYPT: u64 = 1 << 30;
/// Most files of a directory that are looked at.
const MAX_LISTED: usize = 10_000;

/// A directory of encrypted keys.
#[derive(Clone, Debug)]
pub struct Keystore {
    dir: PathBuf,
}

/// A key that lies in the directory, still locked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Whose key the file says it is; opening it checks that.
    pub address: Address,
    /// Its file.
    pub path: PathBuf,
}

/// Why a key cannot be had.
#[derive(Debug, Error)]
pub enum KeystoreError {
    /// The password is another one, or the file was changed.
    #[error(
        "wrong password for {address} ({path}), or the file was changed: try again, or restore it from a backup"
    )]
    Password {
        /// Whose key.
        address: Address,
        /// Its file.
        path: PathBuf,
    },
    /// No such key.
    #[error("no key of {address} in {dir}: create or import it, or name another keystore directory")]
    Missing {
        /// Whose key.
        address: Address,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// It is there already.
    #[error("the key of {address} is in {path} already: open it instead")]
    Exists {
        /// Whose key.
        address: Address,
        /// Its file.
        path: PathBuf,
    },
    /// The file is no key file.
    #[error("{path} is no key file that this program reads: {why}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key within is not the one that the file names.
    #[error("{path} names {named} but holds the key of {holds}: do not use it until you know why")]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// What it says.
        named: Address,
        /// What it holds.
        holds: Address,
    },
    /// Others may read it.
    #[error(
        "{path} has mode {mode:o}, so others may read it: run chmod {should:o} on it, and think about who has read it"
    )]
    Mode {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be at most.
        should: u32,
    },
    /// The system refused.
    #[error("cannot {what} {path}: {why}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

impl Keystore {
    /// Uses a directory, made with mode 0700 if it is not there.
    ///
    /// # Errors
    /// [`KeystoreError::Mode`] when others may write to it; [`KeystoreError::Io`].
    pub fn open(dir: &Path) -> Result<Self, KeystoreError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("make", dir))?;
        refuse_mode(dir, 0o022, 0o700)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// The keys that lie there, by address. Files that are no keys are left out.
    ///
    /// # Errors
    /// [`KeystoreError::Io`] when the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Account>, KeystoreError> {
        let entries = fs::read_dir(&self.dir).map_err(io("read", &self.dir))?;
        let paths = entries.take(MAX_LISTED).filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let mut accounts: Vec<Account> = paths
            .filter_map(|path| file::address(&path).ok().map(|address| Account { address, path }))
            .collect();
        accounts.sort_by(|a, b| (a.address, &a.path).cmp(&(b.address, &b.path)));
        Ok(accounts)
    }

    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeystoreError`] when it cannot be written.
    pub fn create(&self, password: &Password) -> Result<Account, KeystoreError> {
        self.store(&PrivateKeySigner::random_with(&mut OsRng), password)
    }

    /// Encrypts a key that lies in a file as 64 hex digits. The file stays: remove it.
    ///
    /// # Errors
    /// [`KeystoreError`] when the file holds no key or others may read it.
    pub fn import(&self, hex: &Path, password: &Password) -> Result<Account, KeystoreError> {
        let text = file::read_private(hex)?;
        let key =
            text.expose().trim().parse::<B256>().ok().and_then(|key| PrivateKeySigner::from_bytes(&key).ok());
        let why = "it must hold the 64 hex digits of one key".to_owned();
        let key = key.ok_or(KeystoreError::Foreign { path: hex.to_owned(), why })?;
        self.store(&key, password)
    }

    /// Unlocks the key of an address. Takes about a second of CPU and 16 to 256 MiB: call it outside an async runtime's threads.
    ///
    /// # Errors
    /// [`KeystoreError`] by what to do: another password, another directory, another mode.
    pub fn unlock(&self, address: Address, password: &Password) -> Result<Signer, KeystoreError> {
        let found = self.list()?.into_iter().find(|account| account.address == address);
        let account = found.ok_or_else(|| KeystoreError::Missing { address, dir: self.dir.clone() })?;
        refuse_mode(&account.path, 0o077, 0o600)?;
        file::check(&account.path)?;
        let key = PrivateKeySigner::decrypt_keystore(&account.path, password.expose());
        let key = key.map_err(|error| locked(error, &account))?;
        if key.address() != address {
            return Err(KeystoreError::OtherKey { path: account.path, named: address, holds: key.address() });
        }
        Ok(key.into())
    }

    /// Encrypts into a folder that only we can enter, completes the file as geth writes it, and gives it its name.
    fn store(&self, key: &PrivateKeySigner, password: &Password) -> Result<Account, KeystoreError> {
        let address = key.address();
        if let Some(there) = self.list()?.into_iter().find(|account| account.address == address) {
            return Err(KeystoreError::Exists { address, path: there.path });
        }
        let path = self
            .dir
            .join(name::of(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), address));
        let room = self.dir.join(format!(".new-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&room).map_err(io("make", &room))?;
        let written = encrypt(&room, key, password).and_then(|text| write_new(&path, &text));
        // Nothing readable is left where encryption failed half way.
        let removed = fs::remove_dir_all(&room).map_err(io("remove", &room));
        written.and(removed)?;
        fs::File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(io("sync", &self.dir))?;
        Ok(Account { address, path })
    }
}

impl Signer {
    /// Reads a key that lies unencrypted in a file: for devnets and tests.
    ///
    /// # Errors
    /// [`KeystoreError`] when the file holds no key or others may read it.
    pub fn from_hex_file(path: &Path) -> Result<Self, KeystoreError> {
        let text = file::read_private(path)?;
        let key =
            text.expose().trim().parse::<B256>().ok().and_then(|key| PrivateKeySigner::from_bytes(&key).ok());
        let why = "it must hold the 64 hex digits of one key".to_owned();
        key.map(Self::from).ok_or(KeystoreError::Foreign { path: path.to_owned(), why })
    }
}

fn encrypt(room: &Path, key: &PrivateKeySigner, password: &Password) -> Result<String, KeystoreError> {
    let name = "key";
    PrivateKeySigner::encrypt_keystore(room, &mut OsRng, key.to_bytes(), password.expose(), Some(name))
        .map_err(|error| KeystoreError::Foreign { path: room.join(name), why: error.to_string() })?;
    let path = room.join(name);
    let text = fs::read_to_string(&path).map_err(io("read", &path))?;
    Ok(file::with_address(&text, key.address()).unwrap_or(text))
}

fn write_new(path: &Path, text: &str) -> Result<(), KeystoreError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .map_err(io("write", path))
}

/// What a failed decryption means.
fn locked(error: LocalSignerError, account: &Account) -> KeystoreError {
    let why = error.to_string();
    let path = account.path.clone();
    if why.contains("Mac Mismatch") {
        return KeystoreError::Password { address: account.address, path };
    }
    KeystoreError::Foreign { path, why }
}

fn refuse_mode(path: &Path, forbidden: u32, should: u32) -> Result<(), KeystoreError> {
    let mode = fs::metadata(path).map_err(io("look at", path))?.permissions().mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(KeystoreError::Mode { path: path.to_owned(), mode, should });
    }
    Ok(())
}

fn io<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> KeystoreError + use<'a> {
    move |why| KeystoreError::Io { what, path: path.to_owned(), why }
}

#[cfg(test)]
mod tests;
