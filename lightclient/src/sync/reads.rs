//! Proofs on request: which block serves an accepted tier, trie nodes from anybody, verified under that block's state root, guards checked
//! with every batch. What was proven once is not asked for again while its block is in use.

use std::convert::Infallible;

use alloy_primitives::{Address, Bytes, keccak256};
use thiserror::Error;

use super::anchors::L1Block;
use super::items::off_topic;
use super::shared::Shared;
use super::status::{Alarm, Phase};
use crate::arbitrum::path::PathError;
use crate::arbitrum::sequenced::{Claim, SequencedError, agree};
use crate::arbitrum::{L2Anchor, l2::L2Error};
use crate::exec::mpt::TrieError;
use crate::exec::{ExecHeader, ProofBundle, ProofError};
use crate::guard::GuardError;
use crate::livepeer::{Part, Unreadable, guard};
use crate::proven::{Accept, Proven, Tier};
use crate::source::crowd::{AskError, Outcome, Refusal};
use crate::source::{Answer, Ask, At, Block, Layer};
use crate::state::{Keys, Missing, ProvenState, StateView};

/// Times that a read may ask for more; a list of 100 members without any hint takes one each.
const MAX_ROUNDS: usize = 256;
/// Slots and accounts in one question; sources split further where a server wants that.
const MAX_KEYS: usize = 1024;

/// Why nothing proven can be given.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ReadError<E: std::error::Error = Infallible> {
    /// Too early: what is missing comes by itself.
    #[error("not yet: {0}; wait until the light client is synced (its status says how far it is)")]
    NotYet(&'static str),
    /// Nothing is believed any more.
    #[error(
        "two validly signed finalized histories were seen: nothing is read any more; see the alarm in the status"
    )]
    Halted,
    /// L1 alone is followed.
    #[error("no rollup, or no Livepeer contracts, are configured: L1 state alone can be read")]
    NoRollup,
    /// The best there is is not good enough.
    #[error("the best proof there is is {best:?}, {wanted:?} is wanted: accept less, or wait")]
    Tier {
        /// What the caller accepts.
        wanted: Accept,
        /// What there is.
        best: Tier,
    },
    /// No source gave what verifies.
    #[error(transparent)]
    Nobody(#[from] AskError),
    /// A guarded place changed.
    #[error(transparent)]
    Guard(GuardError),
    /// The rollup's assertions make no sense.
    #[error("rollup: {0}")]
    Path(PathError),
    /// An L2 header is not what its assertion says.
    #[error(transparent)]
    L2(L2Error),
    /// Sources do not agree on the newest L2 header.
    #[error(transparent)]
    Sequenced(SequencedError),
    /// The read asked for more again and again.
    #[error("the read wanted more state {MAX_ROUNDS} times: its layout is not the contract's")]
    Endless,
    /// The read itself.
    #[error(transparent)]
    Read(E),
}

impl ReadError {
    /// The same error where a read could also have failed by itself.
    #[must_use]
    pub fn widen<E: std::error::Error>(self) -> ReadError<E> {
        match self {
            Self::NotYet(what) => ReadError::NotYet(what),
            Self::Halted => ReadError::Halted,
            Self::NoRollup => ReadError::NoRollup,
            Self::Tier { wanted, best } => ReadError::Tier { wanted, best },
            Self::Nobody(error) => ReadError::Nobody(error),
            Self::Guard(error) => ReadError::Guard(error),
            Self::Path(error) => ReadError::Path(error),
            Self::L2(error) => ReadError::L2(error),
            Self::Sequenced(error) => ReadError::Sequenced(error),
            Self::Endless => ReadError::Endless,
            Self::Read(never) => match never {},
        }
    }
}

/// An error of a read that may only mean that more state is needed.
pub trait Lacking: std::error::Error {
    /// What to fetch before the read is tried again; none when fetching does not help.
    fn lacking(&self) -> Option<Keys>;
}

impl Lacking for Missing {
    fn lacking(&self) -> Option<Keys> {
        let mut keys = Keys::new();
        self.ask(&mut keys);
        Some(keys)
    }
}

impl Lacking for Unreadable {
    fn lacking(&self) -> Option<Keys> {
        self.wanted().cloned()
    }
}

impl Shared {
    pub(super) async fn prove_l1(&self, keys: &Keys) -> Result<Proven<ProvenState>, ReadError> {
        self.ready()?;
        let l1: L1Block = self.l1_block().await?;
        let state = self.prove_block(Layer::L1, l1.block(), l1.state_root, keys).await?;
        Ok(Proven::new(state, l1.anchor()))
    }

    /// The freshest L2 block that `accept` takes.
    pub(super) async fn l2(&self, accept: Accept) -> Result<L2Anchor, ReadError> {
        self.ready()?;
        let way = self.anchors.way()?;
        if let Accept::Sequenced { agree } = accept {
            return self.sequenced(agree).await;
        }
        let (link, tier) = way.path.choose(accept);
        if !accept.takes(tier) {
            return Err(ReadError::Tier { wanted: accept, best: tier });
        }
        self.l2_header(link, tier, way.l1.slot).await
    }

