use alloy_primitives::{address, b256, hex};
use alloy_sol_types::{SolStruct, eip712_domain, sol};

use super::*;

const CHAIN: u64 = 42161;

sol! {
    /// The same type as another implementation hashes it.
    struct StakingCertificate {
        address staker;
        bytes32 peer;
        bytes32 receiptKey;
        string roles;
        uint64 notBefore;
        uint64 notAfter;
        uint64 revocation;
    }
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[0x46; 32]).unwrap()
}

fn address_of(key: &SigningKey) -> Address {
    Address::from_raw_public_key(&key.verifying_key().to_encoded_point(false).as_bytes()[1..])
}

fn certificate() -> Certificate {
    Certificate {
        staker: address_of(&key()),
        peer: PeerKey([0x11; 32]),
        receipt_key: PeerKey([0x22; 32]),
        roles: Roles { orchestrator: true, verifier: true, ..Roles::default() },
        not_before: 1_800_000_000,
        not_after: 1_807_776_000,
        revocation: 3,
    }
}

fn signed() -> SignedCertificate {
    certificate().sign(CHAIN, &key())
}

#[test]
fn the_digest_is_the_one_that_alloy_computes() {
    let c = certificate();
    let other = StakingCertificate {
        staker: c.staker,
        peer: c.peer.0.into(),
        receiptKey: c.receipt_key.0.into(),
        roles: "orchestrator, verifier".into(),
        notBefore: c.not_before,
        notAfter: c.not_after,
        revocation: c.revocation,
    };
    let domain = eip712_domain! { name: "livemesh", version: "1", chain_id: CHAIN, };
    assert_eq!(c.digest(CHAIN), other.eip712_signing_hash(&domain));
}

/// Made by eth-account 0.14.0 (PyPI): `Account.from_key("0x" + "46" * 32).sign_message(encode_typed_data(full_message=data))`
/// with `data` as [`typed_data::request`] writes it.
#[test]
fn digest_and_signature_are_those_of_another_implementation() {
    let c = certificate();
    assert_eq!(c.staker, address!("9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"));
    let digest = b256!("caf01ac65a522896d4157d44703e5413cbffef6b46b214c20933162af9f214ae");
    assert_eq!(c.digest(CHAIN), digest);
    let signature = hex!(
        "0ec80039f5d34457d500fb515b43589bb220133a826bd1120ef7a685ca524d88"
        "35b1e9cfcd90c264823630984a0ce15a5451cc2dee0d830196ba0c6f5cca9751"
        "1b"
    );
    assert_eq!(signed().signature, signature);
}

#[test]
fn the_request_to_a_wallet_names_every_field_in_the_order_that_is_hashed() {
    let request = typed_data::request(&certificate(), CHAIN);
    let fields = request["types"]["StakingCertificate"].as_array().unwrap();
    let names: Vec<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["staker", "peer", "receiptKey", "roles", "notBefore", "notAfter", "revocation"]);
    let message = request["message"].as_object().unwrap();
    assert!(names.iter().all(|name| message.contains_key(*name)) && message.len() == names.len());
    assert_eq!(request["domain"]["chainId"], CHAIN);
    assert_eq!(message["roles"], "orchestrator, verifier");
}

#[test]
fn a_request_is_read_as_it_was_written_and_no_other() {
    let request = typed_data::request(&certificate(), CHAIN);
    assert_eq!(typed_data::read(&request), Ok((certificate(), CHAIN)));
    for (at, other) in [("/message/roles", "orchestrator"), ("/domain/name", "otherwise")] {
        let mut changed = request.clone();
        *changed.pointer_mut(at).unwrap() = other.into();
        let read = typed_data::read(&changed).map(|(read, _)| read);
        assert!(read.is_err() || read != Ok(certificate()), "{at}");
    }
    let mut more = request;
    more["message"]["gift"] = "all".into();
    assert!(typed_data::read(&more).is_err());
    assert!(typed_data::read(&serde_json::Value::Null).is_err());
}

#[test]
fn a_staker_vouches_for_a_node_on_one_chain() {
    assert_eq!(signed().verify(CHAIN), Ok(()));
    assert!(matches!(signed().verify(CHAIN + 1), Err(BadCertificate::Foreign { .. })));
}

