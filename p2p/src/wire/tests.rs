use alloy_primitives::Address;
use k256::ecdsa::SigningKey;
use proptest::prelude::*;
use protocol::{Certificate, SignedCertificate};

use super::*;

const NOW_MS: u64 = 1_800_000_000_000;
const NET: &str = "test";

fn identity() -> Identity {
    Identity::from_seed([1; 32])
}

fn record() -> NodeRecord {
    NodeRecord {
        peer: identity().peer_key(),
        sequence: NOW_MS,
        expires: NOW_MS / 1000 + 60,
        control: vec!["10.0.0.1:4001".parse().unwrap()],
        media: vec!["[2001:db8::1]:4002".parse().unwrap()],
        roles: Roles { orchestrator: true, ..Roles::default() },
        work: Some(Work {
            price: PricePerPixel { wei: 1, pixels: 3 },
            capacity: 4,
            load: 1,
            backend: "cpu".into(),
            encoder: "x264-164".into(),
        }),
        certificate: None,
    }
}

/// The chain that holds the stake.
const CHAIN: u64 = 42161;

/// A staking key and its address.
fn staker(byte: u8) -> (SigningKey, Address) {
    let key = SigningKey::from_slice(&[byte; 32]).unwrap();
    let address = Address::from_raw_public_key(&key.verifying_key().to_encoded_point(false).as_bytes()[1..]);
    (key, address)
}

/// What the staker says of this node.
fn certificate() -> Certificate {
    Certificate {
        staker: staker(7).1,
        peer: identity().peer_key(),
        receipt_key: PeerKey([3; 32]),
        roles: Roles { orchestrator: true, ..Roles::default() },
        not_before: NOW_MS / 1000 - 60,
        not_after: NOW_MS / 1000 + 3600,
        revocation: 1,
    }
}

/// A record with a certificate, signed by the staking key made of `byte`.
fn certified(certificate: Certificate, byte: u8) -> NodeRecord {
    NodeRecord { certificate: Some(certificate.sign(CHAIN, &staker(byte).0)), ..record() }
}

fn sign(record: &NodeRecord) -> Signed {
    Signed::new(record, &Reach::default(), &identity(), NET).unwrap()
}

/// An envelope over any message, signed properly.
fn sign_raw(message: &proto::Record) -> Signed {
    let body = message.encode_to_vec();
    let signature = identity().signing_key().sign(&signing_bytes(NET, &body).unwrap()).to_bytes();
    let envelope = proto::Envelope { body: body.into(), signature: Bytes::copy_from_slice(&signature) };
    Signed(envelope.encode_to_vec().into())
}

#[test]
fn a_record_comes_back_as_it_was_signed() {
    let verified = sign(&record()).verify(NET, NOW_MS).unwrap();
    assert_eq!(**verified.record(), record());
    assert!(!verified.is_withdrawal());
}

#[test]
fn a_record_carries_the_word_of_its_staker() {
    let record = certified(certificate(), 7);
    let verified = sign(&record).verify(NET, NOW_MS).unwrap();
    assert_eq!(**verified.record(), record);
    assert_eq!(verified.check_stake(CHAIN), Ok(()));
    assert_eq!(verified.record().receipt_key(), PeerKey([3; 32]));
}

#[test]
fn a_receipt_key_that_is_the_nodes_own_takes_no_room() {
    let with = |receipt_key| sign(&certified(Certificate { receipt_key, ..certificate() }, 7));
    let (own, other) = (with(identity().peer_key()), with(PeerKey([3; 32])));
    assert!(other.0.len() >= own.0.len() + 34);
    assert_eq!(own.verify(NET, NOW_MS).unwrap().record().receipt_key(), identity().peer_key());
}

#[test]
fn whoever_claims_foreign_stake_is_named_and_not_whoever_passed_it_on() {
    let me = identity().peer_key();
    // Signed by another key than the staker's, and one that the staker made for another node.
    let others = Certificate { peer: PeerKey([9; 32]), ..certificate() }.sign(CHAIN, &staker(7).0);
    let stolen = SignedCertificate { certificate: certificate(), ..others };
    for record in [certified(certificate(), 8), NodeRecord { certificate: Some(stolen), ..record() }] {
        let verified = sign(&record).verify(NET, NOW_MS).expect("who follows no chain cannot know");
        let refused = verified.check_stake(CHAIN).unwrap_err();
        assert!(matches!(refused, Refused::Stake { why: BadCertificate::Foreign { .. }, .. }), "{refused}");
        assert_eq!((refused.claimer(), refused.is_fault()), (Some(me), false));
    }
    let for_another_chain = sign(&certified(certificate(), 7)).verify(NET, NOW_MS).unwrap();
    assert!(for_another_chain.check_stake(1).is_err());
}

