//! One account's transactions on one chain: signed, written down, sent, priced upwards and followed.
//!
//! In flow [`Intent`]s, out flows [`Progress`] and an [`Outcome`] that says how it is known. [`follow`](Wallet::follow) and
//! [`wait`](Wallet::wait) may be called by many and after a restart. Knows no contract and asks nobody for leave.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use futures::Stream;
use serde::Serialize;
use tokio::task::AbortHandle;
use url::Url;

pub use crate::inclusion::outcome::{How, Outcome};
use crate::pending::{Call, Id, Intent};
use crate::signer::Signer;
use crate::witness::Witness;

mod ask;
mod drive;
mod error;
mod look;
mod shared;
mod sign;
mod simulate;
mod track;

pub use self::error::{SimulateError, WalletError};
use self::shared::Shared;

/// How a wallet behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Endpoints that must say the same before it counts as sequenced; all of them where fewer are configured.
    pub agree: usize,
    /// Time between looks while a transaction is not included.
    pub poll: Duration,
    /// Time between looks once it is included and waits for Ethereum.
    pub poll_included: Duration,
    /// Time without inclusion after which it offers more.
    pub escalate_after: Duration,
    /// Time that an endpoint has for an answer.
    pub timeout: Duration,
    /// Most that a transaction's gas may cost where its intent does not say, wei.
    pub max_cost: U256,
    /// Most gas of one transaction.
    pub max_gas: u64,
    /// Blocks on top of a transaction after which it counts as final where nobody can prove anything.
    pub settled_after: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            agree: 2,
            poll: Duration::from_secs(1),
            poll_included: Duration::from_secs(30),
            escalate_after: Duration::from_secs(20),
            timeout: Duration::from_secs(10),
            // A redemption of a million gas at ten gwei.
            max_cost: U256::from(10_000_000_000_000_000_u64),
            max_gas: 15_000_000,
            settled_after: 100,
        }
    }
}

/// What a call would do now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Simulated {
    /// What it returns.
    pub output: Bytes,
    /// Gas that it uses, by the highest estimate.
    pub gas: u64,
}

/// How far to wait.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Until {
    /// Enough endpoints agree that it is in a block.
    Sequenced,
    /// It is proven to be in a block that an assertion on Ethereum names.
    Proven,
    /// Ethereum confirmed that assertion.
    Confirmed,
}

/// What happens to an intent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// It is on disk; nobody has seen it yet.
    Signed {
        /// The transaction.
        hash: B256,
        /// Its nonce.
        nonce: u64,
    },
    /// So many endpoints have it.
    Sent {
        /// The transaction.
        hash: B256,
        /// Endpoints that took it.
        taken: usize,
        /// Endpoints asked.
        of: usize,
    },
    /// All endpoints refuse it; it is tried again.
    Refused {
        /// In an endpoint's words.
        why: String,
    },
    /// Another transaction with the same nonce offers more.
    Replaced {
        /// The new one.
        hash: B256,
        /// What it offers for a unit of gas, wei.
        max_fee: u64,
    },
    /// It would have to offer more than it may.
    AtCeiling {
        /// What it offers for a unit of gas, wei.
        max_fee: u64,
    },
    /// Nonces below its own that nobody uses: a stranger with the same key may have, and took it back.
    Gap {
        /// The nonces.
        nonces: Vec<u64>,
    },
    /// Enough endpoints agree that it is in a block.
    Sequenced(Outcome),
    /// It is proven to be in a block under an assertion.
    Proven(Outcome),
    /// Ethereum confirmed it. The last word.
    Confirmed(Outcome),
    /// So many blocks lie on it that it is followed no further; nothing here can prove it. The last word.
    Settled(Outcome),
    /// It was in a block that is no longer there, and is sent again.
    Reorged {
        /// The block that is gone.
        block_hash: B256,
    },
    /// Its nonce was used by a transaction that this wallet did not sign: it never happens.
    Displaced,
}

/// An intent that is under way.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PendingView {
    /// Its number.
    pub id: Id,
    /// The caller's name for it.
    pub key: String,
    /// What it does, in plain words.
    pub what: String,
    /// Its nonce.
    pub nonce: u64,
    /// Its newest transaction.
    pub hash: B256,
    /// What that offers for a unit of gas, wei.
    pub max_fee: u64,
    /// How often the price was raised.
    pub replacements: usize,
    /// In which block it is, as far as is known.
    pub included: Option<Outcome>,
    /// Why that is not known better, such as how far the way to what Ethereum names still is.
    pub lacks: Option<String>,
}

