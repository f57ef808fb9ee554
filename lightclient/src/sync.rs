//! The light client as a whole: asks sources, verifies, keeps, and says how it stands.
//!
//! In: a checkpoint, untrusted sources, a directory. Out: proven L1 and L2 state with the tier of its proof,
//! verified items for other nodes, events. `core` decides without clock and socket, `follow` acts; `anchors`
//! climbs to L2, `reads` proves what is asked for. A [`LightClient`] is a cheap handle; the work stops when
//! the last one is dropped.

use std::path::PathBuf;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes};
use thiserror::Error;
use tokio::sync::broadcast;

use crate::arbitrum::{L2Anchor, Rollup};
#[cfg(feature = "evm")]
use crate::evm::{Agreement, Outcome, Transaction};
use crate::forks::ChainSpec;
use crate::livepeer::{self, Contracts, Hint, Read, Unreadable};
use crate::proven::{Accept, Proven};
use crate::source::crowd::Patience;
use crate::source::{Answer, Ask, Source};
use crate::state::{Keys, ProvenState, StateView};
use crate::store::StoreError;

mod anchors;
mod cache;
mod checkpoint;
mod clock;
mod core;
mod evidence;
mod follow;
mod items;
mod reads;
mod shared;
mod status;

pub use anchors::L1Block;
pub use checkpoint::{BadCheckpoint, Checkpoint, CheckpointError, Freshness, MAX_AGE, Trust};
pub use clock::{Clock, ClockBehind};
#[cfg(feature = "evm")]
pub use reads::CrossError;
pub use reads::{Lacking, ReadError};
use shared::{Shared, Tasks};
pub use status::{Alarm, Event, Head, Origin, Phase, Status};

/// What a light client follows, from where, and where it keeps its state.
#[derive(Clone, Debug)]
pub struct Config {
    /// The L1 network.
    pub spec: ChainSpec,
    /// Where trust begins when there is no state on disk.
    pub trust: Trust,
    /// How old that may be.
    pub freshness: Freshness,
    /// The rollup contract behind which L2 state lies; none to follow L1 alone.
    pub rollup: Option<Rollup>,
    /// Livepeer's contracts on that L2; what names their code is proven with every read of them.
    pub contracts: Option<Contracts>,
    /// Where the state is kept; nowhere if none, and every start is from the checkpoint then.
    pub data_dir: Option<PathBuf>,
    /// Whether headers are followed that are signed and not yet final: one request a slot.
    pub heads: bool,
    /// Where the time comes from.
    pub clock: Clock,
    /// How long sources are waited for.
    pub patience: Patience,
}

impl Config {
    /// Follows this network from this trust, strictly, without L2 and without a directory.
    #[must_use]
    pub fn new(spec: ChainSpec, trust: Trust) -> Self {
        Self {
            spec,
            trust,
            freshness: Freshness::default(),
            rollup: None,
            contracts: None,
            data_dir: None,
            heads: true,
            clock: Clock::default(),
            patience: Patience::default(),
        }
    }
}

/// Why a light client does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The state on disk, or its directory.
    #[error("light client's state: {0}")]
    Store(#[from] StoreError),
    /// The state on disk is whole, and yet not what this program reads.
    #[error("light client's state in {}: {why}. To begin anew move it away and give a checkpoint", path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The wall clock.
    #[error(transparent)]
    Clock(#[from] ClockBehind),
    /// The checkpoint is of another history than the state on disk.
    #[error(
        "the checkpoint says that block {given} is finalized in slot {slot}, the state on disk {on_disk}: find out from people you trust \
         which one is right; if it is the checkpoint, give it an empty data directory"
    )]
    OtherHistory {
        /// The slot.
        slot: u64,
        /// The checkpoint's root.
        given: B256,
        /// The root on disk.
        on_disk: B256,
    },
    /// An earlier run found two validly signed histories.
    #[error(
        "an earlier run found two validly signed finalized histories and kept the evidence in {}: find out from people you trust which \
         one is right, then begin with a new checkpoint in an empty data directory", path.display()
    )]
    Evidence {
        /// Where it lies.
        path: PathBuf,
    },
}

/// Why the head was not reached.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SyncError {
    /// Two histories are validly signed.
    #[error("halted: {0}")]
    Halted(String),
    /// The checkpoint turned out not to be usable.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The client was stopped.
    #[error("the light client was stopped")]
    Stopped,
}

/// What an item was worth that somebody sent without being asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Offered {
    /// It verified and brought the client forward: pass it on.
    Advanced,
    /// It may well be true and brings nothing: do not pass it on.
    Known,
    /// It fails a check that every honest item passes: hold it against the sender.
    Lie(String),
}

/// A running light client. Cheap to clone; stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct LightClient {
    shared: Arc<Shared>,
    tasks: Arc<Tasks>,
}

impl LightClient {
    /// Opens the directory, checks checkpoint and clock, and begins to follow in the background. Must be
    /// called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when it would not be safe or possible; sources are not asked yet.
    pub fn start(config: Config, sources: Vec<Arc<dyn Source>>) -> Result<Self, StartError> {
        let shared = Arc::new(Shared::open(config, sources)?);
        let tasks = Arc::new(Tasks::spawn(&shared));
        Ok(Self { shared, tasks })
    }

    /// Adds a source, or replaces the one of the same name, and asks at once what was missing.
    pub fn add_source(&self, source: Arc<dyn Source>) {
        self.shared.crowd.add(source);
        self.shared.nudge();
    }