#[test]
fn a_record_that_outlives_its_certificate_is_a_false_claim() {
    let (made, expires) = (NOW_MS / 1000, record().expires);
    let signed = |not_before, not_after| {
        let message =
            encode(&certified(Certificate { not_before, not_after, ..certificate() }, 7), &Reach::default());
        sign_raw(&message).verify(NET, NOW_MS)
    };
    assert!(signed(made, expires).is_ok());
    for (not_before, not_after) in [(made - 100, expires - 1), (made + 1, expires), (made - 100, made - 50)] {
        let refused = signed(not_before, not_after).unwrap_err();
        assert_eq!(refused.claimer(), Some(identity().peer_key()), "{refused}");
    }
}

#[test]
fn a_certificate_out_of_bounds_is_refused() {
    type Break = fn(&mut proto::Certificate);
    let breaks: [Break; 5] = [
        |c| c.staker = Bytes::from_static(&[1; 19]),
        |c| c.signature = Bytes::from_static(&[1; 65]),
        |c| c.receipt_key = Bytes::from_static(&[1; 31]),
        |c| c.roles = 8,
        |c| c.lifetime = Certificate::MAX_LIFETIME + 1,
    ];
    for harm in breaks {
        let mut message = encode(&certified(certificate(), 7), &Reach::default());
        harm(message.certificate.as_mut().unwrap());
        assert!(matches!(sign_raw(&message).verify(NET, NOW_MS), Err(Refused::Malformed(_))));
    }
}

#[test]
fn a_record_with_a_certificate_and_every_address_that_a_machine_has_fits_512_bytes() {
    let addrs: Vec<SocketAddr> = (1..=4).map(|n| format!("[2001:db8::{n}]:4935").parse().unwrap()).collect();
    let crowded = NodeRecord { control: addrs.clone(), media: addrs, ..certified(certificate(), 7) };
    let reach = Reach { relays: vec![PeerKey([1; 32]), PeerKey([2; 32])], relay: false };
    let signed = Signed::new(&crowded, &reach, &identity(), NET).unwrap();
    println!("{} bytes", signed.0.len());
    assert_eq!(**signed.verify(NET, NOW_MS).unwrap().record(), crowded);
}

#[test]
fn a_forged_record_is_refused() {
    let stranger = Identity::from_seed([2; 32]);
    let mut forged = proto::Envelope::decode(sign(&record()).0).unwrap();
    let body = forged.body.to_vec();
    forged.signature =
        Bytes::copy_from_slice(&stranger.signing_key().sign(&signing_bytes(NET, &body).unwrap()).to_bytes());
    let refused = Signed(forged.encode_to_vec().into()).verify(NET, NOW_MS).unwrap_err();
    assert_eq!(refused, Refused::BadSignature(identity().peer_key()));
    assert!(refused.is_fault());
}

#[test]
fn a_record_of_another_network_is_refused() {
    assert!(matches!(sign(&record()).verify("other", NOW_MS), Err(Refused::BadSignature(_))));
}

#[test]
fn nobody_can_sign_for_another_key() {
    let refused = Signed::new(&record(), &Reach::default(), &Identity::from_seed([2; 32]), NET);
    assert!(matches!(refused, Err(Refused::BadSignature(_))));
}

#[test]
fn an_expired_record_is_refused_without_blame() {
    let refused = sign(&record()).verify(NET, NOW_MS + 61_000).unwrap_err();
    assert_eq!(refused, Refused::Expired(identity().peer_key()));
    assert!(!refused.is_fault());
}

#[test]
fn a_record_from_the_future_or_for_ever_is_refused() {
    let at =
        |sequence: u64, expires: u64| sign(&NodeRecord { sequence, expires, ..record() }).verify(NET, NOW_MS);
    let future = NOW_MS + MAX_SKEW_MS + 1;
    assert!(matches!(at(future, future / 1000 + 10), Err(Refused::TimeBounds(_))));
    assert!(matches!(at(NOW_MS, NOW_MS / 1000 + MAX_LIFETIME_SECS + 2), Err(Refused::TimeBounds(_))));
    assert!(matches!(at(0, u64::MAX), Err(Refused::TimeBounds(_))));
}

#[test]
fn a_withdrawal_is_one_that_was_void_when_made() {
    let gone = NodeRecord { expires: NOW_MS / 1000, ..record() };
    let verified = sign(&gone).verify(NET, NOW_MS + 5000).unwrap();
    assert!(verified.is_withdrawal());
    let much_later = NOW_MS + MAX_LIFETIME_SECS * 1000 + 1;
    assert!(matches!(sign(&gone).verify(NET, much_later), Err(Refused::Expired(_))));
}

