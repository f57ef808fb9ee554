//! Proofs on request: which block serves an accepted tier, trie nodes from anybody, verified under that
//! block's state root, guards checked with every batch. What was proven once is not asked for again while its
//! block is in use.

use alloy_primitives::{Address, Bytes, keccak256};

use super::anchors::L1Block;
use super::items::off_topic;
use super::shared::Shared;
use super::status::{Alarm, Phase};
use crate::arbitrum::L2Anchor;
use crate::exec::mpt::TrieError;
use crate::exec::{ProofBundle, ProofError};
use crate::livepeer::{Part, Unreadable, guard};
use crate::proven::{Accept, Proven};
use crate::source::crowd::{AskError, Refusal};
use crate::source::{Answer, Ask, Block, Layer};
use crate::state::{Keys, ProvenState, StateView};

#[cfg(feature = "evm")]
mod cross;
mod error;
mod sequenced;

#[cfg(feature = "evm")]
pub use cross::CrossError;
pub use error::{Lacking, ReadError};

/// Times that a read may ask for more; a list of 100 members without any hint takes one each.
const MAX_ROUNDS: usize = 256;
/// Times that guards may want more: first the registry, then the code that it names.
const GUARD_ROUNDS: usize = 4;
/// Slots and accounts in one question; sources split further where a server wants that.
const MAX_KEYS: usize = 1024;

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
        let (mut keys, touched) = self.with_guards(keys);
        for _ in 0..GUARD_ROUNDS {
            let state = self.prove_anchored(anchor, &keys).await?;
            let Some(contracts) = self.config.contracts.as_ref().filter(|_| !touched.is_empty()) else {
                return Ok(state);
            };
            match guard::check(&state, contracts, &touched) {
                Ok(()) => return Ok(state),
                // A target that is known by its code alone: now it is known which account has it.
                Err(Unreadable::Wanted(more)) => join_keys(&mut keys, &more),
                Err(Unreadable::Unexpected(unexpected)) => {
                    self.raise(Alarm::Guard(unexpected.into()));
                    return Err(ReadError::Guard(unexpected.into()));
                }
                Err(why) => return Err(ReadError::Unguarded(why)),
            }
        }
        Err(ReadError::Endless)
    }

    async fn prove_anchored(&self, anchor: &L2Anchor, keys: &Keys) -> Result<ProvenState, ReadError> {
        let block = Block { number: anchor.header.number, hash: anchor.header.hash };
        let root = anchor.header.state_root;
        let state = match (self.prove_block(Layer::L2, block, root, keys).await, anchor.assertion) {
            (Err(ReadError::Nobody(error)), Some(assertion)) => {
                self.bundled(assertion, block, root, keys).await.map_err(|_| error)?
            }
            (proven, _) => proven?,
        };
        if let Some(assertion) = anchor.assertion {
            self.cache().name_state(block.hash, assertion);
        }
        Ok(state)
    }

    /// Adds what names the code of every contract that is touched.
    fn with_guards(&self, keys: &Keys) -> (Keys, Vec<Part>) {
        let mut keys = keys.clone();
        let Some(contracts) = &self.config.contracts else { return (keys, Vec::new()) };
        let touches = |part: &Part| {
            let at = contracts.address(*part);
            !at.is_zero() && keys.contains_key(&at)
        };
        let touched: Vec<Part> = Part::ALL.into_iter().filter(touches).collect();
        join_keys(&mut keys, &guard::keys(contracts, &touched));
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
        Ok(proven(self.fetch_code(&ask).await?))
    }

    /// The code that a question names by its hash.
    pub(super) async fn fetch_code(&self, ask: &Ask) -> Result<Bytes, ReadError> {
        let Ask::Code { address, hash, .. } = *ask else { return Err(ReadError::Endless) };
        let won = self.crowd.ask(ask, |answer| match answer {
            Answer::Code(code) if keccak256(&code) == hash => Ok(code),
            Answer::Code(_) => Err(Refusal::Lie(format!("the code of {address} does not hash to {hash}"))),
            _ => Err(off_topic()),
        });
        let code = won.await?.value;
        self.verified(ask.clone(), Answer::Code(code.clone()));
        Ok(code)
    }

    fn ready(&self) -> Result<(), ReadError> {
        match self.core().phase(self.now_ms()) {
            Phase::Halted => Err(ReadError::Halted),
            Phase::Bootstrapping => Err(ReadError::NotYet("nothing is finalized")),
            Phase::CatchingUp { .. } | Phase::Following | Phase::Stalled { .. } => Ok(()),
        }
    }

    /// Proves keys under a state root: from the cache, and what is not there from anybody. Everything proven
    /// of the block is in the result.
    pub(super) async fn prove_block(
        &self,
        layer: Layer,
        block: Block,
        root: alloy_primitives::B256,
        keys: &Keys,
    ) -> Result<ProvenState, ReadError> {
        let mut state = self.cache().state(block.hash);
        for keys in batches(&state.lacks(keys)) {
            let ask = Ask::Proof { layer, block, keys: keys.clone() };
            let won = self.crowd.ask(&ask, |answer| match answer {
                Answer::Proof(nodes) => {
                    verify(ProofBundle { keys: keys.clone(), nodes: nodes.into_iter().collect() }, root)
                }
                _ => Err(off_topic()),
            });
            let (proven, bundle) = won.await?.value;
            join(&mut state, proven.clone());
            self.cache().add_state(block.hash, None, proven, bundle);
        }
        Ok(state)
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
        self.cache().add_state(block.hash, Some(assertion), proven.clone(), bundle);
        let mut state = self.cache().state(block.hash);
        join(&mut state, proven);
        Ok(state)
    }
}

pub(super) fn join_keys(keys: &mut Keys, more: &Keys) {
    more.iter().for_each(|(account, slots)| keys.entry(*account).or_default().extend(slots));
}

/// Adds what was proven under the same root.
fn join(state: &mut ProvenState, proven: ProvenState) {
    // A block's state has one root, which both were verified under.
    let joined = state.join(proven);
    debug_assert!(joined.is_ok(), "{joined:?}");
}

/// Verifies nodes. That the root itself is missing means another state, such as a reorganized block's: of no
/// use, and perhaps no lie.
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
