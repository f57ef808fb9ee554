//! Any object against one fixed store: nothing is accepted that the captured chain's committees did not sign.
#![no_main]

#[path = "../bounded.rs"]
mod bounded;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use lightclient::consensus::{Bootstrap, FinalityUpdate, OptimisticUpdate, Store, Update};
use lightclient::forks::{ChainSpec, Fork};

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("../../lightclient/tests/vectors/minimal-deneb-electra-fulu/", $name))
    };
}

/// A store after the first update of the captured chain, and every header that its committees are known to have signed.
struct World {
    spec: ChainSpec,
    store: Store,
    now: u64,
    signed: BTreeSet<[u8; 32]>,
}

fn world() -> World {
    let spec = ChainSpec::from_config_json(vector!("config.json"), None).expect("the captured chain's");
    let bootstrap = Bootstrap::from_json(&spec, vector!("bootstrap_first.json")).expect("captured");
    let mut store = Store::bootstrap(&spec, bootstrap.header.root(), &bootstrap).expect("captured");
    let updates = [
        &vector!("update_period_0.json")[..],
        vector!("update_period_1.json"),
        vector!("update_period_2.json"),
        vector!("update_period_3.json"),
        vector!("update_period_4.json"),
        vector!("update_period_5.json"),
    ]
    .map(|json| Update::from_json(&spec, json).expect("captured"));
    let finality = FinalityUpdate::from_json(&spec, vector!("finality_update.json")).expect("captured");
    let optimistic = OptimisticUpdate::from_json(&spec, vector!("optimistic_update.json")).expect("captured");
    let now = finality.signature_slot.max(optimistic.signature_slot);
    let mut signed: BTreeSet<[u8; 32]> = updates.iter().map(|update| update.attested.root().0).collect();
    signed.extend([finality.attested.root().0, optimistic.attested.root().0]);
    let first = store.verify_update(&spec, &updates[0], now).expect("captured");
    store.apply(first);
    World { spec, store, now, signed }
}

fuzz_target!(|data: &[u8]| {
    static WORLD: OnceLock<World> = OnceLock::new();
    let World { spec, store, now, signed } = WORLD.get_or_init(world);
    let [kind, fork, rest @ ..] = data else { return };
    let fork = Fork::ALL[usize::from(*fork) % Fork::ALL.len()];
    let accepted = match kind {
        0 => Update::decode_ssz(spec, fork, rest)
            .ok()
            .and_then(|update| store.verify_update(spec, &update, *now).ok().map(|_| update.attested.root())),
        1 => FinalityUpdate::decode_ssz(spec, fork, rest).ok().and_then(|update| {
            store.verify_finality_update(spec, &update, *now).ok().map(|_| update.attested.root())
        }),
        2 => OptimisticUpdate::decode_ssz(spec, fork, rest).ok().and_then(|update| {
            store.verify_optimistic_update(spec, &update, *now).ok().map(|_| update.attested.root())
        }),
        _ => Bootstrap::decode_ssz(spec, fork, rest).ok().and_then(|bootstrap| {
            let root = store.finalized().root();
            Store::bootstrap(spec, root, &bootstrap).ok().map(|_| root)
        }),
    };
    if let Some(root) = accepted {
        assert!(signed.contains(&root.0) || root == store.finalized().root(), "{root} was never signed");
    }
});
