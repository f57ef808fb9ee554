//! What all clones of a wallet and its followers share: the book over its journal, the endpoints, and who follows what.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{B256, U256};
use ledger::journal::Journal;
use reqwest::Client;
use tokio::sync::{OnceCell, watch};
use url::Url;

use super::sign::{Draft, nothing};
use super::track::Track;
use super::{Outcome, PendingView, Progress, Settings, WalletError};
use crate::fees::{self, Price};
use crate::pending::core::{Book, Record};
use crate::pending::entry::{End, Entry};
use crate::pending::{Call, Id, Intent, Refused};
use crate::rpc::Endpoint;
use crate::signer::Signer;
use crate::witness::Witness;

pub(super) struct Shared {
    pub(super) signer: Signer,
    pub(super) chain_id: u64,
    /// With whether each serves this chain, once it has said so.
    pub(super) endpoints: Vec<(Endpoint, OnceCell<bool>)>,
    pub(super) witness: Option<Arc<dyn Witness>>,
    pub(super) settings: Settings,
    /// Held from the choice of a nonce or price until the transaction is on disk.
    signing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    book: Book,
    journal: Journal,
    tracks: BTreeMap<Id, watch::Sender<Track>>,
    followed: BTreeSet<Id>,
}

impl Shared {
    pub(super) fn open(
        dir: &Path,
        chain_id: u64,
        signer: Signer,
        endpoints: Vec<Url>,
        witness: Option<Arc<dyn Witness>>,
        settings: Settings,
    ) -> Result<Self, WalletError> {
        if endpoints.is_empty() {
            return Err(WalletError::NoEndpoint);
        }
        fs::create_dir_all(dir).map_err(|why| WalletError::Dir { dir: dir.to_owned(), why })?;
        let path = dir.join(format!("transactions-{chain_id}-{:x}.journal", signer.address()));
        let (book, journal) = replay(&path, Book::new(signer.address(), chain_id))?;
        let client = Client::builder().connect_timeout(settings.timeout).build();
        let client = client.map_err(|error| WalletError::Http(error.to_string()))?;
        let endpoint = |url| (Endpoint::new(url, client.clone(), settings.timeout), OnceCell::new());
        let state = State { book, journal, tracks: BTreeMap::new(), followed: BTreeSet::new() };
        Ok(Self {
            signer,
            chain_id,
            endpoints: endpoints.into_iter().map(endpoint).collect(),
            witness,
            signing: tokio::sync::Mutex::new(()),
            state: Mutex::new(state),
            settings,
        })
    }

    /// Gives an intent its nonce and first transaction, on disk. Nothing is sent.
    pub(super) async fn begin(self: &Arc<Self>, intent: Intent) -> Result<Id, WalletError> {
        let _signing = self.signing.lock().await;
        if let Some(id) = self.state().book.known(&intent)? {
            return Ok(id);
        }
        let gas = self.gas(&intent.call).await?;
        let (base, legacy) = self.base_fee().await?;
        let price = fees::first(base, legacy, gas, Some(self.ceiling(intent.max_cost)))?;
        let endpoints = self.endpoints().await;
        let (used, holds) = tokio::try_join!(self.used_nonces(&endpoints), self.balance(&endpoints))?;
        let needs =
            U256::from(gas).saturating_mul(U256::from(price.max_fee)).saturating_add(intent.call.value);
        if needs > holds {
            return Err(WalletError::Funds { needs, holds });
        }
        self.reserve(intent, used, gas, price).await
    }

    async fn reserve(
        self: &Arc<Self>,
        intent: Intent,
        used: u64,
        gas: u64,
        price: Price,
    ) -> Result<Id, WalletError> {
        let (id, nonce) = {
            let state = self.state();
            state.book.room(used)?;
            (state.book.next_id(), state.book.next_nonce(used))
        };
        let draft = Draft { chain_id: self.chain_id, nonce, gas, price, call: &intent.call };
        let signed = draft.sign(&self.signer, false)?;
        let hash = signed.hash;
        let Intent { key, call, what, max_cost } = intent;
        self.write(Entry::Intended { id, key, what, call, nonce, gas, max_cost, signed }).await?;
        self.tell(id, Progress::Signed { hash, nonce });
        Ok(id)
    }

    /// Signs another transaction under the nonce of an intent, at a higher price, on disk. Nothing is sent.
    pub(super) async fn replace(self: &Arc<Self>, id: Id, cancels: bool) -> Result<B256, WalletError> {
        let _signing = self.signing.lock().await;
        let record = self.open_record(id).ok_or(Refused::Unknown(id))?;
        let (base, _) = self.base_fee().await?;
        let last = record.newest();
        let price = fees::raised(last.price, base, record.gas, Some(self.ceiling(record.max_cost)));
        let price = price.ok_or(WalletError::AtCeiling(id))?;
        let cancels = cancels || last.cancels;
        let call = if cancels { nothing(self.signer.address()) } else { record.call.clone() };
        let (nonce, gas) = (record.nonce, record.gas);
        let signed =
            Draft { chain_id: self.chain_id, nonce, gas, price, call: &call }.sign(&self.signer, cancels)?;
        let hash = signed.hash;
        self.write(Entry::Replaced { id, signed }).await?;
        self.tell(id, Progress::Replaced { hash, max_fee: price.max_fee });
        Ok(hash)
    }

