//! One captured chain: its files, its network, and the way along it.

use std::fs;
use std::path::{Path, PathBuf};

use lightclient::consensus::{Applied, Bootstrap, FinalityUpdate, OptimisticUpdate, Store, Update};
use lightclient::forks::{ChainSpec, Fork};
use serde_json::Value;

pub(crate) struct Captured {
    pub(crate) name: &'static str,
    pub(crate) chain: ChainSpec,
    /// The slot at which everything was captured.
    pub(crate) now: u64,
    dir: PathBuf,
}

impl Captured {
    pub(crate) fn open(name: &'static str) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
        let config = fs::read(dir.join("config.json")).unwrap();
        let chain = ChainSpec::from_config_json(&config, None).unwrap();
        let mut captured = Self { name, chain, now: 0, dir };
        captured.now = captured.finality_update().signature_slot;
        captured
    }

    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(name)).unwrap()
    }

    /// Every light-client object: name, format, JSON, SSZ.
    pub(crate) fn objects(&self) -> Vec<(String, Fork, Vec<u8>, Vec<u8>)> {
        let mut names: Vec<String> = fs::read_dir(&self.dir)
            .unwrap()
            .filter_map(|e| e.unwrap().file_name().to_str().unwrap().strip_suffix(".ssz").map(str::to_owned))
            .collect();
        names.sort();
        let read = |name: String| {
            let json = self.file(&format!("{name}.json"));
            let whole: Value = serde_json::from_slice(&json).unwrap();
            let fork = whole["version"].as_str().unwrap().parse().unwrap();
            let ssz = self.file(&format!("{name}.ssz"));
            (name, fork, json, ssz)
        };
        names.into_iter().map(read).collect()
    }

    pub(crate) fn bootstrap(&self) -> Bootstrap {
        Bootstrap::from_json(&self.chain, &self.file("bootstrap_first.json")).unwrap()
    }

    pub(crate) fn update(&self, period: u64) -> Update {
        Update::from_json(&self.chain, &self.file(&format!("update_period_{period}.json"))).unwrap()
    }

    pub(crate) fn finality_update(&self) -> FinalityUpdate {
        FinalityUpdate::from_json(&self.chain, &self.file("finality_update.json")).unwrap()
    }

    pub(crate) fn optimistic_update(&self) -> OptimisticUpdate {
        OptimisticUpdate::from_json(&self.chain, &self.file("optimistic_update.json")).unwrap()
    }

    pub(crate) fn periods(&self) -> u64 {
        self.chain.period_at(self.now) + 1
    }

    pub(crate) fn first_store(&self) -> Store {
        let bootstrap = self.bootstrap();
        let named: Value = serde_json::from_slice(&self.file("bootstrap_first.json")).unwrap();
        let root = named["block_root"].as_str().unwrap().parse().unwrap();
        Store::bootstrap(&self.chain, root, &bootstrap).unwrap()
    }

    pub(crate) fn apply_update(&self, store: &mut Store, period: u64) -> Applied {
        let verified = store.verify_update(&self.chain, &self.update(period), self.now).unwrap();
        store.apply(verified)
    }

    pub(crate) fn follow_to_head(&self, store: &mut Store) {
        let finality = store.verify_finality_update(&self.chain, &self.finality_update(), self.now).unwrap();
        assert!(store.apply(finality).finalized);
        let optimistic =
            store.verify_optimistic_update(&self.chain, &self.optimistic_update(), self.now).unwrap();
        let applied = store.apply(optimistic);
        assert!(!applied.finalized && !applied.optimistic, "the finality update attested the same header");
    }

    /// A store that followed from the first bootstrap to the head.
    pub(crate) fn followed(&self) -> Store {
        let mut store = self.first_store();
        (0..self.periods()).for_each(|period| {
            self.apply_update(&mut store, period);
        });
        self.follow_to_head(&mut store);
        store
    }

    /// A store that is about to get the object of that name.
    pub(crate) fn store_before(&self, name: &str) -> Store {
        let mut store = self.first_store();
        let periods =
            name.strip_prefix("update_period_").map_or(self.periods(), |period| period.parse().unwrap());
        (0..periods).for_each(|period| {
            self.apply_update(&mut store, period);
        });
        store
    }
}
