//! What a node shows of the chain as metrics: ages and alarms first, because somebody wants to be woken by them.

use actors::chain_watcher::ChainView;
use alloy_primitives::U256;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Base units of one LPT.
const LPT: f64 = 1e18;

type Float = Gauge<f64, std::sync::atomic::AtomicU64>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ChainFigures {
    age: Float,
    block: Gauge,
    round: Gauge,
    initialized: Gauge,
    progress: Float,
    members: Gauge,
    active_stake: Float,
    inflation: Gauge,
    participation: Float,
    own_stake: Float,
    own_active: Gauge,
    last_reward: Gauge,
    reward_errors: Gauge,
    alarms: Family<Kind, Gauge>,
    lies: Family<Source, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Source {
    source: String,
}

impl ChainFigures {
    pub(super) fn set(&self, view: &ChainView, now_ms: u64) {
        if let Some(known) = view.known {
            self.age.set(now_ms.saturating_sub(known.at_ms) as f64 / 1000.0);
            self.block.set(signed(known.l2_block));
        }
        if let Some(round) = &view.round {
            self.round.set(signed(round.number.0));
            self.initialized.set(i64::from(round.initialized));
            let passed = view.l1_block(now_ms).unwrap_or(round.l1_block).saturating_sub(round.start_block);
            self.progress.set((passed as f64 / round.length.max(1) as f64).min(1.0));
            self.active_stake.set(lpt(round.active_stake.0));
            self.inflation.set(i64::try_from(round.inflation.0).unwrap_or(i64::MAX));
            self.participation.set(round.participation().unwrap_or(0) as f64 / 1e6);
        }
        self.members.set(signed(view.members.values().filter(|member| member.in_pool).count() as u64));
        if let Some(own) = &view.own {
            self.own_stake.set(lpt(own.facts.stake));
            self.own_active.set(i64::from(own.facts.active));
            self.last_reward.set(signed(own.facts.last_reward_round.0));
        }
        let failed = view.duties.iter().filter(|note| note.duty == "reward" && note.outcome == "failed");
        self.reward_errors.set(signed(failed.count() as u64));
        self.alarms.clear();
        for alarm in &view.alarms {
            self.alarms.get_or_create(&Kind { kind: alarm.cause.kind().to_owned() }).inc();
        }
        self.lies.clear();
        for source in view.sources.iter() {
            self.lies.get_or_create(&Source { source: source.name.clone() }).set(signed(source.lies));
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let theirs = registry.sub_registry_with_prefix("livepeer");
        let help = "Rewards of the last rounds that were called and failed";
        theirs.register("reward_call_errors", help, self.reward_errors.clone());
        let ours = registry.sub_registry_with_prefix("livemesh");
        let help = "Age of the newest proven state, from the time of its L2 block";
        ours.register_with_unit("chain_age", help, Unit::Seconds, self.age.clone());
        ours.register("chain_l2_block", "L2 block of the newest proven state", self.block.clone());
        ours.register("chain_round", "Livepeer's round, as proven", self.round.clone());
        ours.register("chain_round_initialized", "Whether somebody began it", self.initialized.clone());
        ours.register("chain_round_progress", "How much of it is over, 0 to 1", self.progress.clone());
        ours.register("chain_pool_members", "Orchestrators in the pool", self.members.clone());
        ours.register("chain_active_stake_lpt", "Stake of the active set, LPT", self.active_stake.clone());
        let help = "Inflation of the round, parts per billion";
        ours.register("chain_inflation_ppb", help, self.inflation.clone());
        let help = "Share of the supply that is staked, 0 to 1";
        ours.register("chain_participation", help, self.participation.clone());
        ours.register("chain_own_stake_lpt", "Stake of the own orchestrator, LPT", self.own_stake.clone());
        ours.register("chain_own_active", "Whether the own orchestrator is active", self.own_active.clone());
        let help = "Round of the own orchestrator's last reward";
        ours.register("chain_own_last_reward_round", help, self.last_reward.clone());
        ours.register("chain_alarms", "Alarms that are on, by kind", self.alarms.clone());
        let help = "Answers that did not verify, by source";
        ours.register("chain_source_lies", help, self.lies.clone());
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn lpt(units: U256) -> f64 {
    f64::from(units) / LPT
}

#[cfg(test)]
mod tests {
    use actors::chain_watcher::{Alarm, Cause, Known, Tier};

    use super::super::Metrics;
    use super::*;

    #[test]
    fn ages_grow_and_alarms_that_are_over_are_gone() {
        let metrics = Metrics::new(1);
        let known = Known { tier: Tier::Confirmed, l1_slot: 1, l2_block: 7, at_ms: 1000, read_at_ms: 1000 };
        let alarms = vec![Alarm { cause: Cause::Paused, since_ms: 1 }];
        let mut view = ChainView { known: Some(known), alarms, ..ChainView::default() };
        metrics.chain(&view, 3500);
        let text = metrics.text(0, 0, 0);
        assert!(text.contains("livemesh_chain_age_seconds 2.5"), "{text}");
        assert!(text.contains("livemesh_chain_alarms{kind=\"paused\"} 1"), "{text}");
        view.alarms.clear();
        metrics.chain(&view, 4500);
        assert!(!metrics.text(0, 0, 0).contains("kind=\"paused\""));
    }
}
