//! A certificate as EIP-712 typed data: what a wallet shows, and the 32 bytes that it signs.
//!
//! The domain names livemesh, its version and the chain, and no contract: no contract ever reads a certificate, and a
//! wallet that showed one beside it would tell its owner that this moves stake. The chain is there because the same address
//! may have stake on another one. Roles are written out, since a person reads them before signing.

use alloy_primitives::{B256, keccak256};
use serde_json::{Value, json};

use super::Certificate;
use crate::PeerKey;
use crate::record::Roles;

/// The application, in every domain.
pub const NAME: &str = "livemesh";
/// Version of what is signed; another one means other fields.
pub const VERSION: &str = "1";

/// EIP-712 encoding of the domain's type.
const DOMAIN_TYPE: &str = "EIP712Domain(string name,string version,uint256 chainId)";
/// EIP-712 encoding of the certificate's type.
const CERTIFICATE_TYPE: &str = "StakingCertificate(address staker,bytes32 peer,bytes32 receiptKey,string roles,uint64 notBefore,uint64 notAfter,uint64 revocation)";

/// The bytes that the staking key signs: `keccak256(0x1901 || domain || struct)`.
#[must_use]
pub fn digest(certificate: &Certificate, chain_id: u64) -> B256 {
    keccak256([&[0x19, 0x01], domain(chain_id).as_slice(), struct_hash(certificate).as_slice()].concat())
}

/// The request that `eth_signTypedData_v4`, hardware wallets and `cast wallet sign --data` take.
#[must_use]
pub fn request(certificate: &Certificate, chain_id: u64) -> Value {
    let hex = |bytes: &[u8; 32]| alloy_primitives::hex::encode_prefixed(bytes);
    json!({
        "types": { "EIP712Domain": fields(DOMAIN_TYPE), "StakingCertificate": fields(CERTIFICATE_TYPE) },
        "primaryType": "StakingCertificate",
        "domain": { "name": NAME, "version": VERSION, "chainId": chain_id },
        "message": {
            "staker": certificate.staker.to_checksum(None),
            "peer": hex(&certificate.peer.0),
            "receiptKey": hex(&certificate.receipt_key.0),
            "roles": certificate.roles.to_string(),
            // As text: a number of 64 bits is not safe in every JSON reader.
            "notBefore": certificate.not_before.to_string(),
            "notAfter": certificate.not_after.to_string(),
            "revocation": certificate.revocation.to_string(),
        },
    })
}

fn domain(chain_id: u64) -> B256 {
    hash_words(&[keccak256(DOMAIN_TYPE), keccak256(NAME), keccak256(VERSION), word(chain_id)])
}

fn struct_hash(certificate: &Certificate) -> B256 {
    hash_words(&[
        keccak256(CERTIFICATE_TYPE),
        certificate.staker.into_word(),
        B256::from(certificate.peer.0),
        B256::from(certificate.receipt_key.0),
        keccak256(certificate.roles.to_string()),
        word(certificate.not_before),
        word(certificate.not_after),
        word(certificate.revocation),
    ])
}

fn word(number: u64) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

fn hash_words(words: &[B256]) -> B256 {
    keccak256(words.concat())
}

/// The members of a type as a request lists them.
fn fields(encoded: &str) -> Vec<Value> {
    let members = encoded.trim_end_matches(')').split_once('(').map_or("", |(_, members)| members);
    let field =
        |member: &str| member.split_once(' ').map(|(kind, name)| json!({ "name": name, "type": kind }));
    members.split(',').filter_map(field).collect()
}

/// A request that is not one that [`request`] writes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}: this is no request for a staking certificate as livemesh stake certify writes it")]
pub struct BadRequest(String);

/// Reads what [`request`] wrote: the certificate and its chain. Anything else in it is refused, because it would be signed too.
///
/// # Errors
/// [`BadRequest`] says what is wrong.
pub fn read(value: &Value) -> Result<(Certificate, u64), BadRequest> {
    let bad = |what: &str| BadRequest(format!("{what} is missing or malformed"));
    let text = |name: &str| value["message"][name].as_str().ok_or_else(|| bad(name));
    let number = |name: &str| text(name)?.parse::<u64>().map_err(|_| bad(name));
    let key = |name: &str| {
        let hex = text(name)?.strip_prefix("0x").ok_or_else(|| bad(name))?;
        hex.parse::<PeerKey>().map_err(|_| bad(name))
    };
    let chain_id = value["domain"]["chainId"].as_u64().ok_or_else(|| bad("chainId"))?;
    let names: Vec<&str> = text("roles")?.split(", ").collect();
    let certificate = Certificate {
        staker: text("staker")?.parse().map_err(|_| bad("staker"))?,
        peer: key("peer")?,
        receipt_key: key("receiptKey")?,
        roles: Roles {
            broadcaster: names.contains(&"broadcaster"),
            orchestrator: names.contains(&"orchestrator"),
            verifier: names.contains(&"verifier"),
        },
        not_before: number("notBefore")?,
        not_after: number("notAfter")?,
        revocation: number("revocation")?,
    };
    if request(&certificate, chain_id) == *value {
        Ok((certificate, chain_id))
    } else {
        Err(BadRequest("it says more or other than a certificate".to_owned()))
    }
}
