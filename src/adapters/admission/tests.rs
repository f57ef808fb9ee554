//! Revocations on disk: what was voided stays void over restarts, and a file that cannot be read is never taken for an empty
//! one.

use std::fs;

use actors::chain_watcher::view::Member;
use alloy_primitives::{Address, U256};
use protocol::certificate::SignedCertificate;
use protocol::record::Roles;
use protocol::rounds::Round;
use protocol::{Certificate, NodeRecord, PeerKey};

use super::*;

const NOW: u64 = 1_800_000_000;

fn staker(n: u8) -> Address {
    Address::repeat_byte(n)
}

/// A record with a certificate of this staker and number; who signed it was looked at before.
fn record(staked: u8, number: u64) -> Arc<NodeRecord> {
    let peer = PeerKey([number as u8; 32]);
    let certificate = Certificate {
        staker: staker(staked),
        peer,
        receipt_key: peer,
        roles: Roles { orchestrator: true, ..Roles::default() },
        not_before: NOW - 100,
        not_after: NOW + 100,
        revocation: number,
    };
    Arc::new(NodeRecord {
        peer,
        sequence: NOW * 1000,
        expires: NOW + 60,
        control: Vec::new(),
        media: Vec::new(),
        roles: certificate.roles,
        work: None,
        certificate: Some(SignedCertificate { certificate, signature: [0; 65] }),
    })
}

/// A pool of these stakers.
fn pool(stakers: &[u8]) -> ChainView {
    let member = |n: &u8| {
        let member = Member {
            stake: U256::ZERO,
            active: true,
            in_pool: true,
            reward_cut: 0,
            fee_share: 0,
            service_uri: None,
            last_reward_round: Round(0),
        };
        (staker(*n), member)
    };
    let members = Arc::new(stakers.iter().map(member).collect());
    ChainView { members, ..ChainView::default() }
}

fn voided(file: &RevocationFile, staked: u8, number: u64) -> Option<u64> {
    file.known.voids(&record(staked, number).certificate.unwrap().certificate)
}

#[test]
fn what_was_revoked_stays_so_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = RevocationFile::open(dir.path()).unwrap();
    assert_eq!(voided(&file, 1, 4), None);
    file.note(&[record(1, 5), record(1, 3), record(2, 0)], &pool(&[1, 2]), NOW);
    let again = RevocationFile::open(dir.path()).unwrap();
    assert_eq!((voided(&again, 1, 4), voided(&again, 1, 5), voided(&again, 2, 0)), (Some(5), None, None));
    assert_eq!(again.known, file.known);
}

#[test]
fn who_is_not_in_the_pool_leaves_nothing_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = RevocationFile::open(dir.path()).unwrap();
    file.note(&[record(9, 5)], &pool(&[1]), NOW);
    assert_eq!(voided(&file, 9, 4), None);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_torn_or_foreign_file_stops_the_node_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = RevocationFile::open(dir.path()).unwrap();
    file.note(&[record(1, 5)], &pool(&[1]), NOW);
    let path = dir.path().join(FILE);
    let whole = fs::read_to_string(&path).unwrap();
    let torn = (0..whole.len()).map(|end| whole[..end].to_owned());
    let foreign = ["[]", "7", r#"{"0x01": {}}"#, r#"{"me": {"number": 1, "until": 2}}"#].map(String::from);
    for text in torn.chain(foreign) {
        fs::write(&path, &text).unwrap();
        let refused = RevocationFile::open(dir.path()).unwrap_err();
        assert!(matches!(refused, KeyError::Revocations { .. }), "{text}");
        assert!(refused.to_string().contains("restore it from a backup"), "{refused}");
    }
    fs::write(&path, [0xFF, 0xFE]).unwrap();
    assert!(matches!(RevocationFile::open(dir.path()), Err(KeyError::Io { .. })));
}

#[test]
fn a_write_that_was_cut_short_leaves_what_was_known_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = RevocationFile::open(dir.path()).unwrap();
    file.note(&[record(1, 5)], &pool(&[1]), NOW);
    // A power cut between the new file and its name.
    fs::write(dir.path().join(FILE).with_extension("json.new"), "{\"0x").unwrap();
    let mut again = RevocationFile::open(dir.path()).unwrap();
    assert_eq!(voided(&again, 1, 4), Some(5));
    again.note(&[record(1, 6)], &pool(&[1]), NOW);
    assert_eq!(voided(&RevocationFile::open(dir.path()).unwrap(), 1, 5), Some(6));
}

#[test]
fn a_disk_that_takes_nothing_does_not_bring_back_who_was_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = RevocationFile::open(&dir.path().join("gone")).unwrap();
    file.note(&[record(1, 5)], &pool(&[1]), NOW);
    assert_eq!(voided(&file, 1, 4), Some(5));
}
