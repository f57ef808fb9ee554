//! What this node knows of the chain, as one value that is cheap to clone: it is published in a `tokio::sync::watch` channel
//! by the chain watcher, and looked at by whoever admits peers, prices work or shows it. Plain values; decides nothing. All of
//! it stays when every source is gone, and [`Known`] says how old it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, U256};
use protocol::amount::Word;
use protocol::{Lpt, PricePerPixel, Round, Wei};
use serde::Serialize;

pub use super::alarm::{Alarm, Cause};

/// Everything that is known, and since when. The default knows nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainView {
    /// How and when the facts below were proven; none before the first reading, and never none again.
    pub known: Option<Known>,
    /// The round that they belong to.
    pub round: Option<RoundFacts>,
    /// The whole pool, and who was evicted from it in this round and is active until its end. By staking address.
    pub members: Arc<BTreeMap<Address, Member>>,
    /// Most members that the pool may have.
    pub pool_limit: u64,
    /// This node's own orchestrator, where it has one.
    pub own: Option<Own>,
    /// The newest L1 block that is known.
    pub l1: Option<L1Head>,
    /// What a person must know, oldest first. At most [`MOST`](super::alarm::MOST).
    pub alarms: Vec<Alarm>,
    /// How the sources of proofs behave.
    pub sources: Arc<Vec<SourceHealth>>,
    /// What was done for this node's orchestrator, newest last. At most [`NOTES`].
    pub duties: Arc<Vec<Note>>,
    /// Between which prices this node works; nothing until a price feed says something.
    pub prices: PriceLimits,
    /// Facts that were taken since this node began, by how they were known.
    pub reads: Reads,
}

/// Facts taken into a [`ChainView`]: each round, orchestrator and balance of each reading is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reads {
    /// Proven down from what Ethereum's sync committee signed.
    pub proven: u64,
    /// Proven only under a header that servers name alike: in the end somebody was believed.
    pub trusted: u64,
}

impl Reads {
    /// Counts what a reading brought.
    pub const fn count(&mut self, tier: Tier, facts: u64) {
        match tier {
            Tier::Confirmed | Tier::Pending { .. } => self.proven = self.proven.saturating_add(facts),
            Tier::Sequenced { .. } => self.trusted = self.trusted.saturating_add(facts),
        }
    }
}

/// Entries that the log of duties keeps: reward and initialization of a fortnight's rounds.
pub const NOTES: usize = 32;

/// The newest L1 block that is known: rounds are counted in L1 blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L1Head {
    /// Its number.
    pub block: u64,
    /// Its time, Unix milliseconds.
    pub at_ms: u64,
    /// Milliseconds from one block to the next.
    pub slot_ms: u64,
}

/// Blocks that are counted on by the clock alone: a finalized header is some 96 behind, beyond that nothing is known.
const GUESSED_BLOCKS: u64 = 128;

impl L1Head {
    /// The L1 block that runs at `now_ms` (Unix milliseconds), as near as a clock tells.
    #[must_use]
    pub fn now(&self, now_ms: u64) -> u64 {
        let passed = now_ms.saturating_sub(self.at_ms) / self.slot_ms.max(1);
        self.block.saturating_add(passed.min(GUESSED_BLOCKS))
    }
}

/// How strongly a fact is bound to what Ethereum's sync committee signed, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "tier", rename_all = "lowercase")]
pub enum Tier {
    /// Under an assertion that the rollup contract confirmed, some 6.4 days old.
    Confirmed,
    /// Under an assertion that nobody has challenged for so many L1 blocks.
    Pending {
        /// L1 blocks of 12 s.
        l1_blocks: u64,
    },
    /// In a header that several sources name alike; no proof stands behind it.
    Sequenced {
        /// Sources that agree.
        agree: u16,
        /// Sources that were asked.
        asked: u16,
    },
}

/// How and when facts were proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How strongly.
    pub tier: Tier,
    /// Slot of the beacon header that the proof starts from.
    pub l1_slot: u64,
    /// L2 block whose state they are.
    pub l2_block: u64,
    /// That block's time, Unix milliseconds. Ages are measured from it.
    pub at_ms: u64,
    /// When this node read it, Unix milliseconds.
    pub read_at_ms: u64,
}

