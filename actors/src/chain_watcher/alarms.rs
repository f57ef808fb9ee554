//! Which alarms are on: derived anew from everything that is known, so that each goes with its cause. Pure.

use alloy_primitives::U256;
use protocol::Lpt;

use super::alarm::{Alarm, Cause, MOST};
use super::core::Config;
use super::view::{ChainView, RoundFacts};

/// How much of a round may pass without a reward before a person is told, percent.
const REWARD_ALARM_PERCENT: u64 = 80;

/// What the view alone says of own and foreign conduct, at `now_ms`.
pub(super) fn of_view(config: &Config, view: &ChainView, now_ms: u64, rewarded: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(age_ms) = view.age_ms(now_ms).filter(|age| *age > config.stale_after_ms) {
        causes.push(Cause::Stale { age_ms });
    }
    for source in view.sources.iter().filter(|source| source.standing == "liar") {
        let what = source.last_fault.clone().unwrap_or_else(|| "sent what does not verify".into());
        causes.push(Cause::SourceLied { name: source.name.clone(), what });
    }
    let Some(round) = &view.round else { return causes };
    if round.paused {
        causes.push(Cause::Paused);
    }
    causes.extend(near_eviction(config, view));
    causes.extend(inactive(view, round));
    if !rewarded {
        causes.extend(reward_missing(view, round, now_ms));
    }
    causes
}

fn near_eviction(config: &Config, view: &ChainView) -> Option<Cause> {
    let own = view.own.as_ref().filter(|own| own.facts.in_pool)?;
    let pool = || view.members.values().filter(|member| member.in_pool);
    if (pool().count() as u64) < view.pool_limit {
        return None;
    }
    let last = pool().map(|member| member.stake).min()?;
    let percent = config.eviction_percent;
    let near = last.saturating_mul(U256::from(100 + percent)) / U256::from(100);
    let alarm =
        Cause::NearEviction { own: own.address, stake: Lpt(own.facts.stake), last: Lpt(last), percent };
    (own.facts.stake <= near).then_some(alarm)
}

fn inactive(view: &ChainView, round: &RoundFacts) -> Option<Cause> {
    let own = view.own.as_ref().filter(|own| !own.facts.active)?;
    Some(Cause::Inactive { own: own.address, round: round.number, in_pool: own.facts.in_pool })
}

fn reward_missing(view: &ChainView, round: &RoundFacts, now_ms: u64) -> Option<Cause> {
    let own = view.own.as_ref()?;
    let l1 = view.l1_block(now_ms)?;
    let owed = own.facts.active && own.facts.last_reward_round < round.number && l1 < round.end_block();
    let percent = l1.saturating_sub(round.start_block).saturating_mul(100) / round.length.max(1);
    let alarm = Cause::RewardMissing { own: own.address, round: round.number, percent };
    (owed && percent >= REWARD_ALARM_PERCENT).then_some(alarm)
}

/// Puts the causes that are on now in the place of those before. One that goes on keeps its beginning, and a lie its first
/// words.
pub(super) fn renew(alarms: &mut Vec<Alarm>, causes: Vec<Cause>, now_ms: u64) {
    let before = std::mem::take(alarms);
    for cause in causes {
        if alarms.iter().any(|alarm| alarm.cause.is_same(&cause)) {
            continue;
        }
        let known = before.iter().find(|alarm| alarm.cause.is_same(&cause));
        let since_ms = known.map_or(now_ms, |alarm| alarm.since_ms);
        let cause = match (known, cause) {
            (Some(known), Cause::SourceLied { .. }) => known.cause.clone(),
            (_, cause) => cause,
        };
        alarms.push(Alarm { cause, since_ms });
    }
    alarms.sort_by_key(|alarm| alarm.since_ms);
    alarms.truncate(MOST);
}
