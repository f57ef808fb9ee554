//! The official light-client vectors (consensus-spec-tests format, `tests/vectors/spec`), every one of them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panic, and says what it ran"
)]

#[path = "spec/case.rs"]
mod case;
#[path = "spec/collection.rs"]
mod collection;
#[path = "spec/proof.rs"]
mod proof;
#[path = "spec/ranking.rs"]
mod ranking;
#[path = "spec/sync.rs"]
mod sync;

use case::Case;

/// Runs every case of a kind and says how many there were of which fork.
fn run_all(handler: &str, expected: usize, run: impl Fn(&Case)) {
    let cases = Case::all(handler);
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for case in &cases {
        run(case);
        *counts.entry(format!("{}/{}", case.preset, case.fork)).or_default() += 1;
    }
    println!("{handler}: {} cases {counts:?}", cases.len());
    assert_eq!(cases.len(), expected, "cases of {handler}; none may be missing");
}

#[test]
fn every_sync_vector_leads_to_the_headers_that_it_says() {
    run_all("sync", 52, sync::with_force_updates);
}

#[test]
fn without_force_updates_no_sync_vector_moves_a_finalized_header_that_was_not_finalized() {
    run_all("sync", 52, sync::as_we_ship);
}

#[test]
fn every_merkle_proof_of_the_vectors_lies_where_the_tables_say() {
    run_all("single_merkle_proof", 34, proof::check);
}

#[test]
fn every_ranking_vector_comes_in_descending_order() {
    run_all("update_ranking", 7, ranking::check);
}

#[test]
fn every_collected_object_decodes_encodes_and_verifies_and_is_what_its_block_says() {
    run_all("data_collection", 3, collection::check);
}

#[test]
fn no_vector_is_of_a_kind_that_nothing_runs() {
    assert_eq!(Case::everything().len(), 52 + 34 + 7 + 3);
}
