//! The wallet's witness over the light client: nonces by account proofs, blocks by a chain of parent hashes that ends in a header
//! that Ethereum names.
//!
//! In flow headers of any L2 source, each checked by its hash; out flow roots with their tier. Believes no source.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use lightclient::arbitrum::L2Anchor;
use lightclient::exec::header::ExecHeader;
use lightclient::proven::{Accept, Tier};
use lightclient::source::{Answer, Ask, Layer, Source};
use lightclient::state::{Keys, StateView};
use lightclient::sync::LightClient;
use wallet::{ProvenAccount, ProvenBlock, Witness, WitnessError};

/// Headers that one look fetches on its way from a proven one to an older block; the next look goes on from there. Between two
/// of Arbitrum One's assertions lie some fifteen thousand.
const MAX_WALK: u64 = 400;
/// Headers that are remembered: two hours of Arbitrum's, about four megabytes.
const MAX_KNOWN: usize = 30_000;
/// Oldest pending assertion that is looked for, L1 blocks: 145 days.
const MAX_AGE: u64 = 1 << 20;

/// The light client as the wallet's witness.
#[derive(Debug)]
pub(crate) struct ChainWitness {
    client: LightClient,
    /// Who is asked for headers.
    sources: Vec<Arc<dyn Source>>,
    /// Sources that must agree on a header that no assertion covers.
    agree: u16,
    /// Headers by their hash.
    known: Mutex<BTreeMap<B256, Known>>,
}

/// What is needed of a header.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: u64,
    parent: B256,
    transactions_root: B256,
    receipts_root: B256,
    base_fee: Option<u64>,
}

impl ChainWitness {
    /// A witness over a client. Of `sources`, those that give L2 headers are asked for them and not believed; two of them must
    /// name the same head, where there are two.
    pub(crate) fn new(client: LightClient, sources: Vec<Arc<dyn Source>>) -> Self {
        let ask = Ask::Header { layer: Layer::L2, hash: B256::ZERO };
        let sources: Vec<_> = sources.into_iter().filter(|source| source.can(&ask)).collect();
        let agree = if sources.len() > 1 { 2 } else { 1 };
        Self { client, sources, agree, known: Mutex::default() }
    }

    /// The header of this hash, from memory or from a source.
    async fn header(&self, hash: B256) -> Option<Known> {
        if let Some(known) = self.remembered(hash) {
            return Some(known);
        }
        let ask = Ask::Header { layer: Layer::L2, hash };
        for source in &self.sources {
            if let Ok(Answer::Header(raw)) = source.ask(&ask).await
                && let Some(known) = read(&raw, hash)
            {
                self.remember(hash, known);
                return Some(known);
            }
        }
        None
    }

    fn remembered(&self, hash: B256) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).copied()
    }

    fn remember(&self, hash: B256, known: Known) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_KNOWN {
            let mut numbers: Vec<u64> = all.values().map(|known| known.number).collect();
            let (_, middle, _) = numbers.select_nth_unstable(MAX_KNOWN / 2);
            let middle = *middle;
            // A walk goes downwards: what is farther from where it is now is needed less.
            all.retain(|_, other| (other.number < middle) == (known.number < middle));
        }
        all.insert(hash, known);
    }

    /// The header nearest above a block that Ethereum names, at the strongest tier; else the sequencer's head.
    async fn above(&self, number: u64) -> Result<L2Anchor, WitnessError> {
        let covers = |anchor: &L2Anchor| anchor.header.number >= number;
        if let Some(confirmed) = self.client.l2(Accept::Confirmed).await.ok().filter(covers) {
            return Ok(confirmed);
        }
        match self.client.l2(Accept::Pending { l1_blocks: 0 }).await {
            Ok(youngest) if covers(&youngest) => Ok(self.oldest_above(number, youngest).await),
            Ok(youngest) => self.head_above(number, youngest.header.number).await,
            Err(error) => Err(WitnessError::Unavailable(error.to_string())),
        }
    }

    /// The oldest assertion that covers a block, by halves: the older it is, the lower its block.
    async fn oldest_above(&self, number: u64, youngest: L2Anchor) -> L2Anchor {
        let age = |anchor: &L2Anchor| match anchor.tier {
            Tier::Pending { l1_blocks } => l1_blocks,
            Tier::Confirmed | Tier::Sequenced { .. } => MAX_AGE,
        };
        let (mut covers, mut below, mut best) = (age(&youngest), MAX_AGE, youngest);
        while covers + 1 < below {
            let middle = covers + (below - covers) / 2;
            match self.client.l2(Accept::Pending { l1_blocks: middle }).await {
                Ok(anchor) if anchor.header.number >= number => {
                    (covers, best) = (age(&anchor).max(middle), anchor);
                }
                Ok(_) => below = middle,
                Err(_) => break,
            }
        }
        best
    }

    /// The head, where it is near; what is farther below waits for an assertion.
    async fn head_above(&self, number: u64, asserted: u64) -> Result<L2Anchor, WitnessError> {
        let head = self.client.l2(Accept::Sequenced { agree: self.agree }).await;
        let near =
            |anchor: &L2Anchor| (number..=number.saturating_add(MAX_WALK)).contains(&anchor.header.number);
        head.ok().filter(near).ok_or_else(|| {
            let missing = number.saturating_sub(asserted);
            WitnessError::NotYet(format!(
                "no assertion on Ethereum covers block {number}; the newest that is finalized ends {missing} blocks before"
            ))
        })
    }

    /// The hash of the anchor's ancestor at a height.
    async fn ancestor(&self, anchor: &L2Anchor, number: u64) -> Result<B256, WitnessError> {
        let mut hash = anchor.header.hash;
        let (mut at, mut fetched) = (anchor.header.number, 0);
        while at > number {
            fetched += u64::from(self.remembered(hash).is_none());
            if fetched > MAX_WALK {
                let (top, left) = (anchor.header.number, at - number);
                return Err(WitnessError::NotYet(format!(
                    "{left} of {} headers between it and block {top}, which Ethereum names, are still to be fetched",
                    top - number
                )));
            }
            let header = self.header(hash).await;
            let header =
                header.ok_or_else(|| WitnessError::Unavailable(format!("nobody has header {hash}")))?;
            if header.number != at {
                return Err(WitnessError::Unavailable(format!("header {hash} is not of height {at}")));
            }
            (hash, at) = (header.parent, at - 1);
        }
        Ok(hash)
    }
}

