//! How a client begins: with the state on disk, or with the configured checkpoint; refused where neither is
//! safe.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use alloy_primitives::B256;
use tokio::sync::{Notify, broadcast, watch};

use super::{EVENTS, Shared};
use crate::consensus::{Header, Store};
use crate::source::Source;
use crate::source::crowd::Crowd;
use crate::store::{Disk, Opened, Saved};
use crate::sync::anchors::Anchors;
use crate::sync::cache::Cache;
use crate::sync::checkpoint::{Checkpoint, CheckpointError, Trust};
use crate::sync::core::Core;
use crate::sync::status::{Alarm, Origin};
use crate::sync::{Config, StartError, clock, evidence};

impl Shared {
    pub(in crate::sync) fn open(config: Config, sources: Vec<Arc<dyn Source>>) -> Result<Self, StartError> {
        let now_ms = config.clock.now_ms();
        let spec = Arc::new(config.spec.clone());
        let mut core = Core::new(Arc::clone(&spec), config.freshness, config.heads, rand::random(), now_ms);
        let opened = config.data_dir.as_ref().map(|folder| open_disk(&config, folder)).transpose()?;
        let saved = opened.as_ref().and_then(|opened| opened.saved.clone());
        let mut alarms = BTreeMap::new();
        if let Some(warning) = opened.as_ref().and_then(|opened| opened.warning.as_ref()) {
            alarms.insert("store", Alarm::Store(warning.to_string()));
        }
        if let Some(saved) = &saved {
            clock::check(&config.spec, now_ms, saved.newest_signed)?;
            agrees(&config, saved)?;
        }
        let resumed = match (&saved, &config.data_dir) {
            (Some(saved), Some(folder)) => take_up(&config, folder, saved, &mut core, now_ms, &mut alarms)?,
            _ => None,
        };
        let origin = match resumed {
            Some(origin) => Some(origin),
            None => begin(&config, &mut core, now_ms, &mut alarms)?,
        };
        let mut cache = Cache::new();
        if let Some(opened) = &opened {
            cache.put_kept(&opened.disk.updates());
        }
        let pinned = saved.as_ref().map_or(&[][..], |saved| &saved.pins);
        let finalized = core.finalized().map_or(0, Header::slot);
        let assertions = saved.as_ref().map_or(&[][..], |saved| &saved.assertions);
        Ok(Self {
            anchors: Arc::new(Anchors::new(config.rollup.clone(), assertions, pinned)),
            crowd: Crowd::new(sources, config.patience),
            events: broadcast::Sender::new(EVENTS),
            phase: watch::Sender::new(core.phase(now_ms)),
            finalized: watch::Sender::new(finalized),
            core: Arc::new(Mutex::new(core)),
            cache: Mutex::new(cache),
            disk: Arc::new(Mutex::new(opened.map(|opened| opened.disk))),
            origin: Mutex::new(origin),
            alarms: Mutex::new(alarms),
            refused: Mutex::new(None),
            floor: saved.as_ref().map_or(0, Saved::finalized_slot),
            turn: tokio::sync::Mutex::new(()),
            wishes: Mutex::default(),
            wished: Notify::new(),
            wake: Notify::new(),
            config,
        })
    }
}

fn open_disk(config: &Config, folder: &Path) -> Result<Opened, StartError> {
    if let Some(path) = evidence::left(folder) {
        return Err(StartError::Evidence { path });
    }
    Ok(Disk::open(folder, config.spec.genesis_validators_root)?)
}

/// A checkpoint that names another block of a slot than the state on disk is of another history.
fn agrees(config: &Config, saved: &Saved) -> Result<(), StartError> {
    let Trust::Given(Checkpoint { root, slot: Some(slot) }) = config.trust else { return Ok(()) };
    match saved.finalized.iter().find(|(known, on_disk)| *known == slot && *on_disk != root) {
        Some((_, on_disk)) => Err(StartError::OtherHistory { slot, given: root, on_disk: *on_disk }),
        None => Ok(()),
    }
}

/// Goes on from the state on disk, however old the configured checkpoint is; nothing where that state itself
/// is too old, and the configured checkpoint is newer.
fn take_up(
    config: &Config,
    folder: &Path,
    saved: &Saved,
    core: &mut Core,
    now_ms: u64,
    alarms: &mut BTreeMap<&'static str, Alarm>,
) -> Result<Option<Origin>, StartError> {
    let unreadable = |why: String| StartError::Unreadable { path: folder.to_owned(), why };
    let Some((slot, root)) = saved.finalized.last().copied() else {
        return Err(unreadable("it holds no finalized root".to_owned()));
    };
    if let Err(error) = check_age(config, root, slot, now_ms, alarms) {
        let newer = match config.trust {
            Trust::Given(checkpoint) => {
                checkpoint.root != root && checkpoint.slot.is_none_or(|given| given > slot)
            }
            Trust::BuiltIn | Trust::Agreed { .. } => true,
        };
        return if newer { Ok(None) } else { Err(error.into()) };
    }
    match Store::decode(&config.spec, &saved.consensus) {
        Ok(store) => core.resume(now_ms, store, saved),
        // Such as another program version's: what is finalized is known all the same, and trusted as before.
        Err(why) => {
            let why =
                format!("{}: {why}; it is built anew from the finalized roots beside it", folder.display());
            alarms.insert("store", Alarm::Store(why));
            core.begin_anew(saved);
        }
    }
    Ok(Some(Origin::Disk { slot }))
}

/// Begins with the configured checkpoint; nothing yet where sources have to agree first.
fn begin(
    config: &Config,
    core: &mut Core,
    now_ms: u64,
    alarms: &mut BTreeMap<&'static str, Alarm>,
) -> Result<Option<Origin>, StartError> {
    let (checkpoint, origin) = match &config.trust {
        Trust::Given(checkpoint) => (*checkpoint, Origin::Given { root: checkpoint.root }),
        Trust::BuiltIn => {
            let checkpoint = Checkpoint::built_in(&config.spec)?;
            (checkpoint, Origin::BuiltIn { root: checkpoint.root })
        }
        Trust::Agreed { least } if *least < 2 => {
            return Err(CheckpointError::OneVoice { least: *least }.into());
        }
        Trust::Agreed { .. } => return Ok(None),
    };
    if let Some(slot) = checkpoint.slot {
        check_age(config, checkpoint.root, slot, now_ms, alarms)?;
    }
    core.trust([checkpoint.root]);
    Ok(Some(origin))
}

fn check_age(
    config: &Config,
    root: B256,
    slot: u64,
    now_ms: u64,
    alarms: &mut BTreeMap<&'static str, Alarm>,
) -> Result<(), CheckpointError> {
    match config.freshness.check(&config.spec, root, slot, now_ms) {
        Err(error @ CheckpointError::TooOld { .. }) if !config.freshness.strict => {
            alarms.insert("old_checkpoint", Alarm::OldCheckpoint(error.to_string()));
            Ok(())
        }
        judged => judged,
    }
}
