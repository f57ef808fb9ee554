//! Who signed, by whichever way it is added up.

use alloy_primitives::B256;

use super::super::bls::Committee;
use super::super::types::{PublicKey, SignatureBytes, SyncAggregate};
use super::world::{committee, sign};

const MESSAGE: B256 = B256::repeat_byte(0x42);

fn verifies(aggregate: &SyncAggregate) -> bool {
    Committee::new(committee(0)).verify(&MESSAGE, aggregate).unwrap()
}

#[test]
fn any_number_of_members_signs_for_itself() {
    for count in 1..=32 {
        assert!(verifies(&sign(0, &MESSAGE, |member| member < count)), "{count}");
    }
}

#[test]
fn a_key_that_sits_twice_signs_twice_or_once() {
    // Members 0 and 20 are the same key.
    for who in [&[0, 20][..], &[0], &[20], &[0, 1, 20, 21]] {
        assert!(verifies(&sign(0, &MESSAGE, |member| who.contains(&member))), "present {who:?}");
        assert!(verifies(&sign(0, &MESSAGE, |member| !who.contains(&member))), "absent {who:?}");
    }
    let mut once = sign(0, &MESSAGE, |member| member == 0);
    once.bits[20 / 8] |= 1 << (20 % 8);
    assert!(!verifies(&once), "one signature is not two");
    once.bits = vec![0, 0, 1 << (20 % 8), 0];
    assert!(verifies(&once), "whose place of the same key it is cannot be told");
}

#[test]
fn a_bit_more_or_less_is_another_signature() {
    let good = sign(0, &MESSAGE, |member| member < 24);
    for member in 0..32 {
        let mut bad = good.clone();
        bad.bits[member / 8] ^= 1 << (member % 8);
        assert!(!verifies(&bad), "{member}");
    }
}

#[test]
fn another_message_another_committee_or_no_signature_do_not_verify() {
    let good = sign(0, &MESSAGE, |_| true);
    let committee_0 = Committee::new(committee(0));
    assert!(!committee_0.verify(&B256::ZERO, &good).unwrap());
    assert!(!Committee::new(committee(1)).verify(&MESSAGE, &good).unwrap());
    let infinity = SignatureBytes::right_padding_from(&[0xc0]);
    for signature in [SignatureBytes::ZERO, SignatureBytes::repeat_byte(0xff), infinity] {
        assert!(!committee_0.verify(&MESSAGE, &SyncAggregate { signature, ..good.clone() }).unwrap());
    }
    assert!(!committee_0.verify(&MESSAGE, &SyncAggregate { bits: vec![0; 4], signature: infinity }).unwrap());
    assert!(!committee_0.verify(&MESSAGE, &SyncAggregate { bits: vec![0xff; 64], ..good }).unwrap());
}

#[test]
fn keys_that_cancel_out_sign_nothing() {
    let mut keys = committee(0);
    let mut opposite = keys.pubkeys[0];
    opposite[0] ^= 0x20; // the sign of y
    keys.pubkeys[1] = opposite;
    let committee = Committee::new(keys);
    let infinity = SignatureBytes::right_padding_from(&[0xc0]);
    let both = SyncAggregate { bits: vec![3, 0, 0, 0], signature: infinity };
    assert!(!committee.verify(&MESSAGE, &both).unwrap());
}

#[test]
fn a_key_that_is_no_point_is_named() {
    let mut keys = committee(0);
    keys.pubkeys[31] = PublicKey::repeat_byte(0x80);
    let committee = Committee::new(keys);
    assert!(committee.verify(&MESSAGE, &sign(0, &MESSAGE, |_| true)).unwrap(), "nobody asked for it");
    let error = committee.verify(&MESSAGE, &sign(0, &MESSAGE, |member| member < 31)).unwrap_err();
    assert_eq!(error.0, PublicKey::repeat_byte(0x80));
    assert_eq!(committee.prepare().unwrap_err(), error);
}
