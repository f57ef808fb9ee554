//! Two validly signed histories, written down so that anybody can check them: both signed updates, as SSZ in
//! hex. While such a file lies in the data directory the client does not start.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::core::Conflict;
use crate::consensus::FinalityUpdate;

const FOLDER: &str = "evidence";

/// Writes a conflict down, durably, and says where.
pub(super) fn keep(data_dir: &Path, network: &str, conflict: &Conflict) -> io::Result<PathBuf> {
    let folder = data_dir.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("conflict-{}.json", conflict.slot));
    let document = json!({
        "network": network,
        "slot": conflict.slot,
        "ours": conflict.ours,
        "theirs": conflict.theirs,
        "our_proof": conflict.our_proof.as_ref().map(update),
        "their_proof": update(&conflict.their_proof),
    });
    let mut file = File::create(&path)?;
    file.write_all(format!("{document:#}\n").as_bytes())?;
    file.sync_all()?;
    File::open(&folder)?.sync_all()?;
    Ok(path)
}

fn update(update: &FinalityUpdate) -> Value {
    json!({ "fork": update.fork.name(), "finality_update_ssz": format!("0x{}", hex::encode(update.encode_ssz())) })
}

/// Evidence that an earlier run left and nobody has taken away.
pub(super) fn left(data_dir: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(data_dir.join(FOLDER)).ok()?.flatten().map(|entry| entry.path());
    entries.find(|path| path.extension().is_some_and(|extension| extension == "json"))
}
