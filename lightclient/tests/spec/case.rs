//! One folder of the vectors.

use std::fs;
use std::path::{Path, PathBuf};

use alloy_primitives::B256;
use lightclient::forks::{ChainSpec, Fork, Preset};
use serde_norway::Value;

pub(crate) struct Case {
    pub(crate) preset: String,
    pub(crate) fork: Fork,
    pub(crate) handler: String,
    pub(crate) suite: String,
    pub(crate) name: String,
    dir: PathBuf,
}

impl Case {
    pub(crate) fn everything() -> Vec<Self> {
        let mut found = Vec::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/spec")];
        while let Some(folder) = folders.pop() {
            let mut entries: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
            entries.sort();
            folders.extend(entries.into_iter().filter(|path| path.is_dir()));
            if folder.join("manifest.yaml").exists() {
                found.push(Self::open(folder));
            }
        }
        found
    }

    pub(crate) fn all(handler: &str) -> Vec<Self> {
        Self::everything().into_iter().filter(|case| case.handler == handler).collect()
    }

    fn open(dir: PathBuf) -> Self {
        let manifest: Value =
            serde_norway::from_str(&fs::read_to_string(dir.join("manifest.yaml")).unwrap()).unwrap();
        let text = |key: &str| manifest[key].as_str().unwrap().to_owned();
        Self {
            preset: text("preset"),
            fork: text("fork").parse().unwrap(),
            handler: text("handler"),
            suite: text("suite"),
            name: text("case"),
            dir,
        }
    }

    /// What to say when something fails.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}/{}/{}/{}", self.preset, self.fork, self.handler, self.suite, self.name)
    }

    pub(crate) fn yaml(&self, file: &str) -> Value {
        serde_norway::from_str(&fs::read_to_string(self.dir.join(file)).unwrap()).unwrap()
    }

    pub(crate) fn ssz(&self, name: &str) -> Vec<u8> {
        let packed = fs::read(self.dir.join(format!("{name}.ssz_snappy"))).unwrap();
        snap::raw::Decoder::new().decompress_vec(&packed).unwrap()
    }

    /// Names of the SSZ files that start so.
    pub(crate) fn names(&self, start: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.dir)
            .unwrap()
            .filter_map(|entry| {
                entry.unwrap().file_name().to_str().unwrap().strip_suffix(".ssz_snappy").map(str::to_owned)
            })
            .filter(|name| name.starts_with(start))
            .collect();
        names.sort();
        names
    }

    /// The network of the case's own configuration.
    pub(crate) fn chain(&self, genesis_validators_root: B256) -> ChainSpec {
        let config = fs::read_to_string(self.dir.join("config.yaml")).unwrap();
        ChainSpec::from_config_yaml(&config, 0, genesis_validators_root).unwrap()
    }

    /// A network that is in one fork from its genesis on.
    pub(crate) fn single_fork_chain(&self) -> ChainSpec {
        let mut chain = ChainSpec::mainnet();
        chain.preset = if self.preset == "minimal" { Preset::MINIMAL } else { Preset::MAINNET };
        chain.schedule.retain(|point| point.fork <= self.fork);
        chain.schedule.iter_mut().for_each(|point| point.epoch = 0);
        chain
    }
}

pub(crate) fn root(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}
