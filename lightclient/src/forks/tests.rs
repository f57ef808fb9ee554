//! Networks against what is published of them.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use alloy_primitives::{B256, hex};

use super::{ChainSpec, ConfigError, Fork, ForkDigest, ForkVersion, Preset};

fn digest(epoch: u64) -> String {
    hex::encode(ChainSpec::mainnet().fork_digest(epoch))
}

#[test]
fn mainnet_has_the_digests_that_its_nodes_use() {
    assert_eq!(digest(0), "b5303f2a");
    assert_eq!(digest(269_568), "6a95a1a9");
    assert_eq!(digest(364_032), "ad532ceb");
    assert_eq!(digest(411_392), "cc2c5cdb");
    assert_eq!(digest(412_672), "cb0d1acc");
    assert_eq!(digest(419_072), "8c9f62fe");
}

#[test]
fn a_blob_fork_changes_the_digest_and_not_the_version() {
    let chain = ChainSpec::mainnet();
    let (before, after) = (412_671, 412_672);
    assert_ne!(chain.fork_digest(before), chain.fork_digest(after));
    assert_eq!(chain.fork_version(before), chain.fork_version(after));
    assert_eq!(chain.sync_committee_domain(before), chain.sync_committee_domain(after));
    assert_eq!(chain.fork_of_digest(chain.fork_digest(after)), Some(Fork::Fulu));
    assert_eq!(chain.fork_of_digest(chain.fork_digest(before)), Some(Fork::Fulu));
}

#[test]
fn a_fork_changes_both() {
    let chain = ChainSpec::sepolia();
    let gloas = 353_024;
    assert_eq!((chain.fork_at(gloas - 1), chain.fork_at(gloas)), (Fork::Fulu, Fork::Gloas));
    assert_eq!(chain.fork_version(gloas), ForkVersion::new([0x90, 0, 0, 0x76]));
    assert_ne!(chain.fork_digest(gloas - 1), chain.fork_digest(gloas));
    assert_eq!(chain.fork_of_digest(ForkDigest::new([1, 2, 3, 4])), None);
}

#[test]
fn versions_of_the_public_networks_are_numbered_as_they_number_them() {
    let last = |chain: ChainSpec| hex::encode(chain.fork_version(u64::MAX - 1));
    assert_eq!(last(ChainSpec::mainnet()), "06000000");
    assert_eq!(last(ChainSpec::holesky()), "07017000");
    assert_eq!(last(ChainSpec::hoodi()), "70000910");
    assert_eq!(hex::encode(ChainSpec::sepolia().fork_version(0)), "90000069");
    assert!(["mainnet", "sepolia", "holesky", "hoodi"].map(ChainSpec::named).iter().all(Option::is_some));
}

#[test]
fn time_becomes_slots_and_slots_become_periods() {
    let chain = ChainSpec::mainnet();
    assert_eq!(chain.slot_at(0), 0);
    assert_eq!(chain.slot_at(chain.genesis_time + 11), 0);
    assert_eq!(chain.slot_at(chain.genesis_time + 12), 1);
    assert_eq!(chain.time_at(1), chain.genesis_time + 12);
    assert_eq!((chain.period_at(8191), chain.period_at(8192)), (0, 1));
    assert_eq!(chain.period_start(1), 8192);
    assert_eq!(chain.slot_at(u64::MAX), (u64::MAX - chain.genesis_time) / 12);
}

#[test]
fn a_beacon_nodes_two_answers_make_the_network() {
    let config = br#"{"data": {"CONFIG_NAME": "mine", "PRESET_BASE": "minimal", "SECONDS_PER_SLOT": "3",
        "GENESIS_FORK_VERSION": "0x00000001", "ALTAIR_FORK_VERSION": "0x01000001", "ALTAIR_FORK_EPOCH": "0",
        "ELECTRA_FORK_VERSION": "0x05000001", "ELECTRA_FORK_EPOCH": "4", "MAX_BLOBS_PER_BLOCK_ELECTRA": "9",
        "FULU_FORK_VERSION": "0x06000001", "FULU_FORK_EPOCH": "18446744073709551615",
        "BLOB_SCHEDULE": [{"EPOCH": "7", "MAX_BLOBS_PER_BLOCK": "12"}], "SOMETHING": ["new"]}}"#;
    let genesis = br#"{"data": {"genesis_time": "1700000000", "genesis_fork_version": "0x00000001",
        "genesis_validators_root": "0x0101010101010101010101010101010101010101010101010101010101010101"}}"#;
    let chain = ChainSpec::from_config_json(config, Some(genesis)).unwrap();
    assert_eq!((chain.name.as_str(), chain.preset, chain.slot_ms), ("mine", Preset::MINIMAL, 3000));
    assert_eq!((chain.fork_at(3), chain.fork_at(1 << 40)), (Fork::Altair, Fork::Electra));
    assert_eq!(
        chain.blobs.iter().map(|limit| (limit.epoch, limit.max_blobs)).collect::<Vec<_>>(),
        [(4, 9), (7, 12)]
    );
    assert_eq!(chain.genesis_validators_root, B256::repeat_byte(1));
    let lacks = ChainSpec::from_config_json(config, None).unwrap_err();
    assert_eq!(lacks, ConfigError::Lacks("genesis_validators_root".to_owned()));
}

