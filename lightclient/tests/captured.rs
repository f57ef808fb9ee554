//! Two small chains that a real execution client and the executable specification made together, from the first bootstrap down
//! to accounts, slots and code.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it ran"
)]

#[path = "captured/chain.rs"]
mod chain;
#[path = "captured/flips.rs"]
mod flips;

use alloy_primitives::{Address, B256, Bytes, U256};
use chain::Captured;
use lightclient::consensus::{Bootstrap, FinalityUpdate, OptimisticUpdate, Store, Update};
use lightclient::exec::{AccountProof, ExecHeader, proof};
use lightclient::forks::Fork;
use lightclient::state::StateView;
use serde_json::Value;

const CHAINS: [&str; 2] = ["minimal-electra", "minimal-deneb-electra-fulu"];

#[test]
fn both_forms_of_every_object_are_the_same_object() {
    for captured in CHAINS.map(Captured::open) {
        let chain = &captured.chain;
        for (name, fork, json, ssz) in captured.objects() {
            if name.starts_with("bootstrap") {
                let object = Bootstrap::from_json(chain, &json).unwrap();
                assert_eq!(object, Bootstrap::decode_ssz(chain, fork, &ssz).unwrap(), "{name}");
                assert_eq!(object.encode_ssz(), ssz, "{name}");
                assert_eq!(Bootstrap::from_json(chain, &object.to_json()).unwrap(), object, "{name}");
            } else if name.starts_with("update") {
                let object = Update::from_json(chain, &json).unwrap();
                assert_eq!(object, Update::decode_ssz(chain, fork, &ssz).unwrap(), "{name}");
                assert_eq!(object.encode_ssz(), ssz, "{name}");
                assert_eq!(Update::from_json(chain, &object.to_json()).unwrap(), object, "{name}");
            } else if name.starts_with("finality") {
                let object = FinalityUpdate::from_json(chain, &json).unwrap();
                assert_eq!(object, FinalityUpdate::decode_ssz(chain, fork, &ssz).unwrap(), "{name}");
                assert_eq!(object.encode_ssz(), ssz, "{name}");
                assert_eq!(FinalityUpdate::from_json(chain, &object.to_json()).unwrap(), object, "{name}");
            } else {
                let object = OptimisticUpdate::from_json(chain, &json).unwrap();
                assert_eq!(object, OptimisticUpdate::decode_ssz(chain, fork, &ssz).unwrap(), "{name}");
                assert_eq!(object.encode_ssz(), ssz, "{name}");
                assert_eq!(OptimisticUpdate::from_json(chain, &object.to_json()).unwrap(), object, "{name}");
            }
        }
    }
}

#[test]
fn an_object_without_envelope_or_version_is_read_by_its_slot() {
    let captured = Captured::open("minimal-deneb-electra-fulu");
    let whole: Value = serde_json::from_slice(&captured.file("update_period_2.json")).unwrap();
    let update = captured.update(2);
    for old in [serde_json::json!({ "data": whole["data"] }), whole["data"].clone()] {
        assert_eq!(Update::from_json(&captured.chain, old.to_string().as_bytes()).unwrap(), update);
    }
    let list = serde_json::json!([whole, { "data": whole["data"] }]);
    let updates = Update::list_from_json(&captured.chain, list.to_string().as_bytes()).unwrap();
    assert_eq!(updates, [update.clone(), update]);
}

#[test]
fn a_list_of_updates_in_ssz_is_read_by_its_digests() {
    let captured = Captured::open("minimal-deneb-electra-fulu");
    let mut bytes = Vec::new();
    let updates: Vec<Update> = (0..6).map(|period| captured.update(period)).collect();
    for update in &updates {
        let (ssz, epoch) = (update.encode_ssz(), captured.chain.epoch_at(update.attested.slot()));
        bytes.extend_from_slice(&(ssz.len() as u64 + 4).to_le_bytes());
        bytes.extend_from_slice(captured.chain.fork_digest(epoch).as_slice());
        bytes.extend_from_slice(&ssz);
    }
    assert_eq!(Update::list_from_ssz(&captured.chain, &bytes).unwrap(), updates);
    for cut in [1, 7, 11, 12, bytes.len() - 1] {
        assert!(Update::list_from_ssz(&captured.chain, &bytes[..cut]).is_err());
    }
}

