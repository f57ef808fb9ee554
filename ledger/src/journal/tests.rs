//! Claims about what a journal gives back.

#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn open(path: &Path) -> Result<(Journal, Opened, Vec<Vec<u8>>), JournalError> {
    let mut entries = Vec::new();
    let (journal, opened) = Journal::open(path, |entry| entries.push(entry.to_vec()))?;
    Ok((journal, opened, entries))
}

/// Writes groups of entries, each committed.
fn write(path: &Path, groups: &[Vec<Vec<u8>>]) {
    let (mut journal, _, _) = open(path).unwrap();
    for group in groups {
        group.iter().for_each(|entry| journal.append(entry).unwrap());
        journal.commit().unwrap();
    }
}

#[test]
fn what_was_committed_comes_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    write(&path, &[vec![b"one".to_vec(), b"two".to_vec()], vec![vec![7; MAX_ENTRY]]]);
    let (_, opened, entries) = open(&path).unwrap();
    assert_eq!(entries, [b"one".to_vec(), b"two".to_vec(), vec![7; MAX_ENTRY]]);
    assert_eq!((opened.entries, opened.cut), (3, None));
    assert_eq!(opened.bytes, fs::metadata(&path).unwrap().len());
}

#[test]
fn what_was_not_committed_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let (mut journal, _, _) = open(&path).unwrap();
    journal.append(b"said to nobody").unwrap();
    drop(journal);
    assert!(open(&path).unwrap().2.is_empty());
}

#[test]
fn two_never_share_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let _first = open(&path).unwrap();
    assert!(matches!(open(&path), Err(JournalError::Locked { .. })));
}

#[test]
fn another_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    for text in ["x", "a letter to somebody, longer than a header"] {
        fs::write(&path, text).unwrap();
        assert!(matches!(open(&path), Err(JournalError::Foreign { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn an_interrupted_creation_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    for begun in [&b""[..], b"LMJO", b"LMJOURN\n\x01\0", &[0; 24]] {
        fs::write(&path, begun).unwrap();
        assert_eq!(open(&path).unwrap().1.bytes, 24);
    }
}

#[test]
fn entries_have_a_size() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _, _) = open(&dir.path().join("j")).unwrap();
    assert!(matches!(journal.append(b""), Err(JournalError::Size { bytes: 0 })));
    assert!(matches!(journal.append(&vec![0; MAX_ENTRY + 1]), Err(JournalError::Size { .. })));
    while journal.append(&vec![0; MAX_ENTRY]).is_ok() {}
    assert!(matches!(journal.append(&vec![0; MAX_ENTRY]), Err(JournalError::Group)));
    journal.commit().unwrap();
    journal.append(&vec![0; MAX_ENTRY]).unwrap();
}

#[test]
fn damage_before_later_groups_is_refused_and_nothing_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    write(&path, &[vec![b"first".to_vec()], vec![b"second".to_vec()], vec![b"third".to_vec()]]);
    let whole = fs::read(&path).unwrap();
    // The first and second frames: 13 and 14 bytes behind the header.
    for at in 24..24 + 13 + 14 {
        let mut bad = whole.clone();
        bad[at] ^= 0x40;
        fs::write(&path, &bad).unwrap();
        assert!(matches!(open(&path), Err(JournalError::Damaged { .. })), "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), bad);
    }
}

#[test]
fn an_unfinished_group_whose_later_pages_came_first_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    write(&path, &[vec![b"kept".to_vec()], vec![b"lost page".to_vec(), b"written page".to_vec()]]);
    let mut bytes = fs::read(&path).unwrap();
    bytes[24 + 12..24 + 12 + 17].fill(0);
    fs::write(&path, &bytes).unwrap();
    let (_, opened, entries) = open(&path).unwrap();
    assert_eq!(entries, [b"kept"]);
    assert_eq!(opened.cut, Some(Torn { at: 36, bytes: 37 }));
}

#[test]
fn a_frame_inside_a_torn_payload_is_no_later_group() {
    let dir = tempfile::tempdir().unwrap();
    let (other, path) = (dir.path().join("other"), dir.path().join("j"));
    write(&other, &[vec![b"inner".to_vec()]]);
    let inner = fs::read(&other).unwrap();
    write(&path, &[vec![b"kept".to_vec()], vec![[inner, vec![1; 50]].concat()]]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(open(&path).unwrap().2, [b"kept"]);
}

#[test]
fn after_a_cut_the_journal_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    write(&path, &[vec![b"a".to_vec()], vec![b"b".to_vec()]]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    write(&path, &[vec![b"c".to_vec()]]);
    assert_eq!(open(&path).unwrap().2, [b"a", b"c"]);
}

#[test]
fn a_full_disk_leaves_what_was_committed() {
    // /dev/full says that it is full to whoever writes.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let (mut journal, _, _) = open(&path).unwrap();
    journal.append(b"kept").unwrap();
    journal.commit().unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let real = std::mem::replace(&mut journal.file, full);
    journal.append(b"no room").unwrap();
    assert!(matches!(journal.commit(), Err(JournalError::Full { .. } | JournalError::Broken { .. })));
    drop((journal, real));
    assert_eq!(open(&path).unwrap().2, [b"kept"]);
}

fn groups() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let entry = prop::collection::vec(any::<u8>(), 1..60);
    prop::collection::vec(prop::collection::vec(entry, 1..4), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_truncated_journal_is_a_prefix(groups in groups(), kept in 0.0..1.0_f64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        write(&path, &groups);
        let bytes = fs::read(&path).unwrap();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share")]
        let kept = (bytes.len() as f64 * kept) as usize;
        fs::write(&path, &bytes[..kept]).unwrap();
        let (_, opened, entries) = open(&path).unwrap();
        prop_assert!(groups.concat().starts_with(&entries));
        prop_assert!(opened.bytes <= kept.max(24) as u64);
    }

    #[test]
    fn a_flipped_bit_gives_a_prefix_or_is_refused(groups in groups(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        write(&path, &groups);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        let last = bytes.len() - groups.last().unwrap().iter().map(|e| e.len() + 8).sum::<usize>();
        match open(&path) {
            Ok((_, _, entries)) => {
                prop_assert!(at >= last, "only the last group may be cut");
                let earlier = groups[..groups.len() - 1].concat().len();
                prop_assert!(entries.len() >= earlier && groups.concat().starts_with(&entries));
            }
            Err(_) => prop_assert!(at < last && fs::read(&path).unwrap() == bytes),
        }
    }
}
