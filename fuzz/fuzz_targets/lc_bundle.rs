//! Any bytes as a proof bundle: an error, or the one bundle that writes itself as these bytes and can be tried on any root.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use alloy_primitives::keccak256;
use libfuzzer_sys::fuzz_target;
use lightclient::exec::ProofBundle;

fuzz_target!(|data: &[u8]| {
    let Ok(bundle) = ProofBundle::decode(data) else { return };
    assert_eq!(bundle.encode().as_deref(), Ok(data));
    for node in bundle.nodes.iter().take(8) {
        let Ok(state) = bundle.verify(keccak256(node)) else { continue };
        assert!(state.lacks(&bundle.keys).is_empty());
    }
});