/// One account on one chain. Cheap to clone; stops following when the last clone is dropped, and forgets nothing by that.
#[derive(Clone)]
pub struct Wallet {
    shared: Arc<Shared>,
    tasks: Arc<Tasks>,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("address", &self.address()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Tasks(Mutex<Vec<AbortHandle>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .iter()
            .for_each(AbortHandle::abort);
    }
}

impl Wallet {
    /// Opens the account's journal in a directory, made if it is not there. Nothing is sent before [`Self::send`] or
    /// [`Self::resume`].
    ///
    /// # Errors
    /// [`WalletError`] when the journal is in use, damaged or another account's, or no endpoint is given.
    pub fn open(
        dir: &Path,
        chain_id: u64,
        signer: Signer,
        endpoints: Vec<Url>,
        witness: Option<Arc<dyn Witness>>,
        settings: Settings,
    ) -> Result<Self, WalletError> {
        let shared = Shared::open(dir, chain_id, signer, endpoints, witness, settings)?;
        Ok(Self { shared: Arc::new(shared), tasks: Arc::default() })
    }

    /// Whose transactions these are.
    #[must_use]
    pub fn address(&self) -> Address {
        self.shared.signer.address()
    }

    /// Asks all endpoints what a call would do now and what gas it needs. They must agree.
    ///
    /// # Errors
    /// [`SimulateError`], with the contract's own reason where it reverts.
    pub async fn simulate(&self, call: &Call) -> Result<Simulated, SimulateError> {
        self.shared.simulate(call).await
    }

    /// What gas costs now and the chain's own words for it: base fee in wei by most endpoints.
    ///
    /// # Errors
    /// [`WalletError::Unreachable`].
    pub async fn base_fee(&self) -> Result<u128, WalletError> {
        self.shared.base_fee().await.map(|(base, _)| base)
    }

    /// Signs, writes down, and sends in the background. An intent whose name is known is not sent again: its number is given.
    ///
    /// # Errors
    /// [`WalletError`]; then nothing was signed.
    pub async fn send(&self, intent: Intent) -> Result<Id, WalletError> {
        let id = self.shared.begin(intent).await?;
        self.drive(id);
        Ok(id)
    }

    /// Follows what was under way when the process ended; gives its numbers.
    #[must_use]
    pub fn resume(&self) -> Vec<Id> {
        let open: Vec<Id> = self.pending().into_iter().map(|view| view.id).collect();
        open.iter().for_each(|id| self.drive(*id));
        open
    }

    /// Tries to use the nonce up with a transaction that does nothing. Either may still be included.
    ///
    /// # Errors
    /// [`WalletError`] when it is over, or the ceiling does not allow a higher price.
    pub async fn cancel(&self, id: Id) -> Result<B256, WalletError> {
        let hash = self.shared.replace(id, true).await?;
        self.drive(id);
        Ok(hash)
    }

    /// All that happens and has happened to an intent since this process began; ends when it is final.
    pub fn follow(&self, id: Id) -> impl Stream<Item = Progress> + Send + use<> {
        track::stream(self.shared.track(id))
    }

    /// Waits until a transaction of the intent is known as well as asked. Limit the time: Ethereum takes days to confirm.
    ///
    /// # Errors
    /// [`WalletError::Displaced`] when it never happens, [`WalletError::Unprovable`] where nobody can prove.
    pub async fn wait(&self, id: Id, until: Until) -> Result<Outcome, WalletError> {
        if until > Until::Sequenced && self.shared.witness.is_none() {
            return Err(WalletError::Unprovable);
        }
        if let Some(ended) = self.shared.ended(id)? {
            return ended;
        }
        self.drive(id);
        track::wait(self.shared.track(id), until).await
    }

    /// The number of the intent of this name.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<Id> {
        self.shared.find(key)
    }

    /// What is under way.
    #[must_use]
    pub fn pending(&self) -> Vec<PendingView> {
        self.shared.pending()
    }

    /// What is under way and in no block yet, in the order of the nonces; it is followed from now on.
    ///
    /// # Errors
    /// [`WalletError::Unreachable`].
    pub async fn waiting(&self) -> Result<Vec<PendingView>, WalletError> {
        let mut open = self.pending();
        if open.is_empty() {
            return Ok(open);
        }
        let used = self.shared.used_nonces(&self.shared.endpoints().await).await?;
        open.retain(|view| view.nonce >= used);
        open.sort_unstable_by_key(|view| view.nonce);
        open.iter().for_each(|view| self.drive(view.id));
        Ok(open)
    }

    /// Follows an intent in the background, once.
    fn drive(&self, id: Id) {
        if self.shared.claim(id) {
            let task = tokio::spawn(drive::drive(Arc::clone(&self.shared), id));
            let mut tasks = self.tasks.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            tasks.retain(|task| !task.is_finished());
            tasks.push(task.abort_handle());
        }
    }
}
