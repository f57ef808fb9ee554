//! `livemesh stake certify`: the staking key's word for a node. The key may lie in a keystore here, or cold elsewhere: then what
//! is to be signed is written to a file, and the signature is brought back.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use clap::ValueEnum;
use p2p::identity::{peer_id_of, peer_key_of};
use protocol::certificate::{CertificateFile, typed_data};
use protocol::record::Roles;
use protocol::{Certificate, PeerKey, SignedCertificate};
use serde_json::json;

use crate::cli::Failure;
use crate::config::NodeArgs;
use crate::keys;

/// Arbitrum One.
const CHAIN_ID: u64 = 42_161;
/// A certificate begins this much earlier than now, so that a node whose clock is behind can use it at once.
const SKEW: Duration = Duration::from_secs(300);
/// Largest request that is read, bytes.
const MAX_REQUEST: u64 = 64 * 1024;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The node: its peer id or key [default: this machine's, from the data directory]
    #[arg(long, value_name = "ID", value_parser = parse_peer)]
    peer: Option<PeerKey>,
    /// Key that signs the node's receipts, 64 hex digits [default: the one in the data directory, or the node's own]
    #[arg(long, value_name = "KEY")]
    receipt_key: Option<PeerKey>,
    /// Makes a key of its own for receipts in the data directory, if there is none
    #[arg(long, conflicts_with_all = ["receipt_key", "peer"])]
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
    /// The chain that holds the stake; 42161 is Arbitrum One
    #[arg(long, value_name = "ID", default_value_t = CHAIN_ID)]
    chain_id: u64,
    /// The staking address, whose key signs: from the keystore, or with --typed-data anywhere else
    #[arg(long, value_name = "ADDRESS", required_unless_present = "signature")]
    from: Option<Address>,
    /// Where encrypted keys are [default: keystore in the data directory]
    #[arg(long, value_name = "DIR")]
    keystore: Option<PathBuf>,
    /// File whose first line is the key's password [default: it is asked for]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
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
    /// Data directory of the node [default: ~/.livemesh]
    #[arg(long, env = "LIVEMESH_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
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

pub(crate) fn run(args: &Args, json: bool) -> Result<ExitCode, Failure> {
    let data_dir = NodeArgs { data_dir: args.data_dir.clone(), ..NodeArgs::default() }.data_dir()?;
    if let (Some(file), Some(Signature(signature))) = (&args.typed_data, args.signature) {
        let (certificate, chain_id) = typed_data::read(&read_request(file)?)?;
        let signed = SignedCertificate::new(certificate, &signature, chain_id)?;
        return keep(args, &data_dir, chain_id, &signed, json);
    }
    let staker = args.from.ok_or("whose stake is it? give --from")?;
    let certificate = args.certificate(&data_dir, staker, SystemTime::now())?;
    match &args.typed_data {
        Some(file) => ask(file, args.chain_id, &certificate, json),
        None => {
            let signed = args.sign(&data_dir, certificate)?;
            keep(args, &data_dir, args.chain_id, &signed, json)
        }
    }
}

impl Args {
    /// What is to be signed.
    fn certificate(&self, data_dir: &Path, staker: Address, now: SystemTime) -> Result<Certificate, Failure> {
        let (peer, receipt_key) = match self.peer {
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

    /// Signs with the staking key of the keystore.
    fn sign(&self, data_dir: &Path, certificate: Certificate) -> Result<SignedCertificate, Failure> {
        let dir = self.keystore.clone().unwrap_or_else(|| data_dir.join("keystore"));
        let file = key_file(&dir, certificate.staker)?;
        let password = match &self.password_file {
            Some(file) => fs::read_to_string(file)?.lines().next().unwrap_or_default().to_owned(),
            None => rpassword::prompt_password(format!("Password of {}: ", certificate.staker))?,
        };
        let signer = PrivateKeySigner::decrypt_keystore(&file, password)
            .map_err(|error| format!("{} does not open: {error}", file.display()))?;
        let signature = signer.sign_hash_sync(&certificate.digest(self.chain_id))?.as_bytes();
        Ok(SignedCertificate::new(certificate, &signature, self.chain_id)?)
    }
}

/// The file of a key: keystores name them `UTC--time--address`.
fn key_file(dir: &Path, address: Address) -> Result<PathBuf, Failure> {
    let ending = hex::encode(address);
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().ends_with(&ending))
    };
    let found = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).find(named);
    found.ok_or_else(|| {
        let shown = dir.display();
        format!("no key of {address} in {shown}: name another --keystore, or sign elsewhere by --typed-data")
            .into()
    })
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
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &[&str]) -> Result<Args, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"certify").chain(line)).map(|cli| cli.args)
    }

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
        run(&args(&line).unwrap(), true).unwrap();
        let written = read_request(Path::new(request)).unwrap();
        let (certificate, chain_id) = typed_data::read(&written).unwrap();
        assert_eq!((chain_id, certificate.not_after - certificate.not_before), (CHAIN_ID, 30 * 86_400));
        assert_ne!(certificate.peer, certificate.receipt_key);

        let cold = PrivateKeySigner::from_bytes(&[0x46; 32].into()).unwrap();
        let digest = certificate.digest(chain_id);
        let signature = cold.sign_hash_sync(&digest).unwrap().as_bytes();
        let signature = hex::encode_prefixed(signature);
        let back = ["--data-dir", at, "--typed-data", request, "--signature", &signature];
        run(&args(&back).unwrap(), true).unwrap();
        let found = keys::certificate(&data, None, certificate.peer, certificate.receipt_key, Some(CHAIN_ID));
        assert_eq!(found.unwrap().unwrap().certificate, certificate);
    }

    #[test]
    fn a_signature_of_somebody_else_makes_no_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let (at, request) = (dir.path().to_str().unwrap(), dir.path().join("request.json"));
        let request = request.to_str().unwrap();
        run(&args(&["--data-dir", at, "--from", STAKER, "--typed-data", request]).unwrap(), true).unwrap();
        let other = hex::encode_prefixed([[1; 64].as_slice(), &[27]].concat());
        let back = args(&["--data-dir", at, "--typed-data", request, "--signature", &other]).unwrap();
        assert!(run(&back, true).is_err() && !keys::certificate_path(dir.path()).exists());
    }

    #[test]
    fn a_node_is_named_by_its_peer_id_or_its_key() {
        let key = PeerKey([7; 32]);
        assert_eq!(parse_peer(&peer_id_of(key).to_string()), Ok(key));
        assert_eq!(parse_peer(&key.to_string()), Ok(key));
        assert!(parse_peer("12D3KooW").is_err());
        assert!(args(&["--peer", &key.to_string()]).is_err(), "whose stake is it?");
    }
}
