//! Claims about keys at rest.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::time::Duration;

use alloy_primitives::{address, b256};

use super::*;

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_key_is_unlocked_by_its_password_alone_and_shown_by_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = Keystore::open(&dir.path().join("keys")).unwrap();
    let hex = dir.path().join("hex");
    private(&hex, "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318\n");
    let account = keystore.import(&hex, &password("right")).unwrap();
    assert_eq!(account.address, address!("2c7536E3605D9C16a7a3D7b1898e529396a65c23"));
    assert_eq!(fs::metadata(&account.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(
        keystore.unlock(account.address, &password("wrong")),
        Err(KeystoreError::Password { .. })
    ));
    let signer = keystore.unlock(account.address, &password("right")).unwrap();
    let shown = format!("{signer:?} {:?}", password("right"));
    assert!(!shown.contains("right") && !shown.contains("4c0883"), "{shown}");
    let digest = b256!("1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8");
    let signature = signer.sign_digest(digest).unwrap();
    assert!(signature[64] == 27 || signature[64] == 28);
    let parsed = alloy_primitives::Signature::from_raw(&signature).unwrap();
    assert_eq!(parsed.recover_address_from_prehash(&digest).unwrap(), account.address);
    assert!(matches!(keystore.import(&hex, &password("right")), Err(KeystoreError::Exists { .. })));
}

#[test]
fn what_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    private(&file, "secret\nsecond line");
    assert_eq!(Password::from_file(&file).unwrap().expose(), "secret");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Password::from_file(&file), Err(KeystoreError::Mode { mode: 0o640, .. })));
}

#[test]
fn a_malformed_key_file_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = Keystore::open(&dir.path().join("keys")).unwrap();
    let good = serde_json::json!({
        "version": 3, "address": "2c7536e3605d9c16a7a3d7b1898e529396a65c23",
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "crypto": { "cipher": "aes-128-ctr", "cipherparams": { "iv": "00".repeat(16) }, "ciphertext": "00".repeat(32),
            "kdf": "scrypt", "kdfparams": { "dklen": 32, "n": 2, "r": 1, "p": 1, "salt": "00" }, "mac": "00".repeat(32) }
    });
    let whose = address!("2c7536E3605D9C16a7a3D7b1898e529396a65c23");
    let file = dir.path().join("keys/one");
    for (pointer, bad) in [
        ("/version", 4.into()),
        ("/crypto/cipherparams/iv", "00".into()),
        ("/crypto/ciphertext", "".into()),
        ("/crypto/kdfparams/dklen", 8.into()),
        ("/crypto/kdfparams/n", (1_u64 << 40).into()),
        ("/crypto/kdfparams/n", 3.into()),
        ("/crypto/kdfparams/r", 0.into()),
        ("/crypto/kdf", "bcrypt".into()),
    ] {
        let mut json = good.clone();
        *json.pointer_mut(pointer).unwrap() = bad;
        private(&file, &json.to_string());
        let refused = keystore.unlock(whose, &password("x"));
        assert!(matches!(refused, Err(KeystoreError::Foreign { .. })), "{pointer}: {refused:?}");
    }
    private(&file, &good.to_string());
    assert!(matches!(keystore.unlock(whose, &password("x")), Err(KeystoreError::Password { .. })));
}

#[test]
fn a_key_file_is_named_as_geth_names_it() {
    let whose = address!("2c7536E3605D9C16a7a3D7b1898e529396a65c23");
    assert_eq!(
        name::of(Duration::new(1_709_210_096, 7), whose),
        "UTC--2024-02-29T12-34-56.000000007Z--2c7536e3605d9c16a7a3d7b1898e529396a65c23"
    );
}
