//! What a hostile wire can do to a captured object: change a byte, cut it short, go on after its end.

use alloy_primitives::B256;
use lightclient::consensus::{Bootstrap, FinalityUpdate, OptimisticUpdate, Store, Update};
use lightclient::forks::Fork;

use super::chain::Captured;

/// How many changed objects were refused, by whom, and how many were not.
#[derive(Debug, Default)]
pub(crate) struct Flipped {
    pub(crate) undecodable: usize,
    pub(crate) refused: usize,
    /// Only the signature's slot changed, within one period and fork: nobody signs it.
    pub(crate) irrelevant: usize,
    pub(crate) accepted: usize,
}

/// What became of some bytes.
enum Fate {
    Undecodable,
    Refused,
    Irrelevant,
    Accepted,
}

/// Flips one bit of every byte of every object in turn. The bit goes round, so that eight objects of one kind see all.
pub(crate) fn every_byte(captured: &Captured) -> Flipped {
    let mut flipped = Flipped::default();
    for (name, fork, _, ssz) in captured.objects() {
        let store = captured.store_before(&name);
        for at in 0..ssz.len() {
            let mut bytes = ssz.clone();
            bytes[at] ^= 1 << (at % 8);
            match fate(captured, &store, &name, fork, &bytes) {
                Fate::Undecodable => flipped.undecodable += 1,
                Fate::Refused => flipped.refused += 1,
                Fate::Irrelevant => flipped.irrelevant += 1,
                Fate::Accepted => {
                    println!("{name}: byte {at}");
                    flipped.accepted += 1;
                }
            }
        }
    }
    flipped
}

/// Cuts every object at every length, and lengthens it.
pub(crate) fn every_length(captured: &Captured) {
    for (name, fork, _, mut ssz) in captured.objects() {
        let store = captured.store_before(&name);
        for length in 0..ssz.len() {
            let fate = fate(captured, &store, &name, fork, &ssz[..length]);
            assert!(!matches!(fate, Fate::Accepted), "{name} cut to {length}");
        }
        ssz.push(0);
        assert!(
            !matches!(fate(captured, &store, &name, fork, &ssz), Fate::Accepted),
            "{name} with a byte more"
        );
    }
}

fn fate(captured: &Captured, store: &Store, name: &str, fork: Fork, bytes: &[u8]) -> Fate {
    let (chain, now) = (&captured.chain, captured.now);
    if name.starts_with("bootstrap") {
        let Ok(object) = Bootstrap::decode_ssz(chain, fork, bytes) else { return Fate::Undecodable };
        assert_eq!(object.encode_ssz(), bytes);
        let started = Store::bootstrap(chain, trusted(captured, name), &object);
        return if started.is_err() { Fate::Refused } else { Fate::Accepted };
    }
    if name.starts_with("update") {
        let Ok(mut object) = Update::decode_ssz(chain, fork, bytes) else { return Fate::Undecodable };
        assert_eq!(object.encode_ssz(), bytes);
        if store.verify_update(chain, &object, now).is_err() {
            return Fate::Refused;
        }
        let original = captured.update(name["update_period_".len()..].parse().unwrap());
        object.signature_slot = original.signature_slot;
        return if object == original { Fate::Irrelevant } else { Fate::Accepted };
    }
    if name.starts_with("finality") {
        let Ok(mut object) = FinalityUpdate::decode_ssz(chain, fork, bytes) else { return Fate::Undecodable };
        assert_eq!(object.encode_ssz(), bytes);
        if store.verify_finality_update(chain, &object, now).is_err() {
            return Fate::Refused;
        }
        let original = captured.finality_update();
        object.signature_slot = original.signature_slot;
        return if object == original { Fate::Irrelevant } else { Fate::Accepted };
    }
    let Ok(mut object) = OptimisticUpdate::decode_ssz(chain, fork, bytes) else { return Fate::Undecodable };
    assert_eq!(object.encode_ssz(), bytes);
    if store.verify_optimistic_update(chain, &object, now).is_err() {
        return Fate::Refused;
    }
    let original = captured.optimistic_update();
    object.signature_slot = original.signature_slot;
    if object == original { Fate::Irrelevant } else { Fate::Accepted }
}

fn trusted(captured: &Captured, name: &str) -> B256 {
    let named: serde_json::Value = serde_json::from_slice(&captured.file(&format!("{name}.json"))).unwrap();
    named["block_root"].as_str().unwrap().parse().unwrap()
}
