//! What this node does for others: gives what it verified, fetches and verifies what it lacks where that
//! belongs to the chain it follows, and takes what they send unasked. Whatever is asked, nothing is given
//! that was not verified here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, B256};

use super::{Shared, lock};
use crate::consensus::Header;
use crate::exec::ExecHeader;
use crate::livepeer::{self, Hint, Read};
use crate::proven::{Accept, Anchor};
use crate::source::crowd::Refusal;
use crate::source::{Answer, Ask, Block, Layer};
use crate::sync::core::{Item, Want};
use crate::sync::{Offered, items};

/// Questions that wait to be fetched for others.
const WAITING: usize = 16;
/// Questions fetched for others at the same time.
const FLYING: usize = 8;
/// Accounts and slots in one question that is fetched for others.
const MOST_KEYS: usize = 2048;

/// Time for a hint: it is to save round trips, not to cost any.
const HINT_WITHIN: Duration = Duration::from_secs(3);

/// What others want and this node does not have yet.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    waiting: Vec<Ask>,
    flying: Vec<Ask>,
}

impl Wishes {
    fn wish(&mut self, ask: &Ask) -> bool {
        let new = !self.waiting.contains(ask) && !self.flying.contains(ask) && self.waiting.len() < WAITING;
        if new {
            self.waiting.push(ask.clone());
        }
        new
    }

    /// Whether this one may be fetched now. One that is under way already may not: two nodes that each lack
    /// it would otherwise ask each other for ever.
    fn take_off(&mut self, ask: &Ask) -> bool {
        let free = !self.flying.contains(ask) && self.flying.len() < FLYING;
        if free {
            self.flying.push(ask.clone());
        }
        free
    }

    fn land(&mut self, ask: &Ask) {
        self.flying.retain(|flying| flying != ask);
    }
}

/// Something that is being fetched; lands also when who waited for it gives up.
struct Flight<'a> {
    wishes: &'a Mutex<Wishes>,
    ask: &'a Ask,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        lock(self.wishes).land(self.ask);
    }
}

/// Fetches what others wish for, until the task is ended.
pub(in crate::sync) async fn grant(shared: Arc<Shared>) {
    loop {
        let wish = lock(&shared.wishes).waiting.pop();
        match wish {
            Some(ask) => _ = shared.fetch(&ask).await,
            None => shared.wished.notified().await,
        }
    }
}

impl Shared {
    /// Gives what is there, and notes as a wish what is not.
    pub(in crate::sync) fn serve(&self, ask: &Ask) -> Option<Answer> {
        let answer = self.known(ask);
        if answer.is_none() && self.may_fetch(ask) && lock(&self.wishes).wish(ask) {
            self.wished.notify_one();
        }
        answer
    }

    /// Gives what is there, or fetches it first.
    pub(in crate::sync) async fn supply(&self, ask: &Ask) -> Option<Answer> {
        if let Some(answer) = self.known(ask) {
            return Some(answer);
        }
        if !self.may_fetch(ask) {
            return None;
        }
        self.fetch(ask).await;
        self.known(ask)
    }

    fn known(&self, ask: &Ask) -> Option<Answer> {
        match ask {
            Ask::Assertions { rollup, hashes, .. } => {
                self.anchors.logs(*rollup, hashes).map(Answer::Assertions)
            }
            Ask::Checkpoint => {
                let header = self.finalized()?;
                Some(Answer::Checkpoint { root: header.root(), slot: header.slot() })
            }
            // The store keeps what finalized its newest header, over restarts as well.
            Ask::Finality => {
                let proof = self.core().store()?.proof().cloned();
                let Some(update) = proof else { return self.cache().get(ask) };
                Some(items::relayed(&self.config.spec, &Item::Finality(Box::new(update))).1)
            }
            other => self.cache().get(other),
        }
    }

