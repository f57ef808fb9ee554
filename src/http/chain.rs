//! What `/api/v1/chain` says: the round, the pool, this node's orchestrator, alarms, sources, duties; how all of it was proven
//! and how old it is. Amounts are decimal strings of base units, rates are parts per million or billion as named.

use actors::chain_watcher::view::{ChainView, Member, Note, Reads, RoundFacts, SourceHealth, Tier};
use alloy_primitives::Address;
use protocol::Lpt;
use serde::Serialize;

/// Everything at one instant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChainState {
    /// Name of the network.
    pub network: String,
    /// How it is known; nothing is before the first reading.
    pub known: Option<Known>,
    /// The round.
    pub round: Option<Round>,
    /// Who is in the pool or active, most stake first.
    pub members: Vec<Orchestrator>,
    /// Most members that the pool may have.
    pub pool_limit: u64,
    /// This node's own.
    pub own: Option<Own>,
    /// What a person must know, oldest first.
    pub alarms: Vec<Alarm>,
    /// Where proofs come from.
    pub sources: Vec<SourceHealth>,
    /// What was done for the own orchestrator, newest last.
    pub duties: Vec<Note>,
    /// Facts taken since the node began, by how they were known.
    pub reads: Reads,
}

/// How and when it was proven.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Known {
    /// How strongly.
    #[serde(flatten)]
    pub tier: Tier,
    /// Slot of the beacon header that the proofs start from.
    pub l1_slot: u64,
    /// L2 block of the facts.
    pub l2_block: u64,
    /// Its time, Unix milliseconds.
    pub at_unix_ms: u64,
    /// When this node read it, Unix milliseconds.
    pub read_at_unix_ms: u64,
    /// Its age, milliseconds.
    pub age_ms: u64,
}

/// The round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    /// Its number.
    pub number: u64,
    /// Whether somebody began it.
    pub initialized: bool,
    /// Whether cuts may no longer change.
    pub locked: bool,
    /// Whether the contracts are paused.
    pub paused: bool,
    /// Its first L1 block.
    pub start_block: u64,
    /// The first one after it.
    pub end_block: u64,
    /// L1 block of the facts.
    pub l1_block: u64,
    /// L1 block that runs now, as near as is known.
    pub l1_block_now: u64,
    /// Inflation, parts per billion of the supply.
    pub inflation_ppb: String,
    /// LPT that exist.
    pub supply: Option<Lpt>,
    /// Share of them that is staked, parts per million.
    pub participation_ppm: Option<u64>,
    /// Share at which inflation stays, parts per billion.
    pub target_participation_ppb: String,
    /// Stake of the active set.
    pub active_stake: Lpt,
    /// What the round may mint.
    pub mintable: Lpt,
    /// What it has minted.
    pub minted: Lpt,
}

/// An orchestrator of the pool.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Orchestrator {
    /// Its staking address.
    pub address: Address,
    /// Its stake.
    pub stake: Lpt,
    /// Whether it is active in the round.
    pub active: bool,
    /// Whether it is in the pool, that is active in the next one.
    pub in_pool: bool,
    /// Part of rewards that it keeps, parts per million.
    pub reward_cut_ppm: u64,
    /// Part of fees that it gives away, parts per million.
    pub fee_share_ppm: u64,
    /// Where it says that it serves.
    pub service_uri: Option<String>,
    /// Round of its last reward.
    pub last_reward_round: u64,
    /// Whether that is this round.
    pub rewarded: bool,
}

/// This node's own orchestrator.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Own {
    /// Its state.
    #[serde(flatten)]
    pub facts: Orchestrator,
    /// Whether it is registered at all.
    pub registered: bool,
    /// Who calls for it.
    pub caller: Option<Address>,
    /// What the caller has for gas.
    pub balance: Option<protocol::Wei>,
}

/// What a person must know.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Alarm {
    /// One word for it.
    pub kind: String,
    /// What happened, and what to do.
    pub message: String,
    /// Since when, Unix milliseconds.
    pub since_unix_ms: u64,
}

