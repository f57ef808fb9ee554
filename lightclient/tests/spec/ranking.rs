//! `update_ranking`: a list of updates, best first.

use lightclient::consensus::{Update, is_better_update};

use super::case::Case;

pub(crate) fn check(case: &Case) {
    let chain = case.single_fork_chain();
    let count = case.yaml("meta.yaml")["updates_count"].as_u64().unwrap();
    let updates: Vec<Update> = (0..count)
        .map(|number| {
            let bytes = case.ssz(&format!("updates_{number}"));
            let update = Update::decode_ssz(&chain, case.fork, &bytes).unwrap();
            assert_eq!(update.encode_ssz(), bytes, "{} {number}", case.label());
            update
        })
        .collect();
    for (better, worse) in
        updates.iter().enumerate().flat_map(|(i, a)| updates[i + 1..].iter().map(move |b| (a, b)))
    {
        assert!(is_better_update(&chain, better, worse), "{}", case.label());
        assert!(!is_better_update(&chain, worse, better), "{}", case.label());
    }
}