/// A round, and what it mints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundFacts {
    /// Its number.
    pub number: Round,
    /// Whether somebody called `initializeRound()`: until then nobody can bond, reward or redeem.
    pub initialized: bool,
    /// Last round that was.
    pub last_initialized: Round,
    /// Its first L1 block.
    pub start_block: u64,
    /// Its length, L1 blocks.
    pub length: u64,
    /// L1 block that the facts belong to.
    pub l1_block: u64,
    /// Whether cuts may no longer be changed in it.
    pub locked: bool,
    /// Whether the owner has paused the contracts.
    pub paused: bool,
    /// Inflation of this round, parts per billion of the supply.
    pub inflation: Word,
    /// LPT that exist, as near as the contracts tell; none without inflation.
    pub supply: Option<Lpt>,
    /// Stake of this round's active set.
    pub active_stake: Lpt,
    /// What this round may mint.
    pub mintable: Lpt,
    /// What it has minted.
    pub minted: Lpt,
    /// Share of the supply that is staked at which inflation stays as it is, parts per billion.
    pub target_participation: Word,
}

impl RoundFacts {
    /// First L1 block after it.
    #[must_use]
    pub const fn end_block(&self) -> u64 {
        self.start_block.saturating_add(self.length)
    }

    /// Share of the supply that is staked in it, parts per million.
    #[must_use]
    pub fn participation(&self) -> Option<u64> {
        let supply = self.supply.filter(|supply| !supply.0.is_zero())?;
        let ppm = self.active_stake.0.checked_mul(U256::from(1_000_000))? / supply.0;
        u64::try_from(ppm).ok()
    }
}

/// An orchestrator of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Stake delegated to it, its own included, LPT base units.
    pub stake: U256,
    /// Whether it is in the active set of the round.
    pub active: bool,
    /// Whether it is in the pool, that is active in the next round as things stand.
    pub in_pool: bool,
    /// Part of rewards that it keeps, parts per million.
    pub reward_cut: u64,
    /// Part of fees that it gives to its delegators, parts per million.
    pub fee_share: u64,
    /// Where it says that it serves.
    pub service_uri: Option<String>,
    /// Round of its last `reward()`.
    pub last_reward_round: Round,
}

/// This node's own orchestrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its staking address.
    pub address: Address,
    /// Who calls for it; none where this node has no key and only watches.
    pub caller: Option<Address>,
    /// What the caller has for gas.
    pub balance: Option<Wei>,
    /// Whether it is registered at all.
    pub registered: bool,
    /// What is known of it.
    pub facts: Member,
}

/// How one source of proofs behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceHealth {
    /// Its name.
    pub name: String,
    /// `good`, `resting` or `liar`.
    pub standing: String,
    /// Answers that verified.
    pub answers: u64,
    /// Requests without a usable answer.
    pub failures: u64,
    /// Answers that did not verify.
    pub lies: u64,
    /// Slots behind the best source.
    pub lag_slots: Option<u64>,
    /// Smoothed time to an answer, milliseconds.
    pub latency_ms: Option<u64>,
    /// What went wrong last.
    pub last_fault: Option<String>,
}

/// What happened with a duty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// `reward` or `initialize`.
    pub duty: String,
    /// For which round.
    pub round: u64,
    /// `done`, `not_needed`, `failed` or `lost`.
    pub outcome: String,
    /// In plain words.
    pub words: String,
    /// Unix milliseconds.
    pub at_ms: u64,
}

/// Between which prices a node works. A price feed sets them; wei a pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriceLimits {
    /// Least that an orchestrator here asks.
    pub least: Option<PricePerPixel>,
    /// Most that a broadcaster here pays.
    pub most: Option<PricePerPixel>,
}

impl ChainView {
    /// Whether an address is active in the round, as proven; none where nothing is known yet.
    #[must_use]
    pub fn active(&self, staker: &Address) -> Option<bool> {
        self.known?;
        Some(self.members.get(staker).is_some_and(|member| member.active))
    }

    /// The L1 block that runs at `now_ms` (Unix milliseconds), as near as is known.
    #[must_use]
    pub fn l1_block(&self, now_ms: u64) -> Option<u64> {
        let proven = self.round.as_ref().map(|round| round.l1_block);
        self.l1.map(|l1| l1.now(now_ms)).max(proven)
    }

    /// Milliseconds between the block that the facts lie in and `now_ms` (Unix milliseconds).
    #[must_use]
    pub fn age_ms(&self, now_ms: u64) -> Option<u64> {
        self.known.map(|known| now_ms.saturating_sub(known.at_ms))
    }
}
