//! Any bytes as what was kept on disk: an error, or a state that writes itself as these bytes. A checksum that holds is put
//! under every input, so that what lies behind it is reached.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use std::sync::OnceLock;

use alloy_primitives::keccak256;
use libfuzzer_sys::fuzz_target;
use lightclient::consensus::Store;
use lightclient::forks::ChainSpec;
use lightclient::store::Saved;

fn spec() -> ChainSpec {
    let config = include_bytes!("../../lightclient/tests/vectors/minimal-deneb-electra-fulu/config.json");
    ChainSpec::from_config_json(config, None).expect("the captured chain's")
}

fuzz_target!(|data: &[u8]| {
    static SPEC: OnceLock<ChainSpec> = OnceLock::new();
    let spec = SPEC.get_or_init(spec);
    let chain = spec.genesis_validators_root;
    let [kind, rest @ ..] = data else { return };
    if *kind == 0 {
        if let Ok(store) = Store::decode(spec, rest) {
            assert_eq!(Store::decode(spec, &store.encode()).map(|again| again.encode()), Ok(store.encode()));
        }
        return;
    }
    let _ = Saved::decode(chain, rest);
    let whole = [rest, keccak256(rest).as_slice()].concat();
    if let Ok(saved) = Saved::decode(chain, &whole) {
        assert_eq!(saved.encode(chain), whole);
    }
});
