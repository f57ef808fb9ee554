//! `livemesh stake certify`: the staking key's word for a node. The key may lie in a keystore here, or cold elsewhere: then what
//! is to be signed is written to a file, and the signature is brought back.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, hex};
use clap::ValueEnum;
use p2p::identity::{peer_id_of, peer_key_of};
use protocol::certificate::{CertificateFile, typed_data};
use protocol::record::Roles;
use protocol::{Certificate, PeerKey, SignedCertificate};
use serde_json::json;
use wallet::Keystore;

use super::act::AccountArgs;
use super::keys::password;
use crate::cli::Failure;
use crate::keys;

/// A certificate begins this much earlier than now, so that a node whose clock is behind can use it at once.
const SKEW: Duration = Duration::from_secs(300);
/// Largest request that is read, bytes.
const MAX_REQUEST: u64 = 64 * 1024;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The node: its peer id or key [default: this machine's, from the data directory]
    #[arg(long, value_name = "ID", value_parser = parse_peer)]
    node: Option<PeerKey>,
    /// Key that signs the node's receipts, 64 hex digits [default: the one in the data directory, or the node's own]
    #[arg(long, value_name = "KEY")]
    receipt_key: Option<PeerKey>,
    /// Makes a key of its own for receipts in the data directory, if there is none
    #[arg(long, conflicts_with_all = ["receipt_key", "node"])]
    new_receipt_key: bool,
    /// What the node may do in the staker's name
    #[arg(long, value_enum, value_delimiter = ',', default_value = "orchestrator")]
    roles: Vec<RoleName>,
    /// How long it is valid, at most 366 days
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=366))]
    days: u64,
    /// Voids all certificates of this staker with a smaller number
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    revocation: u64,
    /// The chain that holds the stake [default: that of --network]
    #[arg(long, value_name = "ID")]
    chain_id: Option<u64>,
    /// Writes what is to be signed to this file, for a hardware wallet or `cast wallet sign --data --from-file`; with
    /// --signature, reads it
    #[arg(long, value_name = "FILE")]
    typed_data: Option<PathBuf>,
    /// The signature of what was written to --typed-data, 65 bytes in hex
    #[arg(long, value_name = "0x..", requires = "typed_data", value_parser = parse_signature)]
    signature: Option<Signature>,
    /// Where the certificate goes [default: certificate.json in the data directory]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// See [`Args::signature`].
#[derive(Clone, Copy, Debug)]
struct Signature([u8; 65]);

/// See [`Args::roles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Takes streams in and publishes them
    Broadcaster,
    /// Transcodes for others
    Orchestrator,
    /// Checks others' work
    Verifier,
}

pub(crate) async fn run(args: &Args, account: &AccountArgs, json: bool) -> Result<ExitCode, Failure> {
    let data_dir = account.data_dir()?;
    if let (Some(file), Some(Signature(signature))) = (&args.typed_data, args.signature) {
        let (certificate, chain_id) = typed_data::read(&read_request(file)?)?;
        let signed = SignedCertificate::new(certificate, &signature, chain_id)?;
        return keep(args, &data_dir, chain_id, &signed, json);
    }
    let staker = account.from.ok_or("whose stake is it? give --from ADDRESS, the address that staked")?;
    let chain_id = match args.chain_id {
        Some(chain_id) => chain_id,
        None => account.chain_id().await?.ok_or("nobody stakes on this network: give --chain-id")?,
    };
    let certificate = args.certificate(&data_dir, staker, SystemTime::now())?;
    match &args.typed_data {
        Some(file) => ask(file, chain_id, &certificate, json),
        None => keep(args, &data_dir, chain_id, &sign(account, certificate, chain_id)?, json),
    }
}

impl Args {
    /// What is to be signed.
    fn certificate(&self, data_dir: &Path, staker: Address, now: SystemTime) -> Result<Certificate, Failure> {
        let (peer, receipt_key) = match self.node {
            Some(peer) => (peer, self.receipt_key.unwrap_or(peer)),
            None => {
                let node = keys::load_or_create(data_dir)?;
                let receipts = if self.new_receipt_key {
                    keys::separate_receipt_key(data_dir)?
                } else {
                    keys::receipt_key(data_dir, &node)?
                };
                (keys::public(&node), self.receipt_key.unwrap_or(keys::public(&receipts)))
            }
        };
        let begins = (now - SKEW).duration_since(UNIX_EPOCH)?.as_secs();
        let has = |role| self.roles.contains(&role);
        Ok(Certificate {
            staker,
            peer,
            receipt_key,
            roles: Roles {
                broadcaster: has(RoleName::Broadcaster),
                orchestrator: has(RoleName::Orchestrator),
                verifier: has(RoleName::Verifier),
            },
            not_before: begins,
            not_after: begins + self.days * 86_400,
            revocation: self.revocation,
        })
    }
}

