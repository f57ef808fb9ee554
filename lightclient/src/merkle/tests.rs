//! Branches at their edges; real ones are in `tests/spec.rs`.

use alloy_primitives::B256;

use super::{branch_root, depth, hash_pair, normalize_branch, verify_branch, verify_normalized_branch};

const LEAF: B256 = B256::repeat_byte(1);
const SIBLINGS: [B256; 2] = [B256::repeat_byte(2), B256::repeat_byte(3)];

fn root() -> B256 {
    hash_pair(&hash_pair(&SIBLINGS[0], &LEAF), &SIBLINGS[1])
}

#[test]
fn a_branch_proves_its_leaf_at_its_index_only() {
    assert!(verify_branch(LEAF, &SIBLINGS, 5, root()));
    for other in [0, 1, 2, 3, 4, 6, 7, 8, u64::MAX] {
        assert!(!verify_branch(LEAF, &SIBLINGS, other, root()), "{other}");
    }
}

#[test]
fn what_is_too_much_of_a_branch_leads_and_is_zero() {
    let long = normalize_branch(&SIBLINGS, 40);
    assert_eq!(long.len(), 5);
    assert!(verify_normalized_branch(LEAF, &long, 5, root()));
    for at in 0..3 {
        let mut dirty = long.clone();
        dirty[at] = B256::repeat_byte(9);
        assert!(!verify_normalized_branch(LEAF, &dirty, 5, root()));
    }
    let trailing = [&SIBLINGS[..], &[B256::ZERO]].concat();
    assert!(!verify_normalized_branch(LEAF, &trailing, 5, root()));
}

#[test]
fn a_short_branch_proves_nothing() {
    assert!(!verify_normalized_branch(LEAF, &SIBLINGS[..1], 5, root()));
    assert!(!verify_normalized_branch(LEAF, &[], 5, root()));
    assert_eq!(branch_root(LEAF, &[], 0), None);
    assert_eq!(branch_root(LEAF, &[], 1), Some(LEAF));
}

#[test]
fn depth_is_the_length_of_the_branch() {
    assert_eq!(
        [105, 169, 735, 54, 86, 2945, 25, 412, 812, 2856, 1, 0].map(depth),
        [6, 7, 9, 5, 6, 11, 4, 8, 9, 11, 0, 0]
    );
}
