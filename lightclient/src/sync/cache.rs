//! What this node has verified and can give to others: few of each kind, newest first, bounded in bytes.
//! Proven state is kept by block, so that a read of the same block asks for nothing twice. Nothing enters
//! that was not verified.

use std::collections::VecDeque;

use alloy_primitives::{Address, B256, Bytes};

use crate::exec::ProofBundle;
use crate::exec::bundle::MAX_BUNDLE;
use crate::source::wire::{decode_answer, decode_ask, encode_answer, encode_ask};
use crate::source::{Answer, Ask};
use crate::state::{Keys, ProvenState};

/// Bootstraps: 25 KB each.
const BOOTSTRAPS: usize = 8;
/// Updates, one a period: 27 KB each; 14 days are 13 periods.
const UPDATES: usize = 16;
/// Headers of both layers: at most 4 KB each, usually 0.6.
const HEADERS: usize = 64;
/// Contract codes: at most 24 KB each.
const CODES: usize = 16;
/// Blocks whose proven state is kept, at most [`MAX_BUNDLE`] bytes each, usually below one MB.
const STATES: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Cache {
    bootstraps: Shelf,
    updates: Shelf,
    heads: Shelf,
    headers: Shelf,
    codes: Shelf,
    members: Shelf,
    states: VecDeque<State>,
}

/// Proven state of one block, and the nodes that prove it.
#[derive(Debug)]
struct State {
    block: B256,
    assertion: Option<B256>,
    proven: ProvenState,
    bundle: ProofBundle,
}

#[derive(Debug)]
struct Shelf {
    most: usize,
    items: VecDeque<(Ask, Answer)>,
}

impl Shelf {
    const fn new(most: usize) -> Self {
        Self { most, items: VecDeque::new() }
    }

    fn put(&mut self, ask: Ask, answer: Answer) {
        self.items.retain(|(known, _)| *known != ask);
        self.items.push_front((ask, answer));
        self.items.truncate(self.most);
    }

    fn get(&self, ask: &Ask) -> Option<Answer> {
        self.items.iter().find(|(known, _)| known == ask).map(|(_, answer)| answer.clone())
    }
}

impl Cache {
    pub(super) const fn new() -> Self {
        Self {
            bootstraps: Shelf::new(BOOTSTRAPS),
            updates: Shelf::new(UPDATES),
            heads: Shelf::new(2),
            headers: Shelf::new(HEADERS),
            codes: Shelf::new(CODES),
            members: Shelf::new(1),
            states: VecDeque::new(),
        }
    }

    /// Keeps a verified answer. State goes in by [`Self::add_state`].
    pub(super) fn put(&mut self, ask: Ask, answer: Answer) {
        match ask {
            Ask::Bootstrap { .. } => self.bootstraps.put(ask, answer),
            Ask::Update { .. } => self.updates.put(ask, answer),
            Ask::Finality | Ask::Optimistic => self.heads.put(ask, answer),
            Ask::Header { .. } => self.headers.put(ask, answer),
            Ask::Code { layer, hash, address, block: _ } => {
                // A code is the same at every block and address.
                let block = crate::source::Block { number: 0, hash: B256::ZERO };
                self.codes.put(Ask::Code { layer, block, address, hash }, answer);
            }
            Ask::Members { .. } => self.members.put(ask, answer),
            Ask::Checkpoint
            | Ask::Config
            | Ask::HeaderAt { .. }
            | Ask::Proof { .. }
            | Ask::Assertions { .. }
            | Ask::Bundle { .. }
            | Ask::Call { .. } => {}
        }
    }

    /// What can be given to somebody who asks this.
    pub(super) fn get(&self, ask: &Ask) -> Option<Answer> {
        match ask {
            Ask::Bootstrap { .. } => self.bootstraps.get(ask),
            Ask::Update { .. } => self.updates.get(ask),
            Ask::Finality | Ask::Optimistic => self.heads.get(ask),
            Ask::Header { .. } => self.headers.get(ask),
            Ask::Code { hash, .. } => self.code(*hash).map(Answer::Code),
            Ask::Proof { block, keys, .. } => self.nodes(block.hash, keys).map(Answer::Proof),
            Ask::Bundle { assertion } => self.bundle(*assertion).map(Answer::Bundle),
            Ask::Members { manager, .. } => {
                let members = self.members(*manager);
                (!members.is_empty()).then(|| Answer::Members(members.to_vec()))
            }
            Ask::Checkpoint
            | Ask::Config
            | Ask::HeaderAt { .. }
            | Ask::Assertions { .. }
            | Ask::Call { .. } => None,
        }
    }

    /// Who was in this contract's pool when it was last read, at whichever block: a hint.
    pub(super) fn members(&self, of: Address) -> &[Address] {
        match self.members.items.front() {
            Some((Ask::Members { manager, .. }, Answer::Members(members))) if *manager == of => members,
            _ => &[],
        }
    }

    /// What makes the next start cheap, newcomers' by bootstraps and updates and one's own by who was in the pool, as it is
    /// kept on disk: oldest first.
    pub(super) fn to_keep(&self) -> Vec<Vec<u8>> {
        let encoded = |(ask, answer): &(Ask, Answer)| {
            let (ask, answer) = (encode_ask(ask).ok()?, encode_answer(answer).ok()?);
            Some([&[u8::try_from(ask.len()).ok()?], ask.as_slice(), answer.as_slice()].concat())
        };
        let old_first = |shelf: &Shelf| shelf.items.iter().rev().filter_map(encoded).collect::<Vec<_>>();
        [&self.bootstraps, &self.updates, &self.members].map(old_first).concat()
    }