    /// Whether a question is about the chain that is followed here, so that fetching its answer is no work
    /// for nothing.
    fn may_fetch(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Bootstrap { root } => self.core().history().iter().any(|(_, finalized)| finalized == root),
            Ask::Header { layer: Layer::L1, hash } => self.finalized_block() == Some(*hash),
            Ask::Header { layer: Layer::L2, hash } => self.anchors.commits_to(*hash),
            Ask::Proof { layer, block, keys } => {
                let size: usize = keys.values().map(|slots| slots.len() + 1).sum();
                size <= MOST_KEYS
                    && match layer {
                        Layer::L1 => self.finalized_block() == Some(block.hash),
                        Layer::L2 => self.cached_header(block.hash).is_some(),
                    }
            }
            Ask::Code { layer: Layer::L2, block, .. } => self.cached_header(block.hash).is_some(),
            Ask::Update { .. }
            | Ask::Finality
            | Ask::Optimistic
            | Ask::Checkpoint
            | Ask::Config
            | Ask::HeaderAt { .. }
            | Ask::Code { layer: Layer::L1, .. }
            | Ask::Assertions { .. }
            | Ask::Bundle { .. }
            | Ask::Members { .. }
            | Ask::Call { .. } => false,
        }
    }

    /// Fetches and verifies; what came of it is in the cache.
    async fn fetch(&self, ask: &Ask) {
        if !lock(&self.wishes).take_off(ask) {
            return;
        }
        let _flight = Flight { wishes: &self.wishes, ask };
        // That nobody has it is an answer as well: the cache stays as it is.
        match ask {
            Ask::Bootstrap { root } => self.fetch_bootstrap(*root).await,
            Ask::Header { layer, hash } => drop(self.header(*layer, *hash).await),
            Ask::Proof { layer: Layer::L1, block, keys } => {
                if let Ok(l1) = self.l1_block().await
                    && l1.block() == *block
                {
                    drop(self.prove_block(Layer::L1, *block, l1.state_root, keys).await);
                }
            }
            Ask::Proof { layer: Layer::L2, block, keys } => {
                if let Some(header) =
                    self.cached_header(block.hash).filter(|header| header.number == block.number)
                {
                    drop(self.prove_block(Layer::L2, *block, header.state_root, keys).await);
                }
            }
            Ask::Code { .. } => drop(self.fetch_code(ask).await),
            _ => {}
        }
    }

    async fn fetch_bootstrap(&self, root: alloy_primitives::B256) {
        let want = Want::Bootstrap { root };
        if let Ok(won) = self.crowd.ask(&items::ask_for(want), |answer| self.check(want, &answer)).await {
            let (ask, answer) = items::relayed(&self.config.spec, &won.value.0);
            self.verified(ask, answer);
        }
    }

    fn finalized_block(&self) -> Option<alloy_primitives::B256> {
        self.core()
            .finalized()
            .map(|header: &Header| &header.exec)
            .and_then(crate::consensus::ExecAnchor::block_hash)
    }

    fn cached_header(&self, hash: alloy_primitives::B256) -> Option<ExecHeader> {
        let raw = self.cache().header(&Ask::Header { layer: Layer::L2, hash })?;
        ExecHeader::verify(&raw, hash).ok()
    }

    /// Takes what somebody sent unasked.
    pub(in crate::sync) async fn offer(&self, answer: &Answer) -> Offered {
        let Some((want, _)) = items::claim_of(answer, None) else { return Offered::Known };
        match self.check(want, answer) {
            Ok((item, checked)) => {
                if self.take(item, checked).await {
                    Offered::Advanced
                } else {
                    Offered::Known
                }
            }
            Err(Refusal::Useless(_)) => Offered::Known,
            Err(Refusal::Lie(why)) => Offered::Lie(why),
        }
    }

    /// Adds members of the pool: as they were last read, by this run or an earlier one, or else as somebody believes. It decides
    /// what is fetched first; that the list is whole is proven afterwards, whatever it was.
    pub(in crate::sync) async fn better_hint(
        &self,
        accept: Accept,
        ask: &livepeer::Ask,
        hint: &Hint,
    ) -> Hint {
        let mut hint = hint.clone();
        if hint.members.is_empty() {
            hint.members = self.known_members();
        }
        if hint.members.is_empty() && *ask == livepeer::Ask::Pool {
            // Without it the read takes more round trips, and no other harm is done.
            hint.members = tokio::time::timeout(HINT_WITHIN, self.believed_members(accept))
                .await
                .unwrap_or_default()
                .unwrap_or_default();
        }
        hint
    }

    fn known_members(&self) -> Vec<Address> {
        let manager = self.config.contracts.as_ref().map(|contracts| contracts.bonding_manager);
        manager.map(|manager| self.cache().members(manager).to_vec()).unwrap_or_default()
    }

    async fn believed_members(&self, accept: Accept) -> Option<Vec<Address>> {
        let manager = self.config.contracts.as_ref()?.bonding_manager;
        let header = self.l2(accept).await.ok()?.header;
        let ask = Ask::Members { manager, block: Block { number: header.number, hash: header.hash } };
        let won = self.crowd.ask(&ask, |answer| match answer {
            Answer::Members(members) if members.is_empty() => {
                Err(Refusal::Useless("it names nobody".to_owned()))
            }
            Answer::Members(members) => Ok(members),
            _ => Err(items::off_topic()),
        });
        won.await.ok().map(|won| won.value)
    }

    /// Remembers what makes the next read a single request, over restarts as well.
    pub(in crate::sync) async fn learn(&self, read: &Read, anchor: &Anchor) {
        let (Read::Pool(pool), Some(contracts)) = (read, &self.config.contracts) else { return };
        let mut members: Vec<Address> = pool.members.iter().map(|member| member.address).collect();
        members.sort_unstable();
        if members == self.known_members() {
            return;
        }
        let block = Block { number: anchor.l2_block, hash: B256::ZERO };
        let ask = Ask::Members { manager: contracts.bonding_manager, block };
        self.cache().put(ask, Answer::Members(members));
        self.keep_cached().await;
    }
}
