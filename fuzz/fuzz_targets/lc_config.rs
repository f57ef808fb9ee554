//! Any bytes as a beacon node's parameters: an error, or a schedule that can be asked about any slot.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use libfuzzer_sys::fuzz_target;
use lightclient::forks::ChainSpec;

fuzz_target!(|data: &[u8]| {
    let [kind, rest @ ..] = data else { return };
    let spec = match kind {
        0 => ChainSpec::from_config_json(rest, None),
        1 => {
            let middle = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            let (config, genesis) = rest.split_at(middle);
            ChainSpec::from_config_json(config, Some(genesis.get(1..).unwrap_or_default()))
        }
        _ => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            ChainSpec::from_config_yaml(text, u64::from(*kind), Default::default())
        }
    };
    let Ok(spec) = spec else { return };
    for slot in [0, 1, 8191, 1 << 40, u64::MAX] {
        let epoch = spec.epoch_at(slot);
        let _ = (spec.period_at(slot), spec.fork_at_slot(slot), spec.slot_at(slot), spec.time_at(slot));
        assert!(spec.fork_of_digest(spec.fork_digest(epoch)).is_some());
        let _ = (spec.fork_version(epoch), spec.sync_committee_domain(epoch));
    }
});