#[async_trait]
impl Witness for ChainWitness {
    async fn account(&self, address: Address) -> Result<ProvenAccount, WitnessError> {
        let mut keys = Keys::default();
        keys.entry(address).or_default();
        let accept = Accept::Sequenced { agree: self.agree };
        let proven = self.client.prove(accept, keys).await;
        let proven = proven.map_err(|error| WitnessError::Unavailable(error.to_string()))?;
        let account = proven.value.account(address);
        let account = account.map_err(|error| WitnessError::Unavailable(error.to_string()))?;
        let (nonce, balance) = account.map(|account| (account.nonce, account.balance)).unwrap_or_default();
        Ok(ProvenAccount { nonce, balance, tier: tier(proven.anchor.tier), l2_block: proven.anchor.l2_block })
    }

    async fn receipts_root(&self, block_hash: B256) -> Result<ProvenBlock, WitnessError> {
        let block = self.header(block_hash).await;
        let block = block.ok_or_else(|| WitnessError::NotYet(format!("nobody has header {block_hash}")))?;
        let anchor = self.above(block.number).await?;
        if self.ancestor(&anchor, block.number).await? != block_hash {
            return Err(WitnessError::Elsewhere(block_hash));
        }
        Ok(ProvenBlock {
            number: block.number,
            hash: block_hash,
            transactions_root: block.transactions_root,
            receipts_root: block.receipts_root,
            base_fee: block.base_fee,
            tier: tier(anchor.tier),
        })
    }

    async fn base_fee(&self) -> Option<u64> {
        let anchor = self.client.l2(Accept::Sequenced { agree: self.agree }).await.ok()?;
        anchor.header.base_fee
    }
}

const fn tier(tier: Tier) -> wallet::Tier {
    match tier {
        Tier::Confirmed => wallet::Tier::Confirmed,
        Tier::Pending { .. } => wallet::Tier::Pending,
        Tier::Sequenced { .. } => wallet::Tier::Sequenced,
    }
}

/// Reads a header that must have this hash.
fn read(raw: &[u8], hash: B256) -> Option<Known> {
    let header = ExecHeader::verify(raw, hash).ok()?;
    Some(Known {
        number: header.number,
        parent: header.parent_hash,
        transactions_root: transactions_root(raw)?,
        receipts_root: header.receipts_root,
        base_fee: header.base_fee,
    })
}

/// Field 4 of a header (yellow paper 4.4.3).
fn transactions_root(mut raw: &[u8]) -> Option<B256> {
    let mut fields = alloy_rlp::Header::decode_bytes(&mut raw, true).ok()?;
    for _ in 0..4 {
        let head = alloy_rlp::Header::decode(&mut fields).ok()?;
        fields = fields.get(head.payload_length..)?;
    }
    let root = alloy_rlp::Header::decode_bytes(&mut fields, false).ok()?;
    (root.len() == 32).then(|| B256::from_slice(root))
}

#[cfg(test)]
mod tests;
