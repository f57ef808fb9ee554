//! Formats: their lengths, their bounds, older data in newer ones.

use alloy_primitives::B256;
use proptest::prelude::*;

use super::super::types::{Bootstrap, ExecAnchor, FinalityUpdate, Header, OptimisticUpdate, Update};
use super::super::{JsonError, SszError, Store, ssz_size_limit};
use super::world::World;
use crate::forks::{ChainSpec, Fork};
use crate::merkle;

#[test]
fn every_object_of_every_fork_survives_both_forms() {
    for fork in Fork::ALL.into_iter().skip(1) {
        let world = World::of(fork);
        let (chain, bootstrap, mut update) = (&world.chain, world.bootstrap(8), world.update(24, 16));
        assert_eq!(Bootstrap::decode_ssz(chain, fork, &bootstrap.encode_ssz()).unwrap(), bootstrap);
        assert_eq!(Bootstrap::from_json(chain, &bootstrap.to_json()).unwrap(), bootstrap);
        for _ in 0..2 {
            let (finality, optimistic) = (update.to_finality_update(), update.to_optimistic_update());
            assert_eq!(Update::decode_ssz(chain, fork, &update.encode_ssz()).unwrap(), update);
            assert_eq!(Update::from_json(chain, &update.to_json()).unwrap(), update);
            assert_eq!(FinalityUpdate::decode_ssz(chain, fork, &finality.encode_ssz()).unwrap(), finality);
            assert_eq!(FinalityUpdate::from_json(chain, &finality.to_json()).unwrap(), finality);
            assert_eq!(
                OptimisticUpdate::decode_ssz(chain, fork, &optimistic.encode_ssz()).unwrap(),
                optimistic
            );
            assert_eq!(OptimisticUpdate::from_json(chain, &optimistic.to_json()).unwrap(), optimistic);
            assert!(update.encode_ssz().len() <= ssz_size_limit(chain, fork));
            (update.finality, update.next_committee) = (None, None);
        }
    }
}

#[test]
fn lengths_on_mainnet_are_those_of_the_specification() {
    let limit = |fork| ssz_size_limit(&ChainSpec::mainnet(), fork);
    // Two headers may each carry 32 bytes of extra data.
    assert_eq!(limit(Fork::Deneb), 26_808 + 64);
    assert_eq!(limit(Fork::Electra), 26_872 + 64);
    assert_eq!(limit(Fork::Gloas), 26_424);
    assert_eq!(limit(Fork::Phase0), 0);
}

#[test]
fn more_bytes_than_the_format_has_are_not_looked_at() {
    let world = World::of(Fork::Electra);
    let long = vec![0; 1 << 20];
    assert!(matches!(Update::decode_ssz(&world.chain, Fork::Electra, &long), Err(SszError::TooLong { .. })));
    assert!(matches!(Update::from_json(&world.chain, &long), Err(JsonError::TooLong { .. })));
    assert_eq!(
        Update::decode_ssz(&world.chain, Fork::Phase0, &[]).unwrap_err(),
        SszError::NoLightClient(Fork::Phase0)
    );
}

#[test]
fn json_of_other_lengths_is_refused_with_the_fields_name() {
    let world = World::of(Fork::Electra);
    let text = String::from_utf8(world.update(24, 16).to_json()).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Update::from_json(&world.chain, text.replacen(from, to, 1).as_bytes()).unwrap_err()
    };
    let short = refused("\"sync_committee_bits\":\"0xffffffff\"", "\"sync_committee_bits\":\"0xffff\"");
    assert!(matches!(short, JsonError::Length { field: "sync_committee_bits", expected: 32, got: 16, .. }));
    let extra = refused("\"extra_data\":\"0x010203\"", &format!("\"extra_data\":\"0x{}\"", "00".repeat(33)));
    assert!(matches!(extra, JsonError::Length { field: "extra_data", expected: 32, got: 33, .. }));
    assert!(matches!(refused("\"electra\"", "\"deneb\""), JsonError::Length { .. }));
    assert!(matches!(refused("\"electra\"", "\"gloas\""), JsonError::Lacks { .. }));
    assert!(matches!(refused("\"electra\"", "\"heze\""), JsonError::Fork(_)));
    assert!(matches!(
        refused("\"signature_slot\":\"25\"", "\"signature_slot\":\"-25\""),
        JsonError::Malformed(_)
    ));
    assert!(Update::from_json(&world.chain, text.replace("\"25\"", "25").as_bytes()).is_ok());
}

