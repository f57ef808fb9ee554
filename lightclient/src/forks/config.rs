//! Reads a network's constants from what others publish: a beacon node's `/eth/v1/config/spec` with its genesis answer, or a
//! `config.yaml`. Both are flat maps of names to values; only the blob schedule is a list. Unknown names are passed over.

use std::collections::BTreeMap;
use std::str::FromStr;

use alloy_primitives::B256;
use serde_json::Value;
use thiserror::Error;

use super::{BlobLimit, ChainSpec, FAR_FUTURE_EPOCH, Fork, ForkPoint, ForkVersion, Preset};

/// Largest configuration that is read; real ones are below 16 KiB.
const MAX_CONFIG_BYTES: usize = 256 * 1024;

/// Most entries of a blob schedule; networks have two.
const MAX_BLOB_LIMITS: usize = 64;

/// Largest sync committee that is believed: four times mainnet's.
const MAX_SYNC_COMMITTEE: usize = 2048;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ConfigError {
    /// Not JSON or not an object.
    #[error("the configuration is not readable: {0}")]
    Unreadable(String),
    /// Too long to be one.
    #[error("the configuration has {0} bytes, more than {MAX_CONFIG_BYTES}")]
    TooLong(usize),
    /// A name that must be there is not.
    #[error("the configuration lacks {0}")]
    Lacks(String),
    /// A value that cannot be what its name says.
    #[error("the configuration says {name} = {value:?}, which is not {expected}")]
    Bad {
        /// The name.
        name: String,
        /// The value, cut to 80 characters.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl ChainSpec {
    /// Reads a beacon node's `/eth/v1/config/spec` answer, or a map with the same names. Genesis time and validators root come
    /// from the node's `/eth/v1/beacon/genesis` answer if given, else from the same map.
    ///
    /// # Errors
    /// [`ConfigError`] names what is missing or wrong.
    pub fn from_config_json(config: &[u8], genesis: Option<&[u8]>) -> Result<Self, ConfigError> {
        let mut values = Values::default();
        values.take_json(config)?;
        if let Some(genesis) = genesis {
            values.take_json(genesis)?;
        }
        values.chain_spec()
    }

    /// Reads a `config.yaml` as networks publish it: one `NAME: value` a line, and the blob schedule as a list.
    ///
    /// # Errors
    /// [`ConfigError`] names what is missing or wrong.
    pub fn from_config_yaml(
        config: &str,
        genesis_time: u64,
        genesis_validators_root: B256,
    ) -> Result<Self, ConfigError> {
        let mut values = Values::default();
        values.take_yaml(config)?;
        values.set("genesis_time", &genesis_time.to_string());
        values.set("genesis_validators_root", &genesis_validators_root.to_string());
        values.chain_spec()
    }
}

/// Names in lower case and their values as text.
#[derive(Default)]
struct Values {
    plain: BTreeMap<String, String>,
    blobs: Vec<BlobLimit>,
}

impl Values {
    fn set(&mut self, name: &str, value: &str) {
        self.plain.insert(name.to_ascii_lowercase(), value.to_owned());
    }

    fn take_json(&mut self, text: &[u8]) -> Result<(), ConfigError> {
        bounded(text.len())?;
        let value: Value =
            serde_json::from_slice(text).map_err(|e| ConfigError::Unreadable(e.to_string()))?;
        if !value.is_object() {
            return Err(ConfigError::Unreadable("it is not a JSON object".to_owned()));
        }
        self.take_object(&value)
    }

    /// Objects named `data` and `config` are looked into; other objects are not ours.
    fn take_object(&mut self, value: &Value) -> Result<(), ConfigError> {
        for (name, value) in value.as_object().into_iter().flatten() {
            match value {
                Value::String(text) => self.set(name, text),
                Value::Number(number) => self.set(name, &number.to_string()),
                Value::Object(_) if name == "data" || name == "config" => self.take_object(value)?,
                Value::Array(entries) if name == "BLOB_SCHEDULE" => self.take_schedule(entries)?,
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
            }
        }
        Ok(())
    }

    fn take_schedule(&mut self, entries: &[Value]) -> Result<(), ConfigError> {
        for entry in entries {
            let mut one = Self::default();
            one.take_object(entry)?;
            self.limit(one.number("EPOCH")?, one.number("MAX_BLOBS_PER_BLOCK")?)?;
        }
        Ok(())
    }

    fn take_yaml(&mut self, text: &str) -> Result<(), ConfigError> {
        bounded(text.len())?;
        let mut epoch = None;
        for line in text.lines() {
            let line = line.split(" #").next().unwrap_or_default();
            let nested = line.starts_with([' ', '-']);
            let Some((name, value)) = line.trim_start_matches([' ', '-']).split_once(':') else { continue };
            let value = value.trim().trim_matches(['\'', '"']);
            match (nested, name) {
                (false, _) if name.starts_with('#') => {}
                (false, _) => self.set(name, value),
                (true, "EPOCH") => epoch = Some(parse::<u64>("EPOCH", value, "a number")?),
                (true, "MAX_BLOBS_PER_BLOCK") => {
                    let epoch = epoch.take().ok_or_else(|| ConfigError::Lacks("EPOCH".to_owned()))?;
                    self.limit(epoch, parse(name, value, "a number")?)?;
                }
                (true, _) => {}
            }
        }
        Ok(())
    }

    fn limit(&mut self, epoch: u64, max_blobs: u64) -> Result<(), ConfigError> {
        self.blobs.push(BlobLimit { epoch, max_blobs });
        if self.blobs.len() > MAX_BLOB_LIMITS {
            return Err(bad("BLOB_SCHEDULE", &self.blobs.len().to_string(), "a list of at most 64 entries"));
        }
        Ok(())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.plain.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    fn number(&self, name: &str) -> Result<u64, ConfigError> {
        self.optional(name)?.ok_or_else(|| ConfigError::Lacks(name.to_owned()))
    }

    fn optional(&self, name: &str) -> Result<Option<u64>, ConfigError> {
        self.text(name).map(|text| parse(name, text, "a number")).transpose()
    }

    fn chain_spec(self) -> Result<ChainSpec, ConfigError> {
        let root = self.text("genesis_validators_root");
        let root = root.ok_or_else(|| ConfigError::Lacks("genesis_validators_root".to_owned()))?;
        let schedule = self.schedule()?;
        Ok(ChainSpec {
            name: self
                .text("CONFIG_NAME")
                .or_else(|| self.text("PRESET_BASE"))
                .unwrap_or("custom")
                .to_owned(),
            preset: self.preset()?,
            genesis_time: self.number("genesis_time")?,
            genesis_validators_root: parse("genesis_validators_root", root, "32 bytes in hex")?,
            slot_ms: self.slot_ms()?,
            blobs: self.blob_limits(&schedule)?,
            schedule,
        })
    }

    fn preset(&self) -> Result<Preset, ConfigError> {
        let base = match self.text("PRESET_BASE") {
            Some("minimal") => Preset::MINIMAL,
            Some("mainnet" | "gnosis") | None => Preset::MAINNET,
            Some(other) => return Err(bad("PRESET_BASE", other, "mainnet or minimal")),
        };
        let within = |name: &str, default: u64, range: std::ops::RangeInclusive<u64>| {
            let value = self.optional(name)?.unwrap_or(default);
            range.contains(&value).then_some(value).ok_or_else(|| bad(name, &value.to_string(), "in range"))
        };
        let size =
            within("SYNC_COMMITTEE_SIZE", base.sync_committee_size as u64, 8..=MAX_SYNC_COMMITTEE as u64)?;
        if !size.is_power_of_two() {
            return Err(bad("SYNC_COMMITTEE_SIZE", &size.to_string(), "a power of two"));
        }
        let epochs = "EPOCHS_PER_SYNC_COMMITTEE_PERIOD";
        Ok(Preset {
            slots_per_epoch: within("SLOTS_PER_EPOCH", base.slots_per_epoch, 1..=1 << 20)?,
            sync_committee_size: usize::try_from(size).unwrap_or(MAX_SYNC_COMMITTEE),
            epochs_per_sync_committee_period: within(
                epochs,
                base.epochs_per_sync_committee_period,
                1..=1 << 20,
            )?,
        })
    }

    fn slot_ms(&self) -> Result<u64, ConfigError> {
        let ms = match self.optional("SLOT_DURATION_MS")? {
            Some(ms) => ms,
            None => self.number("SECONDS_PER_SLOT")?.saturating_mul(1000),
        };
        if ms == 0 { Err(bad("SLOT_DURATION_MS", "0", "a positive number")) } else { Ok(ms) }
    }

    fn schedule(&self) -> Result<Vec<ForkPoint>, ConfigError> {
        let mut schedule = Vec::new();
        for fork in Fork::ALL {
            let name =
                if fork == Fork::Phase0 { "GENESIS".to_owned() } else { fork.name().to_ascii_uppercase() };
            let Some(version) = self.text(&format!("{name}_FORK_VERSION")) else { continue };
            let epoch = if fork == Fork::Phase0 { 0 } else { self.number(&format!("{name}_FORK_EPOCH"))? };
            if epoch != FAR_FUTURE_EPOCH {
                let version = parse::<ForkVersion>("fork version", version, "4 bytes in hex")?;
                schedule.push(ForkPoint { epoch, fork, version });
            }
        }
        match schedule.first() {
            None => return Err(ConfigError::Lacks("GENESIS_FORK_VERSION".to_owned())),
            Some(first) if first.epoch != 0 => {
                return Err(ConfigError::Lacks("GENESIS_FORK_VERSION".to_owned()));
            }
            Some(_) => {}
        }
        match schedule.windows(2).find(|pair| pair[0].epoch > pair[1].epoch) {
            Some(pair) => {
                Err(bad(pair[1].fork.name(), &pair[1].epoch.to_string(), "after the fork before it"))
            }
            None => Ok(schedule),
        }
    }

    /// The limit of Electra stands before the schedule, as `get_blob_parameters` of Fulu has it.
    fn blob_limits(&self, schedule: &[ForkPoint]) -> Result<Vec<BlobLimit>, ConfigError> {
        let mut limits = self.blobs.clone();
        limits.sort_by_key(|limit| limit.epoch);
        if let Some(electra) = schedule.iter().find(|point| point.fork == Fork::Electra) {
            let max_blobs = self.optional("MAX_BLOBS_PER_BLOCK_ELECTRA")?.unwrap_or(9);
            limits.insert(0, BlobLimit { epoch: electra.epoch, max_blobs });
        }
        Ok(limits)
    }
}

const fn bounded(length: usize) -> Result<(), ConfigError> {
    if length > MAX_CONFIG_BYTES { Err(ConfigError::TooLong(length)) } else { Ok(()) }
}

fn parse<T: FromStr>(name: &str, value: &str, expected: &'static str) -> Result<T, ConfigError> {
    value.parse().map_err(|_| bad(name, value, expected))
}

fn bad(name: &str, value: &str, expected: &'static str) -> ConfigError {
    ConfigError::Bad { name: name.to_owned(), value: value.chars().take(80).collect(), expected }
}