#[test]
fn mainnets_own_yaml_is_what_is_compiled_in() {
    let yaml = "# Mainnet config\nPRESET_BASE: 'mainnet'\nCONFIG_NAME: 'mainnet'\n# Forks\n\
        GENESIS_FORK_VERSION: 0x00000000\nALTAIR_FORK_VERSION: 0x01000000\nALTAIR_FORK_EPOCH: 74240  # Oct 27, 2021\n\
        BELLATRIX_FORK_VERSION: 0x02000000\nBELLATRIX_FORK_EPOCH: 144896\nCAPELLA_FORK_VERSION: 0x03000000\n\
        CAPELLA_FORK_EPOCH: 194048\nDENEB_FORK_VERSION: 0x04000000\nDENEB_FORK_EPOCH: 269568\n\
        ELECTRA_FORK_VERSION: 0x05000000\nELECTRA_FORK_EPOCH: 364032\nFULU_FORK_VERSION: 0x06000000\n\
        FULU_FORK_EPOCH: 411392\nGLOAS_FORK_VERSION: 0x07000000\nGLOAS_FORK_EPOCH: 18446744073709551615\n\
        SLOT_DURATION_MS: 12000\nBLOB_SCHEDULE:\n  - EPOCH: 412672  # December\n    MAX_BLOBS_PER_BLOCK: 15\n\
        \x20 - EPOCH: 419072\n    MAX_BLOBS_PER_BLOCK: 21\n\n# Fast\nOTHER: 1\n";
    let mainnet = ChainSpec::mainnet();
    let read =
        ChainSpec::from_config_yaml(yaml, mainnet.genesis_time, mainnet.genesis_validators_root).unwrap();
    assert_eq!(read, mainnet);
}

#[test]
fn a_hostile_configuration_is_refused_with_its_name() {
    let with = |name: &str, value: &str| {
        let text = format!(
            r#"{{"genesis_time": "0", "genesis_validators_root": "{}", "SECONDS_PER_SLOT": "12",
               "GENESIS_FORK_VERSION": "0x00000000", "ALTAIR_FORK_VERSION": "0x01000000", "ALTAIR_FORK_EPOCH": "1",
               "{name}": "{value}"}}"#,
            B256::ZERO
        );
        ChainSpec::from_config_json(text.as_bytes(), None)
    };
    assert!(with("X", "1").is_ok());
    for (name, value) in [
        ("SYNC_COMMITTEE_SIZE", "0"),
        ("SYNC_COMMITTEE_SIZE", "513"),
        ("SYNC_COMMITTEE_SIZE", "1048576"),
        ("SLOTS_PER_EPOCH", "0"),
        ("SLOTS_PER_EPOCH", "18446744073709551615"),
        ("SLOT_DURATION_MS", "0"),
        ("PRESET_BASE", "huge"),
        ("ALTAIR_FORK_EPOCH", "-1"),
        ("ALTAIR_FORK_VERSION", "0x0100000000"),
    ] {
        assert!(matches!(with(name, value), Err(ConfigError::Bad { .. })), "{name} {value}");
    }
    assert!(matches!(ChainSpec::from_config_json(&[b' '; 1 << 20], None), Err(ConfigError::TooLong(_))));
    assert!(matches!(ChainSpec::from_config_json(b"[]", None), Err(ConfigError::Unreadable(_))));
    assert!(matches!(ChainSpec::from_config_json(b"{}", None), Err(ConfigError::Lacks(_))));
}

#[test]
fn an_unknown_fork_says_to_update() {
    assert_eq!("electra".parse(), Ok(Fork::Electra));
    assert!("heze".parse::<Fork>().unwrap_err().to_string().contains("update"));
}
