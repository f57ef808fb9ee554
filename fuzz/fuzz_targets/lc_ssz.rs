//! Any bytes as SSZ of a light-client object of any fork and either preset: an error, or the one object that writes itself
//! as these bytes.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use libfuzzer_sys::fuzz_target;
use lightclient::consensus::{Bootstrap, FinalityUpdate, OptimisticUpdate, Update};
use lightclient::forks::{ChainSpec, Fork, Preset};

fuzz_target!(|data: &[u8]| {
    let [choice, fork, rest @ ..] = data else { return };
    let fork = Fork::ALL[usize::from(*fork) % Fork::ALL.len()];
    let preset = if choice & 0x80 == 0 { Preset::MINIMAL } else { Preset::MAINNET };
    let spec = ChainSpec { preset, ..ChainSpec::mainnet() };
    let written = match choice & 0x7f {
        0 => Bootstrap::decode_ssz(&spec, fork, rest).map(|object| object.encode_ssz()),
        1 => Update::decode_ssz(&spec, fork, rest).map(|object| object.encode_ssz()),
        2 => FinalityUpdate::decode_ssz(&spec, fork, rest).map(|object| object.encode_ssz()),
        3 => OptimisticUpdate::decode_ssz(&spec, fork, rest).map(|object| object.encode_ssz()),
        _ => return drop(Update::list_from_ssz(&spec, rest)),
    };
    if let Ok(written) = written {
        assert_eq!(written, rest);
    }
});