#[test]
fn no_field_can_be_changed() {
    type Change = fn(&mut Certificate);
    let changes: [Change; 7] = [
        |c| c.staker = Address::repeat_byte(7),
        |c| c.peer.0[0] ^= 1,
        |c| c.receipt_key.0[31] ^= 1,
        |c| c.roles.broadcaster = true,
        |c| c.not_before += 1,
        |c| c.not_after += 1,
        |c| c.revocation += 1,
    ];
    for change in changes {
        let mut bad = signed();
        change(&mut bad.certificate);
        assert!(matches!(bad.verify(CHAIN), Err(BadCertificate::Foreign { .. })), "{bad:?}");
    }
}

#[test]
fn a_signature_has_one_form_only() {
    let good = signed();
    let order = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let s = alloy_primitives::U256::from_be_slice(&good.signature[32..64]);
    let mut high = good;
    let other = alloy_primitives::U256::from_be_bytes(order.0) - s;
    high.signature[32..64].copy_from_slice(&other.to_be_bytes::<32>());
    high.signature[64] = 27 + 28 - high.signature[64];
    assert_eq!(high.verify(CHAIN), Err(BadCertificate::Signature(BadSignature::HighS)));
    let mut unrecoverable = good;
    unrecoverable.signature[64] = 29;
    assert_eq!(unrecoverable.verify(CHAIN), Err(BadCertificate::Signature(BadSignature::Unrecoverable)));
}

#[test]
fn a_device_may_write_the_parity_as_zero_or_one() {
    let good = signed();
    let mut raw = good.signature;
    raw[64] -= 27;
    assert_eq!(SignedCertificate::new(good.certificate, &raw, CHAIN), Ok(good));
    let short = SignedCertificate::new(good.certificate, &raw[1..], CHAIN);
    assert_eq!(short, Err(BadCertificate::Signature(BadSignature::Length)));
}

#[test]
fn a_compact_signature_is_the_same_signature() {
    for byte in 1..=40 {
        let key = SigningKey::from_slice(&[byte; 32]).unwrap();
        let signed = Certificate { staker: address_of(&key), ..certificate() }.sign(CHAIN, &key);
        let back = SignedCertificate::from_compact(signed.certificate, signed.compact_signature());
        assert_eq!((back, back.verify(CHAIN)), (signed, Ok(())));
    }
}

#[test]
fn a_certificate_covers_its_own_node_within_its_time() {
    let c = certificate();
    assert_eq!(c.covers(c.peer, c.not_before, c.not_after), Ok(()));
    assert!(matches!(c.covers(c.peer, c.not_before - 1, c.not_after), Err(BadCertificate::OutOfTime { .. })));
    assert!(matches!(c.covers(c.peer, c.not_before, c.not_after + 1), Err(BadCertificate::OutOfTime { .. })));
    assert_eq!(c.covers(PeerKey([9; 32]), 0, 0), Err(BadCertificate::OtherPeer(c.peer)));
}

#[test]
fn one_that_never_ends_or_allows_nothing_is_none() {
    let verify = |c: Certificate| c.sign(CHAIN, &key()).verify(CHAIN);
    let c = certificate();
    let endless = Certificate { not_after: c.not_before + Certificate::MAX_LIFETIME + 1, ..c };
    assert_eq!(verify(endless), Err(BadCertificate::Lifetime));
    assert_eq!(verify(Certificate { not_after: c.not_before, ..c }), Err(BadCertificate::Lifetime));
    assert_eq!(verify(Certificate { roles: Roles::default(), ..c }), Err(BadCertificate::NoRole));
}

#[test]
fn a_file_holds_what_was_signed_and_nothing_else_opens_it() {
    let text = serde_json::to_string(&CertificateFile::new(CHAIN, &signed())).unwrap();
    let file: CertificateFile = serde_json::from_str(&text).unwrap();
    assert_eq!(file.open(), Ok(signed()));
    let of_another: CertificateFile = serde_json::from_str(&text.replace("42161", "1")).unwrap();
    assert!(of_another.open().is_err());
    assert!(serde_json::from_str::<CertificateFile>(&text.replace("\"chain_id\"", "\"chain\"")).is_err());
}