#[test]
fn an_oversized_record_is_refused_before_it_is_read() {
    let refused = Signed(vec![0; 513].into()).verify(NET, NOW_MS).unwrap_err();
    assert_eq!(refused, Refused::TooLarge(513));
}

#[test]
fn a_field_out_of_bounds_is_refused_though_signed() {
    let changed = |f: fn(&mut proto::Record)| {
        let mut message = encode(&record(), &Reach::default());
        f(&mut message);
        sign_raw(&message).verify(NET, NOW_MS)
    };
    assert!(changed(|_| {}).is_ok());
    assert!(changed(|m| m.control = vec![m.control[0].clone(); 5]).is_err());
    assert!(changed(|m| m.media[0] = vec![0; 18].into()).is_err());
    assert!(changed(|m| m.media[0] = vec![1; 7].into()).is_err());
    assert!(changed(|m| m.work.as_mut().unwrap().price_pixels = 0).is_err());
    assert!(changed(|m| m.work.as_mut().unwrap().backend = "x".repeat(17)).is_err());
    assert!(changed(|m| m.work.as_mut().unwrap().encoder = "<script>".into()).is_err());
    assert!(changed(|m| m.relays = vec![Bytes::from_static(&[1; 32]); 3]).is_err());
    assert!(changed(|m| m.peer = vec![1; 31].into()).is_err());
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    (any::<[u8; 16]>(), any::<bool>(), 1..=u16::MAX).prop_filter_map("reachable", |(ip, four, port)| {
        let ip: IpAddr = if four { [ip[0], ip[1], ip[2], ip[3]].into() } else { ip.into() };
        (!ip.is_unspecified() && !ip.is_multicast()).then(|| SocketAddr::new(ip, port))
    })
}

fn any_work() -> impl Strategy<Value = Work> {
    (any::<u64>(), 1..=u64::MAX, any::<u32>(), any::<u32>(), "[a-z0-9.-]{0,16}", "[a-z0-9.-]{0,32}").prop_map(
        |(wei, pixels, capacity, load, backend, encoder)| Work {
            price: PricePerPixel { wei, pixels },
            capacity,
            load,
            backend,
            encoder,
        },
    )
}

fn any_record() -> impl Strategy<Value = (NodeRecord, Reach)> {
    let addrs = || proptest::collection::vec(any_addr(), 0..=NodeRecord::MAX_ADDRS);
    let relays = proptest::collection::vec(any::<[u8; 32]>().prop_map(PeerKey), 0..=MAX_RELAYS);
    let roles = any::<[bool; 3]>();
    (addrs(), addrs(), roles, proptest::option::of(any_work()), relays, any::<bool>(), 1..MAX_LIFETIME_SECS)
        .prop_map(|(control, media, [broadcaster, orchestrator, verifier], work, relays, relay, life)| {
            let roles = Roles { broadcaster, orchestrator, verifier };
            let expires = NOW_MS / 1000 + life;
            (NodeRecord { control, media, roles, work, expires, ..record() }, Reach { relays, relay })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_record_within_its_bounds_fits_512_bytes((record, reach) in any_record()) {
        let signed = Signed::new(&record, &reach, &identity(), NET).unwrap();
        prop_assert!(signed.0.len() <= NodeRecord::MAX_BYTES);
        let verified = signed.verify(NET, NOW_MS).unwrap();
        prop_assert_eq!(&**verified.record(), &record);
        prop_assert_eq!(verified.reach(), &reach);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Signed(bytes.into()).verify(NET, NOW_MS).is_err());
    }

    #[test]
    fn no_changed_byte_of_a_claim_goes_unnoticed(at in 0..400usize, flip in 1..=255u8) {
        let honest = certified(certificate(), 7);
        let mut claim = encode(&honest, &Reach::default()).certificate.unwrap().encode_to_vec();
        let at = at % claim.len();
        claim[at] ^= flip;
        let Ok(claim) = proto::Certificate::decode(&claim[..]) else { return Ok(()) };
        let message = proto::Record { certificate: Some(claim), ..encode(&honest, &Reach::default()) };
        if let Ok(verified) = sign_raw(&message).verify(NET, NOW_MS)
            && verified.check_stake(CHAIN).is_ok()
        {
            prop_assert_eq!(verified.record().certificate, honest.certificate);
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed(at in 0..400usize, flip in 1..=255u8) {
        let good = sign(&record()).0;
        let mut bad = good.to_vec();
        let at = at % bad.len();
        bad[at] ^= flip;
        // Only the envelope's own framing may be written in another way.
        if let Ok(verified) = Signed(bad.into()).verify(NET, NOW_MS) {
            prop_assert_eq!(&**verified.record(), &record());
        }
    }
}