    /// Takes back what [`Self::to_keep`] gave; what cannot be read is left out. Whoever is served verifies it again.
    pub(super) fn put_kept(&mut self, kept: &[Vec<u8>]) {
        for bytes in kept {
            let Some((length, rest)) = bytes.split_first() else { continue };
            let Some((ask, answer)) = rest.split_at_checked(usize::from(*length)) else { continue };
            match (decode_ask(ask), decode_answer(answer)) {
                (Ok(ask @ Ask::Update { .. }), Ok(answer @ Answer::Update(_)))
                | (Ok(ask @ Ask::Members { .. }), Ok(answer @ Answer::Members(_)))
                | (Ok(ask @ Ask::Bootstrap { .. }), Ok(answer @ Answer::Bootstrap(_))) => {
                    self.put(ask, answer)
                }
                _ => {}
            }
        }
    }

    /// The raw header of this hash.
    pub(super) fn header(&self, ask: &Ask) -> Option<Bytes> {
        match self.headers.get(ask) {
            Some(Answer::Header(raw)) => Some(raw),
            _ => None,
        }
    }

    /// The code of this hash.
    pub(super) fn code(&self, wanted: B256) -> Option<Bytes> {
        self.codes.items.iter().find_map(|item| match item {
            (Ask::Code { hash, .. }, Answer::Code(code)) if *hash == wanted => Some(code.clone()),
            _ => None,
        })
    }

    /// What is proven of a block.
    pub(super) fn state(&self, block: B256) -> ProvenState {
        self.states
            .iter()
            .find(|state| state.block == block)
            .map(|state| state.proven.clone())
            .unwrap_or_default()
    }

    /// Adds what was proven of a block. The block becomes the newest; beyond [`STATES`] the oldest goes, and
    /// a block whose nodes grow beyond [`MAX_BUNDLE`] begins anew.
    pub(super) fn add_state(
        &mut self,
        block: B256,
        assertion: Option<B256>,
        proven: ProvenState,
        bundle: ProofBundle,
    ) {
        let at = self.states.iter().position(|state| state.block == block);
        let mut state = at.and_then(|at| self.states.remove(at)).unwrap_or_else(|| State {
            block,
            assertion,
            proven: ProvenState::default(),
            bundle: ProofBundle::default(),
        });
        if state.bundle.size().saturating_add(bundle.size()) > MAX_BUNDLE {
            (state.proven, state.bundle) = (ProvenState::default(), ProofBundle::default());
        }
        if state.proven.join(proven).is_ok() {
            for (account, slots) in bundle.keys {
                state.bundle.keys.entry(account).or_default().extend(slots);
            }
            state.bundle.nodes.extend(bundle.nodes);
        }
        state.assertion = assertion.or(state.assertion);
        self.states.push_front(state);
        self.states.truncate(STATES);
    }

    /// Notes which assertion commits to a block.
    pub(super) fn name_state(&mut self, block: B256, assertion: B256) {
        if let Some(state) = self.states.iter_mut().find(|state| state.block == block) {
            state.assertion = Some(assertion);
        }
    }

    fn nodes(&self, block: B256, keys: &Keys) -> Option<Vec<Bytes>> {
        let state = self.states.iter().find(|state| state.block == block)?;
        let whole = state.proven.lacks(keys).is_empty();
        whole.then(|| state.bundle.nodes.iter().cloned().collect())
    }

    fn bundle(&self, assertion: B256) -> Option<Bytes> {
        let state = self.states.iter().find(|state| state.assertion == Some(assertion))?;
        state.bundle.encode().ok().map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Layer;

    fn header(n: u8) -> Ask {
        Ask::Header { layer: Layer::L1, hash: B256::repeat_byte(n) }
    }

    #[test]
    fn the_newest_are_kept_and_the_oldest_go() {
        let mut cache = Cache::new();
        for n in 0..=HEADERS as u8 {
            cache.put(header(n), Answer::Header(Bytes::from(vec![n])));
        }
        assert_eq!(cache.get(&header(0)), None);
        assert_eq!(cache.header(&header(1)), Some(Bytes::from(vec![1])));
    }

    #[test]
    fn code_is_found_by_its_hash_alone() {
        let ask = |number| Ask::Code {
            layer: Layer::L2,
            block: crate::source::Block { number, hash: B256::ZERO },
            address: alloy_primitives::Address::repeat_byte(number as u8),
            hash: B256::repeat_byte(1),
        };
        let mut cache = Cache::new();
        cache.put(ask(1), Answer::Code(Bytes::from_static(b"code")));
        assert_eq!(cache.get(&ask(2)), Some(Answer::Code(Bytes::from_static(b"code"))));
    }

    #[test]
    fn the_last_pool_is_kept_and_is_one_contracts_alone() {
        let (manager, block) =
            (Address::repeat_byte(1), crate::source::Block { number: 7, hash: B256::ZERO });
        let pool = |size: u16| (0..size).map(|n| Address::left_padding_from(&n.to_be_bytes())).collect();
        let mut cache = Cache::new();
        for size in [1, 200, 1000] {
            cache.put(Ask::Members { manager, block }, Answer::Members(pool(size)));
        }
        let mut next = Cache::new();
        next.put_kept(&cache.to_keep());
        assert_eq!(next.members(manager).len(), 1000);
        assert_eq!(next.members(manager), cache.members(manager));
        assert!(next.members(Address::ZERO).is_empty());
    }

    #[test]
    fn what_was_not_proven_is_not_served() {
        let cache = Cache::new();
        let block = crate::source::Block { number: 1, hash: B256::ZERO };
        assert_eq!(cache.get(&Ask::Proof { layer: Layer::L2, block, keys: Keys::new() }), None);
        assert_eq!(cache.get(&Ask::Bundle { assertion: B256::ZERO }), None);
    }
}
