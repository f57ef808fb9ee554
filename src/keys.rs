//! The node key and the receipt key, in files that only their owner can read, and the staker's certificate beside them.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use protocol::certificate::{BadCertificate, CertificateFile};
use protocol::{PeerKey, SignedCertificate};

/// File in the data directory: PKCS #8 (RFC 5958) in PEM, mode 0600. Made at the first start.
const FILE: &str = "node-key.pem";
/// The same for the key that signs receipts, where that is another one. Made when it is asked for.
const RECEIPT_FILE: &str = "receipt-key.pem";
/// The certificate that a node takes unless it is told of another one.
const CERTIFICATE: &str = "certificate.json";
/// Largest certificate file that is read, bytes.
const MAX_CERTIFICATE: u64 = 16 * 1024;

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
    #[error(
        "{path} does not hold what was revoked ({error}): restore it from a backup, or remove it to forget that"
    )]
    Revocations { path: PathBuf, error: serde_json::Error },
    #[error("{path} holds no certificate ({error}): make one with livemesh stake certify")]
    NoCertificate { path: PathBuf, error: serde_json::Error },
    #[error("{path}: {error}; make another one with livemesh stake certify")]
    BadCertificate { path: PathBuf, error: BadCertificate },
    #[error("{path} is for the node {named} and this is {own}: give each node its own certificate")]
    OtherNode { path: PathBuf, named: PeerKey, own: PeerKey },
    #[error("{path} is for chain {named} and this node follows {followed}")]
    OtherChain { path: PathBuf, named: u64, followed: u64 },
    #[error(
        "{path} names the receipt key {named} and this node signs with {own}: restore receipt-key.pem, or certify that key"
    )]
    OtherReceiptKey { path: PathBuf, named: PeerKey, own: PeerKey },
}

/// The public half of a key.
pub(crate) fn public(key: &SigningKey) -> PeerKey {
    PeerKey(key.verifying_key().to_bytes())
}

/// Reads the key that signs receipts: the one of its own file, else the node key.
pub(crate) fn receipt_key(data_dir: &Path, node: &SigningKey) -> Result<SigningKey, KeyError> {
    let path = data_dir.join(RECEIPT_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(node.clone()),
        Err(error) => Err(KeyError::Io { path, error }),
    }
}

/// Reads the receipt key of its own file, making it first where there is none.
pub(crate) fn separate_receipt_key(data_dir: &Path) -> Result<SigningKey, KeyError> {
    load_or_create_at(data_dir, RECEIPT_FILE)
}

/// Where a node looks for its certificate.
pub(crate) fn certificate_path(data_dir: &Path) -> PathBuf {
    data_dir.join(CERTIFICATE)
}

/// Reads a certificate file and checks its signature.
pub(crate) fn read_certificate(path: &Path) -> Result<(CertificateFile, SignedCertificate), KeyError> {
    let io = |error| KeyError::Io { path: path.into(), error };
    if fs::metadata(path).map_err(io)?.len() > MAX_CERTIFICATE {
        return Err(io(ErrorKind::FileTooLarge.into()));
    }
    let text = fs::read_to_string(path).map_err(io)?;
    let file: CertificateFile =
        serde_json::from_str(&text).map_err(|error| KeyError::NoCertificate { path: path.into(), error })?;
    let signed = file.open().map_err(|error| KeyError::BadCertificate { path: path.into(), error })?;
    Ok((file, signed))
}

