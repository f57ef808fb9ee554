//! What a node remembers of others across restarts: the scoreboard, as one JSON file that is replaced whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use actors::dispatcher::actor::SharedScores;
use actors::dispatcher::score::Scoreboard;

/// File in the data directory.
const FILE: &str = "scores.json";
/// How often it is written: what a crash may forget.
const EVERY: Duration = Duration::from_secs(10);

/// The scoreboard's file.
#[derive(Clone, Debug)]
pub(crate) struct ScoreFile(PathBuf);

impl ScoreFile {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self(data_dir.join(FILE))
    }

    /// Reads it. A missing file is a new node; a broken one is moved aside and said so, because nothing is lost but experience.
    pub(crate) fn load(&self) -> Scoreboard {
        let Ok(text) = fs::read_to_string(&self.0) else { return Scoreboard::default() };
        serde_json::from_str(&text).unwrap_or_else(|error| {
            let aside = self.0.with_extension("json.broken");
            let moved = fs::rename(&self.0, &aside);
            tracing::warn!(%error, ?moved, "the scores cannot be read and are moved to {}", aside.display());
            Scoreboard::default()
        })
    }

    /// Writes it: to a file beside it, then renamed.
    pub(crate) fn save(&self, scores: &SharedScores) {
        let text = serde_json::to_string(&*scores.lock().unwrap_or_else(PoisonError::into_inner));
        let written = text.map_err(std::io::Error::other).and_then(|text| {
            let fresh = self.0.with_extension("json.new");
            fs::write(&fresh, text)?;
            fs::rename(&fresh, &self.0)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "the scores cannot be written to {}", self.0.display());
        }
    }

    /// Writes it from time to time until the task is ended.
    pub(crate) async fn save_often(self, scores: SharedScores) {
        let mut tick = tokio::time::interval(EVERY);
        tick.tick().await;
        loop {
            tick.tick().await;
            let (file, scores) = (self.clone(), scores.clone());
            let _ = tokio::task::spawn_blocking(move || file.save(&scores)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::PeerKey;

    #[test]
    fn who_failed_is_still_avoided_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let file = ScoreFile::new(dir.path());
        let scores = SharedScores::default();
        let (peer, now) = (PeerKey([1; 32]), Duration::from_secs(1_000_000));
        scores.lock().unwrap().failed(peer, now, actors::dispatcher::score::Blame::Fault);
        file.save(&scores);
        assert!(file.load().avoided_for(peer, now).is_some());
    }

    #[test]
    fn a_broken_file_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{").unwrap();
        ScoreFile::new(dir.path()).load();
        assert!(dir.path().join("scores.json.broken").exists());
    }
}
