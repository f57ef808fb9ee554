//! What lies in a node's directory before its first start: its key, the staker's certificate for it, the key that calls its
//! rewards, redeems its tickets or signs them in a keystore, that keystore's password, and a configuration that names all of them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::hex;
use alloy_signer_local::PrivateKeySigner;
use protocol::certificate::CertificateFile;
use protocol::record::Roles;
use protocol::{Certificate, SignedCertificate};
use wallet::{Keystore, Password, Signer};

use super::{Key, Staker, config_of};
use crate::cli::Failure;
use crate::cli::demo::process::Home;
use crate::keys;

/// A certificate of the demo is valid from so long ago, seconds, so that no clock is behind it.
const BEFORE: u64 = 300;
/// And for so long, seconds: longer than anybody watches a demo.
const VALID: u64 = 30 * 86_400;
/// What is enough for a node of the demo: an assertion that stands on the devnet's L1, however young.
const ACCEPT: &str = "pending:0";
/// What orchestrators ask for a pixel, wei: some 0.0002 ether for a segment of two seconds, so that a win is worth its gas many
/// times although every eighth ticket or so wins. The odds are those of the tickets, nobody helps them.
const PRICE_WEI: u64 = 2_000_000;
const WIN_MULTIPLIER: u64 = 8;
/// A ticket is worth a quarter of a segment, which is more than usual for want of a usual price.
const MAX_TICKET_WEI: u64 = 1_000_000_000_000_000;
const MAX_SEGMENT_WEI: u64 = 10_000_000_000_000_000;
/// Enough for some six hours.
const BUDGET_WEI: u64 = 2_000_000_000_000_000_000;

/// Where papers are put, and of which chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Put<'a> {
    pub(super) home: &'a Home,
    /// What the devnet said of itself.
    pub(super) network: &'a Path,
    pub(super) chain_id: u64,
}

impl Put<'_> {
    /// All that an orchestrator needs to be known as this staker's, to call its rewards and to redeem what it is paid.
    pub(super) async fn orchestrator(&self, staker: &Staker) -> Result<(), Failure> {
        let dir = self.home.path(&staker.name);
        self.certify(staker, &dir)?;
        let keys = self.keys(&dir, &[staker.rewards, staker.redeems]).await?;
        let text = format!(
            "orchestrator = \"{}\"\nreward_key = \"{}\"\n{keys}\n\
             [orchestrator]\nprice_wei = {PRICE_WEI}\n\n\
             [payments]\nredeemer_key = \"{}\"\n{keys}\
             max_ticket_wei = {MAX_TICKET_WEI}\nwin_multiplier = {WIN_MULTIPLIER}\n",
            staker.address(),
            staker.rewards.address,
            staker.redeems.address,
        );
        self.configure(&staker.name, &text)
    }

    /// All that a broadcaster needs to pay.
    pub(super) async fn broadcaster(&self, name: &str, tickets: Key) -> Result<(), Failure> {
        let dir = self.home.path(name);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let keys = self.keys(&dir, &[tickets]).await?;
        let text = format!(
            "\n[payments]\nticket_key = \"{}\"\n{keys}\
             budget_per_day_wei = {BUDGET_WEI}\nmax_ticket_wei = {MAX_TICKET_WEI}\nmax_segment_wei = {MAX_SEGMENT_WEI}\n",
            tickets.address
        );
        self.configure(name, &text)
    }

    /// Puts keys into a keystore below `dir`, under a password that nobody knows; what a configuration says of it.
    async fn keys(&self, dir: &Path, keys: &[Key]) -> Result<String, Failure> {
        let (keystore, keys) = (dir.join("keystore"), keys.to_vec());
        let password = private(&dir.join("password"), &hex::encode(rand::random::<[u8; 16]>()))?;
        let lines = format!("keystore = {keystore:?}\npassword_file = {password:?}\n");
        // Encrypting takes a while on purpose.
        let stored = tokio::task::spawn_blocking(move || {
            let mut all = keys.into_iter();
            all.try_for_each(|key| store(&keystore, &password, key)).map_err(|error| error.to_string())
        });
        stored.await??;
        Ok(lines)
    }

    fn configure(&self, name: &str, more: &str) -> Result<(), Failure> {
        let network = self.network;
        let text = format!("[chain]\nnetwork = {network:?}\naccept = \"{ACCEPT}\"\n{more}");
        Ok(fs::write(config_of(self.home, name), text)?)
    }

    fn certify(&self, staker: &Staker, dir: &Path) -> Result<(), Failure> {
        let node = keys::public(&keys::load_or_create(dir)?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let certificate = Certificate {
            staker: staker.address(),
            peer: node,
            receipt_key: node,
            roles: Roles { orchestrator: true, ..Roles::default() },
            not_before: now - BEFORE,
            not_after: now + VALID,
            revocation: 1,
        };
        let signer = Signer::from(PrivateKeySigner::from_bytes(&staker.staking.secret)?);
        let signature = signer.sign_digest(certificate.digest(self.chain_id))?;
        let signed = SignedCertificate::new(certificate, &signature, self.chain_id)?;
        let text = serde_json::to_string(&CertificateFile::new(self.chain_id, &signed))?;
        Ok(fs::write(keys::certificate_path(dir), text)?)
    }
}

/// Puts a key into a keystore, as `livemesh stake keys import` does from a file.
fn store(keystore: &Path, password: &Path, key: Key) -> Result<(), Failure> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(keystore)?;
    let plain = private(&keystore.with_extension("hex"), &hex::encode(key.secret))?;
    let stored = Keystore::open(keystore)?.import(&plain, &Password::from_file(password)?);
    fs::remove_file(plain)?;
    stored?;
    Ok(())
}

/// Writes a file that only its owner can read.
fn private(path: &Path, text: &str) -> Result<PathBuf, Failure> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(path.to_owned())
}
