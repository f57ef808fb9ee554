//! Who counts, kept up to date: joins the roster, the chain watcher's view and the revocations on disk to the rules of
//! `actors::admission`, and tells the mesh whose records must stay.
//!
//! In flow rosters, views and time; out flow the standings of all orchestrators. It decides nothing by itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::admission::{Revocations, Stake, Standings, Told};
use actors::chain_watcher::ChainView;
use actors::clock::Clock;
use p2p::Control;
use protocol::{NodeRecord, PeerKey};
use tokio::sync::watch;

use crate::keys::KeyError;

/// File in the data directory.
const FILE: &str = "revocations.json";
/// How often it is looked whether what was proven has become too old.
const LOOK: Duration = Duration::from_secs(1);

/// Who may be asked to work.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// Everybody's standing; none where no chain is followed.
    pub(crate) standings: Option<watch::Receiver<Arc<Standings>>>,
    /// Whether those without proven stake may be asked too.
    pub(crate) allow_unstaked: bool,
}

impl Door {
    /// The proven stake behind `peer`.
    pub(crate) fn stake(&self, peer: PeerKey) -> Option<Stake> {
        self.standings.as_ref()?.borrow().stake(peer)
    }

    /// What people are told of `peer`.
    pub(crate) fn told(&self, peer: PeerKey, now_ms: u64) -> Option<Told> {
        self.standings.as_ref()?.borrow().told(peer, now_ms)
    }

    /// Resolves when somebody's standing may have changed.
    pub(crate) async fn changed(&mut self) {
        let changed = match &mut self.standings {
            Some(standings) => standings.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            std::future::pending().await
        }
    }
}

/// What [`keep`] needs.
pub(crate) struct Keeper {
    pub(crate) control: Control,
    pub(crate) view: watch::Receiver<ChainView>,
    pub(crate) revocations: RevocationFile,
    /// From L1 block to L1 block, milliseconds.
    pub(crate) block_ms: u64,
    pub(crate) clock: Clock,
}

/// Revocations on disk. One that cannot be read stops the node: forgetting it would bring back who was revoked.
#[derive(Debug)]
pub(crate) struct RevocationFile {
    path: PathBuf,
    known: Revocations,
}

impl RevocationFile {
    /// Reads the file; there is none yet in a new data directory.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, KeyError> {
        let path = data_dir.join(FILE);
        let known = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| KeyError::Revocations { path: path.clone(), error })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Revocations::default(),
            Err(error) => return Err(KeyError::Io { path, error }),
        };
        Ok(Self { path, known })
    }

    /// Notes what stakers of the pool have signed, on disk before it is used.
    fn note(&mut self, records: &[Arc<NodeRecord>], view: &ChainView, now: u64) {
        let certificates = records.iter().filter_map(|record| record.certificate);
        let mut news = false;
        for certificate in certificates.map(|signed| signed.certificate) {
            if view.members.contains_key(&certificate.staker) {
                news |= self.known.note(&certificate, now);
            }
        }
        if news && let Err(error) = self.save() {
            tracing::error!(%error, "revocations cannot be written to {}", self.path.display());
        }
    }

    fn save(&self) -> std::io::Result<()> {
        let fresh = self.path.with_extension("json.new");
        let text = serde_json::to_string(&self.known).map_err(std::io::Error::other)?;
        let mut file = fs::File::create(&fresh)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)
    }
}

/// Judges anew whenever roster or view have changed. Runs until the mesh ends.
pub(crate) async fn keep(mut keeper: Keeper, shown: watch::Sender<Arc<Standings>>) {
    let mut roster = keeper.control.watch();
    let mut preferred = BTreeSet::new();
    loop {
        let records = Arc::clone(&roster.borrow_and_update());
        let view = keeper.view.borrow_and_update().clone();
        let now_ms = u64::try_from(keeper.clock.now().as_millis()).unwrap_or(u64::MAX);
        keeper.revocations.note(&records.records, &view, now_ms / 1000);
        let known = &keeper.revocations.known;
        let standings = Standings::judge(&records.records, &view, known, keeper.block_ms, now_ms);
        let staked: BTreeSet<PeerKey> =
            standings.nodes.iter().filter(|(_, standing)| standing.is_ok()).map(|(peer, _)| *peer).collect();
        tell_changes(&shown.borrow(), &standings);
        shown.send_if_modified(|known| {
            let changed = **known != standings;
            *known = Arc::new(standings);
            changed
        });
        if staked != preferred {
            keeper.control.prefer(staked.clone()).await;
            preferred = staked;
        }
        tokio::select! {
            changed = roster.changed() => if changed.is_err() { return },
            // A watcher that ended leaves what it said last.
            Ok(()) = keeper.view.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// A person acts on who comes and goes.
fn tell_changes(before: &Standings, now: &Standings) {
    for (peer, standing) in &now.nodes {
        let known = before.nodes.get(peer);
        match (known, standing) {
            (Some(Ok(_)), Ok(_)) | (Some(Err(_)), Err(_)) => {}
            (_, Ok(stake)) => tracing::info!(?peer, %stake, "orchestrator admitted"),
            (_, Err(refusal)) => tracing::info!(?peer, %refusal, "orchestrator not admitted"),
        }
    }
}

#[cfg(test)]
mod tests;
