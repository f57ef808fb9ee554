//! Any bytes as the JSON of beacon and execution servers: an error, or a value that survives being written and read again.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use libfuzzer_sys::fuzz_target;
use lightclient::arbitrum::Assertion;
use lightclient::consensus::{Bootstrap, FinalityUpdate, OptimisticUpdate, Update};
use lightclient::exec::{AccountProof, ExecHeader};
use lightclient::forks::{ChainSpec, Preset};
use serde_json::Value;

macro_rules! again {
    ($object:ty, $spec:expr, $bytes:expr) => {
        if let Ok(object) = <$object>::from_json($spec, $bytes) {
            assert_eq!(<$object>::from_json($spec, &object.to_json()).as_ref(), Ok(&object));
        }
    };
}

fuzz_target!(|data: &[u8]| {
    let [kind, rest @ ..] = data else { return };
    let spec = &ChainSpec { preset: Preset::MINIMAL, ..ChainSpec::mainnet() };
    match kind {
        0 => again!(Bootstrap, spec, rest),
        1 => again!(Update, spec, rest),
        2 => again!(FinalityUpdate, spec, rest),
        3 => again!(OptimisticUpdate, spec, rest),
        4 => drop(Update::list_from_json(spec, rest)),
        _ => {
            let Ok(value) = serde_json::from_slice::<Value>(rest) else { return };
            drop(AccountProof::from_json(&value));
            drop(Assertion::from_rpc_log(&value));
            if let Ok((header, raw)) = ExecHeader::from_rpc_json(&value, None) {
                assert_eq!(ExecHeader::verify(&raw, header.hash), Ok(header));
            }
        }
    }
});
