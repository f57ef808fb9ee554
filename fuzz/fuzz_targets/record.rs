//! Any bytes as a signed node record, and as the body of one that its owner did sign: what verifies can be signed again and says
//! the same, and no certificate in it is the word of a staker who never signed one.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use ed25519_dalek::Signer;
use libfuzzer_sys::fuzz_target;
use p2p::wire::Reach;
use p2p::{Identity, Refused, Signed, Verified};
use protocol::record::Roles;
use protocol::{Certificate, NodeRecord, PeerKey, SignedCertificate};

const NETWORK: &str = "fuzz";
/// The chain that holds the stake.
const CHAIN: u64 = 42_161;
const NOW_MS: u64 = 1_800_000_000_000;
static OWNER: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed([7; 32]));

fuzz_target!(|data: &[u8]| {
    let stranger = Signed(Bytes::copy_from_slice(data));
    let claimed = stranger.peek();
    if let Ok(verified) = stranger.verify(NETWORK, NOW_MS) {
        assert_eq!(claimed, Some((verified.record().peer, verified.record().sequence)));
        check(&verified);
    }
    if let Some(claim) = claim(data) {
        let signed = Signed::new(&claim, &Reach::default(), &OWNER, NETWORK).expect("within its bounds");
        let verified = signed.verify(NETWORK, NOW_MS).expect("it is valid for now");
        assert_eq!(**verified.record(), claim);
        check(&verified);
    }
    match signed(data).verify(NETWORK, NOW_MS) {
        Ok(verified) => {
            let _ = (verified.forget_at_ms(), verified.is_withdrawal());
            check(&verified);
            let again =
                Signed::new(verified.record(), verified.reach(), &OWNER, NETWORK).expect("it was valid");
            let again = again.verify(NETWORK, NOW_MS).expect("it was valid");
            assert_eq!((again.record(), again.reach()), (verified.record(), verified.reach()));
        }
        Err(why) => assert!(!matches!(why, Refused::BadSignature(_)), "{why}"),
    }
});

/// A good record whose certificate is made of `data`.
fn claim(data: &[u8]) -> Option<NodeRecord> {
    let (staker, rest) = data.split_first_chunk::<20>()?;
    let (signature, rest) = rest.split_first_chunk::<64>()?;
    let (receipt_key, rest) = rest.split_first_chunk::<32>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (before, rest) = rest.split_first_chunk::<2>()?;
    let (after, rest) = rest.split_first_chunk::<2>()?;
    let bits = *rest.first()?;
    let now = NOW_MS / 1000;
    let peer = OWNER.peer_key();
    let certificate = Certificate {
        staker: (*staker).into(),
        peer,
        receipt_key: PeerKey(*receipt_key),
        roles: Roles { broadcaster: bits & 1 > 0, orchestrator: bits & 2 > 0, verifier: bits & 4 > 0 },
        not_before: now - u64::from(u16::from_be_bytes(*before)),
        not_after: now + 60 + u64::from(u16::from_be_bytes(*after)),
        revocation: u64::from_be_bytes(*number),
    };
    Some(NodeRecord {
        peer,
        sequence: NOW_MS,
        expires: now + 60,
        control: Vec::new(),
        media: Vec::new(),
        roles: certificate.roles,
        work: None,
        certificate: Some(SignedCertificate::from_compact(certificate, *signature)),
    })
}

/// A signature of random bytes has a signer, but it is never the one that the certificate names.
fn check(verified: &Verified<NodeRecord>) {
    match (verified.record().certificate, verified.check_stake(CHAIN)) {
        (None, Ok(())) => {}
        (Some(signed), Err(refused)) => {
            assert_eq!(signed.certificate.peer, verified.record().peer);
            assert_eq!((refused.claimer(), refused.is_fault()), (Some(verified.record().peer), false));
            let compact = SignedCertificate::from_compact(signed.certificate, signed.compact_signature());
            assert_eq!(compact, signed);
        }
        (certificate, verdict) => panic!("{certificate:?}: {verdict:?}"),
    }
}

/// An envelope of `data` as its owner signs it, in the form of `p2p/proto/control.proto`.
fn signed(data: &[u8]) -> Signed {
    // Of a field that comes twice the last one counts: the record is the owner's.
    let body = [data, &[0x0A, 32], &OWNER.peer_key().0].concat();
    let domain = [b"livemesh node record v1\0", &[NETWORK.len() as u8][..], NETWORK.as_bytes()].concat();
    let signature = OWNER.signing_key().sign(&[&domain[..], &body].concat()).to_bytes();
    let length = [0x80 | (body.len() & 0x7F) as u8, (body.len() >> 7 & 0x7F) as u8];
    Signed([&[0x0A][..], &length, &body, &[0x12, 64], &signature].concat().into())
}
