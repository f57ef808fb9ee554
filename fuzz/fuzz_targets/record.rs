//! Any bytes as a signed node record, and as the body of one that its owner did sign: what verifies can be signed again and says
//! the same.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use ed25519_dalek::Signer;
use libfuzzer_sys::fuzz_target;
use p2p::{Identity, Refused, Signed};

const NETWORK: &str = "fuzz";
const NOW_MS: u64 = 1_800_000_000_000;
static OWNER: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed([7; 32]));

fuzz_target!(|data: &[u8]| {
    let stranger = Signed(Bytes::copy_from_slice(data));
    let claimed = stranger.peek();
    if let Ok(verified) = stranger.verify(NETWORK, NOW_MS) {
        assert_eq!(claimed, Some((verified.record().peer, verified.record().sequence)));
    }
    match signed(data).verify(NETWORK, NOW_MS) {
        Ok(verified) => {
            let _ = (verified.forget_at_ms(), verified.is_withdrawal());
            let again =
                Signed::new(verified.record(), verified.reach(), &OWNER, NETWORK).expect("it was valid");
            let again = again.verify(NETWORK, NOW_MS).expect("it was valid");
            assert_eq!((again.record(), again.reach()), (verified.record(), verified.reach()));
        }
        Err(why) => assert!(!matches!(why, Refused::BadSignature(_)), "{why}"),
    }
});

/// An envelope of `data` as its owner signs it, in the form of `p2p/proto/control.proto`.
fn signed(data: &[u8]) -> Signed {
    // Of a field that comes twice the last one counts: the record is the owner's.
    let body = [data, &[0x0A, 32], &OWNER.peer_key().0].concat();
    let domain = [b"livemesh node record v1\0", &[NETWORK.len() as u8][..], NETWORK.as_bytes()].concat();
    let signature = OWNER.signing_key().sign(&[&domain[..], &body].concat()).to_bytes();
    let length = [0x80 | (body.len() & 0x7F) as u8, (body.len() >> 7 & 0x7F) as u8];
    Signed([&[0x0A][..], &length, &body, &[0x12, 64], &signature].concat().into())
}