#[test]
fn the_chain_is_followed_over_three_forks_and_six_periods_to_its_head() {
    let captured = Captured::open("minimal-deneb-electra-fulu");
    let mut store = captured.first_store();
    let forks: Vec<Fork> = (0..6).map(|period| captured.update(period).fork).collect();
    assert_eq!(forks, [Fork::Deneb, Fork::Deneb, Fork::Electra, Fork::Fulu, Fork::Fulu, Fork::Fulu]);
    for period in 0..5 {
        assert_eq!(store.needs_update(&captured.chain, captured.now), Some(period));
        let applied = captured.apply_update(&mut store, period);
        assert!(
            applied.committee && applied.finalized && applied.rotated == (period > 0),
            "{period} {applied:?}"
        );
        assert_eq!(store.current_period(), period);
    }
    assert_eq!(
        store.needs_update(&captured.chain, captured.now),
        None,
        "the next committee signs at the head"
    );
    let applied = captured.apply_update(&mut store, 5);
    assert!(
        applied.finalized && !applied.rotated,
        "it finalizes the last epochs of the period before: {applied:?}"
    );
    captured.follow_to_head(&mut store);
    assert_eq!((store.finalized().slot(), store.optimistic().slot()), (312, 329));
}

#[test]
fn a_store_survives_a_restart_at_every_step() {
    let captured = Captured::open("minimal-deneb-electra-fulu");
    let mut store = captured.first_store();
    for period in 0..6 {
        captured.apply_update(&mut store, period);
        let bytes = store.encode();
        store = Store::decode(&captured.chain, &bytes).unwrap();
        assert_eq!(store.encode(), bytes);
    }
    captured.follow_to_head(&mut store);
}

#[test]
fn a_bootstrap_at_the_head_meets_the_store_that_followed() {
    for captured in CHAINS.map(Captured::open) {
        let followed = captured.followed();
        let late = Bootstrap::from_json(&captured.chain, &captured.file("bootstrap_finalized.json")).unwrap();
        let started = Store::bootstrap(&captured.chain, followed.finalized_root(), &late).unwrap();
        assert_eq!(started.finalized(), followed.finalized());
        assert_eq!(started.current_committee().root(), followed.current_committee().root());
    }
}

#[test]
fn from_the_signature_down_to_accounts_slots_and_code() {
    for captured in CHAINS.map(Captured::open) {
        let anchor = captured.followed().finalized().exec.clone();
        let block: Value = serde_json::from_slice(&captured.file("el_block_finalized.json")).unwrap();
        let (header, _raw) = ExecHeader::from_rpc_json(&block, anchor.block_hash()).unwrap();
        assert_eq!(Some(header.state_root), anchor.state_root());
        assert_eq!(Some(header.number), anchor.block_number());
        let (mut accounts, mut slots, mut set) = (0, 0, 0);
        for number in 0..4 {
            let answer: Value =
                serde_json::from_slice(&captured.file(&format!("el_proof_{number}.json"))).unwrap();
            let code: Value =
                serde_json::from_slice(&captured.file(&format!("el_code_{number}.json"))).unwrap();
            let claimed = AccountProof::from_json(&answer["proof"]).unwrap();
            let state = proof::verify(std::slice::from_ref(&claimed), header.state_root).unwrap();
            let address: Address = answer["proof"]["address"].as_str().unwrap().parse().unwrap();
            let account = state.account(address).unwrap();
            let code: Bytes = code["code"].as_str().unwrap().parse().unwrap();
            let code_hash = account.map_or(proof::EMPTY_CODE, |account| account.code_hash);
            proof::verify_code(&code, code_hash).unwrap();
            accounts += 1;
            for slot in answer["proof"]["storageProof"].as_array().unwrap() {
                let key: U256 = slot["key"].as_str().unwrap().parse().unwrap();
                let value: U256 = slot["value"].as_str().unwrap().parse().unwrap();
                assert_eq!(state.storage(address, B256::from(key)).unwrap(), value);
                slots += 1;
                set += usize::from(!value.is_zero());
            }
        }
        println!("{}: {accounts} accounts, {slots} slots, {set} of them set", captured.name);
        assert!(accounts == 4 && slots > set && set > 3);
    }
}

#[test]
fn any_flipped_byte_of_any_object_is_refused_or_does_not_matter() {
    for captured in CHAINS.map(Captured::open) {
        let flipped = flips::every_byte(&captured);
        println!("{}: {flipped:?}", captured.name);
        assert!(flipped.refused > 10_000 && flipped.irrelevant < 20 && flipped.accepted == 0);
    }
}

#[test]
fn any_cut_of_any_object_is_refused() {
    for captured in CHAINS.map(Captured::open) {
        flips::every_length(&captured);
    }
}