/// Signs with the staking key, which lies in the keystore.
fn sign(
    account: &AccountArgs,
    certificate: Certificate,
    chain_id: u64,
) -> Result<SignedCertificate, Failure> {
    let keystore = Keystore::open(&account.keystore_dir()?)?;
    let signer = keystore.unlock(certificate.staker, &password(account, false)?)?;
    let signature = signer.sign_digest(certificate.digest(chain_id))?;
    Ok(SignedCertificate::new(certificate, &signature, chain_id)?)
}

/// Writes what a cold key is to sign.
fn ask(file: &Path, chain_id: u64, certificate: &Certificate, json: bool) -> Result<ExitCode, Failure> {
    let request = typed_data::request(certificate, chain_id);
    fs::write(file, serde_json::to_string_pretty(&request)?)
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let shown = file.display();
    if json {
        println!("{}", json!({ "typed_data": file, "digest": certificate.digest(chain_id) }));
        return Ok(ExitCode::SUCCESS);
    }
    describe(certificate, chain_id);
    println!("to sign     {shown}   (digest {})", certificate.digest(chain_id));
    println!("such as by  cast wallet sign --data --from-file {shown} --ledger");
    println!("and then    livemesh stake certify --typed-data {shown} --signature 0x..");
    Ok(ExitCode::SUCCESS)
}

/// Writes the certificate where its node finds it.
fn keep(
    args: &Args,
    data_dir: &Path,
    chain_id: u64,
    signed: &SignedCertificate,
    json: bool,
) -> Result<ExitCode, Failure> {
    let out = args.out.clone().unwrap_or_else(|| keys::certificate_path(data_dir));
    let file = CertificateFile::new(chain_id, signed);
    let fresh = out.with_extension("json.new");
    fs::write(&fresh, serde_json::to_string_pretty(&file)?)
        .and_then(|()| fs::rename(&fresh, &out))
        .map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    if json {
        println!("{}", json!({ "file": out, "certificate": file }));
        return Ok(ExitCode::SUCCESS);
    }
    describe(&signed.certificate, chain_id);
    println!("written to  {}   (the node reads it when it starts)", out.display());
    Ok(ExitCode::SUCCESS)
}

fn describe(certificate: &Certificate, chain_id: u64) {
    let Certificate { staker, peer, receipt_key, roles, not_before, not_after, revocation } = certificate;
    println!("staker      {staker}   (chain {chain_id})");
    println!("node        {}   (key {peer})", peer_id_of(*peer));
    println!(
        "receipts    {}",
        if receipt_key == peer { "the node's own key".into() } else { receipt_key.to_string() }
    );
    println!("roles       {roles}");
    println!("valid       {} to {}", date(*not_before), date(*not_after));
    println!("number      {revocation}   (voids smaller ones of this staker)");
}

/// A time of this century as people read it.
fn date(unix: u64) -> String {
    let format = &time::format_description::well_known::Rfc3339;
    let at = i64::try_from(unix).ok().and_then(|unix| time::OffsetDateTime::from_unix_timestamp(unix).ok());
    at.and_then(|at| at.format(format).ok()).unwrap_or_else(|| unix.to_string())
}

fn read_request(file: &Path) -> Result<serde_json::Value, Failure> {
    let shown = file.display();
    let size = fs::metadata(file).map_err(|error| format!("cannot read {shown}: {error}"))?.len();
    if size > MAX_REQUEST {
        return Err(format!("{shown} has more than {MAX_REQUEST} bytes: it is no request").into());
    }
    Ok(serde_json::from_slice(&fs::read(file)?).map_err(|error| format!("{shown} is no JSON: {error}"))?)
}

/// `12D3KooW..`, or the same key as 64 hex digits.
fn parse_peer(text: &str) -> Result<PeerKey, String> {
    if let Ok(key) = text.trim_start_matches("0x").parse() {
        return Ok(key);
    }
    let peer = text.parse::<p2p::PeerId>().ok().and_then(|peer| peer_key_of(&peer));
    peer.ok_or_else(|| format!("{text:?} is neither a peer id such as 12D3KooW.. nor a key of 64 hex digits"))
}