    /// Removes the source of this name.
    pub fn remove_source(&self, name: &str) {
        self.shared.crowd.remove(name);
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Milliseconds since 1970 by the client's clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.shared.now_ms()
    }

    /// How the client stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Waits until the head is reached, for the first time since the start.
    ///
    /// # Errors
    /// [`SyncError`] when that cannot happen any more.
    pub async fn wait_synced(&self) -> Result<(), SyncError> {
        self.shared.wait_synced().await
    }

    /// Waits until L2 state can be read for the first time since the start. Sources that fail are waited for:
    /// limit the time.
    ///
    /// # Errors
    /// [`ReadError`] when waiting does not help.
    pub async fn wait_anchored(&self) -> Result<(), ReadError> {
        self.shared.anchors.wait().await
    }

    /// What happens from now on. A listener that is too slow misses the oldest events.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// The newest finalized L1 block, whose state proofs start from.
    ///
    /// # Errors
    /// [`ReadError`]: nothing is finalized yet, or nobody has the header where the beacon chain names only its hash.
    pub async fn l1(&self) -> Result<Proven<L1Block>, ReadError> {
        Ok(self.shared.l1_block().await?.proven())
    }

    /// Proves accounts and slots of the newest finalized L1 block.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn prove_l1(&self, keys: Keys) -> Result<Proven<ProvenState>, ReadError> {
        self.shared.prove_l1(&keys).await
    }

    /// The freshest L2 block of an accepted tier.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn l2(&self, accept: Accept) -> Result<L2Anchor, ReadError> {
        self.shared.l2(accept).await
    }

    /// Proves accounts and slots of the freshest L2 block of an accepted tier.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn prove(&self, accept: Accept, keys: Keys) -> Result<Proven<ProvenState>, ReadError> {
        let anchor = self.shared.l2(accept).await?;
        let state = self.shared.prove_l2(&anchor, &keys).await?;
        Ok(Proven::new(state, anchor.anchor()))
    }

    /// Computes a value from L2 state. `read` is run again after what it lacked was fetched, in one request
    /// each time, until it has all; `keys` are fetched before the first run.
    ///
    /// # Errors
    /// [`ReadError`]; what `read` itself refuses is [`ReadError::Read`].
    pub async fn read<T, E: Lacking>(
        &self,
        accept: Accept,
        keys: Keys,
        read: impl FnMut(&dyn StateView, &L2Anchor) -> Result<T, E> + Send,
    ) -> Result<Proven<T>, ReadError<E>> {
        self.shared.read(accept, keys, read).await
    }

    /// Reads one thing of Livepeer's.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::NoRollup`] where no contracts are configured.
    pub async fn livepeer(
        &self,
        accept: Accept,
        ask: &livepeer::Ask,
        hint: &Hint,
    ) -> Result<Proven<Read>, ReadError<Unreadable>> {
        let contracts = self.shared.config.contracts.as_ref().ok_or(ReadError::NoRollup)?;
        let hint = self.shared.better_hint(accept, ask, hint).await;
        let read = self
            .read(accept, ask.keys(contracts, &hint), |view, anchor| {
                ask.read(view, contracts, anchor.nitro.l1_block)
            })
            .await?;
        self.shared.learn(&read.value, &read.anchor).await;
        Ok(read)
    }

    /// As [`Self::livepeer`], and the contracts' own getters asked the same over the same proven state.
    ///
    /// # Errors
    /// [`ReadError`]; [`CrossError`] where either way gives nothing. That they differ is no error: see [`Agreement::holds`].
    #[cfg(feature = "evm")]
    pub async fn cross_checked(
        &self,
        accept: Accept,
        ask: &livepeer::Ask,
        hint: &Hint,
    ) -> Result<Proven<(Read, Agreement)>, ReadError<CrossError>> {
        let hint = self.shared.better_hint(accept, ask, hint).await;
        let read = self.shared.cross_checked(accept, ask, &hint).await?;
        self.shared.learn(&read.value.0, &read.anchor).await;
        Ok(read)
    }

    /// What transactions would do, one after the other, by the contracts' own bytecode over proven state: as old as what is
    /// accepted.
    ///
    /// # Errors
    /// [`ReadError`]; [`CrossError::Bytecode`] with the contract's reason, or where there is no bytecode.
    #[cfg(feature = "evm")]
    pub async fn simulate(
        &self,
        accept: Accept,
        txs: &[Transaction],
    ) -> Result<Proven<Vec<Outcome>>, ReadError<CrossError>> {
        self.shared.simulated(accept, txs).await
    }

    /// The code of an L2 account, empty where it has none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn code(&self, accept: Accept, address: Address) -> Result<Proven<Bytes>, ReadError> {
        self.shared.code(accept, address).await
    }

    /// What this node verified and can give to somebody who asks. What belongs to the followed chain and is
    /// not there is fetched in the background, so that another try may succeed.
    #[must_use]
    pub fn serve(&self, ask: &Ask) -> Option<Answer> {
        self.shared.serve(ask)
    }

    /// As [`Self::serve`], and where the answer belongs to the followed chain and is not there, fetches and
    /// verifies it first. Rate-limit who may ask this.
    pub async fn supply(&self, ask: &Ask) -> Option<Answer> {
        self.shared.supply(ask).await
    }

    /// Takes an item that somebody sent unasked, such as a finality update by gossip.
    pub async fn offer(&self, answer: &Answer) -> Offered {
        self.shared.offer(answer).await
    }

    /// Stops following and returns when nothing is being written any more.
    pub async fn stop(self) {
        self.tasks.stop();
        self.shared.stopped().await;
    }
}