#[test]
fn an_error_in_json_says_where_it_is_whatever_the_envelope() {
    let world = World::of(Fork::Electra);
    let text = String::from_utf8(world.update(24, 16).to_json()).unwrap();
    let broken = text.replace("\"signature_slot\":\"25\"", "\"signature_slot\":[]");
    for text in [broken.clone(), format!("[{broken}]")] {
        let error = match text.starts_with('[') {
            true => Update::list_from_json(&world.chain, text.as_bytes()).unwrap_err(),
            false => Update::from_json(&world.chain, text.as_bytes()).unwrap_err(),
        };
        assert!(error.to_string().contains("a decimal number, as text or as a number"), "{error}");
    }
    let bare = broken.strip_prefix("{\"version\":\"electra\",\"data\":").unwrap().strip_suffix('}').unwrap();
    let error = Update::from_json(&world.chain, bare.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("a decimal number"), "{error}");
    for (list, count) in
        [(format!("[{text},{text}]"), 2), (format!("{{\"data\":[{text}]}}"), 1), ("[]".to_owned(), 0)]
    {
        assert_eq!(Update::list_from_json(&world.chain, list.as_bytes()).unwrap().len(), count);
    }
}

/// A header of Deneb's time as Gloas writes it: the hash, and its branch through the payload.
fn legacy_header(world: &World, slot: u64) -> Header {
    let hash = B256::repeat_byte(5);
    let gindex = merkle::block_hash_gindex(world.fork).unwrap();
    let branch: Vec<B256> =
        (0..merkle::depth(gindex)).map(|level| B256::repeat_byte(level as u8 + 1)).collect();
    let mut header = world.header(slot, B256::repeat_byte(1));
    header.beacon.body_root = merkle::branch_root(hash, &branch, gindex).unwrap();
    header.exec = ExecAnchor::HashOnly(hash);
    header.exec_branch = merkle::normalize_branch(&branch, 2856);
    header
}

#[test]
fn older_headers_in_the_format_of_gloas_lead_with_zeros() {
    for fork in [Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu] {
        let world = World::of(fork);
        let header = legacy_header(&world, 24);
        assert!(header.is_consistent(&world.chain), "{fork}");
        assert!(header.execution_root(&world.chain).is_some());
        let extra = header.exec_branch.len() - merkle::depth(merkle::block_hash_gindex(fork).unwrap());
        for at in 0..header.exec_branch.len() {
            let mut dirty = header.clone();
            dirty.exec_branch[at] = B256::repeat_byte(0xee);
            assert!(!dirty.is_consistent(&world.chain), "{fork}: node {at}, {extra} must be zero");
        }
    }
}

#[test]
fn older_branches_in_a_newer_format_lead_with_zeros() {
    let world = World::of(Fork::Deneb);
    let mut bootstrap = world.bootstrap(8);
    bootstrap.fork = Fork::Electra;
    bootstrap.branch.insert(0, B256::ZERO);
    let bytes = bootstrap.encode_ssz();
    assert_eq!(Bootstrap::decode_ssz(&world.chain, Fork::Electra, &bytes).unwrap(), bootstrap);
    assert!(Store::bootstrap(&world.chain, bootstrap.header.root(), &bootstrap).is_ok());
    bootstrap.branch[0] = B256::repeat_byte(1);
    assert!(Store::bootstrap(&world.chain, bootstrap.header.root(), &bootstrap).is_err());
}

#[test]
fn a_payload_where_no_fork_has_one_is_no_header() {
    let before = World::of(Fork::Bellatrix);
    let during = World::of(Fork::Capella);
    let after = World::of(Fork::Gloas);
    let mut header = during.header(8, B256::ZERO);
    assert!(header.is_consistent(&during.chain));
    assert!(!header.is_consistent(&before.chain) && !header.is_consistent(&after.chain));
    if let ExecAnchor::Full(payload) = &mut header.exec {
        payload.blob_gas_used = 1;
    }
    assert!(!header.is_consistent(&during.chain), "Capella counts no blobs");
    assert!(
        !before.header(8, B256::ZERO).is_consistent(&during.chain),
        "a header without payload is too old"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096), fork in 0usize..8) {
        let (chain, fork) = (World::of(Fork::Gloas).chain, Fork::ALL[fork]);
        if let Ok(object) = Bootstrap::decode_ssz(&chain, fork, &bytes) {
            prop_assert_eq!(object.encode_ssz(), bytes.clone());
        }
        if let Ok(object) = Update::decode_ssz(&chain, fork, &bytes) {
            prop_assert_eq!(object.encode_ssz(), bytes.clone());
        }
        if let Ok(object) = FinalityUpdate::decode_ssz(&chain, fork, &bytes) {
            prop_assert_eq!(object.encode_ssz(), bytes.clone());
        }
        if let Ok(object) = OptimisticUpdate::decode_ssz(&chain, fork, &bytes) {
            prop_assert_eq!(object.encode_ssz(), bytes.clone());
        }
        let _ = Update::list_from_ssz(&chain, &bytes);
        let _ = Update::from_json(&chain, &bytes);
        let _ = Store::decode(&chain, &bytes);
    }

    #[test]
    fn no_text_makes_a_configuration_panic(text in "[A-Z_: 0-9a-fx\n#'-]{0,400}") {
        let _ = ChainSpec::from_config_yaml(&text, 0, B256::ZERO);
        let _ = ChainSpec::from_config_json(text.as_bytes(), None);
    }
}
