//! Any bytes as an `AssertionCreated` log, and any words as the rollup's state: an error, or an assertion under its own hash.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use alloy_primitives::{B256, U256};
use libfuzzer_sys::fuzz_target;
use lightclient::arbitrum::Assertion;
use lightclient::arbitrum::node::Node;

fuzz_target!(|data: &[u8]| {
    let [count, rest @ ..] = data else { return };
    let count = usize::from(*count % 6);
    let Some((topics, data)) = rest.split_at_checked(32 * count) else { return };
    let topics: Vec<B256> = topics.chunks_exact(32).map(B256::from_slice).collect();
    if let Ok(assertion) = Assertion::from_log(&topics, data) {
        assert_eq!(assertion.hash(), topics[1]);
        assert_eq!(assertion.parent, topics[2]);
    }
    for word in data.chunks_exact(32) {
        let _ = Node::decode(U256::from_be_slice(word));
    }
});