/// The certificate of this node: at `given`, else in the data directory if there is one. It must be for this node, its receipt
/// key and the chain that is followed.
pub(crate) fn certificate(
    data_dir: &Path,
    given: Option<&Path>,
    node: PeerKey,
    receipt_key: PeerKey,
    chain_id: Option<u64>,
) -> Result<Option<SignedCertificate>, KeyError> {
    let path = given.map_or_else(|| certificate_path(data_dir), Path::to_owned);
    if given.is_none() && !path.exists() {
        return Ok(None);
    }
    let (file, signed) = read_certificate(&path)?;
    let named = signed.certificate;
    if named.peer != node {
        return Err(KeyError::OtherNode { path, named: named.peer, own: node });
    }
    if named.receipt_key != receipt_key {
        return Err(KeyError::OtherReceiptKey { path, named: named.receipt_key, own: receipt_key });
    }
    if let Some(followed) = chain_id.filter(|followed| *followed != file.chain_id) {
        return Err(KeyError::OtherChain { path, named: file.chain_id, followed });
    }
    Ok(Some(signed))
}

/// Reads the node key, making it first where there is none.
pub(crate) fn load_or_create(data_dir: &Path) -> Result<SigningKey, KeyError> {
    load_or_create_at(data_dir, FILE)
}

fn load_or_create_at(data_dir: &Path, file: &str) -> Result<SigningKey, KeyError> {
    let path = data_dir.join(file);
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
    let fresh = path.with_extension(format!("pem.{}", std::process::id()));
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

    /// A certificate file for a node, signed by nobody's stake in particular.
    fn certify(dir: &Path, node: PeerKey, receipt_key: PeerKey) -> PathBuf {
        let certificate = protocol::Certificate {
            staker: alloy_primitives::address!("9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"),
            peer: node,
            receipt_key,
            roles: protocol::record::Roles { orchestrator: true, ..Default::default() },
            not_before: 1_800_000_000,
            not_after: 1_800_000_100,
            revocation: 0,
        };
        let signer = alloy_signer_local::PrivateKeySigner::from_bytes(&[0x46; 32].into()).unwrap();
        let digest = certificate.digest(7);
        let signature = alloy_signer::SignerSync::sign_hash_sync(&signer, &digest).unwrap();
        let signed = SignedCertificate::new(certificate, &signature.as_bytes(), 7).unwrap();
        let path = certificate_path(dir);
        fs::write(&path, serde_json::to_string(&CertificateFile::new(7, &signed)).unwrap()).unwrap();
        path
    }

    #[test]
    fn a_certificate_is_taken_only_by_the_node_the_key_and_the_chain_that_it_names() {
        let dir = tempfile::tempdir().unwrap();
        let (node, receipts, other) = (PeerKey([1; 32]), PeerKey([2; 32]), PeerKey([3; 32]));
        let taken = |node, receipts, chain| certificate(dir.path(), None, node, receipts, chain);
        assert!(taken(node, receipts, None).unwrap().is_none(), "there is none");
        certify(dir.path(), node, receipts);
        assert!(taken(node, receipts, Some(7)).unwrap().is_some());
        assert!(matches!(taken(other, receipts, Some(7)), Err(KeyError::OtherNode { .. })));
        assert!(matches!(taken(node, other, Some(7)), Err(KeyError::OtherReceiptKey { .. })));
        assert!(matches!(taken(node, receipts, Some(8)), Err(KeyError::OtherChain { .. })));
    }

    #[test]
    fn a_certificate_file_that_was_changed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = certify(dir.path(), PeerKey([1; 32]), PeerKey([2; 32]));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("1800000100", "1800000999")).unwrap();
        assert!(matches!(read_certificate(&path), Err(KeyError::BadCertificate { .. })));
        fs::write(&path, "{}").unwrap();
        assert!(matches!(read_certificate(&path), Err(KeyError::NoCertificate { .. })));
    }

    #[test]
    fn receipts_are_signed_with_the_node_key_until_there_is_one_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let node = load_or_create(dir.path()).unwrap();
        assert_eq!(public(&receipt_key(dir.path(), &node).unwrap()), public(&node));
        let own = separate_receipt_key(dir.path()).unwrap();
        assert_ne!(public(&own), public(&node));
        assert_eq!(public(&receipt_key(dir.path(), &node).unwrap()), public(&own));
        let mode = fs::metadata(dir.path().join(RECEIPT_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