    async fn gas(&self, call: &Call) -> Result<u64, WalletError> {
        let gas = match call.gas_limit {
            Some(gas) => gas,
            None => fees::gas_limit(&[self.simulate(call).await?.gas]).unwrap_or(0),
        };
        let most = self.settings.max_gas;
        if gas > most { Err(WalletError::Gas { gas, most }) } else { Ok(gas) }
    }

    fn ceiling(&self, asked: Option<U256>) -> U256 {
        asked.unwrap_or(self.settings.max_cost)
    }

    /// Makes an entry durable, then believes it. The disk is waited for outside the runtime's threads.
    pub(super) async fn write(self: &Arc<Self>, entry: Entry) -> Result<(), WalletError> {
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || shared.state().write(entry))
            .await
            .expect("writing does not panic")
    }

    /// Tells all who follow an intent.
    pub(super) fn tell(&self, id: Id, progress: Progress) {
        tracing::debug!(id = id.0, ?progress, "transaction");
        let mut state = self.state();
        state.track(id).send_modify(|track| track.push(progress));
    }

    /// Remembers why what is included is not known better.
    pub(super) fn lacks(&self, id: Id, why: Option<String>) {
        self.state().track(id).send_if_modified(|track| {
            let other = track.lacks != why;
            if other {
                tracing::debug!(id = id.0, ?why, "not known better");
                track.lacks = why;
            }
            other
        });
    }

    /// Nothing more will be told of an intent in this process.
    pub(super) fn end(&self, id: Id) {
        let mut state = self.state();
        state.followed.remove(&id);
        state.track(id).send_modify(|track| track.ended = true);
    }

    /// Whether the caller is the first to follow an intent that is under way.
    pub(super) fn claim(&self, id: Id) -> bool {
        let mut state = self.state();
        let open = state.book.get(id).is_some_and(|record| record.end.is_none());
        open && state.followed.insert(id)
    }

    pub(super) fn track(&self, id: Id) -> watch::Receiver<Track> {
        self.state().track(id).subscribe()
    }

    pub(super) fn open_record(&self, id: Id) -> Option<Record> {
        self.state().book.get(id).filter(|record| record.end.is_none()).cloned()
    }

    /// How an intent ended, if it did.
    pub(super) fn ended(&self, id: Id) -> Result<Option<Result<Outcome, WalletError>>, WalletError> {
        let state = self.state();
        let record = state.book.get(id).ok_or(Refused::Unknown(id))?;
        Ok(record.end.as_ref().map(|end| match end {
            End::Included { outcome } => Ok(*outcome),
            End::Displaced => Err(WalletError::Displaced(id)),
        }))
    }

    pub(super) fn find(&self, key: &str) -> Option<Id> {
        self.state().book.find(key)
    }

    /// Nonces below the lowest open one that nobody here signed.
    pub(super) fn gap(&self, used: u64) -> Vec<u64> {
        self.state().book.gap(used)
    }

    pub(super) fn pending(&self) -> Vec<PendingView> {
        let state = self.state();
        let view = |(id, record): (Id, &Record)| PendingView {
            id,
            key: record.key.clone(),
            what: record.what.clone(),
            nonce: record.nonce,
            hash: record.newest().hash,
            max_fee: record.newest().price.max_fee,
            replacements: record.signed.len() - 1,
            included: state
                .tracks
                .get(&id)
                .and_then(|track| track.borrow().reached.map(|(_, outcome)| outcome)),
            lacks: state.tracks.get(&id).and_then(|track| track.borrow().lacks.clone()),
        };
        state.book.open().map(view).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, entry: Entry) -> Result<(), WalletError> {
        self.book.check(&entry)?;
        let beginning = self.book.beginning();
        for entry in beginning.iter().chain([&entry]) {
            self.journal.append(&serde_json::to_vec(entry).expect("an entry is plain data"))?;
        }
        self.journal.commit()?;
        for entry in beginning.into_iter().chain([entry]) {
            self.book.apply(entry)?;
        }
        Ok(())
    }

    fn track(&mut self, id: Id) -> &watch::Sender<Track> {
        self.tracks.entry(id).or_insert_with(|| watch::Sender::new(Track::new(id)))
    }
}

/// Reads what the journal holds.
fn replay(path: &Path, mut book: Book) -> Result<(Book, Journal), WalletError> {
    let (mut at, mut fault) = (0, None);
    let (journal, opened) = Journal::open(path, |entry| {
        let read = serde_json::from_slice(entry).map_err(|error| error.to_string());
        let applied = read.and_then(|entry| book.apply(entry).map_err(|refused| refused.to_string()));
        if let (None, Err(why)) = (&fault, applied) {
            fault = Some(WalletError::History { path: path.to_owned(), at, why });
        }
        at += 1;
    })?;
    if let Some(torn) = opened.cut {
        tracing::warn!(path = %path.display(), bytes = torn.bytes, "an unfinished entry was cut: nothing of it had been sent");
    }
    fault.map_or(Ok((book, journal)), Err)
}