fn parse_signature(text: &str) -> Result<Signature, String> {
    hex::decode_to_array(text).map(Signature).map_err(|_| "a signature is 65 bytes in hex".to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use alloy_signer_local::PrivateKeySigner;
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        account: AccountArgs,
        #[command(flatten)]
        args: Args,
    }

    fn certify(line: &[&str]) -> Result<ExitCode, Failure> {
        let cli = Cli::try_parse_from(std::iter::once(&"certify").chain(line))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(&cli.args, &cli.account, true))
    }

    /// Arbitrum One.
    const CHAIN_ID: u64 = 42_161;

    /// The address of the key that is 0x46 thirty-two times.
    const STAKER: &str = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";

    #[test]
    fn a_cold_key_signs_what_was_written_and_the_node_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let (data, request) = (dir.path().join("data"), dir.path().join("request.json"));
        let (at, request) = (data.to_str().unwrap(), request.to_str().unwrap());
        let line = [
            "--data-dir",
            at,
            "--from",
            STAKER,
            "--typed-data",
            request,
            "--days",
            "30",
            "--new-receipt-key",
        ];
        certify(&line).unwrap();
        let written = read_request(Path::new(request)).unwrap();
        let (certificate, chain_id) = typed_data::read(&written).unwrap();
        assert_eq!((chain_id, certificate.not_after - certificate.not_before), (CHAIN_ID, 30 * 86_400));
        assert_ne!(certificate.peer, certificate.receipt_key);

        let cold = wallet::Signer::from(PrivateKeySigner::from_bytes(&[0x46; 32].into()).unwrap());
        let signature = hex::encode_prefixed(cold.sign_digest(certificate.digest(chain_id)).unwrap());
        let back = ["--data-dir", at, "--typed-data", request, "--signature", &signature];
        certify(&back).unwrap();
        let found = keys::certificate(&data, None, certificate.peer, certificate.receipt_key, Some(CHAIN_ID));
        assert_eq!(found.unwrap().unwrap().certificate, certificate);
    }

    /// A file that only its owner may read.
    fn private(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_key_of_the_keystore_signs_by_itself_if_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let [data, keys, hex, phrase] = ["data", "keys", "key.hex", "password"].map(|n| dir.path().join(n));
        private(&hex, &"46".repeat(32));
        private(&phrase, "correct horse\n");
        let keystore = Keystore::open(&keys).unwrap();
        let key = keystore.import(&hex, &wallet::Password::from_file(&phrase).unwrap()).unwrap();
        let [data_dir, keys, phrase_file] = [&data, &keys, &phrase].map(|path| path.to_str().unwrap());
        let line = ["--data-dir", data_dir, "--keystore", keys, "--password-file", phrase_file];
        let hot = [&line[..], &["--from", STAKER, "--chain-id", "412346", "--revocation", "3"]].concat();
        certify(&hot).unwrap();
        let (file, signed) = keys::read_certificate(&keys::certificate_path(&data)).unwrap();
        let node = keys::public(&keys::load_or_create(&data).unwrap());
        assert_eq!((file.chain_id, signed.certificate.revocation), (412_346, 3));
        assert_eq!((signed.certificate.peer, signed.certificate.receipt_key), (node, node));

        private(&phrase, "wrong horse");
        let refused = |line: &[&str]| certify(line).unwrap_err().to_string();
        assert!(refused(&hot).contains("wrong password"), "{}", refused(&hot));
        let other = [&line[..], &["--from", "0x00000000000000000000000000000000000000aa"]].concat();
        assert!(refused(&other).contains("no key of"), "{}", refused(&other));
        fs::set_permissions(&key.path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(refused(&hot).contains("others may read it"), "{}", refused(&hot));
    }

    #[test]
    fn a_signature_of_somebody_else_makes_no_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let (at, request) = (dir.path().to_str().unwrap(), dir.path().join("request.json"));
        let request = request.to_str().unwrap();
        certify(&["--data-dir", at, "--from", STAKER, "--typed-data", request]).unwrap();
        let other = hex::encode_prefixed([[1; 64].as_slice(), &[27]].concat());
        let back = ["--data-dir", at, "--typed-data", request, "--signature", &other];
        assert!(certify(&back).is_err() && !keys::certificate_path(dir.path()).exists());
    }

    #[test]
    fn the_chain_is_the_networks_unless_somebody_says_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let (at, request) = (dir.path().to_str().unwrap(), dir.path().join("request.json"));
        let line = ["--data-dir", at, "--from", STAKER, "--typed-data", request.to_str().unwrap()];
        let of = |more: &[&str]| {
            certify(&[&line[..], more].concat())?;
            Ok::<u64, Failure>(typed_data::read(&read_request(&request)?)?.1)
        };
        assert_eq!(of(&[]).unwrap(), CHAIN_ID);
        assert_eq!(of(&["--network", "devnet"]).unwrap(), 412_346);
        assert_eq!(of(&["--network", "devnet", "--chain-id", "7"]).unwrap(), 7);
        assert!(of(&["--network", "holesky"]).unwrap_err().to_string().contains("--chain-id"));
    }

    #[test]
    fn a_node_is_named_by_its_peer_id_or_its_key() {
        let key = PeerKey([7; 32]);
        assert_eq!(parse_peer(&peer_id_of(key).to_string()), Ok(key));
        assert_eq!(parse_peer(&key.to_string()), Ok(key));
        assert!(parse_peer("12D3KooW").is_err());
        let said = certify(&["--node", &key.to_string()]).unwrap_err().to_string();
        assert!(said.contains("give --from"), "{said}");
    }
}