    /// Proves keys of an L2 block, and what guards them.
    pub(super) async fn prove_l2(&self, anchor: &L2Anchor, keys: &Keys) -> Result<ProvenState, ReadError> {
        let (keys, guarded) = self.with_guards(keys);
        let block = Block { number: anchor.header.number, hash: anchor.header.hash };
        let root = anchor.header.state_root;
        let state = match self.prove_block(Layer::L2, block, root, &keys).await {
            Ok(state) => state,
            Err(ReadError::Nobody(error)) => match anchor.assertion {
                Some(assertion) => self.bundled(assertion, block, root, &keys).await.map_err(|_| error)?,
                None => return Err(error.into()),
            },
            Err(other) => return Err(other),
        };
        if let Some(contracts) = self.config.contracts.as_ref().filter(|_| !guarded.is_empty())
            && let Err(Unreadable::Unexpected(unexpected)) = guard::check(&state, contracts, &guarded)
        {
            self.raise(Alarm::Guard(unexpected.into()));
            return Err(ReadError::Guard(unexpected.into()));
        }
        if let Some(assertion) = anchor.assertion {
            self.cache().add_state(
                block.hash,
                Some(assertion),
                ProvenState::default(),
                ProofBundle::default(),
            );
        }
        Ok(state)
    }

    /// Adds what names the code of every contract that is touched.
    fn with_guards(&self, keys: &Keys) -> (Keys, Vec<Part>) {
        let mut keys = keys.clone();
        let Some(contracts) = &self.config.contracts else { return (keys, Vec::new()) };
        let touched: Vec<Part> =
            Part::ALL.into_iter().filter(|part| keys.contains_key(&contracts.address(*part))).collect();
        for (account, slots) in guard::keys(contracts, &touched) {
            keys.entry(account).or_default().extend(slots);
        }
        (keys, touched)
    }

    pub(super) async fn read<T, E: Lacking>(
        &self,
        accept: Accept,
        mut keys: Keys,
        mut read: impl FnMut(&dyn StateView, &L2Anchor) -> Result<T, E> + Send,
    ) -> Result<Proven<T>, ReadError<E>> {
        let anchor = self.l2(accept).await.map_err(ReadError::widen)?;
        for _ in 0..MAX_ROUNDS {
            let state = self.prove_l2(&anchor, &keys).await.map_err(ReadError::widen)?;
            match read(&state, &anchor) {
                Ok(value) => return Ok(Proven::new(value, anchor.anchor())),
                Err(error) => match error.lacking() {
                    Some(more) if !state.lacks(&more).is_empty() => keys = more,
                    _ => return Err(ReadError::Read(error)),
                },
            }
        }
        Err(ReadError::Endless)
    }

    pub(super) async fn code(&self, accept: Accept, address: Address) -> Result<Proven<Bytes>, ReadError> {
        let anchor = self.l2(accept).await?;
        let state = self.prove_l2(&anchor, &Keys::from([(address, Default::default())])).await?;
        let proven = |code| Proven::new(code, anchor.anchor());
        let account = state.account(address).map_err(|_| ReadError::NotYet("the account is not proven"))?;
        let Some(hash) =
            account.map(|account| account.code_hash).filter(|hash| *hash != crate::exec::proof::EMPTY_CODE)
        else {
            return Ok(proven(Bytes::new()));
        };
        let cached = self.cache().code(hash);
        if let Some(code) = cached {
            return Ok(proven(code));
        }
        let block = Block { number: anchor.header.number, hash: anchor.header.hash };
        let ask = Ask::Code { layer: Layer::L2, block, address, hash };
        let won = self.crowd.ask(&ask, |answer| match answer {
            Answer::Code(code) if keccak256(&code) == hash => Ok(code),
            Answer::Code(_) => Err(Refusal::Lie(format!("the code of {address} does not hash to {hash}"))),
            _ => Err(off_topic()),
        });
        let code = won.await?.value;
        self.verified(ask, Answer::Code(code.clone()));
        Ok(proven(code))
    }

    fn ready(&self) -> Result<(), ReadError> {
        match self.core().phase(self.now_ms()) {
            Phase::Halted => Err(ReadError::Halted),
            Phase::Bootstrapping => Err(ReadError::NotYet("nothing is finalized")),
            Phase::CatchingUp { .. } | Phase::Following | Phase::Stalled { .. } => Ok(()),
        }
    }

