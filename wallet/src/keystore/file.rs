//! What a key file says, read within bounds before anything is computed from it: the crate that decrypts trusts its lengths.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use alloy_primitives::{Address, hex};
use serde_json::Value;

use super::{KeystoreError, MAX_FILE, MAX_SCRYPT, Password, io, refuse_mode};

/// Most rounds of PBKDF2: geth's has 262,144.
const MAX_ROUNDS: u64 = 10_000_000;

/// Reads a secret of ours that only its owner may read.
pub(super) fn read_private(path: &Path) -> Result<Password, KeystoreError> {
    refuse_mode(path, 0o077, 0o600)?;
    read(path).map(Password::new)
}

/// Whose key a file says it is.
pub(super) fn address(path: &Path) -> Result<Address, KeystoreError> {
    let json = json(path)?;
    let named = json["address"].as_str().and_then(|text| text.parse().ok());
    let by_name = || path.file_name()?.to_str()?.rsplit("--").next()?.parse().ok();
    if json["crypto"].is_object()
        && let Some(address) = named.or_else(by_name)
    {
        return Ok(address);
    }
    Err(foreign(path, "it names no address"))
}

/// Whether a file is one that can be decrypted safely.
pub(super) fn check(path: &Path) -> Result<(), KeystoreError> {
    let json = json(path)?;
    let crypto = &json["crypto"];
    let bytes = |value: &Value| value.as_str().and_then(|text| hex::decode(text).ok()).map_or(0, |b| b.len());
    let params = &crypto["kdfparams"];
    let number = |name: &str| params[name].as_u64().unwrap_or(0);
    let fault = if json["version"] != 3 {
        Some("only version 3 is read")
    } else if crypto["cipher"] != "aes-128-ctr" {
        Some("only the cipher aes-128-ctr is read")
    } else if bytes(&crypto["ciphertext"]) != 32 {
        Some("an encrypted key has 32 bytes")
    } else if bytes(&crypto["cipherparams"]["iv"]) != 16 {
        Some("an initialisation vector has 16 bytes")
    } else if bytes(&crypto["mac"]) != 32 {
        Some("its authentication code has 32 bytes")
    } else if !(32..=64).contains(&number("dklen")) {
        Some("a derived key has 32 to 64 bytes")
    } else {
        match crypto["kdf"].as_str() {
            Some("scrypt") => scrypt_fault(number("n"), number("r"), number("p")),
            Some("pbkdf2") if (1..=MAX_ROUNDS).contains(&number("c")) => None,
            Some("pbkdf2") => Some("its PBKDF2 has too many rounds"),
            _ => Some("only scrypt and pbkdf2 are read"),
        }
    };
    fault.map_or(Ok(()), |why| Err(foreign(path, why)))
}

const fn scrypt_fault(n: u64, r: u64, p: u64) -> Option<&'static str> {
    if !n.is_power_of_two() || n < 2 || r == 0 || p == 0 {
        return Some("its scrypt parameters are none");
    }
    let memory = n.saturating_mul(r).saturating_mul(128);
    if memory > MAX_SCRYPT || memory.saturating_mul(p) > 8 * MAX_SCRYPT {
        return Some("its scrypt wants more memory or time than is given to one");
    }
    None
}

/// The file as geth writes it, with its address in it.
pub(super) fn with_address(text: &str, address: Address) -> Option<String> {
    let mut json: Value = serde_json::from_str(text).ok()?;
    json.as_object_mut()?.insert("address".to_owned(), format!("{address:x}").into());
    Some(json.to_string())
}

fn json(path: &Path) -> Result<Value, KeystoreError> {
    serde_json::from_str(&read(path)?).map_err(|_| foreign(path, "it is not JSON"))
}

fn read(path: &Path) -> Result<String, KeystoreError> {
    let file = File::open(path).map_err(io("open", path))?;
    if !file.metadata().map_err(io("look at", path))?.is_file() {
        return Err(foreign(path, "it is no file"));
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(io("read", path))?;
    if text.len() as u64 > MAX_FILE {
        return Err(foreign(path, "it is too long"));
    }
    Ok(text)
}

fn foreign(path: &Path, why: &str) -> KeystoreError {
    KeystoreError::Foreign { path: path.to_owned(), why: why.to_owned() }
}