impl ChainState {
    /// What `view` says at `now_ms` (Unix milliseconds).
    pub(crate) fn of(network: &str, view: &ChainView, now_ms: u64) -> Self {
        let number = view.round.as_ref().map_or(0, |round| round.number.0);
        let mut members: Vec<_> =
            view.members.iter().map(|(address, one)| orchestrator(*address, one, number)).collect();
        members.sort_by(|a, b| b.stake.cmp(&a.stake).then(a.address.cmp(&b.address)));
        Self {
            network: network.into(),
            known: view.known.map(|known| Known {
                tier: known.tier,
                l1_slot: known.l1_slot,
                l2_block: known.l2_block,
                at_unix_ms: known.at_ms,
                read_at_unix_ms: known.read_at_ms,
                age_ms: now_ms.saturating_sub(known.at_ms),
            }),
            round: view.round.as_ref().map(|round| self::round(round, view.l1_block(now_ms))),
            members,
            pool_limit: view.pool_limit,
            own: view.own.as_ref().map(|own| Own {
                facts: orchestrator(own.address, &own.facts, number),
                registered: own.registered,
                caller: own.caller,
                balance: own.balance,
            }),
            alarms: view.alarms.iter().map(alarm).collect(),
            sources: view.sources.as_ref().clone(),
            duties: view.duties.as_ref().clone(),
            reads: view.reads,
        }
    }
}

fn round(round: &RoundFacts, now: Option<u64>) -> Round {
    Round {
        number: round.number.0,
        initialized: round.initialized,
        locked: round.locked,
        paused: round.paused,
        start_block: round.start_block,
        end_block: round.end_block(),
        l1_block: round.l1_block,
        l1_block_now: now.unwrap_or(round.l1_block),
        inflation_ppb: round.inflation.to_string(),
        supply: round.supply,
        participation_ppm: round.participation(),
        target_participation_ppb: round.target_participation.to_string(),
        active_stake: round.active_stake,
        mintable: round.mintable,
        minted: round.minted,
    }
}

fn orchestrator(address: Address, one: &Member, round: u64) -> Orchestrator {
    Orchestrator {
        address,
        stake: Lpt(one.stake),
        active: one.active,
        in_pool: one.in_pool,
        reward_cut_ppm: one.reward_cut,
        fee_share_ppm: one.fee_share,
        service_uri: one.service_uri.clone(),
        last_reward_round: one.last_reward_round.0,
        rewarded: round > 0 && one.last_reward_round.0 == round,
    }
}

fn alarm(alarm: &actors::chain_watcher::Alarm) -> Alarm {
    Alarm {
        kind: alarm.cause.kind().to_owned(),
        message: alarm.cause.to_string(),
        since_unix_ms: alarm.since_ms,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use actors::chain_watcher::{Alarm as On, Cause, Known as Proven};
    use alloy_primitives::U256;

    use super::*;

    fn member(stake: u64) -> Member {
        Member {
            stake: U256::from(stake),
            active: true,
            in_pool: true,
            reward_cut: 100_000,
            fee_share: 500_000,
            service_uri: None,
            last_reward_round: protocol::Round(7),
        }
    }

    fn view() -> ChainView {
        let members: BTreeMap<_, _> =
            [(1, 5), (2, 9), (3, 7)].map(|(n, stake)| (Address::repeat_byte(n), member(stake))).into();
        ChainView {
            known: Some(Proven {
                tier: Tier::Pending { l1_blocks: 300 },
                l1_slot: 12,
                l2_block: 34,
                at_ms: 1000,
                read_at_ms: 2000,
            }),
            members: Arc::new(members),
            alarms: vec![On { cause: Cause::Paused, since_ms: 1500 }],
            ..ChainView::default()
        }
    }

    #[test]
    fn every_fact_comes_with_the_tier_and_age_of_its_proof() {
        let said = serde_json::to_value(ChainState::of("devnet", &view(), 61_000)).unwrap();
        let known = &said["known"];
        assert_eq!((&known["tier"], &known["l1_blocks"]), (&"pending".into(), &300.into()));
        assert_eq!((&known["l2_block"], &known["age_ms"]), (&34.into(), &60_000.into()));
        assert_eq!(
            (&said["alarms"][0]["kind"], &said["alarms"][0]["since_unix_ms"]),
            (&"paused".into(), &1500.into())
        );
    }

    #[test]
    fn members_are_in_order_of_stake_and_amounts_keep_every_digit() {
        let said = serde_json::to_value(ChainState::of("devnet", &view(), 0)).unwrap();
        let stakes: Vec<_> =
            said["members"].as_array().unwrap().iter().map(|one| one["stake"].clone()).collect();
        assert_eq!(stakes, ["9", "7", "5"]);
    }

    #[test]
    fn nothing_is_claimed_before_anything_is_proven() {
        let said = serde_json::to_value(ChainState::of("devnet", &ChainView::default(), 5)).unwrap();
        assert!(said["known"].is_null() && said["round"].is_null() && said["own"].is_null());
    }
}