    /// Proves keys under a state root: from the cache, and what is not there from anybody. Everything proven of the block is in the
    /// result.
    pub(super) async fn prove_block(
        &self,
        layer: Layer,
        block: Block,
        root: alloy_primitives::B256,
        keys: &Keys,
    ) -> Result<ProvenState, ReadError> {
        let known = self.cache().state(block.hash);
        for keys in batches(&known.lacks(keys)) {
            let ask = Ask::Proof { layer, block, keys: keys.clone() };
            let won = self.crowd.ask(&ask, |answer| match answer {
                Answer::Proof(nodes) => {
                    verify(ProofBundle { keys: keys.clone(), nodes: nodes.into_iter().collect() }, root)
                }
                _ => Err(off_topic()),
            });
            let (proven, bundle) = won.await?.value;
            self.cache().add_state(block.hash, None, proven, bundle);
        }
        Ok(self.cache().state(block.hash))
    }

    /// What somebody published for an assertion's block.
    async fn bundled(
        &self,
        assertion: alloy_primitives::B256,
        block: Block,
        root: alloy_primitives::B256,
        keys: &Keys,
    ) -> Result<ProvenState, AskError> {
        let ask = Ask::Bundle { assertion };
        let won = self.crowd.ask(&ask, |answer| {
            let Answer::Bundle(bytes) = answer else { return Err(off_topic()) };
            let bundle = ProofBundle::decode(&bytes).map_err(|why| Refusal::Lie(why.to_string()))?;
            let (proven, bundle) = verify(bundle, root)?;
            if proven.lacks(keys).is_empty() {
                return Ok((proven, bundle));
            }
            Err(Refusal::Useless("the bundle does not hold all that is asked for".to_owned()))
        });
        let (proven, bundle) = won.await?.value;
        self.cache().add_state(block.hash, Some(assertion), proven, bundle);
        Ok(self.cache().state(block.hash))
    }

    /// The newest L2 header that enough sources name. First each says how far it is, then all are asked for the highest block that
    /// enough of them can have.
    async fn sequenced(&self, least: u16) -> Result<L2Anchor, ReadError> {
        let latest = self.claims(At::Latest).await;
        let mut heights: Vec<u64> = latest.iter().map(|claim| claim.header.number).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let asked = u16::try_from(self.crowd.count(&head(At::Latest))).unwrap_or(u16::MAX);
        let enough = usize::from(least.max(1));
        let Some(height) = heights.get(enough - 1) else {
            let agree = u16::try_from(heights.len()).unwrap_or(u16::MAX);
            return Err(ReadError::Sequenced(SequencedError::TooFew { agree, asked, least }));
        };
        let claims = self.claims(At::Number(*height)).await;
        let way = self.anchors.way()?;
        let asserted: Vec<&ExecHeader> = way.shown.iter().map(|anchor| &anchor.header).collect();
        let agreed = agree(&claims, asked, least, &asserted).map_err(ReadError::Sequenced)?;
        L2Anchor::sequenced(agreed, way.l1.slot).map_err(ReadError::L2)
    }

    async fn claims(&self, at: At) -> Vec<Claim> {
        let ask = head(at);
        let mut claims = Vec::new();
        for (source, (by, answer)) in (0..).zip(self.crowd.ask_each(&ask).await) {
            let Ok(Answer::Header(raw)) = answer else { continue };
            let header = ExecHeader::decode(&raw).ok();
            match header.filter(|header| matches!(at, At::Latest) || at == At::Number(header.number)) {
                Some(header) => claims.push(Claim { source, header }),
                None => {
                    let why = "it is no header, or of another height".to_owned();
                    self.crowd.note(&by, &ask, Outcome::Refused(Refusal::Lie(why)));
                }
            }
        }
        claims
    }
}

const fn head(at: At) -> Ask {
    Ask::HeaderAt { layer: Layer::L2, at }
}

/// Verifies nodes. That the root itself is missing means another state, such as a reorganized block's: of no use, and perhaps no lie.
fn verify(bundle: ProofBundle, root: alloy_primitives::B256) -> Result<(ProvenState, ProofBundle), Refusal> {
    match bundle.verify(root) {
        Ok(proven) => Ok((proven, bundle)),
        Err(why @ ProofError::Account { why: TrieError::NoNode { depth: 0, .. }, .. }) => {
            Err(Refusal::Useless(format!("a proof of another state: {why}")))
        }
        Err(why) => Err(Refusal::Lie(why.to_string())),
    }
}

/// Keys in portions that one question may carry.
fn batches(keys: &Keys) -> Vec<Keys> {
    let (mut batches, mut batch, mut size) = (Vec::new(), Keys::new(), 0);
    for (account, slots) in keys {
        let mut slots = slots.iter().copied().peekable();
        loop {
            let taken: std::collections::BTreeSet<_> =
                slots.by_ref().take(MAX_KEYS.saturating_sub(size + 1)).collect();
            size += taken.len() + 1;
            batch.insert(*account, taken);
            if size >= MAX_KEYS {
                batches.push(std::mem::take(&mut batch));
                size = 0;
            }
            if slots.peek().is_none() {
                break;
            }
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}
